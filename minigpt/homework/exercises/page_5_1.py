"""The checked exercises of 5.1.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 5.1.1: what max_length leaves ---------------------------------------------------------------

max_length = ValueExercise(
    "5.1.1",
    "What max_length leaves",
    answer=18,
    right="max_length counts the prompt: 30 − 12 = 18. An end-of-text token may stop it sooner.",
    mistakes={
        30: "that would be max_new_tokens=30. max_length is the length of the whole row, prompt included.",
        42: "that is the whole row's length if 30 came on top of the prompt.",
        12: "that is the prompt's length. How much of the 30 is left?",
        17: "that takes one token too many away. Nothing is put before the prompt here.",
        20: "that is what the library writes when you say nothing at all. Here you said max_length=30.",
    },
)

# ---- 5.1.2: sampler surgery ----------------------------------------------------------------------


def sampler(logits, temperature, top_p):
    return nucleus((logits / temperature).softmax(-1), top_p)


def nucleus(probs, top_p, crossing=True, renormalise=True):
    """The fewest best tokens of probs (V,) that reach top_p; `crossing`: with the one that crosses it."""
    ordered, index = probs.sort(descending=True)
    reached = ordered.cumsum(0)
    keep = (reached - ordered if crossing else reached) < top_p
    kept = torch.zeros_like(probs).scatter(0, index, ordered * keep)
    return kept / kept.sum() if renormalise else kept


def temperature_on_probabilities(logits, temperature, top_p):
    """This divides the probabilities by the temperature. Temperature divides the logits, before the softmax: a constant
    factor on probabilities is gone as soon as they sum to 1 again."""
    return nucleus(logits.softmax(-1), top_p)


def temperature_multiplied(logits, temperature, top_p):
    """This multiplies the logits by the temperature. It divides: a high temperature makes the distribution flatter."""
    return nucleus((logits * temperature).softmax(-1), top_p)


def top_p_before_temperature(logits, temperature, top_p):
    """This chooses the nucleus before the temperature. The order is temperature first: it decides who is in."""
    kept = nucleus(logits.softmax(-1), top_p) > 0
    return (logits / temperature).masked_fill(~kept, -torch.inf).softmax(-1)


def crossing_token_dropped(logits, temperature, top_p):
    """This drops the token that crosses top_p. It stays: the kept tokens together reach p, and one always remains."""
    return nucleus((logits / temperature).softmax(-1), top_p, crossing=False)


def not_renormalised(logits, temperature, top_p):
    """What is left does not sum to 1. Divide it by its sum."""
    return nucleus((logits / temperature).softmax(-1), top_p, renormalise=False)


def softmax_twice(logits, temperature, top_p):
    """This applies a softmax to probabilities. They are positive already: to sum to 1, divide by their sum."""
    kept = nucleus((logits / temperature).softmax(-1), top_p, renormalise=False)
    return kept.masked_fill(kept == 0, -torch.inf).softmax(-1)


def a_bar_for_each_token(logits, temperature, top_p):
    """This keeps the tokens whose own probability reaches a bar. top_p is about their sum, from the best one on."""
    probs = (logits / temperature).softmax(-1)
    kept = probs * (probs >= 1 - top_p)
    return kept / kept.sum()


def in_sorted_order(logits, temperature, top_p):
    """This is sorted, best first. Each probability belongs at its token's own place: scatter it back."""
    return sampler(logits, temperature, top_p).sort(descending=True).values


def sampler_cases(generator):
    settings = [
        (4, 1.0, 0.7),
        (5, 0.5, 0.9),
        (6, 2.0, 0.6),
        (8, 1.5, 0.8),
        (20, 0.7, 0.95),
        (50, 1.3, 0.5),
        (7, 0.9, 0.3),
    ]
    return [(2 * torch.randn(V, generator=generator), temperature, top_p) for V, temperature, top_p in settings]


sampler_surgery = Exercise(
    "5.1.2",
    "Sampler surgery",
    ("logits", "temperature", "top_p"),
    sampler,
    sampler_cases,
    (
        temperature_on_probabilities,
        temperature_multiplied,
        top_p_before_temperature,
        crossing_token_dropped,
        not_renormalised,
        softmax_twice,
        a_bar_for_each_token,
        in_sorted_order,
    ),
)

# ---- 5.1.3: one pad ruins a batch ----------------------------------------------------------------

PAD = 0


def pad_left(rows):
    return padded(rows)


def padded(rows, left=True, width=0):
    """(ids, mask), stacked: (2, B, T), rows of different lengths filled up with PAD to the longest one's length."""
    longest = width or max(map(len, rows))
    ids, mask = [], []
    for row in rows:
        row = row[:longest]
        fill = [PAD] * (longest - len(row))
        ids.append(fill + list(row) if left else list(row) + fill)
        mask.append([0] * len(fill) + [1] * len(row) if left else [1] * len(row) + [0] * len(fill))
    return torch.tensor([ids, mask])


def pad_right(rows):
    """The padding stands on the right. The model would continue the padding: the last place of a row must be its last
    real token."""
    return padded(rows, left=False)


def mask_inverted(rows):
    """The mask is the wrong way round: 1 is for real tokens, 0 for padding."""
    ids, mask = padded(rows)
    return torch.stack([ids, 1 - mask])


def mask_of_ones(rows):
    """The mask says that every token is real. Then the padding is read as text."""
    ids, mask = padded(rows)
    return torch.stack([ids, torch.ones_like(mask)])


def mask_from_ids(rows):
    """This takes every 0 for padding. But 0 is also a real token: count lengths, do not look at the ids."""
    ids, _ = padded(rows)
    return torch.stack([ids, (ids != PAD).long()])


def cut_to_the_shortest(rows):
    """This cuts the rows to the shortest one. Padding makes the short ones longer, and nothing is lost."""
    return padded(rows, width=min(map(len, rows)))


def mask_on_the_other_side(rows):
    """The ids are padded on the left, but the mask hides the right side."""
    return torch.stack([padded(rows)[0], padded(rows, left=False)[1]])


def rows_reversed(rows):
    """The tokens stand in reverse order. Only the padding goes to the left, the text is read as before."""
    ids, mask = padded([row[::-1] for row in rows])
    return torch.stack([ids, mask])


def pad_cases(generator):
    def row(length):
        return torch.randint(0, 20, (length,), generator=generator).tolist()

    return [([[5, 0], [7, 2, 0]],)] + [
        ([row(n) for n in lengths],) for lengths in ((1, 3), (4, 2, 6), (2, 9, 5, 9), (3, 8))
    ]


one_pad = Exercise(
    "5.1.3",
    "One pad ruins a batch",
    ("rows",),
    pad_left,
    pad_cases,
    (pad_right, mask_inverted, mask_of_ones, mask_from_ids, cut_to_the_shortest, mask_on_the_other_side, rows_reversed),
)

# ---- 5.1.4: greedy is not likeliest --------------------------------------------------------------

greedy_choice = ValueExercise(
    "5.1.4",
    "Greedy is not likeliest",
    answer="C",
    right="0.4 · 0.9 = 0.36 beats 0.6 · 0.4 = 0.24: the best first step closes the way to the best text.",
    mistakes={
        "A": "greedy takes the best token at each step. The best text may begin with another one.",
        "B": "sampling does draw “the dog barks” most often, but each single draw may be any of the texts.",
        "D": "temperature never changes which word of a step is the likeliest, so greedy's choice stays the same.",
    },
)

EXERCISES = (max_length, sampler_surgery, one_pad, greedy_choice)
