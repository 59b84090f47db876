"""The decoder: its size, its start, its causality, and the messages of a configuration that cannot work."""

import math

import pytest
import torch

from minigpt.config import PRESETS, GPTConfig, TrainConfig, from_dict, preset, to_dict
from minigpt.model import GPT, Seq2Seq
from minigpt.objectives import clm_loss

TINY = GPTConfig(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=16)


def test_gpt2_has_its_published_size():
    with torch.device("meta"):
        sizes = {name: GPT(PRESETS[name]).num_parameters() for name in PRESETS if name.startswith("gpt2")}
    # Counted from OpenAI's released weights: 124 439 808 and so on, the tied head counted once.
    assert sizes == {"gpt2": 124439808, "gpt2-medium": 354823168, "gpt2-large": 774030080, "gpt2-xl": 1557611200}


def test_parameters_by_hand():
    C, L, V, T = 16, 2, 11, 8
    block = (2 * C) + (C * 3 * C + 3 * C) + (C * C + C) + (2 * C) + (C * 4 * C + 4 * C) + (4 * C * C + C)
    assert GPT(TINY).num_parameters() == V * C + T * C + L * block + 2 * C
    assert GPT(TINY).num_parameters(embeddings=False) == L * block + 2 * C
    two = Seq2Seq(TINY)  # two stacks, one table of tokens, a table of positions each
    assert two.num_parameters() - two.num_parameters(embeddings=False) == V * C + 2 * T * C
    assert GPT(GPTConfig(**{**to_dict(TINY), "tied": False})).num_parameters() == 2 * V * C + T * C + L * block + 2 * C
    without = GPT(GPTConfig(**{**to_dict(TINY), "bias": False}))
    assert not any(name.endswith("bias") for name, _ in without.named_parameters())


def test_knows_nothing_at_the_start():
    torch.manual_seed(0)
    model = GPT(preset("nano", vocab_size=500))
    ids = torch.randint(500, (4, 65))
    assert clm_loss(model, (ids[:, :-1], ids[:, 1:])).item() == pytest.approx(math.log(500), abs=0.1)
    assert model.h[0].mlp.c_proj.weight.std().item() == pytest.approx(0.02 / math.sqrt(2 * 2), rel=0.05)
    assert model.h[0].mlp.c_fc.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert (model.h[0].attn.c_attn.bias == 0).all()


def test_no_gradient_from_the_future():
    torch.manual_seed(0)
    model = GPT(TINY).eval()
    x = model.wte(torch.randint(11, (1, 8))).detach().requires_grad_()
    model.wte = torch.nn.Identity()  # so that embeddings can be fed, and asked for their gradient
    for t in range(8):
        (grad,) = torch.autograd.grad(model(x)[0, t].square().sum(), x)
        assert (grad[0, t + 1 :] == 0).all()  # exactly 0, not nearly
        assert (grad[0, : t + 1].abs().sum(-1) > 0).all()  # and all of the past is seen


def test_clm_loss_is_the_mean_over_scored_targets():
    model = GPT(TINY)
    inputs, targets = torch.randint(11, (2, 8)), torch.randint(11, (2, 8))
    targets[0, 3:] = -100
    logp = model(inputs).log_softmax(-1)
    want = -torch.stack([logp[b, t, targets[b, t]] for b in range(2) for t in range(8) if targets[b, t] >= 0]).mean()
    torch.testing.assert_close(clm_loss(model, (inputs, targets)), want)
    assert clm_loss(model, (inputs, torch.full_like(targets, -100))).item() == 0.0


def test_too_long_a_context_is_named():
    with pytest.raises(ValueError, match="9 tokens do not fit into a context of 8"):
        GPT(TINY)(torch.zeros(1, 9, dtype=torch.long))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"n_embd": 130, "n_head": 4}, "n_head=5 or n_embd=132"),
        ({"n_layer": 0}, "n_layer must be a whole number"),
        ({"vocab_size": 2.5}, "vocab_size must be a whole number"),
        ({"dropout": 1.0}, "dropout"),
        ({"norm_eps": 0.0}, "norm_eps"),
    ],
)
def test_config_says_what_to_change(changes, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig(**changes)


@pytest.mark.parametrize(
    "changes", [{"steps": 0}, {"lr": 0}, {"schedule": "linear"}, {"warmup": -1}, {"dtype": "float16"}, {"decay": 2.0}]
)
def test_train_config_refuses(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        TrainConfig(**changes)


def test_configs_survive_json_and_name_strange_fields():
    assert from_dict(GPTConfig, to_dict(TINY)) == TINY
    with pytest.raises(ValueError, match="no field wings.*another version"):
        from_dict(GPTConfig, {**to_dict(TINY), "wings": 2})
    with pytest.raises(ValueError, match="no preset 'huge': choose one of nano"):
        preset("huge")
