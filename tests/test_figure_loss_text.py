"""The loss in the text: what the figure keeps of each reader's guesses, what it says of them, and what it refuses."""

import json
import math
import re

import pytest
import torch

from minigpt.figures import LossText
from minigpt.figures.loss_text import MOST_TOKENS, half, read_place

NAMES = ["␣the", "a", "⏎", "<b>", "ox", "y"]


def guesses(T=4, seed=0):
    return torch.randn(T, len(NAMES), generator=torch.Generator().manual_seed(seed)).softmax(-1)


def figure(**state):
    return LossText([0, 3, 2, 5], NAMES, {"pairs": guesses(), "GPT": guesses(seed=1)}, n_bytes=9, **state)


def test_a_place_is_bits_rank_entropy_and_the_best():
    p = torch.tensor([0.05, 0.5, 0.25, 0.1, 0.06, 0.04])
    bits, rank, entropy, best, shares = read_place(p, 2, NAMES)
    assert bits == 2 and rank == 2
    assert entropy == pytest.approx(-sum(x * math.log2(x) for x in p.tolist()), abs=1e-3)
    assert best == ["a", "⏎", "<b>", "ox", "␣the"] and shares == pytest.approx([0.5, 0.25, 0.1, 0.06, 0.05])


def test_of_equals_the_rank_is_that_of_the_order_shown():
    even = torch.full((6,), 1 / 6)
    for came in range(6):
        bits, rank, entropy, best, _ = read_place(even, came, NAMES)
        assert rank == came + 1 and bits == entropy == pytest.approx(math.log2(6), abs=1e-3)
        assert (NAMES[came] in best) == (rank <= 5)


def test_it_keeps_what_each_reader_paid():
    shown = figure()
    for reader, probs in ((0, guesses()), (1, guesses(seed=1))):
        paid = [-math.log2(probs[t, i]) for t, i in enumerate((0, 3, 2, 5))]
        assert shown.bits(reader) == pytest.approx(paid, abs=1e-3)
    assert shown.words().startswith("Pairs, 4 tokens: ")
    shown.reader = 1
    mean = sum(paid) / 4
    assert shown.words().startswith(
        f"GPT, 4 tokens: {mean:.2f} bits per token, {4 * mean / 9:.2f} bits per byte, as unsure as among {2**mean:.1f} "
    )


@pytest.mark.parametrize("bits, n", [([1, 1, 1, 1], 2), ([10, 1, 1, 1], 1), ([0, 0, 3, 2, 2], 2), ([1, 1, 1], 2)])
def test_half_of_the_bits(bits, n):
    assert half([float(x) for x in bits]) == n


def test_the_page_gets_the_state_and_a_still_picture():
    html = figure(before="once", against=0).to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state["tokens"] == ["␣the", "<b>", "⏎", "y"] and state["size"] == [6, 9]
    assert [name for name, _ in state["readers"]] == ["pairs", "GPT"] and state["against"] == 0
    assert 'role="img"' in html and "&lt;b&gt;</text>" in html
    shades = [float(shade) for shade in re.findall(r'fill-opacity="([\d.]+)"', html)]
    order = sorted(range(4), key=figure().bits().__getitem__)
    assert len(shades) == 4 and sorted(range(4), key=shades.__getitem__) == order


@pytest.mark.parametrize(
    "change, message",
    [
        ({"readers": {}}, "readers with names"),
        ({"readers": {"": guesses()}}, "readers with names"),
        ({"ids": []}, "1 to 250 tokens, not 0"),
        ({"ids": [0] * (MOST_TOKENS + 1)}, "not 251"),
        ({"readers": {"GPT": guesses(5)}}, r"'GPT' must have the shape \(4, 6\), not \(5, 6\)"),
        ({"readers": {"GPT": guesses() / 2}}, "sum to 1"),
        ({"readers": {"GPT": torch.eye(6)[:4]}}, "above 0"),
        ({"readers": {"GPT": guesses() * math.nan}}, "above 0"),
        ({"reader": 1}, "reader is 1, but it must lie between 0 and 0"),
        ({"against": -2}, "between -1 and 0"),
        ({"position": 4}, "between 0 and 3"),
    ],
)
def test_bad_input_is_told_so(change, message):
    arguments = {"ids": [0, 3, 2, 5], "names": NAMES, "readers": {"GPT": guesses()}, "n_bytes": 9} | change
    with pytest.raises(ValueError, match=message):
        LossText(**arguments)
