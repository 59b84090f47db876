"""The mask painter: its leaks against torch, its state reaches the page, bad input is told so."""

import json
import math
import re

import pytest
import torch
import torch.nn.functional as F

from minigpt.attention import causal_mask
from minigpt.figures import MaskPainter

X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
W = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_without_a_mask_it_is_the_library():
    figure = MaskPainter(X, W, mask=torch.ones(6, 6))
    expected = F.scaled_dot_product_attention((X @ W)[None], X[None], X[None])[0]
    torch.testing.assert_close(figure.attend(X, "before")[0], expected, atol=1e-5, rtol=0)  # it keeps six decimals
    assert "which the mask lets it see" in figure.words()


def test_only_the_mask_after_the_softmax_leaks():
    before, after, again = (MaskPainter(X, W, way=way) for way in ("before", "after", "renormalised"))
    late = (X @ W @ X.T / math.sqrt(4)).softmax(-1) * causal_mask(6)
    torch.testing.assert_close(after.attend(X, "after")[0], late @ X, atol=1e-5, rtol=0)
    assert before.slopes().triu(1).max() == 0 and "No leak" in before.words()
    assert after.slopes().triu(1).max() > 0.2 and "it stands in the denominator" in after.words()
    assert again.slopes().triu(1).max() < 1e-12 and "No leak" in again.words() and again.error() < 1e-12
    torch.testing.assert_close(again.slopes(), before.slopes())


@pytest.mark.parametrize("way", ["before", "after", "renormalised"])
def test_a_query_that_may_look_at_nothing_gets_zeros(way):
    figure = MaskPainter(X, W, mask=causal_mask(6).tril(-1), way=way)
    output, weights = figure.attend(X, way)
    assert not output[0].any() and not weights[0].any() and not figure.slopes()[0].any()


def test_the_page_gets_its_state():
    html = MaskPainter([[1, 0], [0, 1]], [[1], [2]], [[1], [0]], tokens=["<s>", "b"]).to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state["mask"] == [[True, False], [True, True]] and state["w_v"] == [[1, 0], [0, 1]]
    assert "<s>" not in html and "&lt;s&gt;" in html and 'role="img"' in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": torch.zeros(9, 2), "w_q": torch.eye(2)}, "at most 8 tokens"),
        ({"x": torch.zeros(3, 2), "w_q": torch.eye(3)}, "x has 2 numbers a row"),
        ({"x": torch.zeros(3, 2), "w_q": torch.zeros(2, 1)}, "equal widths"),
        ({"x": torch.zeros(3, 2), "w_q": torch.eye(2), "tokens": ["a"]}, "3 rows, but there are 1 tokens"),
        ({"x": torch.zeros(3, 2), "w_q": torch.eye(2), "mask": torch.ones(3, 2)}, "3 rows of 3 booleans"),
    ],
)
def test_bad_input_is_told_so(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskPainter(**arguments)
