"""Of homework 1: how long should a context be? Counted on one text, chosen on another, reported on a third."""

import math
from collections import Counter

import torch

from ..exercise import MOST_DRAWS, STUCK, Exercise

# ---- 1.4: an honest race -------------------------------------------------------------------------


def race(train, valid, test, V, alpha, most):
    return choose(train, valid, test, V, alpha, most)


def bits(train, text, n, V, alpha, most, below="vocabulary", skip="", end=0, mean=None, own_start=False):
    """The mean surprise of `text`, in bits, with contexts of n tokens counted in `train`, from place `most` on."""
    counts = Counter(tuple(train[i : i + n + 1]) for i in range(len(train) - n))
    totals, kinds = Counter(), Counter()
    for string, number in counts.items():
        totals[string[:-1]] += number
        kinds[string[:-1]] += 1
    totals[tuple(train[len(train) - n :])] += end  # nothing followed there
    probs, sizes = [], {"vocabulary": V, "nothing": 0, "seen": len(set(train))}
    for i in range(n if own_start else most, len(text)):
        context = tuple(text[i - n : i])
        if skip and not totals[context]:
            probs += [1.0] * (skip == "free")
            continue
        total = totals[context] + alpha * sizes.get(below, kinds[context])
        probs.append((counts[(*context, text[i])] + alpha) / total if total else 1 / V)
    return (mean or mean_bits)(probs)


def mean_bits(probs):
    return sum(-math.log2(p) for p in probs) / len(probs) if probs else math.nan  # all may have been skipped


def choose(train, valid, test, V, alpha, most, by="valid", counted="train", recounted=None, report="test", **wrong):
    """The length that needs the fewest bits on one text, and what it needs on another."""
    texts = {"train": train.tolist(), "valid": valid.tolist(), "test": test.tolist()}

    def score(counts, text, n):
        source = sum((texts[name] for name in counts.split("+")), [])
        return bits(source, texts[text], n, V, alpha, most, **wrong)

    n = min(range(most + 1), key=lambda n: score(counted, by, n))
    return torch.tensor([n, score(recounted or counted, report, n)], dtype=torch.float64)


def race_cases(generator):
    def whole(high):
        return int(torch.randint(high, (), generator=generator))

    def write(T, V, likes, noise):
        """T tokens of which most are what the two before them like."""
        text = [whole(V), whole(V)]
        while len(text) < T:
            likely = float(torch.rand((), generator=generator)) > noise
            text.append(likes[text[-2] * V + text[-1]] if likely else whole(V))
        return torch.tensor(text)

    def draw(V, most, T, held):
        """A race in which neither the test text nor the training text would choose the length that `valid` does."""
        for _ in range(MOST_DRAWS):
            likes = torch.randint(V - 1, (V * V,), generator=generator).tolist()  # token V − 1 is rare
            alpha = (1 + whole(5)) / 10
            texts = (write(T, V - 1, likes, 0.5), write(held, V, likes, 0.6), write(held + 3, V, likes, 0.2))
            case = (*texts, V, alpha, most)
            lengths = {text: int(choose(*case, by=text)[0]) for text in ("valid", "test", "train")}
            if lengths["valid"] not in (lengths["test"], lengths["train"]) and tells(case, lengths):
                return case
        raise RuntimeError(STUCK)

    def tells(case, lengths):
        """The smallest race tells all three texts apart. In the others some contexts of the test were never seen, and
        the one at the end of the training text comes again."""
        if len(case[0]) < 30:
            return len(set(lengths.values())) == 3
        others = (choose(*case, skip="left out"), choose(*case, end=1))
        return all((choose(*case) - other).abs().max() > 0.01 for other in others)

    return [draw(4, 2, 20, 9), draw(4, 2, 40, 16), draw(5, 3, 50, 20), draw(6, 3, 80, 30)]


def chosen_on_test(train, valid, test, V, alpha, most):
    """This chooses the length by the test text. What it then reports was picked to look good: choose on `valid`."""
    return choose(train, valid, test, V, alpha, most, by="test")


def chosen_on_train(train, valid, test, V, alpha, most):
    """This chooses the length by the training text, whose every string the table has counted: there long contexts look
    best. Choose on `valid`."""
    return choose(train, valid, test, V, alpha, most, by="train")


def validation_counted(train, valid, test, V, alpha, most):
    """This counts the validation text too, and then chooses by it: strings it was told look foreseen. Counts come from
    `train` alone."""
    return choose(train, valid, test, V, alpha, most, counted="train+valid")


def recounted(train, valid, test, V, alpha, most):
    """This counts training and validation text together once the length is chosen. Some do that, and say so; here
    the counts come from `train` alone to the end."""
    return choose(train, valid, test, V, alpha, most, recounted="train+valid")


def scored_text_counted(train, valid, test, V, alpha, most):
    """This counts each text that it scores too, before it is scored. It looks like a triumph: counts come from `train`
    alone."""
    return choose(train, valid, test, V, alpha, most, counted="train+valid", recounted="train+test")


def validation_reported(train, valid, test, V, alpha, most):
    """This reports the bits on the validation text. The length was picked to be good there: report the test's."""
    return choose(train, valid, test, V, alpha, most, report="valid")


def unseen_contexts_skipped(train, valid, test, V, alpha, most):
    """This leaves out the places whose context was never seen. They are the hard ones: with counts of 0, the formula
    gives α / (α · V), equal shares."""
    return choose(train, valid, test, V, alpha, most, skip="left out")


def unseen_contexts_free(train, valid, test, V, alpha, most):
    """This adds nothing for the places whose context was never seen, and divides by all places. They are the hard ones:
    with counts of 0, the formula gives α / (α · V), equal shares."""
    return choose(train, valid, test, V, alpha, most, skip="free")


def end_counted(train, valid, test, V, alpha, most):
    """This counts the last context of the training text, which nothing followed: its probabilities sum to less than 1.
    c(h) is the sum of what came after h."""
    return choose(train, valid, test, V, alpha, most, end=1)


def followers_for_vocabulary(train, valid, test, V, alpha, most):
    """This adds α to all V counts but, below the line, only once for each token that did follow this context: the
    probabilities sum to more than 1."""
    return choose(train, valid, test, V, alpha, most, below="followers")


def seen_vocabulary(train, valid, test, V, alpha, most):
    """This takes the number of different tokens in the training text for V. A token never seen has a probability too,
    so that all together sum to more than 1."""
    return choose(train, valid, test, V, alpha, most, below="seen")


def nothing_below_the_line(train, valid, test, V, alpha, most):
    """This adds α above the line alone, so that the probabilities sum to more than 1. Below it, add α for each of the V
    tokens."""
    return choose(train, valid, test, V, alpha, most, below="nothing")


def race_in_nats(train, valid, test, V, alpha, most):
    """This is in nats: take log₂."""
    return choose(train, valid, test, V, alpha, most, mean=lambda p: mean_bits(p) * math.log(2))


def perplexity_reported(train, valid, test, V, alpha, most):
    """This is the perplexity, 2 to the power of the bits. The bits were asked for."""
    return choose(train, valid, test, V, alpha, most, mean=lambda p: 2 ** mean_bits(p))


def bits_of_the_mean(train, valid, test, V, alpha, most):
    """This takes the logarithm of the average probability. Average the surprises of the places."""
    return choose(train, valid, test, V, alpha, most, mean=lambda p: -math.log2(sum(p) / len(p)))


def bits_in_all(train, valid, test, V, alpha, most):
    """This is the surprise of all places together. Divide by how many there are."""
    return choose(train, valid, test, V, alpha, most, mean=lambda p: mean_bits(p) * len(p))


def own_start(train, valid, test, V, alpha, most):
    """This scores other places for each length: a context of n leaves out its first n. So that the lengths have the
    same task, all of them leave out the first `most` places."""
    return choose(train, valid, test, V, alpha, most, own_start=True)


honest_race = Exercise(
    "1.4",
    "An honest race",
    ("train", "valid", "test", "V", "alpha", "most"),
    race,
    race_cases,
    (
        chosen_on_test,
        chosen_on_train,
        validation_counted,
        recounted,
        scored_text_counted,
        validation_reported,
        unseen_contexts_skipped,
        unseen_contexts_free,
        end_counted,
        followers_for_vocabulary,
        seen_vocabulary,
        nothing_below_the_line,
        race_in_nats,
        perplexity_reported,
        bits_of_the_mean,
        bits_in_all,
        own_start,
    ),
)
