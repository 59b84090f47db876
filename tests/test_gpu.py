"""What the CPU computes, a GPU computes too: `pytest -m gpu`, skipped where there is none.

Each test also runs with the CPU in the GPU's place, so that the tests themselves are known to work.
"""

from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from minigpt.attention import record_attention
from minigpt.checkpoint import load_checkpoint
from minigpt.config import MODERN, GPTConfig, TrainConfig
from minigpt.data import TokenDataset
from minigpt.generate import generate
from minigpt.model import GPT
from minigpt.tokenizer import BPETokenizer
from minigpt.train import train

TEXT = "the cat sat on the mat; the dog sat on the log. " * 20
SMALL = GPTConfig(vocab_size=256, block_size=32, n_layer=2, n_head=2, n_embd=32)
RUN = TrainConfig(steps=12, batch_size=4, warmup=2, eval_every=4, save_every=6, dtype="float32")
pytestmark = pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])


def new_model(**changes):
    torch.manual_seed(0)
    return GPT(replace(SMALL, **changes))


def losses(log):
    return [line[name] for line in log for name in ("loss", "val_loss") if name in line]


def run(model, config, **options):
    tokens = torch.tensor(list(TEXT.encode()))
    return train(model, TokenDataset(tokens[:800], 32), TokenDataset(tokens[800:], 32), config, **options)


@pytest.mark.parametrize("style", [{}, MODERN], ids=["gpt2", "modern"])
def test_training_learns_what_it_learns_on_the_cpu(device, style):
    here = losses(run(new_model(**style), replace(RUN, device="cpu")))
    there = losses(run(new_model(**style), replace(RUN, device=device)))
    assert there == pytest.approx(here, rel=1e-2)  # a GPU multiplies with 10 bits of mantissa (TF32)
    assert there[-1] < there[0] - 0.5


def test_bfloat16_learns_too_and_weights_stay_float32(device):
    model = new_model()
    log = run(model, replace(RUN, device=device, dtype="bfloat16"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert losses(log)[-1] < losses(log)[0] - 0.5


def test_a_run_goes_on_where_it_stopped(device, tmp_path):
    config = replace(RUN, device=device, schedule="constant")  # so that a longer run begins as a shorter one
    whole = run(new_model(dropout=0.1), config)
    run(new_model(dropout=0.1), replace(config, steps=6), out=tmp_path)
    gone_on = run(new_model(dropout=0.1), config, out=tmp_path, resume=True)
    known = {line["step"]: line["loss"] for line in whole if "loss" in line}
    assert [line["loss"] for line in gone_on if "loss" in line] == pytest.approx(list(known.values()), rel=1e-3)


def test_a_checkpoint_is_of_no_device(device, tmp_path):
    model, words = new_model(), BPETokenizer.train(TEXT, 256)
    run(model, replace(RUN, device=device), tokenizer=words, out=tmp_path)
    again, _ = load_checkpoint(tmp_path)
    assert {p.device.type for p in again.parameters()} == {"cpu"}
    assert all(torch.equal(p.cpu(), q) for p, q in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("style", [{}, MODERN], ids=["gpt2", "modern"])
def test_recording_and_generating_agree_with_the_cpu(device, style):
    torch.set_float32_matmul_precision("highest")  # an earlier run may have lowered it
    model, ids = new_model(**style).eval(), torch.tensor([list(TEXT[:30].encode())])
    here, said = model(ids), list(generate(model, ids[0, :8].tolist(), 40, temperature=0))
    model.to(device)
    assert_close(model(ids.to(device)).cpu(), here, rtol=0, atol=1e-4)
    with record_attention(model) as maps:
        assert_close(model(ids.to(device)).cpu(), here, rtol=0, atol=1e-4)
    for weights in maps.values():
        assert_close(weights.sum(-1).cpu(), torch.ones(1, 2, 30))
    assert list(generate(model, ids[0, :8].tolist(), 40, temperature=0)) == said  # past the context too
