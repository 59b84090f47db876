"""The mask explorer: its grids and probabilities are those of the models, and bad input is told so."""

import json
import re
from itertools import permutations

import pytest
import torch

from minigpt.config import GPTConfig
from minigpt.figures import MaskExplorer, read_guesses
from minigpt.model import GPT, Encoder, XLNet

WORDS = ["a", "<b>", "c", "d"]
MASK, BEGIN = 9, 8


def models(n_layer=2, scale=6):
    torch.manual_seed(0)
    made = tuple(kind(GPTConfig(10, 7, n_layer, 2, 16)) for kind in (GPT, Encoder, XLNet))
    with torch.no_grad():
        for model in made:
            for weight in model.parameters():
                weight.mul_(scale)  # from almost even to decided
    return made


def example(ids=(1, 2, 3, 4), context=(5, 6, 7), made=None):
    return read_guesses("one", WORDS, ids, made or models(), MASK, "x y z", context, BEGIN)


@pytest.mark.parametrize("objective", ["clm", "mlm", "plm"])
@pytest.mark.parametrize("context", [(), (5, 6, 7)])
def test_a_probability_depends_on_what_the_grid_says_and_on_nothing_else(objective, context):
    """Change token j: the guess of token i changes exactly where the grid has a 1 (and for i = j, it is another)."""
    made = models(n_layer=1, scale=3)
    figure = MaskExplorer([example(context=context, made=made)], hidden=[False, True, True, False], order=[2, 1, 3, 0])
    for j in range(4):
        ids = [1, 2, 3, 4]
        ids[j] = 0
        other = MaskExplorer([example(ids, context, made)], hidden=figure.hidden, order=figure.order)
        before, after = figure.guesses(objective), other.guesses(objective)
        for i in set(range(4)) - {j}:
            if before[i] is not None:
                assert (before[i] != after[i]) == bool(figure.sees(objective)[i][j]), (i, j)


def test_the_grids_of_the_book():
    figure = MaskExplorer([example()], hidden=[False, False, True, True], order=[2, 1, 3, 0])
    rows = {one: ["".join(str(int(x)) for x in row) for row in figure.sees(one)] for one in ("clm", "mlm", "plm")}
    assert rows["plm"] == ["0111", "0010", "0000", "0110"]
    assert rows["clm"] == ["0000", "1000", "1100", "1110"] and rows["mlm"] == ["1100"] * 4
    figure.mean = True
    assert figure.sees("plm") == [[0.5 * (i != j) for j in range(4)] for i in range(4)]


@torch.no_grad()
def test_a_probability_by_hand():
    gpt, bert, xlnet = made = models()
    got = example(made=made)
    row = torch.tensor([[5, 6, 7, 1, 2, 3, 4]])
    assert got["clm"][3] == pytest.approx(float(gpt(row[:, :-1])[0, -1].softmax(0)[4]), abs=1e-4)
    hidden = row.clone()
    hidden[0, [3, 5]] = MASK
    assert got["mlm"]["1010"] == [pytest.approx(float(bert(hidden)[0, 3].softmax(0)[1]), abs=1e-4), None,
                                  pytest.approx(float(bert(hidden)[0, 5].softmax(0)[3]), abs=1e-4), None]  # fmt: skip
    rank = torch.tensor([[0, 1, 2, 6, 4, 3, 5]])  # of the order 3 → 2 → 4 → 1
    p = xlnet(row, rank)[0].softmax(-1)
    assert got["plm"]["2130"] == pytest.approx([float(p[3 + i, i + 1]) for i in range(4)], abs=1e-4)
    assert len(got["plm"]) == 24 and len(got["mlm"]) == 15
    figure = MaskExplorer([got], mean=True)
    every = torch.tensor([got["plm"]["".join(map(str, order))] for order in permutations(range(4))])
    assert figure.guesses("plm") == pytest.approx(every.mean(0).tolist(), abs=1e-4)


def test_words_and_page():
    figure = MaskExplorer([example()], hidden=[False] * 4, order=[2, 1, 3, 0], position=3)
    assert "the guess of “d”: CLM sees a <b> c" in figure.words() and "MLM does not ask for it" in figure.words()
    assert "PLM sees <b> c and gives it" in figure.words()
    html = figure.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == figure.state() and set(state) == {"examples", "example", "hidden", "order", "position", "mean"}
    still = html.split("<script")[0]
    assert "<b>" not in still and "&lt;b&gt;" in still and 'role="img"' in still and len(html) < 20_000


def test_bad_input_is_told_so():
    with pytest.raises(ValueError, match="'one' has 1 tokens and 4 names: give 2 to 5"):
        example(ids=(1,))
    with pytest.raises(ValueError, match="as read_guesses.. makes them"):
        MaskExplorer([])
    with pytest.raises(ValueError, match="position is 4, but it must lie between 0 and 3"):
        MaskExplorer([example()], position=4)
    with pytest.raises(ValueError, match="hidden has 2 values for 4 tokens"):
        MaskExplorer([example()], hidden=[True, False])
    with pytest.raises(ValueError, match="each of the places 0 to 3 once"):
        MaskExplorer([example()], order=[1, 1, 2, 3])
