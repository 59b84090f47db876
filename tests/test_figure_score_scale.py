"""The figure of √d_k: what it measures against theory and torch's autograd, its state, bad input."""

import json
import re

import pytest
import torch

from minigpt.figures import ScoreScale, read_scores

READ = read_scores([1, 4, 1024], n=400)


def test_the_spread_grows_with_the_root_of_the_width_unless_divided():
    for d, plain, scaled in zip(READ["sizes"], READ["plain"], READ["scaled"], strict=True):
        assert plain["std"] == pytest.approx(d**0.5, rel=0.1) and scaled["std"] == pytest.approx(1, rel=0.1)
        assert plain["weights"] == sorted(plain["weights"], reverse=True)
        assert sum(scaled["weights"]) == pytest.approx(1, abs=1e-3)
    assert READ["plain"][0] == READ["scaled"][0]  # √1 = 1
    assert sum(READ["scaled"][2]["bins"]) == pytest.approx(1, abs=1e-3)
    assert 0.9 < sum(READ["plain"][2]["bins"]) < 0.99  # two standard deviations on either side


def test_the_measures_are_those_of_autograd():
    one = read_scores([64], n=1)["plain"][0]
    g = torch.Generator().manual_seed(0)
    q, k = torch.randn(1, 64, generator=g), torch.randn(16, 64, generator=g)
    scores = (q @ k.T)[0]
    slopes = torch.autograd.functional.jacobian(lambda s: s.softmax(0), scores)
    assert one["slope"] == pytest.approx(float(slopes.norm()), abs=1e-5)
    assert one["weights"][0] == pytest.approx(float(scores.softmax(0).max()), abs=1e-5)


def test_the_page_gets_its_state():
    figure = ScoreScale(**READ, index=2)
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', figure.to_html(), re.DOTALL)[1])
    assert state == READ | {"index": 2, "divide": False}
    assert figure.words().startswith("d = 1024, not divided") and figure.still().count("<polyline") == 6


def test_bad_input_is_told_so():
    with pytest.raises(ValueError, match="equally many"):
        ScoreScale([1, 2], READ["plain"], READ["scaled"])
    with pytest.raises(ValueError, match="between 0 and 2"):
        ScoreScale(**READ, index=3)
