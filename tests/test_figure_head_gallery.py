"""The head gallery: its scores are those of maps made by hand, its switch is a slice of zeros, a page gets it all."""

import copy
import json
import math
import re

import pytest
import torch
import torch.nn.functional as F

from minigpt.attention import record_attention
from minigpt.config import GPTConfig
from minigpt.figures import HeadGallery, read_heads
from minigpt.figures.head_gallery import DIGITS, head_off, head_scores
from minigpt.model import GPT

TOKENS = ["a", "b", "<c>"]


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = GPT(GPTConfig(20, block_size=16, n_layer=2, n_head=2, n_embd=16)).eval()
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return model


@pytest.fixture
def texts():
    return torch.randint(20, (5, 12), generator=torch.Generator().manual_seed(1))


def state(**changes):
    maps = torch.randn(2, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    maps = maps.masked_fill(torch.ones(3, 3).triu(1).bool(), -math.inf).softmax(-1)
    scores = {kind: torch.tensor([[0.1, 0.2], [0.3, 0.4]]) for kind in DIGITS} | {"first": torch.zeros(2, 2)}
    scores["induction"] = torch.tensor([[math.nan, 0.1], [0.1, 0.25]])
    even = {"previous": 0.1, "first": 0.1, "induction": math.nan, "entropy": 1.0, "brightest": 0.3}
    return {"tokens": TOKENS, "weights": maps, "scores": scores, "even": even, "loss": 4, "measured": 60} | changes


def test_scores_of_heads_that_do_one_thing():
    T, ids = 8, torch.tensor([[1, 2, 3, 4, 1, 2, 3, 4]])
    previous = F.one_hot(torch.arange(T).sub(1).clamp(min=0), T)
    first = F.one_hot(torch.zeros(T, dtype=torch.long), T)
    after = F.one_hot(torch.tensor([0, 0, 0, 0, 1, 2, 3, 4]), T)  # the same token stood 4 places back, so 3 back
    scores = head_scores(torch.stack([previous, first, after]).float()[None], ids)
    torch.testing.assert_close(scores["previous"], torch.tensor([1, 1 / 7, 1 / 7]))
    torch.testing.assert_close(scores["first"], torch.tensor([1 / 7, 1, 3 / 7]))
    torch.testing.assert_close(scores["induction"], torch.tensor([0.0, 0, 1]))
    torch.testing.assert_close(scores["entropy"], torch.zeros(3))
    torch.testing.assert_close(scores["brightest"], torch.ones(3))
    even = torch.ones(T, T).tril()
    scores = head_scores((even / even.sum(-1, keepdim=True))[None, None], torch.arange(T)[None])
    torch.testing.assert_close(float(scores["entropy"]), sum(math.log2(n) for n in range(2, T + 1)) / (T - 1))
    assert scores["induction"].isnan()  # no token repeats


def test_induction_counts_every_earlier_place():
    ids = torch.tensor([[5, 6, 5, 7, 5], [1, 2, 3, 4, 5]])
    weights = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    # Query 2 has one earlier 5, at 0; query 4 has two, at 0 and 2; the second text has none.
    expected = (weights[0, 0, 2, 1] + weights[0, 0, 4, 1] + weights[0, 0, 4, 3]) / 2
    torch.testing.assert_close(head_scores(weights, ids)["induction"], expected[None])


def test_a_knock_out_is_a_slice_of_zeros(model, texts):
    read = read_heads(model, str, [1, 2, 3], texts)

    @torch.no_grad()
    def loss(model):
        return F.cross_entropy(model(texts[:, :-1]).mT, texts[:, 1:], reduction="none").double().mean(1) / math.log(2)

    torch.testing.assert_close(read["loss"], float(loss(model).mean()), atol=1e-5, rtol=0)
    for layer in (0, 1):
        for head in (0, 1):
            quiet = copy.deepcopy(model)
            quiet.h[layer].attn.c_proj.weight.data[:, 8 * head : 8 * head + 8] = 0
            change = (loss(quiet) - loss(model)).float()
            scores = read["scores"]
            torch.testing.assert_close(scores["change"][layer, head], change.mean(), atol=1e-5, rtol=0)
            torch.testing.assert_close(scores["error"][layer, head], change.std() / math.sqrt(5), atol=1e-5, rtol=0)


def test_the_maps_are_the_models_and_the_model_stays_as_it_was(model, texts):
    before = model(texts)
    read = read_heads(model, str, [1, 2, 3], texts)
    with torch.no_grad(), record_attention(model) as maps:
        model(torch.tensor([[1, 2, 3]]))
    torch.testing.assert_close(read["weights"], torch.cat([maps["h.0.attn"], maps["h.1.attn"]]))
    assert read["tokens"] == ["1", "2", "3"] and read["measured"] == 60
    with pytest.raises(KeyError), head_off(model, 0, 0):
        raise KeyError
    assert model(texts).equal(before)
    assert len(HeadGallery(**read).weights) == 4


def test_a_head_is_named_from_the_bar_on_and_none_is_a_name():
    figure = HeadGallery(**state())
    assert figure.names == [[], ["previous"], ["previous"], ["previous", "induction"]]
    assert HeadGallery(**state(bar=0.5)).names == [[]] * 4
    assert "Name: none." in figure.words() and "followed" not in figure.words()
    figure.head = 3
    assert "Name: “previous” and “induction”." in figure.words() and "rank 1 of 4" in figure.words()


def test_words_tell_the_cost_only_when_the_head_is_off():
    figure = HeadGallery(**state(), head=2)
    assert figure.words().endswith("Switch it off to see what it costs.")
    figure.off = True
    assert "from 4.000 to 4.300 bits, +0.300 (standard error 0.300), rank 2 of 4. No clear change." in figure.words()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": torch.ones(2, 3, 3)}, "do not fit 3 tokens"),
        ({"tokens": ["a"]}, "do not fit 1 tokens"),
        ({"weights": torch.full((2, 2, 3, 3), 1 / 3)}, "looks ahead"),
        ({"weights": torch.eye(3).expand(2, 2, 3, 3) * 2}, "sum to 1"),
        ({"weights": torch.eye(3).expand(2, 2, 3, 3) * math.nan}, "sum to 1"),
        ({"scores": {}}, "a table 'previous' of shape"),
        ({"head": 4}, "head is 4, but it must lie between 0 and 3"),
        ({"tokens": ["a"] * 25, "weights": torch.eye(25).expand(2, 2, 25, 25)}, "at most 24"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        HeadGallery(**state(**change))


def test_one_text_has_no_error(model, texts):
    with pytest.raises(ValueError, match="at least two rows"):
        read_heads(model, str, [1, 2], texts[:1])


def test_a_page_gets_the_state_and_a_still_picture():
    figure = HeadGallery(**state())
    html = figure.to_html()
    stored = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1]
    assert json.loads(stored) == figure.state()
    assert "NaN" not in html and "<c>" not in html
    assert figure.still().count("layer 1, head") == 2 and "previous + induction" in figure.still()
    maps = torch.ones(24, 24).tril()
    large = state(tokens=["a"] * 24, weights=(maps / maps.sum(-1, keepdim=True)).expand(4, 4, 24, 24))
    large["scores"] = {kind: torch.zeros(4, 4) for kind in DIGITS}
    assert len(HeadGallery(**large).to_html()) < 120_000
