"""The exercises of 1.1: right answers however they are written, and mistakes as learners write them."""

import math

import numpy as np
import pytest
import torch
from judging import judge

from minigpt.homework.exercises import page_1_1 as ours
from minigpt.ngram import NGram


def mixture_by_loop(counts, shorter):
    counts, shorter = counts.tolist(), shorter.tolist()
    kinds, total = sum(c > 0 for c in counts), sum(counts)
    return [(c + kinds * p) / (total + kinds) if total else p for c, p in zip(counts, shorter, strict=True)]


def mixture_by_weight(counts, shorter):
    total, kinds = counts.sum(), counts.count_nonzero()
    trust = total / (total + kinds) if total > 0 else torch.tensor(0.0)
    return trust * (counts / total.clamp(min=1)) + (1 - trust) * shorter


def mixture_by_numpy(counts, shorter):
    counts, shorter = counts.numpy(), shorter.numpy()
    kinds = np.count_nonzero(counts)
    return (counts + kinds * shorter) / (counts.sum() + kinds) if kinds else shorter


@pytest.mark.parametrize("answer", [mixture_by_loop, mixture_by_weight, mixture_by_numpy])
def test_1_1_3_accepts_every_right_way(answer):
    assert [result.status for result in judge("1.1.3", answer)] == ["right"] * 3


@pytest.mark.parametrize(
    "answer",
    [
        lambda p, n: -p.log2().sum() / n,
        lambda p, n: sum(-math.log2(x) for x in p.tolist()) / n,
        lambda p, n: -p.log().mean() * len(p) / n / math.log(2),
        lambda p, n: -torch.log2(p).mean() * (len(p) / n),
    ],
)
def test_1_1_2_accepts_every_right_way(answer):
    assert [result.status for result in judge("1.1.2", answer)] == ["right"] * 3


@pytest.mark.parametrize(
    ("exercise_id", "answer", "mistake"),
    [
        ("1.1.2", lambda p, n: -torch.log(p).sum() / n, ours.nats_per_byte),
        ("1.1.2", lambda p, n: (-p.log2()).mean(), ours.bits_per_token),
        ("1.1.2", lambda p, n: -math.log2(p.mean()), ours.surprise_of_the_mean),
        ("1.1.3", lambda c, s: (c + (c != 0).sum() * s) / (c.sum() + (c != 0).sum()), ours.unseen_divided),
        ("1.1.3", lambda c, s: (c + c.numel() * s) / (c.sum() + c.numel()), ours.whole_alphabet),
        ("1.1.3", lambda c, s: torch.ones_like(c).add(c) / (c + 1).sum(), ours.add_one),
    ],
)
def test_what_learners_write_wrong_is_called_by_its_name(exercise_id, answer, mistake):
    for result in judge(exercise_id, answer):
        assert result.status == "wrong" and result.mistake == " ".join(mistake.__doc__.split())


def test_the_exercise_is_what_the_package_does():
    model = NGram.count("the cat sat on the mat", 1)
    counts = torch.tensor([float(model.often[1].grams.get("t" + c, 0)) for c in model.vocabulary])
    shorter = torch.tensor(model.distribution("t", 0, "witten-bell"))
    expected = torch.tensor(model.distribution("t", 1, "witten-bell"))
    torch.testing.assert_close(ours.witten_bell(counts, shorter), expected)


@pytest.mark.parametrize("letter", "ACD")
def test_every_wrong_choice_has_its_reason(letter):
    (result, *_) = judge("1.1.1", letter)
    assert result.status == "wrong" and "nor a mistake this check knows" not in result.message
