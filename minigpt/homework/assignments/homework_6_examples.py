"""An example to learn from, of homework 6: a passage, a question, and the answer that alone is scored."""

import torch

from ..exercise import Exercise

PAD, ASK, END, IGNORE = 0, 1, 2, -100


def example(passage, question, first, last, length):
    return row(passage, question, passage[first : last + 1], length)


def row(passage, question, answer, length, before=1, scored=None, closed=True, keep=None, turned=False, left=False):
    """(2, length): ids and labels. before: from how many places before the answer it is scored; scored: how many."""
    room = length - len(question) - len(answer) - 1 - closed
    passage = (keep or (lambda p, n: p[:n]))(passage, max(0, room))
    prompt = [question, passage] if turned else [passage, question]
    ids = torch.cat([*prompt, torch.tensor([ASK]), answer, torch.tensor([END] * closed, dtype=torch.long)])
    start = len(passage) + len(question) + 1 - before
    stop = len(ids) - 1 if scored is None else start + scored
    places = torch.arange(len(ids))
    after = torch.cat([ids[1:], torch.tensor([PAD])])
    labels = after.masked_fill((places < start) | (places >= stop), IGNORE)
    fill = torch.full((max(0, length - len(ids)),), PAD)
    parts = [(fill, ids), (fill + IGNORE, labels)] if left else [(ids, fill), (labels, fill + IGNORE)]
    return torch.stack([torch.cat(part) for part in parts])


def end_excluded(passage, question, first, last, length):
    """This is what you get with passage[first:last]: a slice ends before its end, so the answer loses its last token.
    Here `last` is the last token, included."""
    return row(passage, question, passage[first:last], length)


def prompt_scored(passage, question, first, last, length):
    """This is what you get without the mask on the prompt: passage and question are to be read, not learned."""
    return row(passage, question, passage[first : last + 1], length, before=length)


def padding_scored(passage, question, first, last, length):
    """This is what you get when the padding is scored too: it teaches the model to say nothing, at length."""
    ids, labels = example(passage, question, first, last, length)
    return torch.stack([ids, torch.where((ids == PAD) | (ids == END), PAD, labels)])


def not_shifted(passage, question, first, last, length):
    """This is what you get without the shift: each token is asked for itself. The label of a place is the next
    token."""
    ids, labels = example(passage, question, first, last, length)
    return torch.stack([ids, torch.cat([torch.tensor([IGNORE]), labels[:-1]])])


def end_not_scored(passage, question, first, last, length):
    """This is what you get when END is not scored: a model that never learns to stop, does not stop."""
    return row(passage, question, passage[first : last + 1], length, scored=last - first + 1)


def end_forgotten(passage, question, first, last, length):
    """This is what you get without END behind the answer."""
    return row(passage, question, passage[first : last + 1], length, closed=False)


def first_token_lost(passage, question, first, last, length):
    """This is what you get when the answer's first token is not scored: it is the label of ASK's place."""
    return row(passage, question, passage[first : last + 1], length, before=0)


def ask_scored(passage, question, first, last, length):
    """This is what you get when ASK is scored too: it belongs to the prompt, which the user sends."""
    return row(passage, question, passage[first : last + 1], length, before=2)


def question_first(passage, question, first, last, length):
    """This is what you get with the question before the passage: the passage comes first here."""
    return row(passage, question, passage[first : last + 1], length, turned=True)


def padded_on_the_left(passage, question, first, last, length):
    """This is what you get with the padding in front: it fills the row up behind END."""
    return row(passage, question, passage[first : last + 1], length, left=True)


def zeros_for_ignored(passage, question, first, last, length):
    """This is what you get with 0 in place of −100: 0 is the token PAD, and would be scored."""
    return example(passage, question, first, last, length).clamp(min=0)


def row_cut_off(passage, question, first, last, length):
    """This is what you get by cutting off the row's end where it is too long: what is lost is the answer, and nothing
    is left to learn. Cut the passage."""
    long = row(passage, question, passage[first : last + 1], length + len(passage))
    return long[:, :length]


def passage_beheaded(passage, question, first, last, length):
    """This is what you get by cutting a passage that is too long at its beginning: cut it at its end."""
    return row(passage, question, passage[first : last + 1], length, keep=lambda p, n: p[len(p) - min(n, len(p)) :])


def answer_from_the_cut_passage(passage, question, first, last, length):
    """This is what you get by cutting the passage first and looking for the answer in what is left of it: take the
    answer first."""
    room = length - len(question) - (last - first + 1) - 2
    return row(passage[: max(0, room)], question, passage[: max(0, room)][first : last + 1], length)


EXAMPLE_MISTAKES = (
    end_excluded,
    prompt_scored,
    padding_scored,
    not_shifted,
    end_not_scored,
    end_forgotten,
    first_token_lost,
    ask_scored,
    question_first,
    padded_on_the_left,
    zeros_for_ignored,
    row_cut_off,
    passage_beheaded,
    answer_from_the_cut_passage,
)


def example_cases(generator):
    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    def case(S, Q, many, spare, at=None):
        passage, question = (torch.randint(3, 90, (n,), generator=generator) for n in (S, Q))
        first = draw(1, S - many) if at is None else at
        return passage, question, first, first + many - 1, S + Q + many + 2 + spare

    ordinary = [case(4, 2, 2, 2), case(5, 2, 1, 3), case(6, 3, 3, 0), case(9, 4, 2, draw(1, 5)), case(14, 5, 4, 7)]
    return [*ordinary, case(8, 3, 2, -3, at=6), case(12, 4, 3, -6, at=2)]  # the first answer is beyond the cut


example_row = Exercise(
    "6.4",
    "An example to learn from",
    ("passage", "question", "first", "last", "length"),
    example,
    example_cases,
    EXAMPLE_MISTAKES,
    edges=2,
)
