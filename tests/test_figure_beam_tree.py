"""The beam tree: its finished texts are those of beam_search(), and bad input is told so."""

import json
import re

import pytest
import torch

from minigpt.config import GPTConfig
from minigpt.decoding import beam_search
from minigpt.figures import BeamTree, read_beams
from minigpt.model import Seq2Seq
from minigpt.tokenizer import CharTokenizer

END, NEW = 11, 9
LETTERS = CharTokenizer.train("abcdefghijkl")  # 12 tokens; the last one ends a text


def model(seed):
    torch.manual_seed(seed)
    made = Seq2Seq(GPTConfig(vocab_size=12, block_size=16, n_layer=1, n_head=2, n_embd=16))
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(8)  # from almost even to decided
    return made.eval()


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize("seed", range(12))
def test_the_finished_texts_are_those_of_beam_search(beams, seed):
    translator, source = model(seed), torch.randint(0, 11, (5,), generator=torch.Generator().manual_seed(seed))
    search = read_beams(translator, LETTERS, source.tolist(), END, beams, NEW)
    with torch.no_grad():
        real = torch.ones(1, 5, dtype=torch.bool)
        context = {"context": translator.encoder.hidden(source[None], real), "context_padding": real}
    want = beam_search(translator.decoder, [END], NEW, beams=beams, stop=(END,), **context)
    got = BeamTree("source", [search]).finished()
    assert [text for _, text, _, _ in got[: len(want)]] == [
        LETTERS.decode([token for token in one.tokens if token != END]) for one in want
    ]
    assert [score for score, *_ in got[: len(want)]] == pytest.approx([one.score for one in want], abs=1e-4)
    for step in search["steps"]:
        assert len(step) == 2 * beams and [c[2] for c in step] == sorted((c[2] for c in step), reverse=True)


SEARCH = {"beams": 2, "steps": [
    [[-1, "␣un", -0.5, 1], [-1, "<s>", -1.0, 1], [-1, "b", -2.0, 0]],
    [[0, "■", -1.5, 2], [0, "o", -1.6, 1], [1, "x", -1.9, 1]],
    [[1, "■", -1.8, 2], [2, "■", -2.0, 2], [1, "x", -3.0, 0]],
]}  # fmt: skip


def test_the_penalty_ranks_again():
    figure = BeamTree("a <b>", [SEARCH], penalty=0)
    assert figure.finished() == [(-1.5, "un", 2, -1.5), (-1.8, "uno", 3, -1.8), (-2.0, "<s>x", 3, -2.0)]
    assert "the best is “un” (2 tokens, log p -1.50, score -1.50)" in figure.words()
    figure.penalty = 1
    assert [text for _, text, _, _ in figure.finished()] == ["uno", "<s>x", "un"]
    assert figure.finished()[0][0] == pytest.approx(-0.6)


def test_the_page_gets_its_state():
    html = BeamTree("a <b>", [SEARCH], step=2).to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == {"source": "a <b>", "searches": [SEARCH], "search": 0, "step": 2, "penalty": 1.0}
    still = html.split("<script")[0]
    assert "<s>" not in still and "✕ b" in still and 'role="img"' in still


def test_bad_input_is_told_so():
    with pytest.raises(ValueError, match="at least one search"):
        BeamTree("a", [])
    with pytest.raises(ValueError, match="no parent in the step before"):
        BeamTree("a", [{"beams": 1, "steps": [[[-1, "a", -1.0, 1]], [[1, "b", -2.0, 1]]]}])
    with pytest.raises(ValueError, match="step is 4, but it must lie between 1 and 3"):
        BeamTree("a", [SEARCH], step=4)
    with pytest.raises(ValueError, match="beams=9 must lie between 1 and 8"):
        read_beams(model(0), LETTERS, [1], END, 9)
