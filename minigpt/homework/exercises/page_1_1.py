"""The checked exercises of 1.1.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 1.1.1: why the curve turns up ---------------------------------------------------------------

turns_up = ValueExercise(
    "1.1.1",
    "Why longer contexts hurt",
    answer="B",
    right="A context seen once knows one follower. Witten–Bell gives it a half, and on top half of its "
    "share in the shorter context; on unseen text it comes less often than that.",
    mistakes={
        "A": "a context never seen does no harm by itself: there the model is the one with six characters.",
        "C": "the counts come from the training text, which is the same for every context length.",
        "D": "the distribution sums to 1 at every length; the page checks it.",
    },
)


# ---- 1.1.2: bits per byte ------------------------------------------------------------------------


def bits_per_byte(probs, n_bytes):
    return -probs.log2().sum() / n_bytes


def nats_per_byte(probs, n_bytes):
    """This is in nats. For bits, take log2."""
    return -probs.log().sum() / n_bytes


def bits_per_token(probs, n_bytes):
    """This divides by the number of tokens. A model with longer tokens would look worse than it is."""
    return -probs.log2().mean()


def nats_per_token(probs, n_bytes):
    """This is in nats, and per token. It wants log2, and the number of bytes below the line."""
    return -probs.log().mean()


def surprise_of_the_mean(probs, n_bytes):
    """This takes the logarithm of the average probability. Each token has its own surprise; add those."""
    return -probs.mean().log2()


def surprise_of_the_mean_per_byte(probs, n_bytes):
    """This takes the logarithm of the average probability, once for each token. Add the tokens' own surprises."""
    return -probs.mean().log2() * len(probs) / n_bytes


def no_minus(probs, n_bytes):
    """This is negative: the minus sign of −log₂ p is missing."""
    return probs.log2().sum() / n_bytes


def all_bits(probs, n_bytes):
    """This is the whole text's surprise. Divide it by the number of bytes."""
    return -probs.log2().sum()


def effective_choices(probs, n_bytes):
    """This is 2 to the power of the bits: a perplexity. Stop before the power."""
    return 2 ** (-probs.log2().sum() / n_bytes)


def certain_left_out(probs, n_bytes):
    """This weights each surprise with p, as if each token came p times. Each came once."""
    return -(probs * probs.log2()).sum() / n_bytes


def byte_cases(generator):
    sizes = [(2, 5), (3, 7), (5, 5), (8, 30), (20, 61)]
    return [((2 * torch.randn(T, generator=generator)).sigmoid(), n) for T, n in sizes]


ruler = Exercise(
    "1.1.2",
    "Bits per byte",
    ("probs", "n_bytes"),
    bits_per_byte,
    byte_cases,
    (
        nats_per_byte,
        bits_per_token,
        nats_per_token,
        surprise_of_the_mean,
        surprise_of_the_mean_per_byte,
        no_minus,
        all_bits,
        effective_choices,
        certain_left_out,
    ),
)


# ---- 1.1.3: Witten–Bell --------------------------------------------------------------------------


def witten_bell(counts, shorter):
    kinds = (counts > 0).sum()
    if counts.sum() == 0:
        return shorter
    return (counts + kinds * shorter) / (counts.sum() + kinds)


def unseen_divided(counts, shorter):
    """A context that was never seen has only zeros: here they are divided by 0. Return `shorter` then."""
    return (counts + (counts > 0).sum() * shorter) / (counts.sum() + (counts > 0).sum())


def counts_alone(counts, shorter):
    """This uses the counts alone, where they exist. A character never seen here gets 0: an infinite surprise."""
    return counts / counts.sum() if counts.sum() else shorter


def whole_alphabet(counts, shorter):
    """This takes the size of the alphabet for the kinds. Count only the characters that did follow."""
    return (counts + len(counts) * shorter) / (counts.sum() + len(counts))


def one_vote(counts, shorter):
    """This gives the shorter context one vote, whatever the context. Give it as many as there were kinds."""
    return (counts + shorter) / (counts.sum() + 1)


def half_and_half(counts, shorter):
    """This mixes half and half. How much to trust a context depends on its counts."""
    return (counts / counts.sum() + shorter) / 2 if counts.sum() else shorter


def add_one(counts, shorter):
    """This adds 1 to every count. The votes go to the shorter context's distribution instead."""
    return (counts + 1) / (counts.sum() + len(counts))


def sum_not_grown(counts, shorter):
    """This sums to more than 1: the votes were added above the line, but not below it."""
    return (counts + (counts > 0).sum() * shorter) / counts.sum() if counts.sum() else shorter


def only_the_unseen(counts, shorter):
    """This gives the shorter context's share only to characters never seen here. It serves all of them."""
    kinds = (counts > 0).sum()
    votes = torch.where(counts > 0, 0.0, kinds * shorter)
    return (counts + votes) / (counts.sum() + kinds) if counts.sum() else shorter


def trust_reversed(counts, shorter):
    """This has the two weights exchanged: many counts should mean more trust in the counts."""
    total, kinds = counts.sum(), (counts > 0).sum()
    return (kinds * counts / total + total * shorter) / (total + kinds) if total else shorter


def mixture_cases(generator):
    cases = []
    for V in (3, 4, 6, 9):
        counts = torch.randint(0, 5, (V,), generator=generator).float()
        counts[torch.randint(V, (1,), generator=generator)] = 0  # some character never followed
        counts[0] += 1 + counts[0] * 2
        cases.append((counts, torch.randn(V, generator=generator).softmax(-1)))
    return [*cases, (torch.zeros(5), torch.randn(5, generator=generator).softmax(-1))]


mixture = Exercise(
    "1.1.3",
    "Mix a context with a shorter one",
    ("counts", "shorter"),
    witten_bell,
    mixture_cases,
    (
        unseen_divided,
        counts_alone,
        whole_alphabet,
        one_vote,
        half_and_half,
        add_one,
        sum_not_grown,
        only_the_unseen,
        trust_reversed,
    ),
)


# ---- 1.1.4: what fewer bits tell -----------------------------------------------------------------

fewer_bits = ValueExercise(
    "1.1.4",
    "What fewer bits tell",
    answer="D",
    right="Bits per character measure prediction of text like the test text, and that is what has been shown.",
    mistakes={
        "A": "no question was asked. A probable sentence can be false, and a true one improbable.",
        "B": "prediction of one play was tested. What counts as human-like would need a test of its own, with people.",
        "C": "sentences learned by heart would hardly help here: most longer contexts of the test text are new.",
    },
)

EXERCISES = (turns_up, ruler, mixture, fewer_bits)
