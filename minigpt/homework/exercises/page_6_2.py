"""The checked exercises of 6.2.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 6.2.1: the length penalty -------------------------------------------------------------------

# A: 3 tokens, log p −2.4; B: 6 tokens, −3.6; C: 10 tokens, −5.5.
penalty = ValueExercise(
    "6.2.1",
    "The length penalty",
    answer="AC",
    right="Without a penalty the largest log p wins, A; per token, C is the cheapest with −0.55.",
    mistakes={
        "CA": "the right letters, but the first is for α = 0, where nothing is divided.",
        "AB": "with α = 1, divide by the number of tokens: −0.8, −0.6, −0.55. The largest is the one nearest to 0.",
        "AA": "with α = 1, A scores −2.4 / 3 = −0.8. Another does better.",
        "CC": "with α = 0, every log p is divided by 1: the largest is the one nearest to 0.",
        "CB": "a larger log p is one nearer to 0. And the first letter is for α = 0.",
        "BC": "with α = 0, every log p is divided by 1: −2.4 is larger than −3.6.",
    },
)


# ---- 6.2.2: BLEU from the counts -----------------------------------------------------------------


def corpus_bleu(matches, totals, said, right):
    return assembled(matches.sum(0), totals.sum(0), said.sum(), right.sum())


def brevity(said, right):
    return (1 - right / said).clamp(max=0).exp()


def assembled(matches, totals, said, right, factor=brevity):
    """BLEU of one text or one corpus from its sums: matches (4,), totals (4,), two lengths."""
    return 100 * factor(said, right) * (matches / totals).log().mean().exp()


def mean_of_sentences(matches, totals, said, right):
    """This is what you get with the mean of the sentences' BLEUs. Corpus BLEU adds up the counts first."""
    return torch.stack([assembled(*row) for row in zip(matches, totals, said, right, strict=True)]).mean()


def mean_of_precisions(matches, totals, said, right):
    """This is what you get with the mean of the sentences' precisions. Add up matches and totals, then divide."""
    return 100 * brevity(said.sum(), right.sum()) * (matches / totals).mean(0).log().mean().exp()


def arithmetic(matches, totals, said, right):
    """This is what you get with the arithmetic mean of the four precisions; BLEU takes the geometric one."""
    return 100 * brevity(said.sum(), right.sum()) * (matches.sum(0) / totals.sum(0)).mean()


def without_brevity(matches, totals, said, right):
    """This is what you get without the brevity penalty: a corpus of safe single words would score best."""
    return assembled(matches.sum(0), totals.sum(0), said.sum(), right.sum(), lambda *_: 1.0)


def brevity_rewards(matches, totals, said, right):
    """This is what you get when the brevity factor may exceed 1: texts that are too long are rewarded for it."""
    return assembled(matches.sum(0), totals.sum(0), said.sum(), right.sum(), lambda s, r: (1 - r / s).exp())


def brevity_inverted(matches, totals, said, right):
    """This is what you get with the two lengths exchanged: texts that are too long are punished, not short ones."""
    return corpus_bleu(matches, totals, right, said)


def brevity_ratio(matches, totals, said, right):
    """This is what you get with the ratio of the lengths as the penalty. It is exp(1 − right/said), at most 1."""
    return assembled(matches.sum(0), totals.sum(0), said.sum(), right.sum(), lambda s, r: (s / r).clamp(max=1))


def single_words(matches, totals, said, right):
    """This is what you get from single words alone: word order would not count."""
    return 100 * brevity(said.sum(), right.sum()) * matches[:, 0].sum() / totals[:, 0].sum()


def product(matches, totals, said, right):
    """This is what you get with the product of the precisions: the fourth root is missing."""
    return 100 * brevity(said.sum(), right.sum()) * (matches.sum(0) / totals.sum(0)).prod()


def as_a_share(matches, totals, said, right):
    """This is what you get as a share of 1. BLEU is reported times 100."""
    return corpus_bleu(matches, totals, said, right) / 100


def bleu_cases(generator):
    def draw(N, longer):
        said = torch.randint(5, 14, (N,), generator=generator)
        right = (said + longer + torch.randint(-1, 2, (N,), generator=generator)).clamp(min=4)
        totals = said[:, None] - torch.arange(4)  # (N, 4)
        matches = [totals[:, 0] - torch.randint(0, 2, (N,), generator=generator)]
        for n in (1, 2, 3):  # a longer gram never matches more often; some sentence may have none
            lost = torch.randint(1, 3, (N,), generator=generator)
            matches.append(torch.minimum(matches[-1] - lost, totals[:, n]).clamp(min=0))
        matches = torch.stack(matches, 1)
        matches[0, 3] = matches[0, 3].clamp(min=1)  # but not the corpus
        return matches.double(), totals.double(), said.double(), right.double()

    return [draw(2, 2), draw(2, -2), draw(4, 3), draw(7, -1), draw(9, 1)]


bleu = Exercise(
    "6.2.2",
    "BLEU from the counts",
    ("matches", "totals", "said", "right"),
    corpus_bleu,
    bleu_cases,
    (
        mean_of_sentences,
        mean_of_precisions,
        arithmetic,
        without_brevity,
        brevity_rewards,
        brevity_inverted,
        brevity_ratio,
        single_words,
        product,
        as_a_share,
    ),
)


# ---- 6.2.3: split police -------------------------------------------------------------------------


def leak(train, test):
    return (stands(train, test, 0) | stands(train, test, 1)).double().mean()


def stands(train, test, side):
    """(M,): whether a test pair's sentence on that side occurs in the training part."""
    return torch.isin(test[:, side], train[:, side])


def only_sources(train, test):
    """This is what you get by looking at the sources alone: a target that is known is a leak too."""
    return stands(train, test, 0).double().mean()


def only_targets(train, test):
    """This is what you get by looking at the targets alone: a source that is known is a leak too."""
    return stands(train, test, 1).double().mean()


def both_sides(train, test):
    """This is what you get when both sides have to be known. One is enough."""
    return (stands(train, test, 0) & stands(train, test, 1)).double().mean()


def whole_pairs(train, test):
    """This is what you get by looking for whole pairs: a sentence leaks also with another translation."""
    known = {tuple(pair) for pair in train.tolist()}
    return sum(tuple(pair) in known for pair in test.tolist()) / len(test)


def added_up(train, test):
    """This is what you get by adding the shares of the two sides: pairs that leak on both are counted twice."""
    return only_sources(train, test) + only_targets(train, test)


def of_the_training_part(train, test):
    """This is what you get by asking which training pairs occur in the test part: exchange the two."""
    return leak(test, train)


def languages_mixed(train, test):
    """This is what you get by throwing both languages together: sentence 5 of one language is not sentence 5 of the
    other."""
    return torch.isin(test, train).any(1).double().mean()


def a_number(train, test):
    """This is what you get as a number of pairs. A share was asked for: divide by the number of test pairs."""
    return leak(train, test) * len(test)


def in_percent(train, test):
    """This is what you get in percent. A share between 0 and 1 was asked for."""
    return 100 * leak(train, test)


def leak_cases(generator):
    def draw(N, M, many):
        rows = torch.randint(0, many, (N + M, 2), generator=generator)
        rows[N] = rows[0]  # known as a whole
        rows[N + 1] = torch.tensor([rows[1, 0], many])  # by its source only
        rows[N + 2] = torch.tensor([many, rows[2, 1]])  # by its target only
        rows[N + 3] = torch.tensor([many + 1, many + 1])  # not at all
        rows[0, 0], rows[N + 4] = many + 2, torch.tensor([many + 3, many + 2])  # only as another language's number
        return rows[:N], rows[N:]

    return [draw(6, 6, 9), draw(9, 7, 20), draw(20, 8, 50), draw(12, 25, 30), draw(60, 30, 90)]


split = Exercise(
    "6.2.3",
    "Split police",
    ("train", "test"),
    leak,
    leak_cases,
    (
        only_sources,
        only_targets,
        both_sides,
        whole_pairs,
        added_up,
        of_the_training_part,
        languages_mixed,
        a_number,
        in_percent,
    ),
)


# ---- 6.2.4: whose error --------------------------------------------------------------------------

whose = ValueExercise(
    "6.2.4",
    "Whose error",
    answer="B",
    right="The search did its work: it found what the model likes better. The model likes a worse translation.",
    mistakes={
        "A": "a search error is a likelier text that the search missed. Here the wider search found it.",
        "C": "BLEU may misjudge one sentence. Here chrF falls with it, over a whole test set.",
        "D": "the training text is not to blame for one text being ranked above another by the trained model.",
    },
)

EXERCISES = (penalty, bleu, split, whose)
