"""Perplexity with stride: against the loss of windows end to end, against a plain loop on transformers' GPT-2."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel

from minigpt.config import GPTConfig
from minigpt.data import StridedWindows, TokenDataset
from minigpt.evaluate import evaluate_loss
from minigpt.hf import load_gpt2
from minigpt.model import GPT
from minigpt.objectives import IGNORE

TOKENS = torch.randint(40, (101,), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=40, block_size=16, n_layer=2, n_head=2, n_embd=32)).eval()
    for p in model.parameters():
        p.data *= 4  # a fresh model hardly listens to its context
    return model


@pytest.mark.parametrize("length", [17, 32, 33, 34, 101])
def test_a_stride_of_the_whole_context_is_windows_end_to_end(model, length):
    want = evaluate_loss(model, TokenDataset(TOKENS[:length], 16))
    assert evaluate_loss(model, StridedWindows(TOKENS[:length], 16, 16)) == pytest.approx(want, abs=1e-6)


@settings(max_examples=150, deadline=None)
@given(st.integers(2, 60), st.integers(1, 12), st.data())
def test_every_target_once_with_the_context_promised(length, block, data):
    stride = data.draw(st.integers(1, block))
    tokens = np.arange(length, dtype=np.uint16)  # each token is its own place
    windows = StridedWindows(tokens, block, stride)
    seen, rows = [], 0
    for inputs, targets in windows.batches(data.draw(st.integers(1, 5))):
        rows += len(inputs)
        for i, t in zip(inputs.tolist(), targets.tolist(), strict=True):
            for place, target in enumerate(t):
                if target != IGNORE:
                    seen.append(target)
                    assert i[place] == target - 1
                    assert place + 1 >= min(target, block - stride + 1)  # so many tokens are read before it
                    assert i[: place + 1] == list(range(target - place - 1, target))
    assert seen == list(range(1, length)) and rows == len(windows)


@pytest.mark.parametrize("stride", [1, 5, 8, 16])
def test_equals_a_plain_loop_on_transformers(tmp_path, stride):
    torch.manual_seed(1)
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=40, n_positions=16, n_layer=2, n_head=2, n_embd=32)).eval()
    for p in theirs.parameters():
        p.data *= 4
    theirs.save_pretrained(tmp_path)
    ours, _ = load_gpt2(tmp_path)
    total, done = 0.0, 1  # the first token is no target
    for begin in range(0, len(TOKENS), stride):
        end = min(begin + 17, len(TOKENS))  # 16 inputs and one more target
        with torch.no_grad():
            logp = theirs(TOKENS[None, begin : end - 1]).logits[0].log_softmax(-1)
        for place in range(done, end):
            total -= float(logp[place - 1 - begin, TOKENS[place]])
        done = end
        if end == len(TOKENS):
            break
    got = evaluate_loss(ours, StridedWindows(TOKENS, 16, stride), batch_size=3)
    assert got == pytest.approx(total / (len(TOKENS) - 1), abs=1e-5)


def test_more_context_changes_the_loss_and_short_texts_do(model):
    losses = [evaluate_loss(model, StridedWindows(TOKENS, 16, stride)) for stride in (1, 16)]
    assert losses[0] != pytest.approx(losses[1], abs=1e-3)
    want = -model(TOKENS[None, :1])[0, -1].log_softmax(-1)[TOKENS[1]].item()
    assert evaluate_loss(model, StridedWindows(TOKENS[:2], 16, 4)) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("length, stride, message", [(1, 4, "two tokens"), (9, 0, "stride=0"), (9, 17, "1 … 16")])
def test_impossible_strides_are_named(length, stride, message):
    with pytest.raises(ValueError, match=message):
        StridedWindows(TOKENS[:length], 16, stride)
