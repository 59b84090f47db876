"""Token datasets, shards, texts and the synthetic task."""
import hashlib
import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.data import TokenDataset
from minigpt.synthetic import LENGTHS, LETTERS, bits_per_character, line_bits, synthetic_text
from minigpt.texts import Article, Pair, load_articles, load_corpus, load_documents, load_pairs, load_split


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 200), st.integers(1, 20), st.integers(1, 7), st.booleans())
def test_batches_score_every_target_once_and_in_order(count, block_size, batch_size, in_numpy):
    if count <= block_size:
        block_size = count - 1
    tokens = np.arange(1000, 1000 + count)
    data = TokenDataset(tokens.astype(np.uint16) if in_numpy else torch.from_numpy(tokens), block_size)
    seen = []
    for inputs, targets in data.batches(batch_size):
        assert inputs.shape == targets.shape and inputs.shape[0] <= batch_size and inputs.shape[1] == block_size
        assert inputs.dtype == targets.dtype == torch.int64
        scored = targets != -100
        assert torch.equal(inputs[scored] + 1, targets[scored])  # shifted by one
        assert (inputs[~scored] == 0).all()
        seen += targets[scored].tolist()
    assert seen == tokens[1:].tolist()


@pytest.mark.parametrize("tokens", [list(range(50)), np.arange(50, dtype=np.uint16), torch.arange(50)],
                         ids=["list", "numpy", "torch"])
def test_samples_are_shifted_windows_from_everywhere(tokens):
    data = TokenDataset(tokens, 8)
    inputs, targets = data.sample(4000, torch.Generator().manual_seed(0))
    assert inputs.shape == targets.shape == (4000, 8) and inputs.dtype == targets.dtype == torch.int64
    assert torch.equal(inputs + 1, targets)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    starts = torch.bincount(inputs[:, 0], minlength=50)
    assert (starts[:42] > 0).all() and (starts[42:] == 0).all()  # 50 tokens hold 42 windows of 8 + 1
    assert starts[:42].float().std() < 2 * math.sqrt(4000 / 42)  # uniform: Poisson's spread, generously
    again = data.sample(4000, torch.Generator().manual_seed(0))
    assert torch.equal(again[0], inputs)


def test_the_shortest_text_has_one_window():
    assert TokenDataset([1, 2, 3], 2).sample(3)[1].tolist() == [[2, 3]] * 3
    with pytest.raises(ValueError, match="2 tokens are too few for block_size=2.*at least 3 tokens"):
        TokenDataset([1, 2], 2)
    with pytest.raises(ValueError, match="one row"):
        TokenDataset(torch.zeros(2, 2), 1)


# --- the synthetic task

def every_line():
    for length, kind in product(LENGTHS, ("copy", "flip")):
        for letters in product(LETTERS, repeat=length):
            word = "".join(letters)
            yield f"{kind} {word} > {word if kind == 'copy' else word[::-1]}"
    yield from {f"{a} + {b} = {a + b}" for a in range(16) for b in range(16)}
    nouns = ["cat", "dog", "fox", "owl", "boy", "girl", "king", "wolf"]
    many = {"fox": "foxes", "wolf": "wolves"}
    for noun, other, verb in product(nouns, nouns, ["run", "sing", "sleep", "wait", "laugh", "dance", "fall", "dream"]):
        for others in (other, many.get(other, other + "s")):
            yield f"the {noun} near the {others} {verb}s"
            yield f"the {many.get(noun, noun + 's')} near the {others} {verb}"


def test_the_probabilities_of_all_lines_sum_to_one_and_give_the_entropy():
    bits = {line: line_bits(line) for line in every_line()}
    chances = {line: 2.0 ** -cost for line, cost in bits.items()}
    assert sum(chances.values()) == 1.0  # exact: every chance is a power of two
    entropy = sum(chance * bits[line] for line, chance in chances.items())
    characters = sum(chance * (len(line) + 1) for line, chance in chances.items())
    assert bits_per_character() == pytest.approx(entropy / characters, rel=1e-12)


def test_synthetic_text_obeys_its_rules():
    text = synthetic_text()
    lines = text.splitlines()
    assert len(lines) == 11_000 and 190_000 < len(text) < 210_000
    costs = [line_bits(line) for line in lines]
    assert None not in costs
    assert sum(costs) / len(text) == pytest.approx(bits_per_character(), rel=0.01)
    assert synthetic_text(50, seed=1) == synthetic_text(50, seed=1) != synthetic_text(50, seed=2)
    # The same text on every machine and Python: published losses refer to it.
    assert hashlib.sha256(text.encode()).hexdigest().startswith("db3f6d69d9f5df59")


@pytest.mark.parametrize("line", ["copy abc > abd", "flip abc > abc", "copy a > a", "copy abcdef > abcdef", "",
                                  "7 + 8 = 16", "16 + 1 = 17", "07 + 1 = 8", "copy abc",
                                  "the cat near the dogs run", "the cats near the dog runs"])
def test_lines_against_the_rules_are_told_apart(line):
    assert line_bits(line) is None


# --- the real texts (`make data` fetches them)

def test_tiny_shakespeare_is_nine_plays_as_dialogue():
    text, plays = load_corpus("tiny-shakespeare"), load_documents("tiny-shakespeare")
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n\n")
    assert len(plays) == 9 and 1_150_000 < len(text) < 1_220_000
    assert set(text) <= set("\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # the famous file's


def test_shakespeare_has_all_plays_without_markup():
    plays = load_documents("shakespeare")
    assert len(plays) == 38 and 4_700_000 < sum(map(len, plays)) < 4_900_000
    assert not set("_*#[]\\\r") & set("".join(plays))
    hamlet = next(play for play in plays if "To be, or not to be" in play)
    assert "\n\nHAMLET:\nTo be, or not to be: that is the question:\n" in hamlet
    assert "Exeunt" not in hamlet and "SCENE" not in hamlet
    assert not any("lively flourish of Trumpets" in play for play in plays)  # Henry VIII: a numbered direction
    dream = plays[0]  # a stage direction does not end a speech
    assert "merriments;\n" in dream and "solemnities.\n\nTHESEUS:\nGo, Philostrate," in dream
    assert "companion is not for our pomp.\nHippolyta, I woo'd thee with my sword,\n" in dream


def test_andersen_has_his_tales():
    text, tales = load_corpus("andersen"), load_documents("andersen")
    assert len(tales) == 127 and tales[0].startswith("A STORY\n\nIn the garden") and "\r" not in text
    assert "\ufeff" not in text and len(set(text)) == 79 and 1_980_000 < len(text) < 2_000_000
    assert [tale.split("\n")[0] for tale in tales if "THE UGLY DUCKLING" in tale] == ["THE UGLY DUCKLING"]


@pytest.mark.parametrize("name", ["synthetic", "tiny-shakespeare", "andersen", "wikipedia"])
def test_splits_cut_between_documents(name):
    documents, (train, validation) = load_documents(name), load_split(name)
    assert 0.07 < len(validation) / (len(train) + len(validation)) < 0.11
    assert train.startswith(documents[0]) and validation.endswith(documents[-1]) and train.endswith("\n")
    assert any(validation.startswith(document) for document in documents)
    glue = "" if name == "synthetic" else "\n"
    assert train + glue + validation == load_corpus(name)


def test_pairs():
    pairs = load_pairs("tatoeba-zh-en")
    assert pairs[0] == Pair("我們試試看！", "Let's try something.")
    assert 56_300 < len(pairs) <= 56_578
    assert all(pair.source and pair.target for pair in pairs)
    with pytest.raises(ValueError, match="has no sentence pairs"):
        load_pairs("andersen")


def test_articles_are_fit_for_a_classroom():
    articles = load_articles()
    assert isinstance(articles[0], Article) and 9_900 < len(articles) < 10_033
    titles = {article.title for article in articles}
    assert not titles & {"Pornography", "Rape", "Suicide"}
    assert {"Homosexuality", "World War II", "Polar bear", "Camille Pissarro", "Kingdom of Kush"} <= titles
    assert not any("\xa0" in article.text for article in articles)


def test_what_is_not_one_text_says_how_to_read_it():
    with pytest.raises(ValueError, match=r"load_pairs\(\)"):
        load_corpus("tatoeba-zh-en")
    with pytest.raises(ValueError, match="There is no corpus 'andersn'; choose one of: synthetic"):
        load_corpus("andersn")
