"""attention() and MultiHeadAttention against PyTorch's own, and against hand-computed numbers."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from minigpt.attention import MultiHeadAttention, attention, causal_mask, record_attention
from minigpt.config import GPTConfig
from minigpt.model import GPT


def qkv(B=2, H=3, T=5, S=7, D=4, E=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    return (torch.randn(B, H, n, d, generator=g) for n, d in ((T, D), (S, D), (S, E)))


def test_by_hand():
    # One query, two keys: scores 2/√4 = 1 and 0, so the weights are e/(e+1) and 1/(e+1).
    q, k, v = torch.tensor([[1.0, 1, 0, 0]]), torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]]), torch.tensor([[10.0], [20]])
    out, weights = attention(q, k, v)
    first = math.e / (math.e + 1)
    assert weights[0].tolist() == pytest.approx([first, 1 - first], abs=1e-6)
    assert out.item() == pytest.approx(10 * first + 20 * (1 - first), abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(1, 5), st.integers(0, 10**6))
def test_equals_sdpa_under_any_mask(T, S, D, E, seed):
    q, k, v = qkv(T=T, S=S, D=D, E=E, seed=seed)
    mask = torch.rand(2, 1, T, S, generator=torch.Generator().manual_seed(seed)) > 0.5  # some rows see nothing
    out, weights = attention(q, k, v, mask)
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v, attn_mask=mask), atol=1e-5, rtol=1e-5)
    sums = mask.any(-1).float().expand(2, 3, T)
    torch.testing.assert_close(weights.sum(-1), sums, atol=1e-5, rtol=0)
    assert (weights.masked_select(~mask.expand_as(weights)) == 0).all()
    torch.testing.assert_close(attention(q, k, v)[0], F.scaled_dot_product_attention(q, k, v), atol=1e-5, rtol=1e-5)


def test_a_large_score_behind_the_mask_stays_out():
    q = k = torch.tensor([[-300.0], [300.0]])  # scores −90000 and 90000: a finite mask of −1e4 would let them win
    v = torch.tensor([[1.0], [5.0]])
    out, _ = attention(q, k, v, causal_mask(2))
    assert out[0].item() == 1.0
    out, _ = attention(-q, q, v, causal_mask(2))
    assert out[0].item() == 1.0


def test_masked_rows_have_finite_gradients():
    q, k, v = (t.requires_grad_() for t in qkv())
    mask = torch.zeros(5, 7, dtype=torch.bool)
    mask[1:, :3] = True
    attention(q, k, v, mask)[0].sum().backward()
    for t in (q, k, v):
        assert torch.isfinite(t.grad).all()


def test_causal_mask_is_aligned_bottom_right():
    assert causal_mask(3).int().tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert causal_mask(2, 4).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("masked", ["none", "causal", "padded", "crossed"])
def test_module_equals_torch_multihead_attention(bias, masked):
    torch.manual_seed(0)
    ours = MultiHeadAttention(GPTConfig(n_embd=24, n_head=3, bias=bias)).eval()
    theirs = nn.MultiheadAttention(24, 3, bias=bias, batch_first=True).eval()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.c_attn.weight)
        theirs.out_proj.weight.copy_(ours.c_proj.weight)
        if bias:
            nn.init.normal_(ours.c_attn.bias)
            nn.init.normal_(ours.c_proj.bias)
            theirs.in_proj_bias.copy_(ours.c_attn.bias)
            theirs.out_proj.bias.copy_(ours.c_proj.bias)
    x, context = torch.randn(2, 5, 24), torch.randn(2, 7, 24)
    source = context if masked == "crossed" else x
    padded = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()[:, None, None]
    mask = {"causal": causal_mask(5), "padded": padded}.get(masked)
    got = ours(x, context=context if masked == "crossed" else None, mask=mask)
    # torch.nn's boolean masks say who may NOT look: the reverse of ours.
    want, weights = theirs(
        x,
        source,
        source,
        attn_mask=~mask if masked == "causal" else None,
        key_padding_mask=~mask[:, 0, 0] if masked == "padded" else None,
        average_attn_weights=False,
    )
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)
    with record_attention(ours) as maps:
        again = ours(x, context=context if masked == "crossed" else None, mask=mask)
    torch.testing.assert_close(again, got, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps[""], weights, atol=1e-5, rtol=1e-5)


def test_causal_flag_and_mask_together():
    layer = MultiHeadAttention(GPTConfig(n_embd=24, n_head=3)).eval()
    x, padded = torch.randn(1, 5, 24), torch.tensor([0, 1, 1, 1, 1]).bool()[None, None, None]
    torch.testing.assert_close(layer(x, mask=padded, is_causal=True), layer(x, mask=padded & causal_mask(5)))
    torch.testing.assert_close(layer(x, is_causal=True), layer(x, mask=causal_mask(5)), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("split", [1, 2, 5])
def test_recording_a_cached_pass_equals_the_fast_one(split):
    torch.manual_seed(1)
    model = GPT(GPTConfig(n_layer=2, n_head=2, n_embd=16, vocab_size=11, block_size=8)).eval()
    ids = torch.randint(11, (2, 8))
    whole = model(ids)
    with record_attention(model) as full:
        torch.testing.assert_close(model(ids), whole, atol=1e-5, rtol=1e-5)
    assert list(full) == ["h.0.attn", "h.1.attn"]
    cache = model.new_cache(2)
    with record_attention(model) as maps:
        parts = [model(ids[:, :split], cache=cache), model(ids[:, split:], cache=cache)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps["h.1.attn"], full["h.1.attn"][:, :, split:], atol=1e-5, rtol=1e-5)


def test_recording_is_off_outside_and_refuses_what_it_cannot_do():
    model = GPT(GPTConfig(n_layer=1, dropout=0.5)).eval()
    ids = torch.zeros(1, 3, dtype=torch.long)
    with record_attention(model) as maps:
        model(ids)
        with pytest.raises(RuntimeError, match="recorded already"), record_attention(model):
            pass
    assert model.h[0].attn.record is None
    kept = maps["h.0.attn"]
    model(ids + 1)
    assert maps["h.0.attn"] is kept
    with pytest.raises(RuntimeError, match="no MultiHeadAttention"), record_attention(nn.Linear(2, 2)):
        pass
    with pytest.raises(RuntimeError, match="model.eval"), record_attention(model.train()):
        pass
    with pytest.raises(RuntimeError, match="no forward pass"), record_attention(model.eval()):
        pass
    other = GPT(GPTConfig(n_layer=1)).eval()
    with record_attention(model) as maps, pytest.raises(KeyError):  # per instance: another model is not recorded
        other(ids)
        model(ids)
        maps["h.1.attn"]
