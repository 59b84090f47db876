"""The exercises of 2.3: right answers however they are written, and mistakes as learners write them.

test_homework.py tries every listed mistake of every page; here are other spellings, and other references.
"""

from itertools import permutations

import numpy as np
import pytest
import torch
from judging import judge, sentence

from minigpt.config import GPTConfig
from minigpt.data import IGNORE
from minigpt.homework.exercises import page_2_3 as ours
from minigpt.masking import mask_tokens
from minigpt.model import XLNet

# ---- 2.3.1 ---------------------------------------------------------------------------------------


def test_2_3_1_agrees_with_drawn_pairs():
    first, second = np.random.default_rng(0).random((2, 200_000)) < 0.7
    assert ours.mixed.answer == pytest.approx((first != second).mean(), rel=0.01)


@pytest.mark.parametrize("answer", [0.42, torch.tensor(0.42), 2 * 0.7 * 0.3])
def test_2_3_1_accepts(answer):
    assert judge("2.3.1", answer)[0].status == "right"


# ---- 2.3.2 ---------------------------------------------------------------------------------------


def by_loops(order):
    T, order = len(order), order.tolist()
    grid = torch.zeros(T, T)
    for k, i in enumerate(order):
        for j in order[:k]:
            grid[i, j] = 1
    return grid


def by_numpy(order):
    rank = np.argsort(order.numpy())
    return (rank[None] < rank[:, None]).astype(int)


def by_lists(order):
    order = order.tolist()
    return [[int(order.index(j) < order.index(i)) for j in range(len(order))] for i in range(len(order))]


def by_scatter(order):
    T = len(order)
    grid = torch.zeros(T, T)
    grid[order[:, None], order[None]] = torch.ones(T, T).tril(-1)
    return grid


@pytest.mark.parametrize("answer", [by_loops, by_numpy, by_lists, by_scatter])
def test_2_3_2_accepts_every_right_way(answer):
    for result in judge("2.3.2", answer):
        assert result.status == "right", result.message


def test_2_3_2_is_what_the_model_does():
    """Token j may be seen by guess i exactly if another token at j changes what XLNet answers at i."""
    torch.manual_seed(0)
    xlnet = XLNet(GPTConfig(vocab_size=9, block_size=4, n_layer=1, n_head=1, n_embd=8)).eval()
    ids = torch.tensor([[1, 2, 3, 4]])
    for order in permutations(range(4)):
        order = torch.tensor(order)
        rank, seen = order.argsort()[None], torch.zeros(4, 4)
        for j in range(4):
            other = ids.clone()
            other[0, j] = 7
            with torch.no_grad():
                seen[:, j] = (xlnet(ids, rank) - xlnet(other, rank))[0].abs().amax(-1) > 0
        # One layer: what a guess sees directly. (Row i of deeper ones too, since seen tokens saw only earlier ones.)
        assert torch.equal(seen, ours.who_sees_whom(order))


def test_2_3_2_as_the_page_says():
    rows = ours.who_sees_whom(torch.tensor([2, 1, 3, 0])).int().tolist()
    assert rows == [[0, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 0]]
    mean = torch.stack([ours.who_sees_whom(torch.tensor(o)) for o in permutations(range(4))]).mean(0)
    assert torch.equal(mean, 0.5 * (1 - torch.eye(4)))


@pytest.mark.parametrize(
    "answer, mistake",
    [(lambda o: by_loops(o).T, ours.transposed),
     (lambda o: (o[:, None] > o).int(), ours.order_as_rank),
     (lambda o: by_loops(o) + torch.eye(len(o)), ours.sees_itself),
     (lambda o: 1 - by_loops(o), ours.inverted),
     (lambda o: np.tri(len(o), k=-1), ours.tokens_permuted)],
)  # fmt: skip
def test_2_3_2_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("2.3.2", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- 2.3.3 ---------------------------------------------------------------------------------------


def by_token(ids, chance, kind, other, mask_id):
    inputs, targets = [], []
    for token, c, k, replacement in zip(ids.tolist(), chance.tolist(), kind.tolist(), other.tolist(), strict=True):
        asked = c < 0.15
        targets.append(token if asked else -100)
        inputs.append(token if not asked or 0.8 <= k < 0.9 else mask_id if k < 0.8 else replacement)
    return [inputs, targets]


def by_assignment(ids, chance, kind, other, mask_id):
    targets, asked = ids.clone(), chance < 0.15
    targets[~asked] = IGNORE
    ids[asked & (kind < 0.8)] = mask_id
    replaced = asked & (kind >= 0.9)
    ids[replaced] = other[replaced]
    return torch.stack([ids, targets])


@pytest.mark.parametrize("answer", [by_token, by_assignment])
def test_2_3_3_accepts_every_right_way(answer):
    for result in judge("2.3.3", answer):
        assert result.status == "right", result.message


def test_2_3_3_is_what_the_package_does():
    ids = torch.randint(10, 50, (40, 60), generator=torch.Generator().manual_seed(1))
    dice = torch.Generator().manual_seed(5)
    chance, kind = (torch.rand(ids.shape, generator=dice) for _ in range(2))
    other = torch.randint(100, ids.shape, generator=dice)
    inputs, targets = mask_tokens(ids, 99, 100, torch.Generator().manual_seed(5))
    for b in range(len(ids)):
        got = ours.hide_and_score(ids[b], chance[b], kind[b], other[b], 99)
        assert torch.equal(got, torch.stack([inputs[b], targets[b]]))


@pytest.mark.parametrize(
    "answer, mistake",
    [(lambda *a: torch.stack([by_assignment(*[x.clone() for x in a[:4]], a[4])[0], a[0]]), ours.scored_everywhere),
     (lambda i, c, k, o, m: torch.stack([torch.where(c < 0.15, m, i), torch.where(c < 0.15, i, -100)]),
      ours.always_masked)],
)  # fmt: skip
def test_2_3_3_names_a_mistake_in_another_spelling(answer, mistake):
    for result in judge("2.3.3", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- 2.3.4 ---------------------------------------------------------------------------------------


def test_2_3_4_has_a_word_for_every_choice():
    assert judge("2.3.4", " c ")[0].status == "right"
    for choice in "ABD":
        assert judge("2.3.4", choice)[0].mistake
