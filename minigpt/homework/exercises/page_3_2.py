"""The checked exercises of 3.2.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import math

import torch

from ..exercise import Exercise, ValueExercise

IGNORE = -100


# ---- 3.2.1: the loss of a model that knows nothing -----------------------------------------------

untrained = ValueExercise(
    "3.2.1",
    "The loss of a model that knows nothing",
    answer=10,
    right="Spread evenly, each token gets 1/1024 = 2⁻¹⁰, and −log₂ of that is 10 bits: ten yes-or-no questions.",
    mistakes={
        6.931: "that is ln 1024, in nats. In bits it is log₂ 1024.",
        1024: "that is the perplexity, the number of equally likely choices. The loss is its logarithm.",
        1 / 1024: "that is the probability of one token. The loss is −log₂ of it.",
        0: "a loss of 0 is certainty. This model is certain of nothing.",
        1: "that is the loss with two equally likely tokens. Here there are 1,024.",
        -10: "log₂ of a probability is negative; the loss is minus that.",
        3.010: "that is log₁₀. A bit is a choice between two.",
        4.805: "that is nats times ln 2. To go from nats to bits, divide by ln 2.",
        4.159: "that is ln 64, for the vocabulary of the page's own model. This one has 1,024 tokens.",
        6: "that is log₂ 64, for the vocabulary of the page's own model. This one has 1,024 tokens.",
        7: "that is log₂ 128: the context is how far the model sees, not how many tokens it chooses among.",
        80: "that adds up 8 windows. The loss is a mean, so the batch does not matter.",
        10240: "that adds up all questions of the batch. The loss is a mean, so the batch does not matter.",
    },
)


# ---- 3.2.2: the shift by one ---------------------------------------------------------------------


def next_tokens(ids, end):
    targets = shifted(ids)
    return targets.masked_fill(ids == end, IGNORE)


def shifted(ids, by=1, last=IGNORE):
    """ids (B, T), read `by` places further on; `last` where there is nothing to read."""
    return torch.cat([ids[:, by:], ids[:, :by] * 0 + last], dim=1)


def not_shifted(ids, end):
    """This is what you get without the shift: each token is asked for itself, which it can see."""
    return ids.masked_fill(ids == end, IGNORE)


def shifted_by_two(ids, end):
    """This is what you get with a shift by two places: the next token is one place further on."""
    return shifted(ids, by=2).masked_fill(ids == end, IGNORE)


def shifted_backwards(ids, end):
    """This is what you get by shifting the other way: each token is asked for the one before it."""
    before = torch.cat([ids[:, :1] * 0 + IGNORE, ids[:, :-1]], dim=1)
    return before.masked_fill(ids == end, IGNORE)


def rolled_backwards(ids, end):
    """This is what you get with roll(1), the other way: each token is asked for the one before it."""
    return ids.roll(1, dims=1).masked_fill(ids == end, IGNORE)


def rolled(ids, end):
    """This is what you get with roll(−1) alone: the last token is asked for the first of its own window."""
    return ids.roll(-1, dims=1).masked_fill(ids == end, IGNORE)


def rolled_flat(ids, end):
    """This is what you get by shifting the whole batch as one row: the last token of each window is asked
    for the first of another window."""
    return ids.flatten().roll(-1).view_as(ids).masked_fill(ids == end, IGNORE)


def shifted_across_windows(ids, end):
    """This is what you get by shifting along the batch: the windows have nothing to do with each other."""
    below = torch.cat([ids[1:], ids[:1] * 0 + IGNORE])
    return below.masked_fill(ids == end, IGNORE)


def last_is_zero(ids, end):
    """This is what you get with 0 in the last place: 0 is a token, and would be scored. Use −100."""
    return shifted(ids, last=0).masked_fill(ids == end, IGNORE)


def last_is_end(ids, end):
    """This is what you get with the end token in the last place: nobody knows what follows there. Use −100."""
    return shifted(ids, last=end).masked_fill(ids == end, IGNORE)


def last_repeated(ids, end):
    """This is what you get by repeating the last token: nobody knows what follows there. Use −100."""
    return torch.cat([ids[:, 1:], ids[:, -1:]], dim=1).masked_fill(ids == end, IGNORE)


def end_forgotten(ids, end):
    """This is what you get without looking at the end token: it is asked how another text begins."""
    return shifted(ids)


def end_never_asked(ids, end):
    """This is what you get by ignoring the end token as a target: the model would never learn to stop.
    Ignore what comes after it."""
    return shifted(ids).masked_fill(shifted(ids) == end, IGNORE)


def end_ignored_twice(ids, end):
    """This is what you get by ignoring both the end token and what comes after it: the model would never
    learn to stop."""
    return next_tokens(ids, end).masked_fill(shifted(ids) == end, IGNORE)


def ends_set_to_zero(ids, end):
    """This is what you get with 0 after the end token: 0 is a token, and would be scored. Use −100."""
    return shifted(ids).masked_fill(ids == end, 0)


def next_tokens_cases(generator):
    def draw(B, T, V, share):
        ids = torch.randint(1, V, (B, T), generator=generator)
        ids[torch.rand(B, T, generator=generator) < share] = V  # V is the end token here
        return ids, V

    first, _ = draw(1, 4, 9, 0.0)
    later, end = draw(2, 5, 9, 0.0)
    later[0, 1] = later[1, 0] = later[1, 4] = end  # inside, at the start and in the last place
    plain = draw(3, 5, 9, 0.0)  # no end token at all
    return [(first, 9), (later, end), plain, draw(2, 7, 5, 0.3), draw(5, 4, 6, 0.2), draw(4, 12, 50, 0.1)]


shift = Exercise(
    "3.2.2",
    "The shift by one",
    ("ids", "end"),
    next_tokens,
    next_tokens_cases,
    (
        not_shifted,
        shifted_by_two,
        shifted_backwards,
        rolled_backwards,
        rolled,
        rolled_flat,
        shifted_across_windows,
        last_is_zero,
        last_is_end,
        last_repeated,
        end_forgotten,
        end_never_asked,
        end_ignored_twice,
        ends_set_to_zero,
    ),
)


# ---- 3.2.3: cross-entropy ------------------------------------------------------------------------


def cross_entropy(logits, targets):
    return log_loss(logits, targets)[targets != IGNORE].mean()


def log_loss(logits, targets, dim=-1):
    """−ln p(target) at every position (B, T), ignored ones included; the softmax runs over `dim`."""
    return -pick(logits.log_softmax(dim), targets)


def pick(values, targets):
    return values.gather(-1, targets.clamp(min=0)[..., None])[..., 0]


def ignored_counted_as_zero_loss(logits, targets):
    """This is what you get by dividing by all positions: divide by the scored ones."""
    return log_loss(logits, targets)[targets != IGNORE].sum() / targets.numel()


def ignored_as_token_zero(logits, targets):
    """This is what you get by scoring −100 as if it were token 0: leave those positions out."""
    return log_loss(logits, targets).mean()


def summed(logits, targets):
    """This is what you get with the sum: the loss is the mean over the scored positions."""
    return log_loss(logits, targets)[targets != IGNORE].sum()


def mean_of_means(logits, targets):
    """This is what you get by averaging each window first: a window with few scored positions then weighs
    as much as a full one."""
    scored = targets != IGNORE
    return ((log_loss(logits, targets) * scored).sum(1) / scored.sum(1)).mean()


def sum_over_windows(logits, targets):
    """This is what you get by dividing by the number of windows: divide by the scored positions."""
    return summed(logits, targets) / len(targets)


def in_bits(logits, targets):
    """This is the loss in bits: use the natural logarithm."""
    return cross_entropy(logits, targets) / math.log(2)


def no_minus(logits, targets):
    """This is what you get without the minus sign."""
    return -cross_entropy(logits, targets)


def perplexity(logits, targets):
    """This is the perplexity: the loss is its logarithm."""
    return cross_entropy(logits, targets).exp()


def no_softmax(logits, targets):
    """This is minus the mean logit of the targets: logits have to go through a softmax first."""
    return -pick(logits, targets)[targets != IGNORE].mean()


def one_minus_p(logits, targets):
    """This is the mean of 1 − p(target): the loss is the mean of −ln p(target)."""
    return 1 - pick(logits.softmax(-1), targets)[targets != IGNORE].mean()


def minus_p(logits, targets):
    """This is the mean of −p(target): the logarithm is missing."""
    return -pick(logits.softmax(-1), targets)[targets != IGNORE].mean()


def log_of_mean(logits, targets):
    """This is the logarithm of the mean probability: take the logarithm first, then the mean."""
    return -pick(logits.softmax(-1), targets)[targets != IGNORE].mean().log()


def softmax_over_positions(logits, targets):
    """This is what you get with a softmax over the positions: at each position, the V tokens share the
    probability."""
    return log_loss(logits, targets, dim=1)[targets != IGNORE].mean()


def softmax_over_windows(logits, targets):
    """This is what you get with a softmax over the batch: at each position, the V tokens share the
    probability."""
    return log_loss(logits, targets, dim=0)[targets != IGNORE].mean()


def softmax_twice(logits, targets):
    """This is what you get with two softmaxes: F.cross_entropy and log_softmax take logits, not
    probabilities."""
    return cross_entropy(logits.softmax(-1), targets)


def softmax_then_log(logits, targets):
    """This is what you get by taking the logarithm of the softmax: a tiny probability is rounded to 0, and
    its loss is infinite. log_softmax does both at once."""
    return -pick(logits.softmax(-1).log(), targets)[targets != IGNORE].mean()


def softmax_overflows(logits, targets):
    """This is what you get with exp(logits) as it stands: e¹⁰⁰ is too large for float32. log_softmax takes
    care of it."""
    powers = logits.exp()
    return -pick(powers / powers.sum(-1, keepdim=True), targets)[targets != IGNORE].log().mean()


def shifted_again(logits, targets):
    """This is what you get by shifting once more: targets[b, t] is already the token after position t."""
    return cross_entropy(logits[:, :-1], targets[:, 1:])


def best_token(logits, targets):
    """This is what you get by scoring the likeliest token: score the one that came."""
    best = logits.log_softmax(-1).amax(-1)
    return -best[targets != IGNORE].mean()


def cross_entropy_cases(generator):
    def draw(B, T, V, ignored):
        logits = 2 * torch.randn(B, T, V, generator=generator)
        targets = torch.randint(V, (B, T), generator=generator)
        for b in range(B):  # another number of ignored places in each window
            targets[b, : min(b + ignored, T - 2)] = IGNORE if ignored else targets[b, 0]
        return logits, targets

    sizes = [(1, 3, 4, 0), (2, 4, 3, 0), (2, 4, 5, 1), (3, 5, 7, 1), (4, 9, 20, 2)]
    large = 100 * torch.randn(2, 4, 6, generator=generator)
    large[:, :, 0], large[:, :, 1] = 150.0, -150.0  # beyond what float32 can exponentiate, both ways
    return [*(draw(*size) for size in sizes), (large, torch.tensor([[1, 2, 3, 1], [IGNORE, 5, 1, 0]]))]


loss = Exercise(
    "3.2.3",
    "Cross-entropy",
    ("logits", "targets"),
    cross_entropy,
    cross_entropy_cases,
    (
        ignored_counted_as_zero_loss,
        ignored_as_token_zero,
        summed,
        mean_of_means,
        sum_over_windows,
        in_bits,
        no_minus,
        perplexity,
        no_softmax,
        one_minus_p,
        minus_p,
        log_of_mean,
        softmax_over_positions,
        softmax_over_windows,
        softmax_twice,
        softmax_then_log,
        softmax_overflows,
        shifted_again,
        best_token,
    ),
)


# ---- 3.2.4: two rulers ---------------------------------------------------------------------------

rulers = ValueExercise(
    "3.2.4",
    "Two rulers",
    answer="B",
    right="3.0 nats for 2.5 characters are 1.2 nats per character, less than 1.5.",
    mistakes={
        "A": "1.5 nats buy one character there, and 3.0 nats buy two and a half here.",
        "C": "the losses are per token, and the tokens differ. Bring both to the same unit of text first.",
        "D": "they can: both models give a probability to the same text. Count nats, or bits, per character.",
    },
)

EXERCISES = (untrained, shift, loss, rulers)
