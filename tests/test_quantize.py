"""Weights in 8 bits: off by half a step at most, read by load_checkpoint, and the book's model predicts as well."""

import json
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt import __main__ as cli
from minigpt.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from minigpt.commands.material import encode_documents, text_material
from minigpt.commands.shrink import shrink
from minigpt.config import GPTConfig
from minigpt.data import TokenDataset
from minigpt.evaluate import evaluate_loss
from minigpt.model import GPT, Encoder, Seq2Seq, XLNet
from minigpt.quantize import dequantize, quantize
from minigpt.resume import read_log
from minigpt.texts import load_split, split_documents
from minigpt.tokenizer import CharTokenizer

ANDERSEN = Path(__file__).parent.parent / "chapters" / "models" / "andersen"
TINY = GPTConfig(vocab_size=9, block_size=8, n_layer=2, n_head=2, n_embd=16)
INT8 = "model.int8.safetensors"


def test_a_row_by_hand():
    small = quantize({"w": torch.tensor([[12.7, -6.35, 0.04], [0.0, 0.0, 0.0], [1.0, 1.0, -2.54]])})
    assert small["w"].dtype == torch.int8 and small["w"].tolist() == [[127, -64, 0], [0, 0, 0], [50, 50, -127]]
    torch.testing.assert_close(small["w.scale"], torch.tensor([0.1, 0.0, 0.02]))


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(-20, 20), st.integers(0, 9))
def test_no_weight_is_off_by_more_than_half_a_step(rows, columns, power, seed):
    w = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 2.0**power
    back = dequantize(quantize({"w": w, "b": w[0]}))
    step = w.abs().amax(1, keepdim=True) / 127
    assert ((back["w"] - w).abs() <= 0.5001 * step).all() and torch.equal(back["b"], w[0])
    # torch's own per-channel quantization, an independent reference; half-way between two steps either one is right
    theirs = torch.quantize_per_channel(w, step[:, 0].double(), torch.zeros(rows), 0, torch.qint8).dequantize()
    assert ((back["w"] - theirs).abs() <= 1.0001 * step).all()
    assert (((back["w"] - theirs).abs() <= 1e-4 * step).float().mean() > 0.9) or w.numel() < 30


@pytest.mark.parametrize("kind", [GPT, Encoder, Seq2Seq, XLNet])
@pytest.mark.parametrize("tied", [True, False])
def test_every_kind_comes_back(tmp_path, kind, tied):
    model = kind(GPTConfig(9, 8, 2, 2, 16, tied=tied)).eval()
    tokenizer = CharTokenizer.train("abcdefghi")
    (tmp_path / "run").mkdir()
    log = [{"step": i, "loss": 1.0} | ({"val_loss": 1.0} if i % 7 == 0 else {}) for i in range(26)]
    (tmp_path / "run" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    save_checkpoint(tmp_path / "run", 3, model, tokenizer, state={}, tensors={})
    out = shrink(tmp_path / "run", tmp_path / "small")
    assert {file.name for file in out.iterdir()} == {"config.json", "tokenizer.json", "log.jsonl", INT8}
    assert [line["step"] for line in read_log(out / "log.jsonl", 99)] == [0, 7, 10, 14, 20, 21, 25]
    back, words = load_checkpoint(out)
    assert type(back) is kind and words.fingerprint() == tokenizer.fingerprint() and not back.training
    for name, w in back.state_dict().items():
        wanted = model.state_dict()[name]
        assert w.dtype == torch.float32
        if w.ndim == 2:
            assert ((w - wanted).abs() <= wanted.abs().amax(1, keepdim=True) / 253).all()
        else:
            assert torch.equal(w, wanted)
    assert back.num_parameters() == model.num_parameters()  # what was tied is tied
    names = safetensors.torch.load_file(out / INT8)
    full = safetensors.torch.load_file(tmp_path / "run" / "step-3" / "model.safetensors")
    assert {name for name in names if not name.endswith(".scale")} == set(full)  # tied ones once


def test_the_books_model_predicts_as_well_in_a_quarter_of_the_space(tmp_path, capsys):
    folder = ANDERSEN if (ANDERSEN / INT8).is_file() else shrink(ANDERSEN, tmp_path / "small")
    model, tokenizer = load_checkpoint(folder)
    loss = evaluate_loss(model, TokenDataset(tokenizer.encode(load_split("andersen")[1]), model.config.block_size))
    log = (ANDERSEN / "log.jsonl").read_text(encoding="utf-8").splitlines()
    in_float32 = json.loads(log[-1])["val_loss"]  # measured by the training itself, on the same text
    size = (folder / INT8).stat().st_size
    with capsys.disabled():
        print(f"\nvalidation loss in float32 {in_float32:.5f}, in int8 {loss:.5f}; {size:,} bytes")
    assert loss == pytest.approx(in_float32, rel=0.005)
    assert size < 0.27 * 4 * model.num_parameters()


@pytest.mark.long
@pytest.mark.parametrize("name, objective", [("gpt", "clm"), ("bert", "mlm"), ("xlnet", "plm")])
def test_the_three_objectives_predict_as_well(name, objective):
    folder = ANDERSEN.parent / name
    model, tokenizer = load_checkpoint(folder)
    rows = [encode_documents(tokenizer, split_documents("wikipedia")[1])]
    loss_fn, (data,) = text_material(objective, tokenizer, model.config.block_size, rows, predict=1)
    log = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    assert evaluate_loss(model, data, loss_fn) == pytest.approx(json.loads(log[-1])["val_loss"], rel=0.005)
    assert (folder / INT8).stat().st_size < 0.27 * 4 * model.num_parameters()


def test_mistakes(tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "run", 1, GPT(TINY))
    monkeypatch.setattr(sys, "argv", ["minigpt", "shrink", str(tmp_path / "run"), str(tmp_path / "small")])
    cli.main()
    before = (tmp_path / "small" / INT8).read_bytes()
    with pytest.raises(SystemExit, match="exists already and was left as it is"):
        cli.main()
    assert (tmp_path / "small" / INT8).read_bytes() == before
    with pytest.raises(CheckpointError, match="in 8 bits already: copy the folder as it is"):
        shrink(tmp_path / "small", tmp_path / "smaller")  # once is enough
    small = safetensors.torch.load(before)
    for broken in ({n: t for n, t in small.items() if n != "wte.weight.scale"},
                   small | {"wte.weight.scale": torch.ones(2)}):  # fmt: skip
        (tmp_path / "small" / INT8).write_bytes(safetensors.torch.save(broken))
        with pytest.raises(CheckpointError, match=f"{INT8} is damaged .wte.weight has not one scale for each row"):
            load_checkpoint(tmp_path / "small")
    (tmp_path / "small" / INT8).write_bytes(before[:-9])
    with pytest.raises(CheckpointError, match="truncated or damaged") as told:
        load_checkpoint(tmp_path / "small")
    assert str(told.value).count("use another checkpoint") == 1
    with pytest.raises(ValueError, match="w holds a number that is not finite"):
        quantize({"w": torch.tensor([[1.0, float("nan")]])})
    with pytest.raises(CheckpointError, match="does not exist"):
        shrink(tmp_path / "nowhere", tmp_path / "new")
    assert not (tmp_path / "new").exists()
