"""The tool kit's self-test: right answers however they are written; what learners write wrong is told so."""

import math

import numpy as np
import pytest
import torch
from judging import judge

from minigpt.homework import check
from minigpt.homework.check import grade, load_exercise


@pytest.mark.parametrize(
    ("exercise_id", "computed"),
    [
        ("0.1", torch.tensor([2, -1, 3]) @ torch.tensor([1, 4, 2])),
        ("0.2", tuple((torch.ones(5, 3) @ torch.ones(3, 2)).shape)),
        ("0.4", "c"),
        ("0.5", -math.log2(1 / 32)),
        ("0.7", 5 - 0.1 * 2 * 5),
        ("0.8", tuple((torch.ones(4, 1) + torch.ones(3)).shape)),
    ],
)
def test_the_answers_are_what_torch_computes(exercise_id, computed):
    assert grade(load_exercise(exercise_id), computed).status == "right"


def by_loop(x):
    powers = [math.exp(v) for v in x.tolist()]
    return [power / sum(powers) for power in powers]


def shifted_first(x):
    x = np.exp(x.numpy() - x.numpy().max())
    return x / x.sum()


@pytest.mark.parametrize("answer", [by_loop, shifted_first, lambda x: torch.softmax(x, 0)])
def test_softmax_accepts_every_right_way(answer):
    assert [result.status for result in judge("0.3", answer)] == ["right"] * 3


@pytest.mark.parametrize(
    "answer",
    [
        lambda p: -p.log2().mean(),
        lambda p: -sum(math.log2(x) for x in p.tolist()) / len(p),
        lambda p: np.mean(-np.log2(p.numpy())),
        lambda p: torch.nn.functional.nll_loss(p.log()[:, None], torch.zeros(len(p)).long()) / math.log(2),
    ],
)
def test_cross_entropy_accepts_every_right_way(answer):
    assert [result.status for result in judge("0.6", answer)] == ["right"] * 3


@pytest.mark.parametrize(
    ("exercise_id", "answer", "said"),
    [
        ("0.3", lambda x: x / x.sum(), "without exp"),
        ("0.3", lambda x: torch.sigmoid(x), "sigmoid"),
        ("0.6", lambda p: -torch.log(p).mean(), "in nats"),
        ("0.6", lambda p: -math.log2(p.mean()), "the order matters"),
        ("0.5", math.log(32), "in nats"),
        ("0.7", 5 + 1, "uphill"),
    ],
)
def test_wrong_answers_are_called_by_their_name(exercise_id, answer, said):
    for result in judge(exercise_id, answer):
        assert result.status == "wrong" and said in result.message


def test_the_check_of_a_page_without_a_dot(capsys):
    check("0.5", 5)
    check("0.5", ...)
    check("7.1", 1)
    lines = capsys.readouterr().out
    assert "0.5 Surprise: right" in lines and "not answered yet" in lines and "no exercise '7.1'" in lines
