"""LoRA: nothing at the start, only A and B afterwards, the same merged, saved and loaded alone."""

import pytest
import safetensors.torch
import torch
from torch import nn

from minigpt.commands.shrink import shrink_adapter
from minigpt.config import GPTConfig, TrainConfig
from minigpt.lora import add_lora, load_lora, lora_layers, merge_lora, save_lora
from minigpt.model import GPT, Encoder, Seq2Seq, TaskHead
from minigpt.objectives import IGNORE, classification_loss, clm_loss, span_loss
from minigpt.optim import make_optimizer

CONFIG = GPTConfig(vocab_size=20, block_size=8, n_layer=2, n_head=2, n_embd=16)


def make(kind=GPT, **changes):
    torch.manual_seed(0)
    return kind(GPTConfig(**{**CONFIG.__dict__, **changes})).eval()


def shake(model):
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.parametrizations.weight[0].B)


IDS = torch.randint(20, (2, 8), generator=torch.Generator().manual_seed(0))


def test_no_effect_at_the_start_then_only_a_and_b_train():
    model = make()
    before, frozen = model(IDS), {n: p.clone() for n, p in model.named_parameters()}
    add_lora(model, rank=2)
    assert torch.equal(model(IDS), before)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert len(trained) == 2 * 2 * 4 and all(n.endswith((".A", ".B")) for n in trained)
    optimizer = make_optimizer(model, TrainConfig(lr=0.1))
    for _ in range(2):
        clm_loss(model, (IDS, IDS)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.allclose(model(IDS), before)
    for name, p in model.named_parameters():
        plain = name.replace("parametrizations.weight.original", "weight")
        if plain in frozen:
            assert torch.equal(p, frozen[plain])


@pytest.mark.parametrize("targets", [("c_attn",), ("c_attn", "c_proj", "c_fc")])
def test_by_formula_and_merged_equals_unmerged(targets):
    model = make()
    w = model.h[0].attn.c_attn.weight.clone()
    add_lora(model, rank=2, alpha=6, targets=targets)
    shake(model)
    low = model.h[0].attn.c_attn.parametrizations.weight[0]
    torch.testing.assert_close(model.h[0].attn.c_attn.weight, w + 3 * low.B @ low.A)
    unmerged, names = model(IDS), set(make().state_dict())
    merge_lora(model)
    torch.testing.assert_close(model(IDS), unmerged, atol=1e-6, rtol=1e-6)
    assert set(model.state_dict()) == names and all(p.requires_grad for p in model.parameters())


def test_a_tied_head_is_no_target():
    with pytest.raises(ValueError, match="tied=False"):
        add_lora(make(), rank=2, targets=("lm_head",))


def test_acts_where_the_weight_is_sliced_for_a_context():
    model = make(Seq2Seq)
    real = torch.ones_like(IDS, dtype=torch.bool)
    before = model(IDS, real, IDS)
    add_lora(model, rank=2, targets=("c_attn",))
    for name, layer in lora_layers(model).items():  # in cross-attention alone, whose weight is used in slices
        if "crossattention" in name:
            nn.init.normal_(layer.parametrizations.weight[0].B)
    after = model(IDS, real, IDS)
    assert (after - before).abs().max() > 1e-3
    merge_lora(model)
    torch.testing.assert_close(model(IDS, real, IDS), after, atol=1e-6, rtol=1e-6)


def test_adapter_alone_is_saved_and_loaded(tmp_path):
    model, fresh = make(), make()
    add_lora(model, rank=3, alpha=5)
    shake(model)
    path = save_lora(model, tmp_path / "adapter.safetensors")
    assert path.stat().st_size < sum(p.numel() for p in fresh.parameters()) * 4
    load_lora(fresh, path)
    assert torch.equal(fresh(IDS), model(IDS))
    other = make(n_embd=32)
    before = other(IDS)
    with pytest.raises(ValueError, match="another shape"):
        load_lora(other, path)
    assert torch.equal(other(IDS), before) and not hasattr(other, "lora")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged"):
        load_lora(make(), path)
    with pytest.raises(ValueError, match="is not there"):
        load_lora(make(), tmp_path / "none")


def test_mistakes_are_named():
    model = make()
    with pytest.raises(ValueError, match="no LoRA"):
        merge_lora(model)
    with pytest.raises(ValueError, match="rank=0"):
        add_lora(model, rank=0)
    with pytest.raises(ValueError, match="is called wings"):
        add_lora(model, targets=("wings",))
    add_lora(model)
    with pytest.raises(ValueError, match="already"):
        add_lora(model)


@pytest.mark.parametrize("pooling", ["first", "last", "mean"])
def test_task_head_ignores_padding_and_learns(pooling):
    model = TaskHead(make(GPT if pooling == "last" else Encoder), 3, pooling)
    real = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    scores, changed = model(IDS, real), IDS.clone()
    changed[1, 5:] = 9
    assert scores.shape == (2, 3) and torch.allclose(model(changed, real), scores, atol=1e-6)
    assert torch.allclose(model(IDS[1:, :5], real[1:, :5]), scores[1:], atol=1e-5)
    targets = torch.tensor([2, 0])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        classification_loss(model, (IDS, real, targets)).backward()
        optimizer.step()
    assert model(IDS, real).argmax(-1).tolist() == [2, 0]


def test_span_head():
    model = TaskHead(make(Encoder), 2, "each")
    real = torch.tensor([[True] * 8, [True] * 5 + [False] * 3])
    assert model(IDS, real).shape == (2, 8, 2)
    scores = model(IDS, real).masked_fill(~real[..., None], -torch.inf).log_softmax(1)
    targets = torch.tensor([[2, 6], [0, 4]])
    want = -sum(scores[b, targets[b, i], i] for b in range(2) for i in range(2)) / 4
    torch.testing.assert_close(span_loss(model, (IDS, real, targets)), want)
    assert span_loss(model, (IDS, real, torch.full((2, 2), IGNORE))).item() == 0  # no answer to point at


def test_unknown_pooling():
    with pytest.raises(ValueError, match="pooling='max'"):
        TaskHead(make(), 2, "max")


def test_new_head_trains_beside_lora():
    model = TaskHead(make(), 2, "last")
    add_lora(model, rank=1)
    assert model.score.weight.requires_grad and not model.stack.wte.weight.requires_grad


def test_documents_in_one_row_do_not_see_each_other():
    for changes in ({}, {"positions": "rope"}):
        model = make(**changes)
        a, b = IDS[:1, :3], IDS[1:, :4]
        row = torch.cat([a, b, torch.zeros(1, 1).long()], 1)
        documents = torch.tensor([[1, 1, 1, 2, 2, 2, 2, 0]])
        packed = model(row, documents)
        torch.testing.assert_close(packed[:, :3], model(a), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(packed[:, 3:7], model(b), atol=1e-5, rtol=1e-5)


def test_an_adapter_in_8_bits(tmp_path):
    model = make()
    add_lora(model, 4)
    shake(model)
    save_lora(model, tmp_path / "adapter.safetensors")
    shrink_adapter(tmp_path / "adapter.safetensors", tmp_path / "small.safetensors")
    stored = safetensors.torch.load_file(tmp_path / "small.safetensors")
    assert all(t.dtype == torch.int8 for name, t in stored.items() if not name.endswith(".scale"))
    again = make()
    load_lora(again, tmp_path / "small.safetensors")
    for name, layer in lora_layers(model).items():
        low, near = layer.parametrizations.weight[0], lora_layers(again)[name].parametrizations.weight[0]
        torch.testing.assert_close(near.A, low.A, rtol=0, atol=float(low.A.abs().max()) / 254 + 1e-7)
        torch.testing.assert_close(near.B, low.B, rtol=0, atol=float(low.B.abs().max()) / 254 + 1e-7)
    with pytest.raises(ValueError, match="exists already"):
        shrink_adapter(tmp_path / "adapter.safetensors", tmp_path / "small.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        shrink_adapter(tmp_path / "bad.safetensors", tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()
