"""Homework 1: right answers however they are written, and numbers from elsewhere. test_homework.py has the mistakes."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from judging import MANY, every_right_way, judge, sentence

from minigpt.evaluate import bits_per_byte
from minigpt.homework import given
from minigpt.homework.assignments.homework_1 import in_nats, logarithm_of_softmax, measure, three, three_rulers
from minigpt.homework.assignments.homework_1_leak import ALPHABET, DUCKLING, curves, honest_for_counted, leaks
from minigpt.homework.assignments.homework_1_race import race
from minigpt.homework.assignments.homework_1_table import kneser_ney
from minigpt.homework.check import grade, load_exercise, seed_of
from minigpt.ngram import NGram

# ---- 1.1: three rulers ---------------------------------------------------------------------------


def test_three_rulers_are_the_packages_own():
    n = given("1.1", "alice")
    text = "é" * (n["bytes"] - n["characters"]) + "a" * (2 * n["characters"] - n["bytes"])
    assert (len(text), len(text.encode())) == (n["characters"], n["bytes"])
    nats = (n["nats_per_character"], n["bits_per_token"] * math.log(2), math.log(n["perplexity_per_word"]))
    units = (n["characters"], n["tokens"], n["words"])
    right = [bits_per_byte(loss, many, text) for loss, many in zip(nats, units, strict=True)]
    assert three_rulers(**n) == pytest.approx(right)


def test_on_one_ruler_the_order_is_reversed_for_every_student():
    for seed in range(200):
        n = three.draw(torch.Generator().manual_seed(seed))
        characters, tokens, words = three_rulers(**n)
        assert characters > tokens + 0.1 and tokens > words + 0.1
        assert n["nats_per_character"] < n["bits_per_token"] < n["perplexity_per_word"]


@pytest.mark.parametrize("form", [list, np.array, torch.tensor, lambda v: tuple(round(x, 3) for x in v)])
def test_1_1_accepts_any_three_numbers(form):
    assert grade(three, form(three_rulers(**given("1.1")))).status == "right"


# ---- 1.2: one ruler for a test set ---------------------------------------------------------------


def test_a_test_set_by_hand():
    logits = torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], [[0.125, 0.375, 0.5], [0.1, 0.2, 0.7]]]).log()
    targets = torch.tensor([[0, 2], [0, -100]])  # 1 + 2 + 3 bits, three tokens
    assert measure(logits, targets, torch.tensor([3, 5])).tolist() == pytest.approx([4, 6 / 8])


def by_cross_entropy(logits, targets, n_bytes):
    loss = F.cross_entropy(logits.transpose(1, 2), targets)  # the mean: −100 is left out
    return [loss.exp(), loss * (targets >= 0).sum() / n_bytes.sum() / math.log(2)]


def by_loops(logits, targets, n_bytes):
    bits, tokens = 0.0, 0
    for row, came in zip(logits.tolist(), targets.tolist(), strict=True):
        for scores, token in zip(row, came, strict=True):
            if token != -100:
                top = max(scores)
                bits += (top - scores[token]) / math.log(2) + math.log2(sum(math.exp(s - top) for s in scores))
                tokens += 1
    return [2 ** (bits / tokens), bits / sum(n_bytes.tolist())]


def by_numpy(logits, targets, n_bytes):
    logits, targets = logits.double().numpy(), targets.numpy()
    real = targets != -100
    scores = logits - logits.max(-1, keepdims=True)
    logs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    nats = -np.take_along_axis(logs, np.where(real, targets, 0)[..., None], -1)[..., 0][real].sum()
    return np.array([np.exp(nats / real.sum()), nats / np.log(2) / n_bytes.numpy().sum()])


def text_by_text(logits, targets, n_bytes):
    nats = tokens = 0
    for scores, came in zip(logits, targets, strict=True):
        came = came[came != -100]
        nats += F.cross_entropy(scores[: len(came)], came, reduction="none").sum()
        tokens += len(came)
    return torch.stack([torch.exp(nats / tokens), nats / n_bytes.sum() / math.log(2)])


def in_float64_with_probabilities(logits, targets, n_bytes):
    probs = logits.double().softmax(-1)
    bits = -probs[targets >= 0].gather(1, targets[targets >= 0][:, None]).log2()
    return [float(2 ** bits.mean()), float(bits.sum() / n_bytes.sum())]


def in_place(logits, targets, n_bytes):
    real = targets.ne(-100)
    logits -= logits.logsumexp(-1, keepdim=True)
    nats = -logits.gather(-1, targets.masked_fill_(~real, 0).unsqueeze(-1)).squeeze(-1).mul_(real).sum()
    return torch.tensor([math.exp(nats / real.sum()), nats / math.log(2) / n_bytes.sum()])


MEASURES = [by_cross_entropy, by_loops, by_numpy, text_by_text, in_float64_with_probabilities, in_place]


def test_1_2_gives_half_to_who_fails_at_the_edge_alone():
    assert [r.share for r in judge("1.2", logarithm_of_softmax)] == [0.5] * 3
    assert [r.share for r in judge("1.2", in_nats)] == [0.0] * 3


# ---- 1.3: the table ------------------------------------------------------------------------------


def test_the_table_by_hand():
    text, D = torch.tensor([0, 1, 0, 2, 0, 1]), 0.5
    empty = kneser_ney(text, torch.tensor([], dtype=torch.long), 1, 4, D)
    assert empty.tolist() == pytest.approx([1.875 / 4, 0.875 / 4, 0.875 / 4, 0.375 / 4])  # in hw1.ipynb
    after_0 = kneser_ney(text, torch.tensor([2, 0]), 1, 4, D)
    assert after_0.tolist() == pytest.approx([0.15625, 0.57292, 0.23958, 0.03125], abs=1e-5)
    assert kneser_ney(text, torch.tensor([3]), 1, 4, D).equal(empty)  # never seen


def by_the_package(text, context, n, V, D):
    chars = "abcdefghijklmnop"
    table = NGram.count("".join(chars[t] for t in text), n, chars[:V])
    for counts in table.often + table.varied:
        counts.discount = D
    return table.distribution("".join(chars[t] for t in context), n)


def by_recursion(text, context, n, V, D):
    text, context = text.tolist(), tuple(context.tolist())

    def c(string, longest):
        places = [i for i in range(len(text)) if tuple(text[i : i + len(string)]) == string]
        return len(places) if longest else len({text[i - 1] for i in places if i})

    def p(x, h):
        longest = len(h) == n
        counts = [c((*h, y), longest) for y in range(V)]
        shorter = p(x, h[1:]) if h else 1 / V
        if sum(counts) == 0:
            return shorter
        kinds = sum(count > 0 for count in counts)
        return (max(counts[x] - D, 0) + D * kinds * shorter) / sum(counts)

    return [p(x, context[len(context) - min(n, len(context)) :]) for x in range(V)]


def by_arrays(text, context, n, V, D):
    text, h = text.numpy(), context.numpy()[max(0, len(context) - n) :]
    often = np.zeros((V,) * (n + 1))  # one axis for each token of a string
    for i in range(len(text) - n):
        often[tuple(text[i : i + n + 1])] += 1
    p = np.full(V, 1 / V)
    for m in range(len(h) + 1):
        c = often
        if m < n:
            longer = np.zeros((V,) * (m + 2))
            for i in range(len(text) - m - 1):
                longer[tuple(text[i : i + m + 2])] = 1
            c = longer.sum(0)
        c = c[tuple(h[len(h) - m :])]
        if c.sum():
            p = (np.maximum(c - D, 0) + D * np.count_nonzero(c) * p) / c.sum()
    return p


def by_dictionaries(text, context, n, V, D):
    text, context = [int(t) for t in text], [int(t) for t in context]
    tables = [defaultdict(set) for _ in range(n)]
    for m in range(n):
        for i in range(m + 1, len(text)):
            tables[m][tuple(text[i - m : i])].add((text[i - m - 1], text[i]))
    last = defaultdict(list)
    for i in range(n, len(text)):
        last[tuple(text[i - n : i])].append(text[i])
    p = torch.ones(V) / V
    for m in range(min(n, len(context)) + 1):
        h = tuple(context[len(context) - m :])
        followers = last[h] if m == n else [x for _, x in tables[m][h]]
        if followers:
            c = torch.bincount(torch.tensor(followers), minlength=V)
            p = ((c - D).clamp(min=0) + D * (c > 0).sum() * p) / len(followers)
    return p


TABLES = [by_the_package, by_recursion, by_arrays, by_dictionaries]


def test_every_distribution_sums_to_1_and_gives_nothing_0():
    exercise = load_exercise("1.3")
    for seed in range(20):
        for case in exercise.cases(torch.Generator().manual_seed(seed)):
            p = kneser_ney(*case)
            assert p.shape == (case[3],) and float(p.sum()) == pytest.approx(1) and p.min() > 0


# ---- 1.4: the race -------------------------------------------------------------------------------


def test_a_race_by_hand():
    train = torch.tensor([0, 1, 0, 1, 0])  # α = 1, V = 2: 4/7 and 3/7 alone; after 0 1 comes with 3/4, after 1 0
    n, bits = race(train, torch.tensor([0, 1, 0]), torch.tensor([1, 1, 0]), 2, 1.0, 1).tolist()
    assert n == 1 and bits == pytest.approx((-math.log2(1 / 4) - math.log2(3 / 4)) / 2)


def by_strings(train, valid, test, V, alpha, most):
    train, valid, test = ("".join(chr(97 + t) for t in text.tolist()) for text in (train, valid, test))

    def bits(text, n):
        grams = Counter(train[i : i + n + 1] for i in range(len(train) - n))
        surprises = []
        for i in range(most, len(text)):
            h = text[i - n : i]
            seen = sum(grams[h + chr(97 + x)] for x in range(V))
            surprises.append(-math.log((grams[h + text[i]] + alpha) / (seen + alpha * V), 2))
        return sum(surprises) / len(surprises)

    scores = [bits(valid, n) for n in range(most + 1)]
    n = scores.index(min(scores))
    return [n, bits(test, n)]


def by_tensors(train, valid, test, V, alpha, most):
    def bits(text, n):
        counts = torch.full((V,) * (n + 1), alpha)
        for string in train.unfold(0, n + 1, 1):
            counts[tuple(string)] += 1
        p = counts / counts.sum(-1, keepdim=True)
        return torch.stack([-p[tuple(text[i - n : i + 1])].log2() for i in range(most, len(text))]).mean()

    n = torch.stack([bits(valid, n) for n in range(most + 1)]).argmin()
    return torch.stack([n, bits(test, n)])


def by_numbers(train, valid, test, V, alpha, most):
    def bits(text, n):
        powers = V ** torch.arange(n + 1)  # a string as one number, in which the last token weighs most
        counts = torch.bincount(train.unfold(0, n + 1, 1) @ powers, minlength=V ** (n + 1)).view(V, -1)
        p = (counts + alpha) / (counts.sum(0) + alpha * V)
        return float(-p.flatten()[text[most - n :].unfold(0, n + 1, 1) @ powers].log2().mean())

    _, n = min((bits(valid, n), n) for n in range(most + 1))
    return np.array([n, bits(test, n)])


RACES = [by_strings, by_tensors, by_numbers]


# ---- right answers, on few seeds and on many -----------------------------------------------------

RIGHT = {"1.2": MEASURES, "1.3": TABLES, "1.4": RACES}


@MANY
@every_right_way(RIGHT)
def test_every_right_way_is_accepted(exercise_id, answer, seeds):
    for result in judge(exercise_id, answer, seeds):
        assert result.status == "right", result.message


def test_in_a_race_it_matters_by_which_text_one_chooses():
    exercise = load_exercise("1.4")
    for seed in range(10):
        cases = exercise.cases(torch.Generator().manual_seed(seed))
        for i, (train, valid, test, V, alpha, most) in enumerate(cases):
            chosen = [by_numbers(train, text, test, V, alpha, most)[0] for text in (valid, test, train)]
            assert chosen[0] not in chosen[1:] and (i or chosen[1] != chosen[2])
            assert len({len(train), len(valid), len(test)}) == 3


# ---- 1.5: the leak -------------------------------------------------------------------------------


def passages():
    ids = [ALPHABET.index(char) for char in " ".join(DUCKLING.split())]
    return [(tuple(ids[s : s + 3000]), tuple(ids[s + 3000 : s + 3900])) for s in range(0, 1800, 150)]


def test_the_honest_report_can_be_computed_elsewhere():
    numbers = given("1.5", "alice")
    train, test = numbers["train"], numbers["test"]
    honest = []
    for n in range(5):
        seen = Counter(tuple(s.tolist()) for s in train.unfold(0, n + 1, 1))
        contexts = Counter(tuple(s.tolist()) for s in train[:-1].unfold(0, n, 1)) if n else {(): len(train)}
        places = [tuple(test[i - n : i + 1].tolist()) for i in range(4, len(test))]
        p = [(seen[s] + numbers["alpha"]) / (contexts.get(s[:-1], 0) + 27 * numbers["alpha"]) for s in places]
        honest.append(round(-float(np.mean(np.log2(p))), 3))
    assert numbers["reports"][leaks.answer(**numbers)[0]] == honest


def test_each_bug_has_the_shape_that_the_hints_and_the_check_speak_of():
    for train, test in passages():
        assert (len(train), len(test)) == (3000, 900)
        honest, counted, skipped, above_one, nats, perplexities = curves(train, test).values()
        assert honest[2] == min(honest) and honest[4] > honest[2] + 0.3
        assert counted == sorted(counted, reverse=True) and counted[4] < min(skipped[4], above_one[4]) - 0.5
        assert skipped[0] == honest[0] and honest[2] - skipped[2] < 0.1 and honest[4] - skipped[4] > 0.5
        assert honest[2] - above_one[2] > 0.15 and above_one[4] > above_one[3] + 0.1
        assert [n / h for n, h in zip(nats, honest, strict=True)] == pytest.approx([math.log(2)] * 5, abs=1e-3)
        assert min(perplexities) > max(honest)
        assert max(abs(c[0] - honest[0]) for c in (counted, skipped, above_one)) < 0.03


def test_the_letters_may_be_small_and_a_wrong_pair_is_named():
    right = leaks.answer(**given("1.5", "bob"))
    seed = seed_of("bob")
    assert grade(leaks, f" {right.lower()} ", seed).status == "right"
    assert grade(leaks, right[1] + right[0] + right[2:], seed).mistake == sentence(honest_for_counted)
    assert grade(leaks, list(right), seed).status == "wrong"
