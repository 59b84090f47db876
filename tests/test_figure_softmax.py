"""The softmax figure: its numbers are torch's, its state reaches the page, bad input is told so."""

import json
import re

import pytest
import torch

from minigpt.figures import Softmax


def test_its_probabilities_are_those_of_torch():
    figure = Softmax(["a", "b", "c"], torch.tensor([1.0, -2.0, 0.5]), temperature=0.7)
    expected = torch.softmax(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64) / 0.7, 0)
    torch.testing.assert_close(figure.probabilities(), expected)
    assert "at temperature 0.7: “a” 0.6" in figure.words() and f"{expected[0]:.3f}" in figure.still()


def test_equal_logits_have_the_entropy_of_equal_choices():
    assert "Entropy: 2.00 bits" in Softmax(list("abcd"), [1, 1, 1, 1]).words()


def test_the_page_gets_its_state():
    html = Softmax(["<s>", "b"], [0, 1.5]).to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == {"tokens": ["<s>", "b"], "logits": [0.0, 1.5], "temperature": 1.0}
    assert "<s>" not in html and "&lt;s&gt;" in html and 'role="img"' in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], [1.0]), "2 to 12 tokens"),
        ((["a", "b"], [1.0]), "one logit each; got 2 tokens"),
        ((list("abcdefghijklm"), [0.0] * 13), "2 to 12"),
        ((["a", "b"], [1.0, 7.0]), "between −6 and 6"),
        ((["a", "b"], [1.0, float("nan")]), "between −6 and 6"),
        ((["a", "b"], [1.0, 0.0], 0.0), "temperature must lie between 0.1 and 5"),
    ],
)
def test_bad_input_is_told_so(arguments, message):
    with pytest.raises(ValueError, match=message):
        Softmax(*arguments)
