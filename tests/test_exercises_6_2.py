"""The exercises of 6.2: right answers however they are written, and sacrebleu's own.

test_homework.py tries every listed mistake of every page; here are other spellings, and another library.
"""

import math

import numpy as np
import pytest
from judging import judge
from sacrebleu.metrics import BLEU

from minigpt.homework.check import grade, load_exercise


def by_sacrebleu(matches, totals, said, right):
    return BLEU.compute_bleu(
        correct=matches.sum(0).int().tolist(), total=totals.sum(0).int().tolist(),
        sys_len=int(said.sum()), ref_len=int(right.sum()), smooth_method="none",
    ).score  # fmt: skip


def by_loops(matches, totals, said, right):
    logs = 0.0
    for n in range(4):
        logs += math.log(sum(row[n] for row in matches.tolist()) / sum(row[n] for row in totals.tolist())) / 4
    c, r = sum(said.tolist()), sum(right.tolist())
    return 100 * (1 if c >= r else math.exp(1 - r / c)) * math.exp(logs)


def by_numpy(matches, totals, said, right):
    p = np.asarray(matches).sum(0) / np.asarray(totals).sum(0)
    return 100 * p.prod() ** 0.25 * np.exp(min(0, 1 - float(right.sum()) / float(said.sum())))


@pytest.mark.parametrize("answer", [by_sacrebleu, by_loops, by_numpy])
def test_6_2_2_accepts_every_right_way(answer):
    for result in judge("6.2.2", answer):
        assert result.status == "right", result.message


def with_sets(train, test):
    sources, targets = ({row[side] for row in train.tolist()} for side in (0, 1))
    return sum(s in sources or t in targets for s, t in test.tolist()) / len(test)


def with_broadcasting(train, test):
    return (test[:, None] == train[None]).any(1).any(1).float().mean()


def with_numpy(train, test):
    train, test = train.numpy(), test.numpy()
    return np.logical_or(*(np.isin(test[:, side], train[:, side]) for side in (0, 1))).mean()


@pytest.mark.parametrize("answer", [with_sets, with_broadcasting, with_numpy])
def test_6_2_3_accepts_every_right_way(answer):
    for result in judge("6.2.3", answer):
        assert result.status == "right", result.message


def test_6_2_1_and_6_2_4_accept_letters_in_any_case():
    assert grade(load_exercise("6.2.1"), "ac").status == "right"
    assert grade(load_exercise("6.2.4"), " b").status == "right"


def test_6_2_1_is_what_its_numbers_say():
    finished = {"A": (3, -2.4), "B": (6, -3.6), "C": (10, -5.5)}
    best = [max(finished, key=lambda k: finished[k][1] / finished[k][0] ** alpha) for alpha in (0, 1)]
    assert "".join(best) == load_exercise("6.2.1").answer
