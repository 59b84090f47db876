"""The exercises of 6.3: right answers however they are written, and SQuAD's own way of counting.

test_homework.py tries every listed mistake of every page; here are other spellings, and the package's functions.
"""

import re
import string
from collections import Counter

import numpy as np
import pytest
import torch
from judging import judge, sentence

from minigpt import metrics
from minigpt.answers import best_span
from minigpt.homework.check import grade, load_exercise
from minigpt.homework.exercises import page_6_3


def as_in_squad(said, right):  # after the functions of SQuAD's evaluate-v1.1.py
    def normalize_answer(s):
        s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())

    prediction, truth = normalize_answer(said).split(), normalize_answer(right).split()
    same = sum((Counter(prediction) & Counter(truth)).values())
    if same == 0:
        return [0, 0, 0]
    precision, recall = 1.0 * same / len(prediction), 1.0 * same / len(truth)
    return [precision, recall, (2 * precision * recall) / (precision + recall)]


def with_the_package(said, right):
    words = [metrics.normalize(text).split() for text in (said, right)]
    shared = (Counter(words[0]) & Counter(words[1])).total()
    return torch.tensor([shared / len(words[0]), shared / len(words[1]), metrics.f1(hypothesis=said, reference=right)])


def with_a_list_that_shrinks(said, right):
    plain = ("".join(c for c in text.lower() if c not in string.punctuation) for text in (said, right))
    words, left = ([word for word in text.split() if word not in ("a", "an", "the")] for text in plain)
    many, shared = len(left), 0
    for word in words:
        if word in left:
            left.remove(word)
            shared += 1
    return np.array([shared / len(words), shared / many, 2 * shared / (len(words) + many)])


@pytest.mark.parametrize("answer", [as_in_squad, with_the_package, with_a_list_that_shrinks])
def test_6_3_2_accepts_every_right_way(answer):
    for result in judge("6.3.2", answer):
        assert result.status == "right", result.message


def with_loops(start, end, longest):
    best, found = -1.0, None
    for first in range(len(start)):
        for last in range(first, min(first + longest, len(end))):
            if start[first] * end[last] > best:
                best, found = start[first] * end[last], [first, last]
    return found


def with_logarithms(start, end, longest):
    both = start.log()[:, None] + end.log()
    far = torch.arange(len(end)) - torch.arange(len(start))[:, None]
    at = int(torch.where((far >= 0) & (far < longest), both, -torch.inf).argmax())
    return torch.tensor([at // len(end), at % len(end)])


def from_the_package(start, end, longest):
    return list(best_span(start, end, longest))


@pytest.mark.parametrize("answer", [with_loops, with_logarithms, from_the_package])
def test_6_3_3_accepts_every_right_way(answer):
    for result in judge("6.3.3", answer):
        assert result.status == "right", result.message


@pytest.mark.parametrize("name", ["6.3.2", "6.3.3"])
def test_each_mistake_is_called_by_its_own_name(name):
    for mistake in load_exercise(name).mistakes:
        assert {result.mistake for result in judge(name, mistake)} == {sentence(mistake)}


def test_6_3_1_is_what_its_words_say():
    said, right = "The Bay of Bengal and the Bay of Biscay", "the Bay of Bengal"
    exercise = load_exercise("6.3.1")
    assert metrics.f1(hypothesis=said, reference=right) == pytest.approx(exercise.answer)
    on_sets, articles = page_6_3.on_sets(said, right)[2], page_6_3.articles_kept(said, right)[2]
    assert {round(float(on_sets), 6), round(float(articles), 6)} <= {round(value, 6) for value in exercise.mistakes}
    for value in (0.6, 3 / 5):
        assert grade(exercise, value).status == "right"


def test_6_3_4_accepts_a_letter_in_any_case():
    assert grade(load_exercise("6.3.4"), " c").status == "right"
