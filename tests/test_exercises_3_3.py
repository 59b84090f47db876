"""The exercises of 3.3: right answers however they are written, and mistakes as learners write them.

test_homework.py tries every listed mistake of every page; here are other spellings, and the libraries themselves.
"""

import numpy as np
import pytest
import torch
from judging import judge, sentence
from rouge_score.rouge_scorer import RougeScorer

from minigpt.chat import CHAT_TOKENS, ask, encode_chat
from minigpt.homework.check import grade, load_exercise
from minigpt.homework.exercises import page_3_3 as ours
from minigpt.tokenizer import CharTokenizer

# ---- 3.3.2 ---------------------------------------------------------------------------------------


def by_loops(ids, start, end):
    rows = []
    for row, s, e in zip(ids.tolist(), start.tolist(), end.tolist(), strict=True):
        rows.append([row[t + 1] if s <= t + 1 < e else -100 for t in range(len(row))])
    return rows


def mask_first_then_shift(ids, start, end):
    targets = torch.full_like(ids, -100)
    for b in range(len(ids)):
        targets[b, start[b] : end[b]] = ids[b, start[b] : end[b]]
    return torch.cat([targets[:, 1:], torch.full_like(ids[:, :1], -100)], dim=1)


def by_numpy(ids, start, end):
    places = np.arange(ids.shape[1])[None] + 1
    after = np.concatenate([ids.numpy()[:, 1:], np.full((len(ids), 1), -100)], axis=1)
    return np.where((places >= start.numpy()[:, None]) & (places < end.numpy()[:, None]), after, -100)


@pytest.mark.parametrize("answer", [by_loops, mask_first_then_shift, by_numpy])
def test_3_3_2_accepts_every_right_way(answer):
    for result in judge("3.3.2", answer):
        assert result.status == "right", result.message


def test_3_3_2_agrees_with_the_package():
    tokenizer = CharTokenizer.train("user\nassistant\nhow? so", special_tokens=CHAT_TOKENS)
    ids, targets = encode_chat(tokenizer, ask("how?", "so"))
    whole = torch.tensor([[*ids, targets[-1]]])
    start = torch.tensor([len(ids) + 1 - len("so") - 1])
    mine = ours.labels(whole, start, torch.tensor([len(ids) + 1]))
    assert mine[0, :-1].tolist() == targets


def wrong_late(ids, start, end):
    targets = ids.roll(-1, dims=1)
    for b in range(len(ids)):
        targets[b, : start[b]] = -100
        targets[b, end[b] :] = -100
    targets[:, -1] = -100
    return targets


def wrong_unshifted(ids, start, end):
    places = torch.arange(ids.size(1))
    return torch.where((places >= start[:, None]) & (places < end[:, None]), ids, -100)


def wrong_everything(ids, start, end):
    return [[*row[1:], -100] for row in ids.tolist()]


@pytest.mark.parametrize(
    "answer, mistake",
    [
        (wrong_late, ours.one_too_late),
        (wrong_unshifted, ours.not_shifted),
        (wrong_everything, ours.nothing_masked),
    ],
)
def test_3_3_2_names_the_mistake(answer, mistake):
    for result in judge("3.3.2", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- 3.3.3 ---------------------------------------------------------------------------------------


def by_removal(hypothesis, reference):
    left, both = reference.tolist(), 0
    for word in hypothesis.tolist():
        if word in left:
            left.remove(word)
            both += 1
    if both == 0:
        return 0.0
    p, r = both / len(hypothesis), both / len(reference)
    return 2 * p * r / (p + r)


def by_bincount(hypothesis, reference):
    size = 1 + int(torch.cat([hypothesis, reference]).max())
    both = torch.minimum(hypothesis.bincount(minlength=size), reference.bincount(minlength=size)).sum()
    return 2 * both / (hypothesis.numel() + reference.numel())


def by_library(hypothesis, reference):
    words = [" ".join(f"w{i}" for i in text.tolist()) for text in (reference, hypothesis)]
    return RougeScorer(["rouge1"]).score(*words)["rouge1"].fmeasure


@pytest.mark.parametrize("answer", [by_removal, by_bincount, by_library])
def test_3_3_3_accepts_every_right_way(answer):
    for result in judge("3.3.3", answer):
        assert result.status == "right", result.message


def wrong_unclipped(hypothesis, reference):
    both = torch.isin(hypothesis, reference).sum()
    return 2 * both / (len(hypothesis) + len(reference))


def wrong_mean(hypothesis, reference):
    both = sum(min((hypothesis == w).sum(), (reference == w).sum()) for w in reference.unique())
    return (both / len(hypothesis) + both / len(reference)) / 2


@pytest.mark.parametrize("answer, mistake", [(wrong_unclipped, ours.not_clipped), (wrong_mean, ours.arithmetic)])
def test_3_3_3_names_the_mistake(answer, mistake):
    for result in judge("3.3.3", answer):
        assert (result.status, result.mistake) == ("wrong", sentence(mistake))


# ---- values --------------------------------------------------------------------------------------


def test_3_3_1_counts_as_encode_chat_does():
    tokenizer = CharTokenizer.train("user\nassistant\nabcdefghi ?", special_tokens=CHAT_TOKENS)
    _, targets = encode_chat(tokenizer, ask("?" * 120, "abcdefghi"))
    assert sum(target != -100 for target in targets) == load_exercise("3.3.1").answer


def test_3_3_4_takes_a_letter_in_either_case():
    assert grade(load_exercise("3.3.4"), " c ").status == "right"
