"""The exercises of 2.2: right answers however they are written, and the arithmetic behind the values.

test_homework.py tries every listed mistake of every page; here are other spellings.
"""

import math

import numpy as np
import pytest
import torch
from judging import judge

from minigpt.homework.check import grade, load_exercise
from minigpt.transfer import macro_f1


def by_loops(said, right, classes):
    total = 0.0
    for c in range(classes):
        hits = sum(s == r == c for s, r in zip(said.tolist(), right.tolist(), strict=True))
        there = said.tolist().count(c) + right.tolist().count(c)
        total += 2 * hits / there if there else 0
    return total / classes


def by_precision_and_recall(said, right, classes):
    table = torch.zeros(classes, classes)
    for s, r in zip(said, right, strict=True):
        table[r, s] += 1
    hits = table.diag()
    precision, recall = (hits / table.sum(side) for side in (0, 1))
    return (2 * precision * recall / (precision + recall)).nan_to_num(0).mean()


def by_numpy(said, right, classes):
    said, right = np.eye(classes)[said], np.eye(classes)[right]
    return (2 * (said * right).sum(0) / np.maximum(1, said.sum(0) + right.sum(0))).mean()


@pytest.mark.parametrize("answer", [by_loops, by_precision_and_recall, by_numpy, macro_f1])
def test_2_2_2_accepts_every_right_way(answer):
    for result in judge("2.2.2", answer):
        assert result.status == "right", result.message


def with_products(counts, texts, new):
    W = counts.shape[1]
    rows = []
    for words in new.tolist():
        products = []
        for c in range(len(texts)):
            p = float(texts[c]) / float(texts.sum())
            for w, times in enumerate(words):
                p *= ((float(counts[c, w]) + 1) / (float(counts[c].sum()) + W)) ** times
            products.append(p)
        rows.append([p / sum(products) for p in products])
    return rows


def with_sums_of_logs(counts, texts, new):
    share = torch.log((counts + 1) / (counts.sum(-1, keepdim=True) + counts.shape[-1]))
    scores = (new[:, None].float() * share[None]).sum(-1) + torch.log(texts.float())  # the constant cancels
    return torch.softmax(scores, dim=-1)


def with_torchs_dirichlet(counts, texts, new):
    """Adding one is the mean of a Dirichlet distribution of the words' shares."""
    share = torch.distributions.Dirichlet(counts + 1.0).mean
    says = torch.stack([torch.distributions.Multinomial(1000, probs=p).logits for p in share])
    return torch.distributions.Categorical(logits=new.float() @ says.T + texts.log()).probs


@pytest.mark.parametrize("answer", [with_products, with_sums_of_logs, with_torchs_dirichlet])
def test_2_2_3_accepts_every_right_way(answer):
    for result in judge("2.2.3", answer):
        assert result.status == "right", result.message


def test_2_2_1_is_what_its_numbers_say():
    tasks = next(n for n in range(1, 100) if 8 + 0.1 * n < 0.7 * n)
    assert tasks == load_exercise("2.2.1").answer == math.ceil(8 / (0.7 - 0.1))


def test_2_2_4_accepts_the_letter_in_any_case():
    assert grade(load_exercise("2.2.4"), " b").status == "right"
