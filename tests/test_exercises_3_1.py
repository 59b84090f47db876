"""The exercises of 3.1: right answers however they are written, mistakes as learners write them, and a real GPT.

test_homework.py tries every listed mistake of every page; here are other spellings, and other references.
"""

import numpy as np
import pytest
import torch
from judging import judge, sentence

from minigpt.config import GPTConfig
from minigpt.homework.exercises import page_3_1 as ours
from minigpt.model import GPT


def gpt(n_layer=4):
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=20, block_size=16, n_layer=n_layer, n_head=4, n_embd=16)).eval()


# ---- 3.1.1 ---------------------------------------------------------------------------------------


@torch.no_grad()
def test_3_1_1_agrees_with_a_gpt():
    ids = torch.arange(7)[None]
    other = ids.clone()
    other[0, 3] = 19
    model = gpt()
    heard = ((model(ids) - model(other)).abs().amax(-1) > 1e-6).sum()
    assert ours.who_hears.answer == heard == 4
    assert judge("3.1.1", torch.tensor(4))[0].status == "right"


# ---- 3.1.2 ---------------------------------------------------------------------------------------


def by_diagonal(weights, period):
    return weights.diagonal(-period, -2, -1).mean(-1)


def by_loops(weights, period):
    H, T, _ = weights.shape
    return [sum(float(weights[h, t, t - period]) for t in range(period, T)) / (T - period) for h in range(H)]


def by_mask(weights, period):
    T = weights.size(-1)
    places = torch.eye(T).roll(-period, 1) * (torch.arange(T) >= period)[:, None]
    return torch.einsum("hts,ts->h", weights, places) / (T - period)


def by_numpy(weights, period):
    return np.diagonal(weights.numpy(), -period, 1, 2).mean(-1)


@pytest.mark.parametrize("answer", [by_diagonal, by_loops, by_mask, by_numpy])
def test_3_1_2_accepts_every_right_way(answer):
    for result in judge("3.1.2", answer):
        assert result.status == "right", result.message


def test_3_1_2_finds_a_head_that_looks_there_and_no_other():
    T, period = 12, 5
    there = torch.eye(T).roll(-period, 1)
    weights = torch.stack([there, torch.eye(T), torch.full((T, T), 1 / T)])
    torch.testing.assert_close(ours.same_letter_score(weights, period), torch.tensor([1.0, 0.0, 1 / T]))


def all_queries(weights, period):
    t = torch.arange(weights.size(-1))
    return weights[:, t, t - period].mean(-1)


def next_one(weights, period):
    return weights.diagonal(1 - period, -2, -1)[:, 1:].mean(-1)


def swapped(weights, period):
    return weights.diagonal(period, -2, -1).mean(-1)


def one_number(weights, period):
    return weights.diagonal(-period, -2, -1).mean()


@pytest.mark.parametrize(
    "answer, mistake",
    [(all_queries, ours.over_all_queries), (next_one, ours.next_letter), (swapped, ours.rows_for_columns),
     (one_number, ours.mean_of_heads)],
)  # fmt: skip
def test_3_1_2_names_mistakes_as_learners_write_them(answer, mistake):
    for result in judge("3.1.2", answer):
        assert result.status == "wrong" and result.mistake == sentence(mistake)


# ---- 3.1.3 ---------------------------------------------------------------------------------------


def by_view(weight, head, n_head):
    parts = weight.clone().view(len(weight), n_head, -1)
    parts[:, head] = 0
    return parts.flatten(1)


def by_keeping(weight, head, n_head):
    keep = torch.arange(len(weight)) // (len(weight) // n_head) != head
    return weight * keep


def by_joining(weight, head, n_head):
    parts = list(weight.chunk(n_head, dim=1))
    parts[head] = torch.zeros_like(parts[head])
    return torch.cat(parts, dim=1)


def as_array(weight, head, n_head):
    D = len(weight) // n_head
    array = weight.numpy().copy()
    array[:, head * D : head * D + D] = 0
    return array


def in_place(weight, head, n_head):
    D = len(weight) // n_head
    weight[:, head * D : (head + 1) * D] = 0
    return weight


@pytest.mark.parametrize("answer", [by_view, by_keeping, by_joining, as_array, in_place])
def test_3_1_3_accepts_every_right_way(answer):
    for result in judge("3.1.3", answer):
        assert result.status == "right", result.message


@torch.no_grad()
def test_3_1_3_is_what_silences_a_head_of_the_package():
    model, quiet, ids = gpt(1), gpt(1), torch.arange(10)[None]
    attn, D = quiet.h[0].attn, quiet.config.head_size
    attn.c_proj.weight.copy_(ours.switch_off(attn.c_proj.weight, 2, 4))
    values = slice(2 * 16 + 2 * D, 2 * 16 + 3 * D)  # of c_attn's rows: the values of head 2
    model.h[0].attn.c_attn.weight[values] = 0
    model.h[0].attn.c_attn.bias[values] = 0
    torch.testing.assert_close(quiet(ids), model(ids))


def rows(weight, head, n_head):
    D = len(weight) // n_head
    weight = weight.clone()
    weight[head * D : (head + 1) * D] = 0
    return weight


def test_3_1_3_names_rows_for_columns():
    for result in judge("3.1.3", rows):
        assert result.mistake == sentence(ours.rows_of_the_head)
