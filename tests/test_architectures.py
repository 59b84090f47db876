"""The other architectures: 2017's blocks against torch.nn, Llama against transformers, XLNet against its rules."""

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from minigpt.attention import record_attention, rotary_angles, rotate
from minigpt.checkpoint import CheckpointError
from minigpt.config import LLAMA, MODERN, GPTConfig, preset
from minigpt.llama import load_llama
from minigpt.masking import permute_order
from minigpt.model import GPT, Block, Encoder, Seq2Seq, XLNet
from minigpt.objectives import mlm_loss, plm_loss, seq2seq_loss

SMALL = dict(vocab_size=40, block_size=12, n_layer=2, n_head=4, n_embd=32)
VARIANTS = {
    "gpt2": {},
    "modern": MODERN,
    "llama": LLAMA | {"n_kv_head": 2, "n_inner": 40},
    "2017": {"post_norm": True, "activation": "relu"},
}


def make(kind, seed=0, **changes):
    torch.manual_seed(seed)
    model = kind(GPTConfig(**(SMALL | changes))).eval()
    for p in model.parameters():  # away from the quiet start, so that every part matters
        p.data += 0.1 * torch.randn_like(p)
    return model


def copy_attention(theirs: nn.MultiheadAttention, ours):
    theirs.in_proj_weight.copy_(ours.c_attn.weight)
    theirs.in_proj_bias.copy_(ours.c_attn.bias)
    theirs.out_proj.weight.copy_(ours.c_proj.weight)
    theirs.out_proj.bias.copy_(ours.c_proj.bias)


def copy_linear(theirs, ours):
    theirs.weight.copy_(ours.weight)
    theirs.bias.copy_(ours.bias)


@pytest.mark.parametrize("post_norm", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_block_equals_torch_layers(post_norm, padded):
    torch.manual_seed(0)
    config = GPTConfig(**SMALL, post_norm=post_norm, activation="relu")
    options = dict(d_model=32, nhead=4, dim_feedforward=128, dropout=0.0, batch_first=True, norm_first=not post_norm)
    x, context = torch.randn(2, 6, 32), torch.randn(2, 9, 32)
    real = torch.ones(2, 6, dtype=torch.bool), torch.ones(2, 9, dtype=torch.bool)
    if padded:
        real[0][1, 4:] = real[1][0, 5:] = False
    with torch.no_grad():
        block, layer = Block(config).eval(), nn.TransformerEncoderLayer(**options).eval()
        for p in block.parameters():
            p += 0.1 * torch.randn_like(p)
        copy_attention(layer.self_attn, block.attn)
        for theirs, ours in ((layer.linear1, block.mlp.c_fc), (layer.linear2, block.mlp.c_proj)):
            copy_linear(theirs, ours)
        for theirs, ours in ((layer.norm1, block.ln_1), (layer.norm2, block.ln_2)):
            copy_linear(theirs, ours)
        # torch.nn's masks say who may NOT look: the reverse of ours.
        want, got = layer(x, src_key_padding_mask=~real[0]), block(x, mask=real[0][:, None, None])
        torch.testing.assert_close(got[real[0]], want[real[0]], atol=1e-5, rtol=1e-5)

        block, layer = Block(config, cross=True).eval(), nn.TransformerDecoderLayer(**options).eval()
        for p in block.parameters():
            p += 0.1 * torch.randn_like(p)
        copy_attention(layer.self_attn, block.attn)
        copy_attention(layer.multihead_attn, block.crossattention)
        for theirs, ours in ((layer.linear1, block.mlp.c_fc), (layer.linear2, block.mlp.c_proj)):
            copy_linear(theirs, ours)
        for theirs, ours in ((layer.norm1, block.ln_1), (layer.norm2, block.ln_cross_attn), (layer.norm3, block.ln_2)):
            copy_linear(theirs, ours)
        future = torch.ones(6, 6, dtype=torch.bool).triu(1)
        want = layer(x, context, tgt_mask=future, memory_key_padding_mask=~real[1])
        got = block(x, context, real[1][:, None, None], is_causal=True)
        torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv", [1, 2, 4])
def test_llama_equals_transformers(tmp_path, tied, kv):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=kv, max_position_embeddings=16, tie_word_embeddings=tied, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},
    )  # fmt: skip
    theirs = LlamaForCausalLM(config).eval()
    for p in theirs.parameters():
        p.data += 0.1 * torch.randn_like(p)
    theirs.save_pretrained(tmp_path)
    ours = load_llama(tmp_path)
    ids = torch.randint(50, (2, 16))
    torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)
    assert ours.num_parameters() == theirs.num_parameters()


def test_what_is_no_llama_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(CheckpointError, match="no model.safetensors"):
        load_llama(tmp_path)
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=9)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="type 'gpt2'"):
        load_llama(tmp_path)


@pytest.mark.parametrize("variant", VARIANTS)
def test_cache_padding_and_recording_agree_in_every_variant(variant):
    model = make(GPT, **VARIANTS[variant])
    ids = torch.randint(40, (2, 9))
    whole = model(ids)
    cache = model.new_cache(2)
    parts = [model(ids[:, :4], cache=cache), model(ids[:, 4:5], cache=cache), model(ids[:, 5:], cache=cache)]
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-4, rtol=1e-4)
    with record_attention(model):
        torch.testing.assert_close(model(ids), whole, atol=1e-4, rtol=1e-4)
    # Padding on the left changes nothing for the tokens that are there.
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.long), ids], 1)
    real = torch.tensor([[False] * 3 + [True] * 9]).expand(2, -1)
    torch.testing.assert_close(model(padded, real)[:, 3:], whole, atol=1e-4, rtol=1e-4)


def test_rope_knows_distances_not_places():
    g = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 1, 8, generator=g) for _ in range(2))

    def score(i, j):
        turn = lambda x, p: rotate(x, rotary_angles(torch.tensor([p]), 8, 100.0))  # noqa: E731
        return (turn(q, i) * turn(k, j)).sum().item()

    assert score(5, 3) == pytest.approx(score(9, 7), abs=1e-5) and abs(score(5, 3) - score(5, 4)) > 1e-3
    assert rotate(q, rotary_angles(torch.tensor([7]), 8, 100.0)).norm() == pytest.approx(q.norm().item())


@pytest.mark.parametrize("variant", VARIANTS)
def test_encoder_sees_both_ways_and_no_padding(variant):
    model = make(Encoder, **VARIANTS[variant])
    x = model.wte(torch.randint(40, (1, 6))).detach().requires_grad_()
    model.wte = nn.Identity()
    real = torch.tensor([[True] * 4 + [False] * 2])
    for t in range(4):
        (grad,) = torch.autograd.grad(model(x, real)[0, t].square().sum(), x)
        assert (grad[0, :4].abs().sum(-1) > 0).all() and (grad[0, 4:] == 0).all()


def test_segments():
    model = make(Encoder, n_segment=2)
    ids, kinds = torch.randint(40, (1, 6)), torch.tensor([[0, 0, 0, 1, 1, 1]])
    assert not torch.allclose(model(ids, segments=kinds), model(ids, segments=1 - kinds))


@pytest.mark.parametrize("variant", VARIANTS)
def test_seq2seq_cache_equals_teacher_forcing(variant):
    model = make(Seq2Seq, **VARIANTS[variant])
    source, ids = torch.randint(40, (2, 8)), torch.randint(40, (2, 6))
    real = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    whole = model(source, real, ids)
    context = model.encoder.hidden(source, real)
    cache = model.decoder.new_cache(2, context_length=8)
    steps = [model.decoder(ids[:, t : t + 1], cache=cache, context=context, context_padding=real) for t in range(6)]
    torch.testing.assert_close(torch.cat(steps, 1), whole, atol=1e-4, rtol=1e-4)
    changed = source.clone()
    changed[1, 5:] = 7  # what stands in the padding is never read
    torch.testing.assert_close(model(changed, real, ids), whole)
    # Keys and values of the source are computed once: zeroing the context afterwards changes nothing.
    cache = model.decoder.new_cache(2, context_length=8)
    model.decoder(ids[:, :1], cache=cache, context=context, context_padding=real)
    later = model.decoder(ids[:, 1:2], cache=cache, context=context * 0, context_padding=real)
    torch.testing.assert_close(later, whole[:, 1:2], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("variant", ["gpt2", "modern", "2017"])
def test_xlnet_looks_only_at_what_was_read_before(variant):
    model = make(XLNet, **VARIANTS[variant])
    rank = torch.tensor([[2, 0, 3, 1, 4]])
    x = model.wte(torch.randint(40, (1, 5))).detach().requires_grad_()
    model.wte = nn.Identity()
    for i in range(5):
        (grad,) = torch.autograd.grad(model(x, rank)[0, i].square().sum(), x, allow_unused=True)
        seen = grad[0].abs().sum(-1) > 0
        assert seen.tolist() == (rank[0] < rank[0, i]).tolist()  # exactly those before it, and not itself


def test_permutation_is_two_sided_on_average():
    ids = torch.randint(40, (6000, 5))
    _, rank, targets = permute_order(ids, torch.Generator().manual_seed(0), predict=0.4)
    assert (rank.sort(dim=1).values == torch.arange(5)).all()
    seen = (rank[:, None, :] < rank[:, :, None]).float().mean(0)
    off_diagonal = ~torch.eye(5, dtype=torch.bool)
    assert (seen[off_diagonal] - 0.5).abs().max() < 0.04 and (seen.diagonal() == 0).all()
    assert ((targets != -100).sum(1) == 2).all() and (rank[targets != -100] >= 3).all()


@pytest.mark.parametrize("kind", [Encoder, XLNet, Seq2Seq])
def test_copy_and_reverse_reach_every_token(kind):
    """A task that each can only do if its attention reaches the right place: known answers, 100 %."""
    torch.manual_seed(0)
    model = kind(preset("nano", vocab_size=12, block_size=8, n_layer=2, dropout=0.0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    g = torch.Generator().manual_seed(0)

    def batch(n):
        half = torch.randint(2, 12, (n, 4), generator=g)
        if kind is Seq2Seq:  # write the source backwards
            back = half.flip(1)
            real = torch.ones_like(half, dtype=torch.bool)
            return half, real, torch.cat([torch.ones(n, 1).long(), back[:, :-1]], 1), back
        ids = torch.cat([half, half], 1)  # the second half repeats the first
        if kind is Encoder:
            hidden = torch.arange(8).eq(5).expand(n, -1)
            return ids.masked_fill(hidden, 0), torch.ones_like(hidden), ids.masked_fill(~hidden, -100)
        rank = torch.tensor([[0, 1, 2, 3, 4, 7, 5, 6]]).expand(n, -1)
        return ids, rank, ids.masked_fill(rank < 7, -100)

    loss_fn = {Encoder: mlm_loss, XLNet: plm_loss, Seq2Seq: seq2seq_loss}[kind]
    for _ in range(700):
        loss = loss_fn(model, batch(64))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss < 0.01:
            break
    *inputs, targets = batch(200)
    with torch.no_grad():
        right = model.eval()(*inputs).argmax(-1) == targets
    assert right[targets != -100].float().mean() == 1.0
