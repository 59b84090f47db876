"""The figure that lets counting and a GPT guess: what it keeps of the distributions, and what it refuses."""

import json
import math
import re

import pytest
import torch

from minigpt.figures import NextCharacter
from minigpt.figures.next_character import guess
from minigpt.ngram import NGram

VOCABULARY, TEXT = " abcdef\n", "abc def\nabc"


def tables(T=5, contexts=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    counting = torch.randn(2, contexts, T, len(VOCABULARY), generator=generator).softmax(-1)
    gpt = torch.randn(T, len(VOCABULARY), generator=generator).softmax(-1)
    return {"kneser-ney": counting[0], "witten-bell": counting[1]}, gpt


def test_a_guess_is_bits_rank_and_the_best():
    p = torch.tensor([0.05, 0.4, 0.3, 0.1, 0.06, 0.04, 0.03, 0.02])
    bits, rank, best, shares = guess(p, VOCABULARY, "b")
    assert bits == pytest.approx(-math.log2(0.3), abs=1e-3) and rank == 2
    assert best == "abcd " and shares == pytest.approx([0.4, 0.3, 0.1, 0.06, 0.05])


def test_it_keeps_what_the_models_say():
    counted, gpt = tables()
    figure = NextCharacter(TEXT, len(TEXT) - 5, VOCABULARY, counted, gpt, context=2)
    came = [VOCABULARY.index(char) for char in TEXT[-5:]]
    expected = [-math.log2(row[i]) for row, i in zip(counted["kneser-ney"][2], came, strict=True)]
    assert figure.bits()[0] == pytest.approx(expected, abs=1e-3)
    figure.smoothing, figure.context = "witten-bell", 0
    expected = [-math.log2(row[i]) for row, i in zip(counted["witten-bell"][0], came, strict=True)]
    assert figure.bits()[0] == pytest.approx(expected, abs=1e-3)
    mean = sum(-math.log2(row[i]) for row, i in zip(gpt, came, strict=True)) / 5
    assert f"the GPT {mean:.2f}" in figure.words()


def test_counts_go_in_as_they_are_and_the_page_gets_the_state():
    model = NGram.count(TEXT, 2, VOCABULARY)
    counted = {
        name: [[model.distribution(TEXT[:t], n, name) for t in range(4, 9)] for n in range(3)]
        for name in ("kneser-ney", "witten-bell")
    }
    figure = NextCharacter(TEXT[:9], 4, VOCABULARY, counted, tables()[1], context=1)
    html = figure.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert len(state["counted"]["kneser-ney"]) == 3 and len(state["gpt"]) == 5 and state["position"] == 0
    assert 'role="img"' in html


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": 3}, "context must be 0 to 2"),
        ({"gpt": torch.full((4, 8), 1 / 8)}, r"gpt must have the shape \(5, 8\), not \(4, 8\)"),
        ({"gpt": torch.full((5, 8), 1 / 4)}, "sum to 1"),
        ({"gpt": torch.zeros(5, 8)}, "above 0"),
        ({"counted": {"kneser-ney": tables()[0]["kneser-ney"]}}, "two smoothings"),
        ({"counted": {name: tables()[1] for name in ("kneser-ney", "witten-bell")}}, r"\(contexts, 5, 8\)"),
    ],
)
def test_bad_input_is_told_so(change, message):
    counted, gpt = tables()
    arguments = {"counted": counted, "gpt": gpt, "context": 1} | change
    with pytest.raises(ValueError, match=message):
        NextCharacter(TEXT, len(TEXT) - 5, VOCABULARY, **arguments)
