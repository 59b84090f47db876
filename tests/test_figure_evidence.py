"""The evidence view: it shows what point() and write() found, in words and in a still picture, and refuses nonsense."""

import json
import re

import pytest
import torch

from minigpt.answers import Span, Written
from minigpt.chat import CHAT_TOKENS
from minigpt.figures import Evidence, read_view, read_written
from minigpt.tokenizer import IM_END, BPETokenizer

TEXT = "Ada <b> (1815–1852) wrote."
WORDS = BPETokenizer.train(TEXT * 5, 270, CHAT_TOKENS)


def span(text="1815", seed=0):
    ids = WORDS.encode(TEXT)
    start, end = torch.randn(2, len(ids), generator=torch.Generator().manual_seed(seed)).softmax(1)
    return Span(text, float(start[2] * end[3]), 2, 3, ids, start, end)


def written(text="1815"):
    ids = [*WORDS.encode(text), WORDS.special_tokens[IM_END]]
    return Written(text, 0.5, ids, [0.9] * len(ids))


def question(**changes):
    views = [read_view("as it is", WORDS, span(), written()), read_view("hidden", WORDS)]
    return {"question": "When was Ada born?", "truth": "The data say 1815.", "note": "unseen",
            "memory": read_written(WORDS, written("1799")), "views": views} | changes  # fmt: skip


def test_the_numbers_are_those_that_were_found():
    found = span()
    view = read_view("as it is", WORDS, found, written(), edited="1815")
    assert "".join(view["tokens"]).replace("␣", " ") == TEXT
    assert "" in view["tokens"]  # the first byte of “–”, which is three tokens here
    assert view["start"] == pytest.approx(found.start.tolist(), abs=1e-4)
    assert view["end"] == pytest.approx(found.end.tolist(), abs=1e-4)
    assert view["span"] == [2, 3] and view["edited"] == view["pointed"] == "1815"
    assert view["sure"] == pytest.approx(found.probability, abs=1e-4)
    assert view["written"]["pieces"][-1] == ["■", 0.9]  # how the closing token is shown
    assert "".join(token for token, _ in view["written"]["pieces"]) == "1815■"
    assert read_view("hidden", WORDS)["tokens"] == [] and read_view("hidden", WORDS)["written"] is None


def test_its_words():
    figure = Evidence([question()])
    assert figure.words().startswith("“When was Ada born?” (unseen), as it is. The head points at “1815” (probability ")
    said = "GPT, reading, writes “1815” (0.50). GPT from memory writes “1799” (0.50). The data say 1815."
    assert figure.words().endswith(said)
    figure.view = 1
    assert "The head has nothing to point at. GPT from memory" in figure.words()


def test_the_page_gets_its_state_and_a_still():
    html = Evidence([question(), question(question="Who <i>?")], question=1).to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state["question"] == 1 and state["questions"][0] == json.loads(json.dumps(question()))
    still = html.split("<script")[0]
    assert "Who &lt;i&gt;?" in still and "<b>" not in still and "⟦" in still and "<table>" in still
    assert "⟦" not in Evidence([question()], view=1).still()


def test_bad_input_is_told_so():
    with pytest.raises(ValueError, match="at least one question"):
        Evidence([])
    with pytest.raises(ValueError, match="at least one view"):
        Evidence([question(views=[])])
    with pytest.raises(ValueError, match="the same views"):
        Evidence([question(), question(views=[read_view("hidden", WORDS)])])
    uneven = read_view("as it is", WORDS, span())
    with pytest.raises(ValueError, match="for each token"):
        Evidence([question(views=[uneven | {"start": [0.5]}])])
    with pytest.raises(ValueError, match="view is 2, but it must lie between 0 and 1"):
        Evidence([question()], view=2)
