"""The exercises of 1.2: right answers however they are written.

test_homework.py tries every listed mistake of every page; here are other spellings.
"""

import math

import numpy as np
import pytest
from judging import judge, sentence

from minigpt.homework.check import grade, load_exercise
from minigpt.homework.exercises import page_1_2 as page


def by_polyfit(x, y):
    return np.polyfit(np.log10(x.numpy()), np.log10(y.numpy()), 1)[0]


def by_loops(x, y):
    u, v = [math.log2(a) for a in x.tolist()], [math.log2(b) for b in y.tolist()]
    mu, mv = sum(u) / len(u), sum(v) / len(v)
    return sum((a - mu) * (b - mv) for a, b in zip(u, v, strict=True)) / sum((a - mu) ** 2 for a in u)


def by_lstsq(x, y):
    table = np.stack([np.ones(len(x)), np.log(x.numpy())], 1)
    return np.linalg.lstsq(table, np.log(y.numpy()), rcond=None)[0][1]


@pytest.mark.parametrize("answer", [by_polyfit, by_loops, by_lstsq])
def test_1_2_2_accepts_every_right_way(answer):
    for result in judge("1.2.2", answer):
        assert result.status == "right", result.message


def with_dictionaries(budget, size, bits):
    runs = {}
    for b, s, loss in zip(budget.tolist(), size.tolist(), bits.tolist(), strict=True):
        runs.setdefault(b, {}).setdefault(s, []).append(loss)
    return [min(runs[b], key=lambda s: sum(runs[b][s]) / len(runs[b][s])) for b in sorted(runs)]


def with_numpy(budget, size, bits):
    budget, size, bits = (np.asarray(column) for column in (budget, size, bits))
    best = []
    for b in np.unique(budget):
        sizes = np.unique(size[budget == b])
        best.append(sizes[np.argmin([bits[(budget == b) & (size == s)].mean() for s in sizes])])
    return np.array(best)


@pytest.mark.parametrize("answer", [with_dictionaries, with_numpy])
def test_1_2_3_accepts_every_right_way(answer):
    for result in judge("1.2.3", answer):
        assert result.status == "right", result.message


def test_the_lucky_run_is_called_by_its_name():
    def answer(budget, size, bits):
        return [size[budget == b][bits[budget == b].argmin()] for b in budget.unique()]

    assert {result.mistake for result in judge("1.2.3", answer)} == {sentence(page.luckiest)}


def test_1_2_1_is_what_its_law_says():
    assert load_exercise("1.2.1").answer == round(100**0.5)
    assert grade(load_exercise("1.2.1"), 10.0).status == "right"
    assert grade(load_exercise("1.2.1"), round(100**0.75, 1)).mistake == page.hundredfold.mistakes[31.6]
