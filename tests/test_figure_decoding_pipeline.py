"""The decoding pipeline: its rest is nearly exact, its numbers are transformers', bad input is told so."""

import json
import re

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from minigpt.figures import DecodingPipeline, read_decoding

LOGITS = 4 * torch.randn(2000, generator=torch.Generator().manual_seed(0))
IDS = [int(LOGITS.argmax()), 3, 7, 7]


def figure(**knobs):
    return DecodingPipeline(**read_decoding(LOGITS, str, "a prompt", IDS), **knobs)


def theirs(penalty=1.0, temperature=1.0, top_k=0, top_p=1.0):
    """transformers' own processors, in the order of its generate()."""
    steps = [RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(temperature)]
    steps += [TopKLogitsWarper(top_k)] if top_k else []
    steps += [TopPLogitsWarper(top_p)] if top_p < 1 else []
    return LogitsProcessorList(steps)(torch.tensor([IDS]), LOGITS[None].clone())[0].softmax(-1).double()


@pytest.mark.parametrize(
    "knobs",
    [{}, {"temperature": 0.5}, {"temperature": 2.0}, {"penalty": 1.5}, {"top_k": 5}, {"top_p": 0.8},
     {"penalty": 1.3, "temperature": 1.5, "top_k": 20, "top_p": 0.9}],
)  # fmt: skip
def test_its_probabilities_are_those_of_transformers(knobs):
    shown, want = figure(**knobs), theirs(**knobs)
    ours = shown.probabilities()
    order = torch.tensor([int(token) for token in shown.tokens])
    assert {*map(str, IDS)} <= {*shown.tokens} and len(shown.tokens) == 52 and len(ours) == 2000
    torch.testing.assert_close(ours[:52], want[order], atol=1e-3, rtol=0)  # the rest's bins are nearly exact
    assert ours.sum() == pytest.approx(1)
    assert int((ours > 0).sum()) == int((want > 0).sum()), knobs


def test_greedy_is_one_token_and_the_penalty_may_change_it():
    words = figure(temperature=0).words()
    assert "1 of 2,000 tokens" in words and "Entropy: 0.00 bits" in words
    assert int(figure().probabilities().argmax()) == 0 != int(figure(penalty=2, temperature=0).probabilities().argmax())


def test_the_page_gets_its_state():
    html = DecodingPipeline("<p>", ["<s>", "b"], [1, 0.5], seen=[1], rest=[[-2, 3]], top_p=0.7).to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == {"prompt": "<p>", "tokens": ["<s>", "b"], "logits": [1.0, 0.5], "seen": [1], "rest": [[-2.0, 3]],
                     "penalty": 1.0, "temperature": 1.0, "top_k": 0, "top_p": 0.7, "stage": 5}  # fmt: skip
    assert "<s>" not in html and "&lt;s&gt;" in html and 'role="img"' in html
    assert "✕ dropped" in DecodingPipeline("p", ["a", "b"], [9, 0], top_k=1).still()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("p", ["a"], [1.0]), "1 tokens with 1 logits"),
        (("p", ["a", "b"], [1.0]), "2 tokens with 1 logits"),
        (("p", ["a", "b"], [1.0, float("nan")]), "no finite number"),
        (("p", ["a", "b"], [1.0, 0.0], [2]), "places among the 2 tokens"),
        (("p", ["a", "b"], [1.0, 0.0], [], [[float("inf"), 1]]), "no finite number"),
    ],
)
def test_bad_input_is_told_so(arguments, message):
    with pytest.raises(ValueError, match=message):
        DecodingPipeline(*arguments)
    with pytest.raises(ValueError, match="one position"):
        read_decoding(torch.zeros(2, 3), str, "p", [])
