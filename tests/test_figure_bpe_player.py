"""The BPE player: its counts are those of the text, its merges the trainer's, and bad input is told so."""

import json
import re
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.figures import BPEPlayer, count_pairs
from minigpt.tokenizer import PRETOKEN, BPETokenizer, to_bytes, to_chars

TEXT = "the cat sat on the mat, the rat sat on the cat; aaaa aaaa café 中中 "


@settings(max_examples=20, deadline=None)
@given(st.text("ab ché中", min_size=30, max_size=80))
def test_counts_are_those_of_the_text_cut_by_the_merges_before(text):
    tokenizer = BPETokenizer.train(text * 2, 259)
    for k, top in enumerate(count_pairs(tokenizer, text * 2)):
        before = BPETokenizer(tokenizer.vocab, tokenizer.merges[:k], {})
        words = [[before.decode_bytes([i]) for i in before.encode(word)] for word in PRETOKEN.findall(text * 2)]
        counts = Counter(pair for word in words for pair in pairwise(word))
        assert [(to_bytes(a), to_bytes(b)) for a, b, _ in top][0] == tokenizer.merges[k]
        assert [n for *_, n in top] == sorted(counts.values(), reverse=True)[: len(top)]
        assert all(counts[to_bytes(a), to_bytes(b)] == n for a, b, n in top)


def figure(**state):
    return BPEPlayer(count_pairs(BPETokenizer.train(TEXT, 266), TEXT), "the cat", **state)


def test_words_name_the_tie():
    assert figure(at=10).words() == "After 10 of 10 merges the text has 3 tokens. The list of merges ends here."
    said = BPEPlayer([[["a", "b", 3], ["Ġ", "c", 3], ["c", "d", 2]]], "ab").words()
    assert said == (
        "After 0 of 1 merges the text has 2 tokens. The next joins a + b, 3 times in the training text. "
        "A tie with ␣ + c: the smaller ids win."
    )


def test_the_chips_are_the_tokenizers():
    whole, bpe = figure(at=3), BPETokenizer.train(TEXT, 266)
    for k in range(11):
        first = BPETokenizer(bpe.vocab, bpe.merges[:k], {})
        assert whole.chips(k) == [first.token(i) for i in first.encode("the cat")]
    html = whole.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state["at"] == 3 and state["text"] == "the cat"
    assert [top[0][:2] for top in state["steps"]] == [[to_chars(a), to_chars(b)] for a, b in bpe.merges]
    assert "t|h|e|␣|c|a|t" in html.split("<script")[0]


def test_bad_input_is_told_so():
    with pytest.raises(ValueError, match="were not learned from this text"):
        count_pairs(BPETokenizer.train(TEXT, 266), "another text, another text")
    with pytest.raises(ValueError, match="at least one merge"):
        BPEPlayer([], "a")
    with pytest.raises(ValueError, match="at is 11, but it must lie between 0 and 10"):
        figure(at=11)
