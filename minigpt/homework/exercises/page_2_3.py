"""The checked exercises of 2.3.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from minigpt.data import IGNORE

from ..exercise import Exercise, ValueExercise

# ---- 2.3.1: how many mixed pairs -----------------------------------------------------------------

mixed = ValueExercise(
    "2.3.1",
    "How many mixed pairs",
    answer=0.42,
    right="0.7 · 0.3 for New Francisco and 0.3 · 0.7 for San York: two independent guesses, each of them right.",
    mistakes={
        42: "as a share, from 0 to 1, please.",
        0.21: "that is New Francisco alone. San York is a mixed pair too.",
        0.5: "that is the share in a fair world, where New York and San Francisco are equally frequent.",
        0.3: "that would be the share of San Francisco. Ask how often the two guesses disagree.",
        0.58: "that is the share of pairs that are right, 0.7 · 0.7 + 0.3 · 0.3.",
        0.49: "that is the share of New York, 0.7 · 0.7.",
        0.09: "that is the share of San Francisco, 0.3 · 0.3.",
        0: "that is a model whose second guess knows the first. MLM guesses both at once.",
    },
)


# ---- 2.3.2: who sees whom ------------------------------------------------------------------------


def ranks(order):
    """rank[i]: when token i is guessed, 0 first."""
    return order.argsort()


def who_sees_whom(order):
    """(T, T): 1 where token j comes before token i in the order, 0 elsewhere."""
    rank = ranks(order)
    return (rank[None, :] < rank[:, None]).float()


def transposed(order):
    """This is the grid with rows and columns exchanged: row i must say what the guess of token i may see."""
    return who_sees_whom(order).T


def inverted(order):
    """This has 1 where a token may not be seen, and 0 where it may."""
    return 1 - who_sees_whom(order)


def order_as_rank(order):
    """This takes the order for ranks. In the order 3241, token 1 comes fourth, token 2 second, token 3 first and
    token 4 third: the ranks are 4213."""
    return (order[None, :] < order[:, None]).float()


def sees_itself(order):
    """Here each guess may see the token that it is to guess. It would only have to copy it."""
    rank = ranks(order)
    return (rank[None, :] <= rank[:, None]).float()


def tokens_permuted(order):
    """This is the grid of a text whose tokens have changed places, or of reading from left to right: always the same
    staircase. Rows and columns stay in the order of the text."""
    T = len(order)
    return torch.ones(T, T).tril(-1)


def rows_permuted(order):
    """Here the rows stand in the order of guessing, and the columns in that of the text. Row 0 belongs to the first
    token of the text."""
    return who_sees_whom(order)[order]


def the_mean(order):
    """This is the mean over all orders. The exercise asks for one order."""
    T = len(order)
    return 0.5 * (1 - torch.eye(T))


def only_the_one_before(order):
    """Here each guess sees only the token guessed right before it. It may see all that came earlier."""
    rank = ranks(order)
    return (rank[None, :] + 1 == rank[:, None]).float()


def order_cases(generator):
    cases = [(torch.tensor([2, 1, 3, 0]),), (torch.tensor([1, 2, 0]),)]
    return cases + [(torch.randperm(T, generator=generator),) for T in (5, 5, 6, 8, 12)]


seeing = Exercise(
    "2.3.2",
    "Who sees whom",
    ("order",),
    who_sees_whom,
    order_cases,
    (
        transposed,
        inverted,
        order_as_rank,
        sees_itself,
        tokens_permuted,
        rows_permuted,
        the_mean,
        only_the_one_before,
    ),
)


# ---- 2.3.3: hide and score -----------------------------------------------------------------------


def hide_and_score(ids, chance, kind, other, mask_id):
    """(2, T): what BERT reads, and what it is scored on, from the numbers that decide."""
    asked = chance < 0.15
    inputs = torch.where(asked & (kind < 0.8), mask_id, ids)
    inputs = torch.where(asked & (kind >= 0.9), other, inputs)
    return torch.stack([inputs, torch.where(asked, ids, IGNORE)])


def scored_everywhere(ids, chance, kind, other, mask_id):
    """The inputs are right, but every token is scored. Most of them stand in plain sight: score those asked for."""
    return torch.stack([hide_and_score(ids, chance, kind, other, mask_id)[0], ids])


def only_masked_scored(ids, chance, kind, other, mask_id):
    """The inputs are right, but tokens that stay or are replaced by another are not scored. They are asked for too:
    that is why the model cannot trust what it reads."""
    inputs, targets = hide_and_score(ids, chance, kind, other, mask_id)
    return torch.stack([inputs, torch.where(inputs == mask_id, targets, IGNORE)])


def kept_unscored(ids, chance, kind, other, mask_id):
    """The inputs are right, but the tokens that stay as they are have no target. They are asked for too."""
    inputs, targets = hide_and_score(ids, chance, kind, other, mask_id)
    return torch.stack([inputs, torch.where((kind >= 0.8) & (kind < 0.9), IGNORE, targets)])


def always_masked(ids, chance, kind, other, mask_id):
    """The targets are right, but all tokens that are asked for are hidden. 10 % stay and 10 % become another token."""
    targets = hide_and_score(ids, chance, kind, other, mask_id)[1]
    return torch.stack([torch.where(targets == IGNORE, ids, mask_id), targets])


def others_everywhere(ids, chance, kind, other, mask_id):
    """Here `kind` alone decides, also about tokens that are not asked for. First chance, then kind."""
    inputs, targets = hide_and_score(ids, chance, kind, other, mask_id)
    inputs = torch.where(kind < 0.8, mask_id, torch.where(kind >= 0.9, other, ids))
    return torch.stack([inputs, targets])


def targets_as_read(ids, chance, kind, other, mask_id):
    """The targets are what the model reads, [MASK] and all. It must restore what stood there before."""
    inputs, targets = hide_and_score(ids, chance, kind, other, mask_id)
    return torch.stack([inputs, torch.where(targets == IGNORE, IGNORE, inputs)])


def other_way_round(ids, chance, kind, other, mask_id):
    """Here the 10 % that stay and the 10 % that are replaced have changed places: from 0.8 a token stays, from 0.9 it
    becomes another."""
    inputs, targets = hide_and_score(ids, chance, kind, other, mask_id)
    asked = targets != IGNORE
    inputs = torch.where(asked & (kind >= 0.9), ids, inputs)
    return torch.stack([torch.where(asked & (kind >= 0.8) & (kind < 0.9), other, inputs), targets])


def scored_where_not_asked(ids, chance, kind, other, mask_id):
    """The scored tokens are those in plain sight, and those asked for are not scored: it is the other way round."""
    inputs, targets = hide_and_score(ids, chance, kind, other, mask_id)
    return torch.stack([inputs, torch.where(targets == IGNORE, ids, IGNORE)])


def hide_cases(generator):
    numbers = torch.tensor([5, 6, 7, 8]), torch.tensor([0.1, 0.5, 0.1, 0.1]), torch.tensor([0.2, 0.95, 0.85, 0.95])
    cases = [(*numbers, torch.tensor([1, 2, 3, 4]), 9)]
    for T in (20, 40, 60):
        chance, kind = torch.rand(2, T, generator=generator)
        chance[:3], chance[3:6] = 0.05, 0.6  # each kind at least once, asked for and not
        kind[:6] = torch.tensor([0.3, 0.85, 0.95, 0.3, 0.85, 0.95])
        ids = torch.randint(10, 50, (T,), generator=generator)
        cases.append((ids, chance, kind, torch.randint(50, 90, (T,), generator=generator), 99))
    return cases


audit = Exercise(
    "2.3.3",
    "Hide and score",
    ("ids", "chance", "kind", "other", "mask_id"),
    hide_and_score,
    hide_cases,
    (
        scored_everywhere,
        only_masked_scored,
        kept_unscored,
        always_masked,
        others_everywhere,
        targets_as_read,
        other_way_round,
        scored_where_not_asked,
    ),
)


# ---- 2.3.4: three losses -------------------------------------------------------------------------

three_losses = ValueExercise(
    "2.3.4",
    "The lower loss",
    answer="C",
    right="Same question, same context, same tokens scored: only then do two numbers form a ranking.",
    mistakes={
        "A": "a guess that sees both sides has the easier question. The number says how hard the question was, too.",
        "B": "with as many scored tokens the two would still answer different questions, from different contexts.",
        "D": "perplexity is the same number in another form: the exponential does not make the questions equal.",
    },
)

EXERCISES = (mixed, seeing, audit, three_losses)
