"""The exercises of 5.1: right answers in several styles pass; test_homework.py tries every listed mistake."""

import pytest
import torch
from judging import judge

from minigpt.generate import next_token_probs
from minigpt.homework.check import load_exercise
from minigpt.homework.exercises.page_5_1 import EXERCISES


def by_the_package(logits, temperature, top_p):
    return next_token_probs(logits, temperature, top_p=top_p)


def by_a_loop(logits, temperature, top_p):
    p = (logits / temperature).softmax(-1).tolist()
    kept, total = [0.0] * len(p), 0.0
    for i in sorted(range(len(p)), key=lambda i: -p[i]):
        if total >= top_p:
            break
        kept[i] = p[i]
        total += p[i]
    return [x / total for x in kept]


def by_transformers(logits, temperature, top_p):
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

    steps = LogitsProcessorList([TemperatureLogitsWarper(temperature), TopPLogitsWarper(top_p)])
    return steps(torch.zeros(1, 1, dtype=torch.long), logits[None])[0].softmax(-1)


def pad_by_tensors(rows):
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for b, row in enumerate(rows):
        ids[b, longest - len(row) :] = torch.tensor(row)
        mask[b, longest - len(row) :] = 1
    return torch.stack([ids, mask])


def pad_by_lists(rows):
    longest = max(map(len, rows))
    ids = [[0] * (longest - len(row)) + row for row in rows]
    return [ids, [[0] * (longest - len(row)) + [1] * len(row) for row in rows]]


RIGHT = {
    "5.1.1": (18, 18.0, torch.tensor(18)),
    "5.1.2": (by_the_package, by_a_loop, by_transformers),
    "5.1.3": (pad_by_tensors, pad_by_lists),
    "5.1.4": ("C", " c "),
}


def test_the_exercises_are_found_and_none_is_untested():
    assert [exercise.id for exercise in EXERCISES] == list(RIGHT)
    assert all(load_exercise(exercise.id) is exercise for exercise in EXERCISES)


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass(id):
    for answer in RIGHT[id]:
        for result in judge(id, answer):
            assert result.status == "right", result.message
