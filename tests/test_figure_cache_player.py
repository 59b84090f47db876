"""The KV cache player: its counts are torch's own, its bytes those of the cache, and bad input is told so."""

import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from minigpt.attention import record_attention
from minigpt.config import GPTConfig
from minigpt.figures import CachePlayer, cache_bytes, multiplications, read_cache
from minigpt.generate import generate
from minigpt.model import GPT

SHAPES = [
    {},
    {"activation": "swiglu", "n_inner": 24, "norm": "rms", "bias": False},
    {"n_kv_head": 1, "positions": "rope", "tied": False},
]


def model(**shape):
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=30, block_size=32, n_layer=2, n_head=4, n_embd=16, **shape)).eval()


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=8, deadline=None)
@given(seen=st.integers(1, 9), new=st.integers(1, 9))
def test_multiplications_are_those_that_torch_counts(shape, seen, new):
    gpt, cache = model(**shape), None
    with torch.inference_mode(), record_attention(gpt):  # so that attention's products are torch's matmul
        cache = gpt.new_cache()
        gpt(torch.zeros(1, seen, dtype=torch.long), cache=cache)
        with FlopCounterMode(display=False) as counter:
            gpt(torch.zeros(1, new, dtype=torch.long), cache=cache)
    assert 2 * multiplications(gpt.config, new, seen + new) == counter.get_total_flops()  # a product and an addition


@pytest.mark.parametrize("shape", SHAPES)
def test_bytes_are_those_of_the_cache(shape):
    gpt = model(**shape)
    cache = gpt.new_cache()
    with torch.inference_mode():
        gpt(torch.zeros(1, 5, dtype=torch.long), cache=cache)
    kept = sum(t.contiguous().nbytes for own, _ in cache for t in own.stored())
    assert kept == 5 * cache_bytes(gpt)


def test_both_ways_write_what_generate_writes_and_are_counted():
    gpt = model()
    made = read_cache(gpt, str, [3, 1, 2], 6, seed=5, temperature=1.5)
    want = list(generate(gpt, [3, 1, 2], 6, temperature=1.5, generator=torch.Generator().manual_seed(5)))
    assert made["tokens"] == [str(i) for i in [3, 1, 2, *want]] and made["prompt"] == 3
    one, config = multiplications, gpt.config
    assert made["without"] == [one(config, n, n) for n in (3, 4, 5, 6, 7, 8)]
    assert made["cached"] == [one(config, 3, 3), *(one(config, 1, n) for n in (4, 5, 6, 7, 8))]
    assert made["without"][0] == made["cached"][0]  # the prompt is read once either way


FIGURE = dict(tokens=["a", "<b>", "c", "d"], prompt=2, without=[20, 30], cached=[20, 11], per_token=64)


def test_words_and_page():
    figure = CachePlayer(**FIGURE, step=2)
    assert figure.words() == (
        "Step 2 of 2 writes “d”. Without a cache the model reads 3 tokens: 30 multiplications. With it, 1 token: 11. "
        "So far 1.6 times as many without it; the cache keeps 192 bytes."
    )
    html = figure.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == FIGURE | {"step": 2}
    still = html.split("<script")[0]
    assert "<b>" not in still and 'role="img"' in still
    assert still.count('fill="#AA4499"') == 6 + 3  # the whole triangle, and one row


def test_bad_input_is_told_so():
    with pytest.raises(ValueError, match="give a prompt and at least one token more"):
        CachePlayer(["a"], 1, [], [])
    with pytest.raises(ValueError, match="2 tokens are written, so 2 counts"):
        CachePlayer(["a", "b", "c"], 1, [1], [1])
    with pytest.raises(ValueError, match="step is 3, but it must lie between 1 and 2"):
        CachePlayer(**FIGURE, step=3)
    with pytest.raises(ValueError, match="at most 32 together"):
        read_cache(model(), str, [1], 32)
