"""The exercises of 2.1: right answers however they are written, and mistakes as learners write them.

test_homework.py tries every listed mistake of every page; here are other spellings, and other libraries.
"""

import itertools

import numpy as np
import pytest
import torch
from judging import judge, sentence

from minigpt.generate import next_token_probs
from minigpt.homework.exercises import page_2_1 as ours

# ---- 2.1.1 ---------------------------------------------------------------------------------------


def test_2_1_1_agrees_with_counted_draws():
    draws = np.random.default_rng(0).binomial(100, 0.2, size=200_000)
    assert ours.stray.answer == pytest.approx((draws.mean(), draws.std()), rel=0.01)


@pytest.mark.parametrize("answer", [(20, 4), [20.0, 4.0], torch.tensor([20, 4])])
def test_2_1_1_accepts(answer):
    assert judge("2.1.1", answer)[0].status == "right"


# ---- 2.1.2 ---------------------------------------------------------------------------------------


def by_loop(probs, u):
    for token, p in enumerate(probs.tolist()):
        u -= p
        if u < 0:
            return token
    return len(probs) - 1


def by_searchsorted(probs, u):
    return torch.searchsorted(probs.cumsum(0), torch.tensor([u]), right=True)[0]


def by_numpy(probs, u):
    return int(np.searchsorted(np.cumsum(probs.numpy()), u, side="right"))


def by_python(probs, u):
    return next(i for i, end in enumerate(itertools.accumulate(probs.tolist())) if u < end)


@pytest.mark.parametrize("answer", [by_loop, by_searchsorted, by_numpy, by_python])
def test_2_1_2_accepts_every_right_way(answer):
    for result in judge("2.1.2", answer):
        assert result.status == "right", result.message


def test_2_1_2_draws_in_proportion():
    probs, points = torch.tensor([0.1, 0.6, 0.3]), np.random.default_rng(1).random(20_000)
    counts = np.bincount([int(ours.draw_token(probs, float(u))) for u in points], minlength=3)
    assert counts / 20_000 == pytest.approx(probs.numpy(), abs=0.02)


@pytest.mark.parametrize(
    "answer, mistake",
    [(lambda probs, u: int(np.argmax(probs.numpy())), ours.likeliest),
     (lambda probs, u: int(len(probs) * u), ours.all_tokens_alike),
     (lambda probs, u: next((i for i, p in enumerate(probs.tolist()) if p > u), 0), ours.not_laid_end_to_end),
     (lambda probs, u: min(by_searchsorted(probs, u) + 1, torch.tensor(len(probs) - 1)), ours.one_too_far)],
)  # fmt: skip
def test_2_1_2_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("2.1.2", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- 2.1.3 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [lambda p, T: (p.log() / T).softmax(0), lambda p, T: next_token_probs(p.log(), T),
     lambda p, T: [x ** (1 / T) / sum(y ** (1 / T) for y in p.tolist()) for x in p.tolist()],
     lambda p, T: torch.nn.functional.normalize(p ** (1 / T), p=1, dim=0)],
)  # fmt: skip
def test_2_1_3_accepts_every_right_way(answer):
    for result in judge("2.1.3", answer):
        assert result.status == "right", result.message


@pytest.mark.parametrize(
    "answer, mistake",
    [(lambda p, T: (p / T) / sum(p / T), ours.divided), (lambda p, T: p.pow(1 / T), ours.not_shared_out_anew),
     (lambda p, T: (p.log() * T).softmax(0), ours.power_upside_down),
     (lambda p, T: next_token_probs(p, T), ours.probabilities_as_scores)],
)  # fmt: skip
def test_2_1_3_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("2.1.3", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- 2.1.4 ---------------------------------------------------------------------------------------


def test_2_1_4_has_a_word_for_every_choice():
    assert judge("2.1.4", " b ")[0].status == "right"
    for choice in "ACD":
        assert judge("2.1.4", choice)[0].mistake
