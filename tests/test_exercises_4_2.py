"""The exercises of 4.2: right answers however they are written, and mistakes as learners write them.

test_homework.py tries every listed mistake of every page; here are other spellings, and other libraries.
"""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from judging import judge, sentence

from minigpt.config import GPTConfig
from minigpt.homework.check import grade, load_exercise
from minigpt.homework.exercises import page_4_2 as ours
from minigpt.model import MLP


@pytest.mark.parametrize("answer", [math.sqrt(3), 1.732, 1.73, torch.tensor(3.0).sqrt(), np.float32(1.7320508)])
def test_4_2_1_accepts_a_number_of_any_kind(answer):
    assert grade(load_exercise("4.2.1"), answer).status == "right"


def test_4_2_1_is_what_torch_computes():
    x = torch.tensor([4.0, 0, 0, 0])
    assert grade(load_exercise("4.2.1"), F.layer_norm(x, (4,), eps=0.0)[0]).status == "right"
    assert "RMSNorm" in grade(load_exercise("4.2.1"), F.rms_norm(x, (4,))[0]).mistake


# ---- 4.2.2 ---------------------------------------------------------------------------------------


def by_library(x, scale, shift, eps):
    return F.layer_norm(x, scale.shape, scale, shift, eps)


def by_moments(x, scale, shift, eps):
    mean = x.double().mean(-1, keepdim=True)
    variance = x.double().square().mean(-1, keepdim=True) - mean**2
    return (x - mean) * torch.rsqrt(variance + eps) * scale + shift


def by_numpy(x, scale, shift, eps):
    x, scale, shift = x.numpy(), scale.numpy(), shift.numpy()
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * scale + shift


def by_loops(x, scale, shift, eps):
    texts = []
    for text in x.tolist():
        rows = []
        for row in text:
            mean = sum(row) / len(row)
            std = math.sqrt(sum((a - mean) ** 2 for a in row) / len(row) + eps)
            rows.append([(a - mean) / std * g + b for a, g, b in zip(row, scale.tolist(), shift.tolist(), strict=True)])
        texts.append(rows)
    return texts


@pytest.mark.parametrize("answer", [by_library, by_moments, by_numpy, by_loops])
def test_4_2_2_accepts_every_right_way(answer):
    for result in judge("4.2.2", answer):
        assert result.status == "right", result.message


def wrong_default_std(x, scale, shift, eps):
    return scale * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps) + shift


def wrong_default_var(x, scale, shift, eps):
    return scale * (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + eps) + shift


def wrong_library_whole_text(x, scale, shift, eps):
    return F.layer_norm(x, x.shape[1:], eps=eps) * scale + shift


def wrong_library_without_weights(x, scale, shift, eps):
    return F.layer_norm(x, x.shape[-1:], eps=eps)


def wrong_batch_norm(x, scale, shift, eps):
    return F.batch_norm(x.mT, None, None, scale, shift, training=True, eps=eps).mT


@pytest.mark.parametrize(
    "answer, mistake",
    [(wrong_default_std, ours.bessel_std_plus_eps), (wrong_default_var, ours.bessel),
     (wrong_library_whole_text, ours.over_the_text), (wrong_library_without_weights, ours.neither_scale_nor_shift),
     (wrong_batch_norm, ours.over_the_batch)],
)  # fmt: skip
def test_4_2_2_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("4.2.2", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- 4.2.3 ---------------------------------------------------------------------------------------


def by_the_package(x, w_gate, w_up, w_down):
    mlp = MLP(GPTConfig(n_embd=w_gate.size(0), n_head=1, n_inner=w_gate.size(1), activation="swiglu", bias=False))
    mlp.c_fc.weight.data, mlp.c_proj.weight.data = torch.cat([w_gate, w_up], dim=1).T, w_down.T
    return mlp(x)


def by_sigmoid(x, w_gate, w_up, w_down):
    gate = x @ w_gate
    return torch.einsum("bti,bti,ic->btc", gate * torch.sigmoid(gate), x @ w_up, w_down)


def by_numpy_division(x, w_gate, w_up, w_down):
    x, w_gate, w_up, w_down = (a.double().numpy() for a in (x, w_gate, w_up, w_down))
    gate = x @ w_gate
    return gate / (1 + np.exp(-gate)) * (x @ w_up) @ w_down


@pytest.mark.parametrize("answer", [by_the_package, by_sigmoid, by_numpy_division])
def test_4_2_3_accepts_every_right_way(answer):
    for result in judge("4.2.3", answer):
        assert result.status == "right", result.message


def wrong_halves(x, w_gate, w_up, w_down):
    first, second = (x @ torch.cat([w_gate, w_up], 1)).chunk(2, dim=-1)
    return (first * F.silu(second)) @ w_down


def wrong_glu(x, w_gate, w_up, w_down):
    return F.glu(torch.cat([x @ w_up, x @ w_gate], -1)) @ w_down


@pytest.mark.parametrize(
    "answer, mistake", [(wrong_halves, ours.gate_and_up_swapped), (wrong_glu, ours.sigmoid_gate)]
)  # fmt: skip
def test_4_2_3_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("4.2.3", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


def test_4_2_4_tells_why():
    assert grade(load_exercise("4.2.4"), " d ").status == "right"
    assert "collapse" in grade(load_exercise("4.2.4"), "C").mistake
