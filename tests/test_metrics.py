"""Metrics against hand-computed numbers, against definitions written out another way, and against exchange."""

import re
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from minigpt import metrics
from minigpt.metrics import (
    bleu,
    bootstrap,
    chrf,
    distinct_n,
    exact_match,
    f1,
    normalize,
    parses,
    rouge,
    self_repetition,
)

WORDS = st.lists(st.sampled_from("the The a an A. cat, cats dog! rät 中文 U.S. it's".split()), max_size=8).map(" ".join)


# BLEU and chrF


def test_bleu_by_hand():
    # 1-grams 5/6, 2-grams 3/5, 3-grams 1/4, no 4-gram: smoothed to 1/(2·3); equal lengths, so no penalty
    got = bleu(hypotheses=["the cat sat on a mat"], references=["the cat sat upon a mat"])
    assert got == pytest.approx(100 * (5 / 6 * 3 / 5 * 1 / 4 * 1 / 6) ** 0.25)
    # three of four words, and all their n-grams are right, but e^(1 − 5/4) for being short
    got = bleu(hypotheses=["one two three four"], references=["one two three four five"])
    assert got == pytest.approx(100 * np.exp(1 - 5 / 4))


def test_bleu_is_of_the_corpus_and_takes_several_references():
    hypotheses = ["the cat sat on the mat", "hello there my old friend"]
    references = [["a cat is sitting on a mat", "the cat sat on a mat"], "hello my old friend of old"]
    first, second = ["a cat is sitting on a mat", "hello my old friend of old"], ["the cat sat on a mat", None]
    want = sacrebleu.corpus_bleu(hypotheses, [first, second]).score
    assert bleu(hypotheses=hypotheses, references=references) == pytest.approx(want)
    assert chrf(hypotheses=hypotheses, references=references) == pytest.approx(
        sacrebleu.corpus_chrf(hypotheses, [first, second]).score
    )
    one_by_one = [bleu(hypotheses=[h], references=[r]) for h, r in zip(hypotheses, references, strict=True)]
    assert bleu(hypotheses=hypotheses, references=references) != pytest.approx(sum(one_by_one) / 2, abs=0.5)


def test_chinese_is_cut_between_characters():
    hypotheses, references = ["我们坐公共汽车吧。"], ["我们坐公共汽车去吧。"]
    want = sacrebleu.corpus_bleu(hypotheses, [references], tokenize="zh").score
    assert bleu(hypotheses=hypotheses, references=references, language="zh") == pytest.approx(want)
    assert want > 50 > bleu(hypotheses=hypotheses, references=references)  # as "English", it is one long word


def test_chrf_by_hand():
    # "ab" against "abc": 1-grams precision 2/2, recall 2/3; 2-grams 1/1, 1/2; averages 1 and 7/12, recall weighs 4:1
    p, r = 1, (2 / 3 + 1 / 2) / 2
    got = sacrebleu.CHRF(char_order=2).corpus_score(["ab"], [["abc"]]).score
    assert got == pytest.approx(100 * 5 * p * r / (4 * p + r))
    want = sacrebleu.CHRF(char_order=6, beta=2).corpus_score(["abcdefg"], [["abcdexyz"]]).score
    assert chrf(hypotheses=["abcdefg"], references=["abcdexyz"]) == pytest.approx(want)


def test_hypothesis_and_reference_cannot_be_exchanged_silently():
    short, long = ["one two three four"], ["one two three four five"]
    assert bleu(hypotheses=short, references=long) != pytest.approx(bleu(hypotheses=long, references=short))
    for metric in (bleu, chrf, rouge, exact_match, f1):
        with pytest.raises(TypeError, match="positional"):
            metric(short, long)


@pytest.mark.parametrize(
    "hypotheses, references, message",
    [
        ([], [], "0 hypotheses"),
        (["a"], ["a", "b"], "1 hypotheses and 2"),
        (["a"], [[]], "no reference"),
        ("a", ["a"], "lists"),
        (["a"], "a", "lists"),
    ],
)
def test_lists_that_do_not_match_are_named(hypotheses, references, message):
    for metric in (bleu, chrf):
        with pytest.raises(ValueError, match=message):
            metric(hypotheses=hypotheses, references=references)


# ROUGE


def test_rouge_by_hand():
    # said: police kill the gunman; right: police killed the gunman (Lin, 2004, section 3.2, with stems: all equal)
    assert rouge(hypothesis="police kill the gunman", reference="police killed the gunman") == pytest.approx(
        {"rouge1": 1, "rouge2": 1, "rougeL": 1}
    )
    # Lin's S3: all four words, one pair ("the gunman"), longest common subsequence "the gunman": 2 of 4
    assert rouge(hypothesis="the gunman kill police", reference="police killed the gunman") == pytest.approx(
        {"rouge1": 1, "rouge2": 1 / 3, "rougeL": 1 / 2}
    )
    # precision 2/2, recall 2/4
    assert rouge(hypothesis="the gunman", reference="police killed the gunman")["rouge1"] == pytest.approx(2 / 3)


def test_rouge_takes_the_best_reference():
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    alone = [scorer.score(r, "a red boat")["rougeL"].fmeasure for r in ("a blue boat sails", "red boats")]
    got = rouge(hypothesis="a red boat", reference=["a blue boat sails", "red boats"])["rougeL"]
    assert got == pytest.approx(max(alone)) == pytest.approx(0.8) and alone[0] < 0.8
    assert rouge(hypothesis="中文", reference="中文")["rouge1"] == 0  # the docstring says so


# SQuAD's exact match and F1


@pytest.mark.parametrize(
    "text, normal",
    [
        ("The  Cat's\tpyjamas!", "cats pyjamas"),
        ("an apple a day", "apple day"),
        ("Thea and Ann", "thea and ann"),  # articles are whole words
        ("A.", ""),  # punctuation goes first, so that "a" stands alone
        ("U.S.A", "usa"),
        ("«Zürich»", "«zürich»"),  # punctuation is ASCII's only
        ("the", ""),
    ],
)
def test_normalisation_by_hand(text, normal):
    assert normalize(text) == normal


def test_exact_match_and_f1_by_hand():
    assert exact_match(hypothesis="The Eiffel Tower.", reference="eiffel tower") == 1
    assert exact_match(hypothesis="Eiffel", reference=["Paris", "eiffel!"]) == 1
    assert exact_match(hypothesis="Eiffel", reference="Eiffel Tower") == 0
    # said: in paris france (3), right: paris (1); 2 · 1 / (3 + 1)
    assert f1(hypothesis="in Paris, France", reference="Paris") == pytest.approx(1 / 2)
    # "new" is shared once, "york" once: 2 · 2 / (4 + 2)
    assert f1(hypothesis="new new new york", reference="New York") == pytest.approx(2 / 3)
    assert f1(hypothesis="new new", reference="new new york york") == pytest.approx(2 / 3)
    assert f1(hypothesis="cat", reference=["dog", "cat sat", "cat"]) == 1
    assert f1(hypothesis="", reference="the") == 1 and f1(hypothesis="", reference="cat") == 0
    for metric in (exact_match, f1):
        with pytest.raises(ValueError, match="no reference"):
            metric(hypothesis="cat", reference=[])


def squad(said: str, right: str) -> tuple[float, float]:
    """The steps of SQuAD 2.0's evaluation script, one by one: precision, recall, their harmonic mean."""
    bags = []
    for text in (said, right):
        text = re.sub("[" + re.escape(string.punctuation) + "]", "", text.lower())
        bags.append([word for word in re.sub(r"\b(a|an|the)\b", " ", text).split() if word])
    left, shared = list(bags[1]), 0
    for word in bags[0]:
        if word in left:
            left.remove(word)
            shared += 1
    if not bags[0] or not bags[1] or not shared:
        return float(bags[0] == bags[1]), float(bags[0] == bags[1])
    precision, recall = shared / len(bags[0]), shared / len(bags[1])
    return float(bags[0] == bags[1]), 2 * precision * recall / (precision + recall)


@settings(max_examples=200, deadline=None)
@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_exact_match_and_f1_equal_the_script(said, right):
    pairs = [squad(said, one) for one in right]
    assert exact_match(hypothesis=said, reference=right) == max(em for em, _ in pairs)
    assert f1(hypothesis=said, reference=right) == pytest.approx(max(score for _, score in pairs))


# Repetition


def test_distinct_and_self_repetition_by_hand():
    assert distinct_n(["a b a b", "a b"], 1) == pytest.approx(2 / 6)
    assert distinct_n(["a b a b", "a b"], 2) == pytest.approx(2 / 4)  # ab ba ab, ab; none across two texts
    assert self_repetition("a b a b a b", 2) == pytest.approx(1 - 2 / 5)  # ab ba ab ba ab
    assert self_repetition("one two three four five") == 0
    assert self_repetition([7] * 10) == pytest.approx(1 - 1 / 7)  # token ids do as well
    assert self_repetition("too short") == 0 and distinct_n([], 2) == 0
    with pytest.raises(ValueError, match=r"\[text\]"):
        distinct_n("a b")
    with pytest.raises(ValueError, match="n=0"):
        self_repetition("a b", 0)


# Code


@pytest.mark.parametrize(
    "code, good",
    [
        ("def f(x):\n    return x + 1\n", True),
        ("def f(x)\n    return x + 1\n", False),
        ("print 'two'", False),
        ("", True),
        ('"\\d"', True),  # only a warning
        ("x = 1\0", False),
        ("x = '\ud800'", False),
        ("(" * 100_000, False),
        ("-" * 100_000 + "1", False),
        ("a" + ".b" * 50_000, False),
        ("1" * 5000, False),
        ("lambda:" * 100_000 + "1", False),
    ],
)
def test_parses(code, good):
    assert parses(code) is good


def test_parsing_never_runs_the_code(tmp_path):
    assert parses(f"open({str(tmp_path / 'run')!r}, 'w').write('x')\nraise SystemExit")
    assert not (tmp_path / "run").exists()


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=40))
def test_parses_answers_for_any_text(code):
    assert parses(code) in (True, False)


# The interval


def test_bootstrap_by_hand():
    assert bootstrap([0.5]) == (0.5, 0.5, 0.5)
    mean, low, high = bootstrap([0, 1] * 50, samples=4000)
    # the resampled mean of 100 fair coins is binomial: 95 % of it lies within 1.96 · 0.05
    assert mean == 0.5 and low == pytest.approx(0.402, abs=0.011) and high == pytest.approx(0.598, abs=0.011)
    once, again, other = (bootstrap(np.arange(50) ** 2, seed=seed) for seed in (1, 1, 2))
    assert once == again != other
    narrow, wide = bootstrap([0, 1] * 50, level=0.5), bootstrap([0, 1] * 50, level=0.99)
    assert wide[1] < narrow[1] < narrow[2] < wide[2]


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    dice = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        _, low, high = bootstrap(dice.exponential(size=60), level=0.9, samples=300, seed=seed)
        hits += low <= 1 <= high
    assert 0.82 <= hits / 200 <= 0.96  # 0.9, less a little for 60 skewed scores, ± three standard deviations


@pytest.mark.parametrize("bad", [{"scores": []}, {"scores": [1], "level": 1}, {"scores": [1], "samples": 0}])
def test_impossible_intervals_are_named(bad):
    with pytest.raises(ValueError, match="score|level"):
        bootstrap(bad.pop("scores"), **bad)


# What the libraries cost


def test_libraries_are_imported_when_needed_and_named_when_missing(monkeypatch):
    metrics._rouge_scorer.cache_clear()
    for name in ("sacrebleu", "rouge_score.rouge_scorer", "rouge_score"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match="pip install sacrebleu"):
        bleu(hypotheses=["a"], references=["a"])
    with pytest.raises(ModuleNotFoundError, match="pip install rouge-score"):
        rouge(hypothesis="a", reference="a")
    code = "import sys, minigpt.metrics as m; print(m.parses('x'), {'sacrebleu', 'rouge_score'} & set(sys.modules))"
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "True set()", done.stderr
