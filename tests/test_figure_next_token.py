"""The figure that lets the reader draw: its tree against a search without a heap, its numbers against torch's."""

import json
import re

import pytest
import torch

from minigpt.figures import NextToken, grow_tree
from minigpt.figures.next_token import packed, unpacked
from minigpt.generate import next_token_probs

V = 5
TABLE = torch.randn(V, V, generator=torch.Generator().manual_seed(0))  # a bigram model


def next_logits(ids):
    return TABLE[ids[-1]]


def figure(**state):
    return NextToken(list("abcde"), [(["a", "b"], grow_tree(next_logits, [0, 1], 12, 6))], **state)


def chance(path):
    """The probability of a continuation of b."""
    p, last = 1.0, 1
    for token in path:
        p, last = p * float(TABLE[last].softmax(0)[token]), token
    return p


def test_the_tree_holds_the_likeliest_continuations():
    tree = grow_tree(next_logits, [0, 1], 12)
    every = [()]
    for path in every:
        if len(path) < 5:
            every += [(*path, token) for token in range(V)]
    best = sorted(every, key=chance, reverse=True)[:12]
    assert set(tree) == set(best)
    for path, logits in tree.items():
        assert torch.equal(logits, TABLE[([1, *path])[-1]])


def test_the_greedy_path_is_there_to_its_end():
    tree, path = grow_tree(next_logits, [0, 1], 3, greedy=9), ()
    for _ in range(9):
        path = (*path, int(tree[path].argmax()))
    assert path in tree


def test_packing_keeps_probabilities():
    logits = 5 * torch.randn(1024, generator=torch.Generator().manual_seed(1)) + 40
    kept = unpacked(packed(logits)).softmax(0)
    torch.testing.assert_close(kept, logits.double().softmax(0), rtol=1e-3, atol=1e-12)
    assert unpacked(packed(torch.tensor([0.0, -torch.inf])))[1] < -32  # a score that cannot be stored stays negligible


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, 0), (0.5, 2), (2.0, 3)])
def test_the_bars_are_the_samplers(temperature, top_k):
    greedy = int(TABLE[1].argmax())
    shown = figure(temperature=temperature, top_k=top_k, path=[[greedy, 0.4]])
    expected = next_token_probs(TABLE[greedy].double(), temperature, top_k or None)
    torch.testing.assert_close(shown.probabilities(), expected, rtol=2e-3, atol=1e-9)


def test_past_the_edge_it_says_so():
    lost = figure(path=[[4, 0.1]] * 30)
    assert lost.probabilities() is None and "end" in lost.words() and lost.still() == ""


def test_the_page_gets_a_state_that_json_can_hold():
    html = figure().to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state["prompts"][0]["names"] == ["a", "b"] and "" in state["prompts"][0]["tree"]
    assert 'role="img"' in html and "likeliest of 5 tokens" in html


@pytest.mark.parametrize(
    ("tokens", "prompts", "message"),
    [
        (list("ab"), [], "at least one prompt"),
        (list("ab"), [(["a"], {(1,): torch.zeros(2)})], "begins with the prompt"),
        (list("ab"), [(["a"], {(): torch.zeros(3)})], r"shape \(2,\).*not \(3,\)"),
    ],
)
def test_bad_input_is_told_so(tokens, prompts, message):
    with pytest.raises(ValueError, match=message):
        NextToken(tokens, prompts)


def test_a_temperature_out_of_range_is_refused():
    with pytest.raises(ValueError, match="between"):
        figure(temperature=0.0)
