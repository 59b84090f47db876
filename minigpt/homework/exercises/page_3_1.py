"""The checked exercises of 3.1.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 3.1.1: who hears a change -------------------------------------------------------------------

who_hears = ValueExercise(
    "3.1.1",
    "Who hears a change",
    answer=4,
    right="The change is heard at its own position and at all later ones: positions 3, 4, 5 and 6.",
    mistakes={
        7: "that would be every position, but in GPT nobody looks at what comes later.",
        3: "that is either the positions before the change, which cannot hear it, or those after it without its own.",
        1: "that is the model without attention. Attention carries the change on.",
        2: "that lets only the next position hear it. Attention reaches all later ones in a single step.",
        5: "that counts one position before the change. Which one could see it?",
        6: "that counts the other positions, but three of them come before the change.",
        12: "that multiplies by the number of layers, but a position is counted once, in whatever layer it hears.",
    },
)


# ---- 3.1.2: a score for looking at the same letter -----------------------------------------------


def same_letter_score(weights, period):
    return on_key(weights, period, lambda t: t - period)


def on_key(weights, period, key, first=None):
    """Mean weight (H,) that the queries from `first` on give to the key number key(t)."""
    t = torch.arange(period if first is None else first, weights.size(-1))
    return weights[:, t, key(t)].mean(-1)


def next_letter(weights, period):
    """This is the induction score, one place too far: the same letter stands at t − period."""
    return on_key(weights, period, lambda t: t - period + 1)


def letter_before(weights, period):
    """This is what you get one place too early: the same letter stands at t − period."""
    return on_key(weights, period, lambda t: t - period - 1, first=period + 1)


def own_letter(weights, period):
    """This is the weight that a query gives to itself: the same letter in the round before is at t − period."""
    return on_key(weights, period, lambda t: t)


def previous_letter(weights, period):
    """This is the weight on the letter just before, at t − 1."""
    return on_key(weights, period, lambda t: t - 1)


def rows_for_columns(weights, period):
    """This is what you get with queries and keys swapped: rows are queries, columns are keys."""
    return same_letter_score(weights.mT, period)


def over_all_queries(weights, period):
    """This lets the queries of the first round take part. They have no earlier letter: their key t − period
    is negative, and Python counts it from the end."""
    return same_letter_score(weights, period) * (weights.size(-1) - period) / weights.size(-1)


def sum_for_mean(weights, period):
    """This is the sum over the queries. The score is their mean."""
    return same_letter_score(weights, period) * (weights.size(-1) - period)


def mean_of_heads(weights, period):
    """This is the mean of all heads. Each head has a score of its own: the shape is (H,)."""
    return same_letter_score(weights, period).mean()


def one_query_missing(weights, period):
    """This leaves out the query t = period, but its letter has been seen, at t = 0."""
    return on_key(weights, period, lambda t: t - period, first=period + 1)


def maps(H, T, generator, sharpness=2.0):
    """Attention weights (H, T, T) of random heads that look at no later key."""
    scores = sharpness * torch.randn(H, T, T, generator=generator)
    return scores.masked_fill(~torch.ones(T, T, dtype=torch.bool).tril(), -torch.inf).softmax(-1)


def same_letter_cases(generator):
    sizes = [(1, 5, 2), (2, 6, 3), (3, 8, 3), (4, 7, 4), (2, 12, 5), (5, 20, 7)]
    return [(maps(H, T, generator), period) for H, T, period in sizes]


same_letter = Exercise(
    "3.1.2",
    "A score for looking at the same letter",
    ("weights", "period"),
    same_letter_score,
    same_letter_cases,
    (
        next_letter,
        letter_before,
        own_letter,
        previous_letter,
        rows_for_columns,
        over_all_queries,
        sum_for_mean,
        mean_of_heads,
        one_query_missing,
    ),
)


# ---- 3.1.3: switch a head off --------------------------------------------------------------------


def switch_off(weight, head, n_head):
    return zeroed(weight, 1, head * (len(weight) // n_head), len(weight) // n_head)


def zeroed(weight, dim, start, length):
    """A copy of weight (C, C), its rows (dim=0) or columns (dim=1) from `start` on set to 0."""
    weight = weight.clone()
    weight.narrow(dim, start, length).zero_()
    return weight


def rows_of_the_head(weight, head, n_head):
    """This sets rows to 0, which make the output. The head's numbers come in, so they meet columns."""
    return zeroed(weight, 0, head * (len(weight) // n_head), len(weight) // n_head)


def one_column(weight, head, n_head):
    """This sets one column to 0. A head brings in C / H numbers, so C / H columns."""
    return zeroed(weight, 1, head, 1)


def heads_of_width_n_head(weight, head, n_head):
    """This takes n_head for the width of a head. Its width is C / H."""
    return zeroed(weight, 1, head * n_head, n_head)


def interleaved_heads(weight, head, n_head):
    """This takes every H-th column. The heads stand side by side, each C / H columns wide."""
    weight = weight.clone()
    weight[:, head::n_head] = 0
    return weight


def all_other_heads(weight, head, n_head):
    """This switches off all heads but the one you were asked for."""
    return weight - switch_off(weight, head, n_head)


def heads_counted_from_one(weight, head, n_head):
    """This counts heads from 1. They are counted from 0: head 0 has the first columns."""
    D = len(weight) // n_head
    return zeroed(weight, 1, (head - 1) % n_head * D, D)


def up_to_the_head(weight, head, n_head):
    """This switches off all heads up to this one. Where does the head's slice begin?"""
    return zeroed(weight, 1, 0, (head + 1) * (len(weight) // n_head))


def from_the_head_on(weight, head, n_head):
    """This switches off all heads from this one on. Where does the head's slice end?"""
    start = head * (len(weight) // n_head)
    return zeroed(weight, 1, start, len(weight) - start)


def nothing_switched_off(weight, head, n_head):
    """This is the weight as it was."""
    return weight.clone()


def all_switched_off(weight, head, n_head):
    """This switches off the whole layer: other heads lose their columns too."""
    return torch.zeros_like(weight)


def switch_off_cases(generator):
    sizes = [(4, 0, 2), (4, 1, 2), (6, 1, 3), (12, 2, 4), (15, 1, 3), (8, 0, 4), (12, 1, 2)]
    return [(torch.randn(C, C, generator=generator), head, n_head) for C, head, n_head in sizes]


head_off = Exercise(
    "3.1.3",
    "Switch a head off",
    ("weight", "head", "n_head"),
    switch_off,
    switch_off_cases,
    (
        rows_of_the_head,
        one_column,
        heads_of_width_n_head,
        interleaved_heads,
        all_other_heads,
        heads_counted_from_one,
        up_to_the_head,
        from_the_head_on,
        nothing_switched_off,
        all_switched_off,
    ),
)


# ---- 3.1.4: what a bright cell tells -------------------------------------------------------------

bright_cell = ValueExercise(
    "3.1.4",
    "What a bright cell tells",
    answer="C",
    right="The knock-out speaks about this head, on this text, with all other parts in place, and no further.",
    mistakes={
        "A": "the head did read the comma: the weight says so. Whether anything came of it is the other question.",
        "B": "other heads may have read the comma too. To test the comma, change the comma.",
        "D": "this text did not need it. Another text might, or this one once a second head is gone.",
    },
)

EXERCISES = (who_hears, same_letter, head_off, bright_cell)
