"""The checked exercises of 3.3.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

from collections import Counter

import torch

from ..exercise import Exercise, ValueExercise

IGNORE = -100


# ---- 3.3.1: how many labels are scored -----------------------------------------------------------

scored = ValueExercise(
    "3.3.1",
    "How many labels are scored",
    answer=10,
    right="9 tokens of the answer and the <|im_end|> that closes it. Reading the other 140 costs time, not loss.",
    mistakes={
        9: "the <|im_end|> is missing: a model that is never scored on it does not learn to stop.",
        11: "the line break after <|im_end|> is not said by the assistant; it is not scored.",
        140: "those are the labels that are not scored.",
        149: "that is prompt and answer. With the mask, the prompt is read and not scored.",
        150: "that is the whole conversation. With the mask, only the assistant's part is scored.",
        1: "one number comes out, the mean, but each token of the answer has its own label.",
        0: "then there would be nothing to learn from.",
    },
)


# ---- 3.3.2: the loss mask ------------------------------------------------------------------------


def labels(ids, start, end):
    after = shifted(ids)
    return after.masked_fill(~within(ids, start - 1, end - 1), IGNORE)


def shifted(ids):
    """ids (B, T), read one place further on; IGNORE in the last place."""
    return torch.cat([ids[:, 1:], ids[:, :1] * 0 + IGNORE], dim=1)


def within(ids, first, stop):
    """(B, T): whether first <= t < stop, row by row."""
    places = torch.arange(ids.size(1))
    return (places >= first[:, None]) & (places < stop[:, None])


def first_token_lost(ids, start, end):
    """This is what you get by masking in the inputs' places: the answer's first token is then never scored. It is the
    label of the place before it, start − 1."""
    return shifted(ids).masked_fill(~within(ids, start, end - 1), IGNORE)


def one_too_late(ids, start, end):
    """This is what you get by shifting the labels but not the mask: the first token of the answer is lost, and
    the token after its end is scored."""
    return shifted(ids).masked_fill(~within(ids, start, end), IGNORE)


def after_the_end(ids, start, end):
    """This is what you get with one place too many: what stands after the answer's end is scored too."""
    return shifted(ids).masked_fill(~within(ids, start - 1, end), IGNORE)


def end_lost(ids, start, end):
    """This is what you get with one place too few: the answer's last token is its end, and a model that is not scored
    on it does not learn to stop."""
    return shifted(ids).masked_fill(~within(ids, start - 1, end - 2), IGNORE)


def not_shifted(ids, start, end):
    """This is what you get without the shift: each token is asked for itself, which it can see. (Libraries whose
    models shift inside want this form; here the labels are shifted already.)"""
    return ids.masked_fill(~within(ids, start, end), IGNORE)


def nothing_masked(ids, start, end):
    """This is what you get without the mask: the prompt is scored too."""
    return shifted(ids)


def padding_scored(ids, start, end):
    """This is what you get by masking the prompt alone: what fills the row up after the answer is scored too."""
    return shifted(ids).masked_fill(~within(ids, start - 1, end * 0 + ids.size(1)), IGNORE)


def answer_masked(ids, start, end):
    """This is the mask turned round: the prompt is scored and the answer is not."""
    return shifted(ids).masked_fill(within(ids, start - 1, end - 1), IGNORE)


def zeros(ids, start, end):
    """This is what you get with 0 in place of −100: 0 is a token, and would be scored."""
    return labels(ids, start, end).clamp(min=0)


def one_start_for_all(ids, start, end):
    """This is what you get with the first row's places in every row: each prompt has its own length."""
    return labels(ids, start[:1].expand_as(start), end[:1].expand_as(end))


def labels_cases(generator):
    def draw(B, T):
        ids = torch.randint(1, 90, (B, T), generator=generator)
        start = torch.randint(1, T - 4, (B,), generator=generator)
        end = start + torch.tensor([2 + int(torch.randint(0, T - 3 - int(s), (), generator=generator)) for s in start])
        start[0], end[0] = 2, T - 1  # so that rows differ, and one token stands after the first one's end
        return ids, start, end

    whole = torch.randint(1, 90, (2, 6), generator=generator), torch.tensor([3, 1]), torch.tensor([6, 4])
    return [draw(1, 6), whole, *(draw(B, T) for B, T in ((2, 7), (3, 9), (4, 12), (5, 30)))]


mask = Exercise(
    "3.3.2",
    "The loss mask",
    ("ids", "start", "end"),
    labels,
    labels_cases,
    (
        first_token_lost,
        one_too_late,
        after_the_end,
        end_lost,
        not_shifted,
        nothing_masked,
        padding_scored,
        answer_masked,
        zeros,
        one_start_for_all,
    ),
)


# ---- 3.3.3: ROUGE-1 ------------------------------------------------------------------------------


def rouge1(hypothesis, reference):
    return torch.tensor(f_score(shared(hypothesis, reference), len(hypothesis), len(reference)))


def shared(hypothesis, reference):
    """How many words stand in both, a repeated word as often as it stands in the text that has fewer of it."""
    return (Counter(hypothesis.tolist()) & Counter(reference.tolist())).total()


def f_score(both, said, right):
    return 2 * both / (said + right)


def precision(hypothesis, reference):
    """This is the precision alone: one right word would score 1. Take the harmonic mean with the recall."""
    return shared(hypothesis, reference) / len(hypothesis)


def recall(hypothesis, reference):
    """This is the recall alone: copying the whole article would score nearly 1. Take the harmonic mean with the
    precision."""
    return shared(hypothesis, reference) / len(reference)


def arithmetic(hypothesis, reference):
    """This is the arithmetic mean of precision and recall: ROUGE's F is the harmonic one, 2PR / (P + R)."""
    return (precision(hypothesis, reference) + recall(hypothesis, reference)) / 2


def sets(hypothesis, reference):
    """This is what you get with sets: a word that stands twice in both texts is shared twice."""
    a, b = set(hypothesis.tolist()), set(reference.tolist())
    return f_score(len(a & b), len(a), len(b))


def sets_over_lengths(hypothesis, reference):
    """This is what you get by counting shared words as a set: a word that stands twice in both is shared twice."""
    both = set(hypothesis.tolist()) & set(reference.tolist())
    return f_score(len(both), len(hypothesis), len(reference))


def not_clipped(hypothesis, reference):
    """This is what you get without clipping: a word said five times counts five times, though the reference has it
    once."""
    right = set(reference.tolist())
    return f_score(sum(word in right for word in hypothesis.tolist()), len(hypothesis), len(reference))


def in_place(hypothesis, reference):
    """This is what you get by comparing place by place: ROUGE-1 does not ask where a word stands."""
    both = sum(a == b for a, b in zip(hypothesis.tolist(), reference.tolist(), strict=False))
    return f_score(both, len(hypothesis), len(reference))


def jaccard(hypothesis, reference):
    """This divides by the words of both texts together, shared ones once (Jaccard): F divides twice the shared words
    by the sum of the lengths."""
    both = shared(hypothesis, reference)
    return both / (len(hypothesis) + len(reference) - both)


def without_the_two(hypothesis, reference):
    """The factor 2 is missing: two equal texts must score 1."""
    return rouge1(hypothesis, reference) / 2


def rouge_cases(generator):
    def draw(said, right, V):
        return tuple(torch.randint(V, (n,), generator=generator) for n in (said, right))

    repeated = torch.tensor([7, 7, 7, 2, 5]), torch.tensor([2, 7, 7, 4])
    nothing = torch.tensor([1, 2]), torch.tensor([3, 4, 5])
    return [repeated, nothing, *(draw(*size) for size in ((4, 6, 5), (9, 5, 4), (12, 6, 9), (30, 7, 20)))]


overlap = Exercise(
    "3.3.3",
    "ROUGE-1",
    ("hypothesis", "reference"),
    rouge1,
    rouge_cases,
    (
        precision,
        recall,
        arithmetic,
        sets,
        sets_over_lengths,
        not_clipped,
        in_place,
        jaccard,
        without_the_two,
    ),
)


# ---- 3.3.4: two intervals ------------------------------------------------------------------------

intervals = ValueExercise(
    "3.3.4",
    "Two intervals",
    answer="C",
    right="The intervals overlap widely, but the articles are the same: the differences article by article may decide.",
    mistakes={
        "A": "0.47 is the larger number on these articles. On others of the same kind, either could be ahead.",
        "B": "no difference shown is not the same as no difference: the intervals leave room for one, either way.",
        "D": "overlap alone does not settle it. Hard articles are hard for both, so the mean difference is known better"
        " than two separate intervals suggest: look at the differences.",
    },
)

EXERCISES = (scored, mask, overlap, intervals)
