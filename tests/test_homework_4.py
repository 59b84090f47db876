"""Homework 4: right answers however they are written, and what a student reads. test_homework.py tries the mistakes."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from judging import MANY, every_right_way, judge
from torch import nn

from minigpt.config import GPTConfig
from minigpt.homework import check, given, tally
from minigpt.homework import check as check_function
from minigpt.homework.assignments.homework_4 import count, masked_with_a_finite_number, parameters, unscaled
from minigpt.homework.check import FOUND, NotYet, grade, load_exercise, seed_of
from minigpt.model import GPT


def test_the_count_is_gpt2s_own_and_what_our_model_has():
    assert count(V=50257, P=1024, C=768, L=12) == 124_439_808  # Radford et al. (2019), the smallest model
    for seed in range(3):
        n = parameters.draw(torch.Generator().manual_seed(seed))
        config = GPTConfig(vocab_size=n["V"], block_size=n["P"], n_embd=n["C"], n_layer=n["L"], n_head=2)
        model = GPT(config)
        assert grade(parameters, sum(p.numel() for p in model.parameters()), seed).status == "right"


def test_an_id_without_quotes_is_understood():
    with pytest.raises(NotYet, match="4.2 Causal attention: not yet"):
        check(4.2, 3)
    assert load_exercise(4.2) is load_exercise("4.2")
    assert FOUND.pop("4.2").status == "wrong"


def test_students_have_numbers_of_their_own():
    assert given("4.1", "alice") == given("4.1", " Alice ") != given("4.1", "bob")
    assert seed_of("") == 0 != seed_of("alice")


def masked_at_last(q, k, v):
    T, S = q.size(-2), k.size(-2)
    weights = (q.double() @ k.double().mT / math.sqrt(q.size(-1))).softmax(-1).tril(S - T)
    return weights / weights.sum(-1, keepdim=True) @ v.double()


def by_library(q, k, v):
    T, S = q.size(-2), k.size(-2)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.ones(T, S, dtype=torch.bool).tril(S - T))


def by_einsum(q, k, v):
    T, S = q.size(-2), k.size(-2)
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.size(-1) ** -0.5
    scores = scores + torch.full((T, S), -torch.inf).triu(S - T + 1)
    return torch.einsum("...ts,...se->...te", F.softmax(scores, -1), v)


def by_loops(q, k, v):
    *leading, T, D = q.shape
    S, E = v.shape[-2:]
    out = torch.zeros(math.prod(leading), T, E)
    q, k, v = (x.reshape(-1, *x.shape[-2:]).tolist() for x in (q, k, v))
    for b in range(len(q)):
        for t in range(T):
            scores = [sum(x * y for x, y in zip(q[b][t], k[b][s], strict=True)) / D**0.5 for s in range(S - T + t + 1)]
            powers = [math.exp(score - max(scores)) for score in scores]
            for s, power in enumerate(powers):
                out[b, t] += power / sum(powers) * torch.tensor(v[b][s])
    return out.reshape(*leading, T, E)


def in_place(q, k, v):
    q /= math.sqrt(q.size(-1))
    scores = q @ k.mT
    scores += torch.full_like(scores, -torch.inf).triu_(k.size(-2) - q.size(-2) + 1)
    return scores.softmax(-1) @ v


def with_numpy(q, k, v):
    q, k, v = (x.double().numpy() for x in (q, k, v))
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    scores = np.where(np.tril(np.ones(scores.shape[-2:]), k.shape[-2] - q.shape[-2]) == 1, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


@pytest.mark.parametrize("fill", [-1e9, torch.finfo(torch.float32).min])
def test_4_2_accepts_a_mask_that_lies_below_all_scores(fill):
    def answer(q, k, v):
        T, S = q.size(-2), k.size(-2)
        scores = q @ k.mT / math.sqrt(q.size(-1))
        return scores.masked_fill(torch.ones(T, S).tril(S - T) == 0, fill).softmax(-1) @ v

    assert all(result.status == "right" for result in judge("4.2", answer))


def test_4_2_gives_half_to_who_fails_at_the_edge_alone():
    assert [r.share for r in judge("4.2", masked_with_a_finite_number)] == [0.5] * 3
    assert [r.share for r in judge("4.2", unscaled)] == [0.0] * 3


def heads_by_library(x, context, w_q, w_k, w_v, w_o, n_head):
    C = x.size(-1)
    layer = nn.MultiheadAttention(C, n_head, bias=False, batch_first=True)
    layer.in_proj_weight.data = torch.cat([w_q, w_k, w_v], 1).mT.contiguous()
    layer.out_proj.weight.data = w_o.mT.contiguous()
    source = x if context is None else context
    return layer(x, source, source, need_weights=False)[0]


def one_after_the_other(x, context, w_q, w_k, w_v, w_o, n_head):
    source, D = x if context is None else context, x.size(-1) // n_head
    out = 0
    for h in range(n_head):
        p = slice(h * D, (h + 1) * D)
        weights = (x @ w_q[:, p] @ (source @ w_k[:, p]).mT / D**0.5).softmax(-1)
        out = out + weights @ (source @ w_v[:, p]) @ w_o[p]
    return out


def heads_by_einsum(x, context, w_q, w_k, w_v, w_o, n_head):
    source = (x if context is None else context).double()
    w_q, w_k, w_v = (w.double().unflatten(-1, (n_head, -1)) for w in (w_q, w_k, w_v))
    q = torch.einsum("btc,chd->bhtd", x.double(), w_q)
    k, v = (torch.einsum("bsc,chd->bhsd", source, w) for w in (w_k, w_v))
    weights = torch.einsum("bhtd,bhsd->bhts", q, k).div(q.size(-1) ** 0.5).softmax(-1)
    return torch.einsum("bhts,bhsd,hdc->btc", weights, v, w_o.double().unflatten(0, (n_head, -1)))


def block_by_library(x, mix, w_in, w_out, eps):
    def norm(x):
        return F.layer_norm(x, x.shape[-1:], eps=eps)

    x = x + mix.bmm(norm(x))
    x += F.relu(norm(x).matmul(w_in)).matmul(w_out)
    return x


def block_by_numpy(x, mix, w_in, w_out, eps):
    x, mix, w_in, w_out = (a.double().numpy() for a in (x, mix, w_in, w_out))

    def norm(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)

    x = x + mix @ norm(x)
    return x + np.maximum(norm(x) @ w_in, 0) @ w_out


def by_conditions(source, T):
    B, S = source.shape
    return [[[int(source[b, j] != 0) if j < S else int(j <= i) for j in range(S + T)] for i in range(S + T)]
            for b in range(B)]  # fmt: skip


def by_cat(source, T):
    B, S = source.shape
    real = (source != 0)[:, None].expand(B, S + T, S)
    own = torch.cat([torch.zeros(S, T), torch.ones(T, T).tril()]).expand(B, -1, -1).bool()
    return torch.cat([real, own], dim=2)


RIGHT = {
    "4.2": [masked_at_last, by_library, by_einsum, by_loops, in_place, with_numpy],
    "4.3": [heads_by_library, one_after_the_other, heads_by_einsum],
    "4.4": [block_by_library, block_by_numpy],
    "4.5": [by_conditions, by_cat, lambda s, T: by_cat(s, T).to(torch.uint8)],
}


@MANY
@every_right_way(RIGHT)
def test_every_right_way_is_accepted(exercise_id, answer, seeds):
    for result in judge(exercise_id, answer, seeds):
        assert result.status == "right", result.message


# ---- what the student reads ----------------------------------------------------------------------


def test_a_check_of_a_homework_raises_until_it_is_right(capsys):
    for answer, said in ((None, "not answered yet"), (unscaled, "without dividing"), (3, "without calling it")):
        with pytest.raises(NotYet, match=said) as told:
            check_function("4.2", answer, "alice")
        assert told.value._render_traceback_() == str(told.value).splitlines()  # a notebook shows this, and no more
        assert "Hints for 4.2" in str(told.value)
    check("4.2", by_library, "alice")
    out = capsys.readouterr().out
    assert "right on the inputs tried here; grading uses others." in out and "all tests" not in out.lower()
    assert load_exercise("4.2").id == "4.2"


def test_the_points_are_added_up(capsys):
    for exercise_id, answer in (("4.2", by_library), ("4.1", None)):
        try:
            check(exercise_id, answer)
        except NotYet:
            pass
    with pytest.raises(NotYet) as told:
        tally({"4.1": 2, "4.2": 5})
    assert [line.split()[:3] for line in str(told.value).splitlines()[1:]] == [
        ["4.1", "0", "2"], ["4.2", "5", "5"], ["total", "5", "7"]]  # fmt: skip
    tally({"4.2": 5})
    assert "grading uses others" in capsys.readouterr().out
