"""What BERT and XLNet do to a text: the right tokens are hidden, in the right proportions, and asked for."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.data import IGNORE
from minigpt.masking import MaskedDataset, PermutedDataset, mask_tokens, permute_order

MASK_ID, V = 99, 100


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_eighty_ten_ten(rate):
    ids = torch.randint(50, (400, 500), generator=dice(1))
    inputs, targets = mask_tokens(ids, MASK_ID, V, dice(), rate)
    asked = targets != IGNORE
    assert torch.equal(targets[asked], ids[asked])
    assert torch.equal(inputs[~asked], ids[~asked])  # what is not asked for is not touched
    assert asked.float().mean().item() == pytest.approx(rate, abs=0.005)
    part = [(inputs == MASK_ID)[asked], (inputs == ids)[asked]]
    masked, kept = (p.float().mean().item() for p in part)
    assert masked == pytest.approx(0.8, abs=0.01)
    assert kept == pytest.approx(0.1 + 0.1 / V, abs=0.01)  # a random token may be the true one
    other = inputs[asked & (inputs != ids) & (inputs != MASK_ID)]
    assert other.min() == 0 and other.max() == V - 2  # from the whole vocabulary; V - 1 is MASK_ID itself


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 30), st.sampled_from([0.15, 0.5, 0.9]))
@settings(max_examples=50, deadline=None)
def test_some_tokens_are_never_hidden(seed, B, T, rate):
    ids = torch.randint(10, (B, T), generator=dice(seed))
    inputs, targets = mask_tokens(ids, MASK_ID, V, dice(seed), rate, never=(0, 7))
    special = (ids == 0) | (ids == 7)
    assert torch.equal(inputs[special], ids[special]) and (targets[special] == IGNORE).all()
    again = mask_tokens(ids, MASK_ID, V, dice(seed), rate, never=(0, 7))
    assert torch.equal(inputs, again[0]) and torch.equal(targets, again[1])


def test_a_rate_outside_is_named():
    with pytest.raises(ValueError, match=r"rate=15 must lie between 0 and 1: BERT hides 0\.15"):
        mask_tokens(torch.zeros(1, 4, dtype=torch.long), MASK_ID, V, dice(), rate=15)


@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from([1 / 6, 0.5, 1.0]))
@settings(max_examples=50, deadline=None)
def test_the_last_of_each_order_are_asked_for(seed, T, predict):
    ids = torch.randint(50, (3, T), generator=dice(seed))
    same, rank, targets = permute_order(ids, dice(seed), predict)
    assert torch.equal(same, ids)  # the tokens stay where they are
    assert torch.equal(rank.sort(dim=1).values, torch.arange(T).expand(3, T))
    asked = targets != IGNORE
    assert torch.equal(targets[asked], ids[asked])
    count = max(1, round(predict * T))
    assert (asked.sum(1) == count).all()
    assert (rank[asked] >= T - count).all()


def test_over_many_orders_every_pair_is_visible_half_of_the_time():
    _, rank, _ = permute_order(torch.zeros(20_000, 5, dtype=torch.long), dice())
    visible = (rank[:, None, :] < rank[:, :, None]).float().mean(0)
    expected = 0.5 * (1 - torch.eye(5))
    torch.testing.assert_close(visible, expected, atol=0.02, rtol=0)


@pytest.mark.parametrize("make", [
    lambda tokens: MaskedDataset(tokens, 8, mask_id=MASK_ID, vocab_size=V, rate=0.3),
    lambda tokens: PermutedDataset(tokens, 8, predict=0.5),
])  # fmt: skip
def test_validation_is_the_same_at_every_look_and_for_every_batch_size(make):
    data = make(torch.arange(90))
    looks = [[torch.cat(parts) for parts in zip(*data.batches(size), strict=True)] for size in (3, 3, 5)]
    for other in looks[1:]:
        assert all(torch.equal(a, b) for a, b in zip(looks[0], other, strict=True))
    ids, _, targets = looks[0]
    assert ids.shape == targets.shape and ids.size(1) == 8
    one, two = (data.sample(4, dice(s)) for s in (1, 2))
    assert not torch.equal(one[0], two[0]) and len(one) == 3 and one[0].shape == (4, 8)


def test_padding_is_neither_read_nor_asked_for():
    data = MaskedDataset(torch.arange(12), 8, mask_id=MASK_ID, vocab_size=V, rate=0.9)
    _, padding, targets = list(data.batches(2))[0]
    assert padding.sum(1).tolist() == [8, 3]
    assert (targets[~padding] == IGNORE).all()
