"""Counting models: numbers worked out by hand, NLTK's own models, sums of 1, and clear errors."""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.lm import WittenBellInterpolated
from nltk.util import ngrams

from minigpt.ngram import SMOOTHINGS, Counts, NGram, witten_bell

TEXT = "the cat sat on the mat and the hat sat on the cat\n" * 2 + "a rat ate that oat\n"


def test_witten_bell_by_hand():
    """abab: a and b twice each, b follows a twice, a follows b once."""
    model = NGram.count("abab", 1)
    assert model.probabilities("", "a", "witten-bell")[0] == pytest.approx((2 + 2 / 2) / (4 + 2))  # 1/2
    assert model.probabilities("a", "b", "witten-bell")[1] == pytest.approx((2 + 1 * 0.5) / (2 + 1))
    assert model.probabilities("a", "a", "witten-bell")[1] == pytest.approx((0 + 1 * 0.5) / (2 + 1))


def test_kneser_ney_by_hand():
    """Pairs of xabyabzac: ab twice; xa, by, ya, bz, za, ac once. So the discount is 6 / (6 + 2 · 1) = 0.75.

    Below: a came after x, y and z, the others after one character each. Four of 1 and none of 2: the discount is 0.5.
    """
    model = NGram.count("xabyabzac", 1)
    assert (model.often[1].discount, model.varied[0].discount) == (0.75, 0.5)
    after_any = (1 - 0.5 + 0.5 * 5 * (1 / 6)) / 7  # b; 5 kinds, 7 pairs in all, 6 characters: a b c x y z
    assert model.probabilities("a", "b")[1] == pytest.approx((2 - 0.75 + 0.75 * 2 * after_any) / 3)
    assert model.probabilities("a", "x")[1] == pytest.approx(0.75 * 2 / 3 * (0.5 * 5 * (1 / 6)) / 7)  # never seen


def test_the_discount_is_the_estimate_of_ney_and_others():
    counts = Counts.of(Counter({"ab": 1, "ac": 1, "ad": 1, "bc": 2, "bd": 5}))
    assert counts.discount == pytest.approx(3 / (3 + 2 * 1))
    assert counts.totals == {"a": 3, "b": 7} and counts.kinds == {"a": 3, "b": 2}


def test_kneser_ney_asks_after_how_many_characters_and_not_how_often():
    """ "o" is the more frequent character, but only ever after "z"; "e" came after five different ones."""
    model = NGram.count("zo" * 20 + "aebecedefe", 1)
    assert model.probabilities("", "o")[0] > model.probabilities("", "e")[0]
    assert model.probabilities("?", "e")[1] > model.probabilities("?", "o")[1]  # falls back on the varied counts


def test_witten_bell_agrees_with_nltk():
    """NLTK mixes T/(N+T) of the shorter context too; it has no equal shares below, so we ask where none are needed."""
    for order in (2, 3):
        theirs = WittenBellInterpolated(order)
        grams = [list(ngrams(TEXT, n)) for n in range(1, order + 1)]
        theirs.fit(grams, vocabulary_text=list(TEXT))
        ours = NGram.count(TEXT, order - 1)
        plain = Counter(TEXT)
        for i in range(order, 80):
            before, char = TEXT[i - order + 1 : i], TEXT[i]
            p = plain[char] / len(TEXT)  # NLTK's unigrams are plain fractions
            for n in range(1, order):
                p = witten_bell(ours.often[n], before[len(before) - n :], char, p)
            assert p == pytest.approx(theirs.score(char, tuple(before)), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.text("abc \n中", min_size=6, max_size=80),
    st.text("abcz \n中", max_size=8),
    st.integers(0, 4),
    st.sampled_from(SMOOTHINGS),
)
def test_every_distribution_sums_to_one_and_leaves_nothing_out(text, before, context, smoothing):
    model = NGram.count(text, context, vocabulary="abcz \n中")
    for n in range(context + 1):
        distribution = model.distribution(before, n, smoothing)
        assert sum(distribution) == pytest.approx(1, abs=1e-9)
        assert min(distribution) > 0


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_context_never_seen_falls_back_on_its_seen_end(smoothing):
    model = NGram.count(TEXT, 4, vocabulary="".join(sorted({*TEXT, "z"})))
    for char in "cz":
        p = model.probabilities("zzth", char, smoothing)  # "th" was seen, "zth" never
        assert p[3] == p[4] == model.probabilities("xxth", char, smoothing)[4]
    equal = [1 / len(model.vocabulary)] * len(model.vocabulary)
    assert model.distribution("z", 1, smoothing) != equal  # nothing seen: the unigrams, not equal shares


def test_surprise_is_in_bits_and_has_a_column_for_each_context():
    model = NGram.count(TEXT, 3)
    rows = model.surprise(TEXT[:30])
    assert len(rows) == 30 and all(len(row) == 4 for row in rows)
    assert rows[9][2] == pytest.approx(-math.log2(model.probabilities(TEXT[:9], TEXT[9])[2]))
    means = [sum(row[n] for row in rows) / 30 for n in range(4)]
    assert means == sorted(means, reverse=True)  # on its own training text, longer contexts only help


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: NGram.count("abc", 3), "take a longer text"),
        (lambda: NGram.count("abc", -1), "no context of -1"),
        (lambda: NGram.count("abcx", 1, "abc"), "'x', which is not in the vocabulary"),
        (lambda: NGram.count("abc", 1).probabilities("a", "z"), "'z' is not one of the 3 characters"),
        (lambda: NGram.count("abc", 1).probabilities("a", "ab"), "'ab' is not one of the 3"),
        (lambda: NGram.count("abc", 1).probabilities("a", "b", "laplace"), "witten-bell, kneser-ney, not 'laplace'"),
        (lambda: NGram.count("abc", 1).distribution("a", 2), "context must be 0 to 1"),
    ],
)
def test_bad_input_is_told_so(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()
