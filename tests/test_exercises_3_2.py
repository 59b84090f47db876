"""The exercises of 3.2: right answers however they are written, and mistakes as learners write them.

test_homework.py tries every listed mistake of every page; here are other spellings, and other libraries.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from judging import judge, sentence

from minigpt.data import TokenDataset
from minigpt.homework.check import grade, load_exercise
from minigpt.homework.exercises import page_3_2 as ours
from minigpt.objectives import IGNORE, clm_loss

# ---- 3.2.2 ---------------------------------------------------------------------------------------


def by_loops(ids, end):
    targets = []
    for row in ids.tolist():
        following = [*row[1:], IGNORE]
        targets.append([IGNORE if here == end else after for here, after in zip(row, following, strict=True)])
    return targets


def by_roll(ids, end):
    targets = ids.roll(-1, dims=1)
    targets[:, -1] = IGNORE
    targets[ids == end] = IGNORE
    return targets


def by_pad(ids, end):
    return torch.where(ids == end, IGNORE, F.pad(ids[:, 1:], (0, 1), value=IGNORE))


def by_numpy(ids, end):
    targets = np.full(ids.shape, IGNORE)
    targets[:, :-1] = ids.numpy()[:, 1:]
    return np.where(ids.numpy() == end, IGNORE, targets)


@pytest.mark.parametrize("answer", [by_loops, by_roll, by_pad, by_numpy])
def test_3_2_2_accepts_every_right_way(answer):
    for result in judge("3.2.2", answer):
        assert result.status == "right", result.message


def test_3_2_2_agrees_with_the_package_where_no_text_ends():
    ids = torch.arange(24)
    inputs, targets = next(TokenDataset(ids, 7).batches(3))
    inner = ours.next_tokens(inputs, end=99)[:, :-1]
    assert torch.equal(inner, targets[:, :-1])


def wrong_end_in_place(ids, end):
    targets = F.pad(ids[:, 1:], (0, 1), value=IGNORE)
    targets[targets == end] = IGNORE
    return targets


def wrong_unshifted(ids, end):
    return torch.where(ids == end, torch.tensor(IGNORE), ids)


def wrong_last_from_first(ids, end):
    return torch.where(ids == end, IGNORE, torch.cat([ids[:, 1:], ids[:, :1]], dim=1))


def wrong_last_only(ids, end):
    return [[*row[1:], IGNORE] for row in ids.tolist()]


@pytest.mark.parametrize(
    "answer, mistake",
    [(wrong_end_in_place, ours.end_never_asked), (wrong_unshifted, ours.not_shifted),
     (wrong_last_from_first, ours.rolled), (wrong_last_only, ours.end_forgotten)],
)  # fmt: skip
def test_3_2_2_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("3.2.2", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


def test_3_2_2_a_column_too_few_is_told_by_its_shape():
    assert "(1, 3); (1, 4) was expected" in judge("3.2.2", lambda ids, end: ids[:, 1:])[0].message


# ---- 3.2.3 ---------------------------------------------------------------------------------------


def by_library(logits, targets):
    return F.cross_entropy(logits.mT, targets)  # ignore_index is −100 by default


def by_the_package(logits, targets):
    return clm_loss(lambda inputs: inputs, (logits, targets))


def by_logsumexp(logits, targets):
    total, n = 0.0, 0
    for row, target in zip(logits.flatten(0, 1), targets.flatten(), strict=True):
        if target != IGNORE:
            total, n = total + torch.logsumexp(row, 0) - row[target], n + 1
    return total / n


def by_plain_python(logits, targets):
    losses = []
    for row, target in zip(logits.flatten(0, 1).tolist(), targets.flatten().tolist(), strict=True):
        if target != IGNORE:
            top = max(row)
            losses.append(top + math.log(sum(math.exp(x - top) for x in row)) - row[target])
    return sum(losses) / len(losses)


def by_scipy_style(logits, targets):
    x = logits.double().numpy()
    logp = x - x.max(-1, keepdims=True)
    logp = logp - np.log(np.exp(logp).sum(-1, keepdims=True))
    b, t = np.nonzero(targets.numpy() != IGNORE)
    return -logp[b, t, targets.numpy()[b, t]].mean()


@pytest.mark.parametrize("answer", [by_library, by_the_package, by_logsumexp, by_plain_python, by_scipy_style])
def test_3_2_3_accepts_every_right_way(answer):
    for result in judge("3.2.3", answer):
        assert result.status == "right", result.message


def wrong_library_on_probabilities(logits, targets):
    return F.cross_entropy(logits.softmax(-1).mT, targets)


def wrong_library_summed(logits, targets):
    return F.cross_entropy(logits.mT, targets, reduction="sum")


def wrong_library_mean_of_all(logits, targets):
    return F.cross_entropy(logits.mT, targets, reduction="none").mean()


def wrong_double_shift(logits, targets):
    return F.cross_entropy(logits[:, :-1].mT, targets[:, 1:])


def wrong_log2(logits, targets):
    return F.cross_entropy(logits.mT, targets) * math.log2(math.e)


def wrong_naive_exponentials(logits, targets):
    losses = []
    for row, target in zip(logits.flatten(0, 1), targets.flatten(), strict=True):
        if target != IGNORE:
            losses.append(-(row.exp()[target] / row.exp().sum()).log())
    return torch.stack(losses).mean()


@pytest.mark.parametrize(
    "answer, mistake",
    [(wrong_library_on_probabilities, ours.softmax_twice), (wrong_library_summed, ours.summed),
     (wrong_library_mean_of_all, ours.ignored_counted_as_zero_loss), (wrong_double_shift, ours.shifted_again),
     (wrong_log2, ours.in_bits), (wrong_naive_exponentials, ours.softmax_overflows)],
)  # fmt: skip
def test_3_2_3_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("3.2.3", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- 3.2.1 and 3.2.4 -----------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [10, 10.0, math.log2(1024), torch.tensor(1024.0).log2(), np.log2(1024)])
def test_3_2_1_accepts_a_number_of_any_kind(answer):
    assert grade(load_exercise("3.2.1"), answer).status == "right"


def test_3_2_1_knows_the_other_units():
    assert "nats" in grade(load_exercise("3.2.1"), math.log(1024)).mistake
    assert "log₁₀" in grade(load_exercise("3.2.1"), math.log10(1024)).mistake


def test_3_2_4_says_the_arithmetic():
    assert 3.0 / 2.5 < 1.5
    assert grade(load_exercise("3.2.4"), " b ").status == "right"
