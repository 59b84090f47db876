"""The checked exercises of homework 5: Hugging Face and decoding. Their text is in hw5.ipynb.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, Prediction
from .homework_5_batch import batch
from .homework_5_port import port
from .homework_5_search import searching

# ---- 5.1: what a padded batch returns ----------------------------------------------------------------


def numbers_of_a_call(generator):
    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    a, b, c = draw(5, 8), draw(2, 5), draw(9, 13)  # b < a < c
    # With these, no two mistakes give the same numbers.
    return {"a": a, "b": b, "c": c, "max_length": c + draw(20, 35), "end": draw(4, 10)}


def call(a, b, c, max_length, end):
    return max_length, max_length - c, max_length - b - end


def length_as_new_tokens(a, b, c, max_length, end):
    """that would be max_new_tokens. max_length counts the whole row, with padding and prompt."""
    return c + max_length, max_length, c + max_length - b - end


def own_prompt_counted(a, b, c, max_length, end):
    """the second number leaves out the padding of text 1. A row is as long as all others, and its padding counts."""
    return max_length, max_length - a, max_length - b - end


def room_of_the_shortest(a, b, c, max_length, end):
    """the second number is the room beside the shortest prompt. All rows begin to write at the same place."""
    return max_length, max_length - b, max_length - b - end


def all_stop(a, b, c, max_length, end):
    """that stops the whole batch when text 2 ends. The others go on; text 2 is filled up meanwhile."""
    return c + end, end, c - b


def no_padding_after_the_end(a, b, c, max_length, end):
    """the last number is the padding on the left alone. After its end, text 2 is filled up as the others go on."""
    return max_length, max_length - c, c - b


def no_padding_before_the_prompt(a, b, c, max_length, end):
    """the last number is the padding after the end alone. Text 2 also has some on the left."""
    return max_length, max_length - c, max_length - c - end


def end_as_padding(a, b, c, max_length, end):
    """the last number takes the end-of-text token for padding. It is the last token that text 2 writes."""
    return max_length, max_length - c, max_length - b - end + 1


def end_on_top(a, b, c, max_length, end):
    """the last number puts the end-of-text token on top of those that text 2 writes. It is one of them."""
    return max_length, max_length - c, max_length - b - end - 1


def new_tokens_from_the_first_prompt(a, b, c, max_length, end):
    """that lets text 1 set the room for all. The longest prompt does, and the row ends at max_length."""
    return c + max_length - a, max_length - a, c + max_length - a - b - end


padded_call = Prediction(
    "5.1",
    "What a padded batch returns",
    numbers_of_a_call,
    call,
    "all rows are max_length long, padding and prompt included; who ends sooner is filled up.",
    (
        length_as_new_tokens,
        own_prompt_counted,
        room_of_the_shortest,
        all_stop,
        no_padding_after_the_end,
        no_padding_before_the_prompt,
        end_as_padding,
        end_on_top,
        new_tokens_from_the_first_prompt,
    ),
)


# ---- 5.2: the library's pipeline ---------------------------------------------------------------------


def next_probs(logits, seen, penalty, temperature, top_k, top_p):
    return nucleus(best(penalised(logits, seen, penalty) / temperature, top_k), top_p).softmax(-1)


def penalised(logits, seen, penalty):
    scores = logits.gather(1, seen)  # (B, T)
    return logits.scatter(1, seen, torch.where(scores < 0, scores * penalty, scores / penalty))


def best(scores, k):
    """The scores with all below the k-th best at −∞."""
    least = scores.topk(min(k, scores.size(1))).values[:, -1:]
    return scores.masked_fill(scores < least, -torch.inf)


def nucleus(scores, p, crossing=True):
    """The scores with all but the fewest best tokens whose probabilities reach p at −∞."""
    ordered, index = scores.softmax(-1).sort(descending=True)
    reached = ordered.cumsum(1)
    out = (reached - ordered if crossing else reached) >= p
    return scores.masked_fill(out.gather(1, index.argsort(1)), -torch.inf)


def pipeline_cases(generator):
    def draw(B, V, T, penalty, temperature, top_k, top_p, shift=0.0):
        while True:
            logits = 2 * torch.randn(B, V, generator=generator) + shift
            seen = torch.randint(V, (B, T), generator=generator)
            seen[:, :2] = logits.argmax(1, keepdim=True)  # the likeliest token stands in the text already, twice
            seen[:, 2] = logits.topk(2).indices[:, 1]
            kept = best(penalised(logits, seen, penalty) / temperature, top_k).softmax(-1)
            sums = kept.sort(descending=True).values.cumsum(1)
            if (sums - top_p).abs().min() > 1e-3:  # where a sum is top_p itself, rounding would decide
                return logits, seen, penalty, temperature, top_k, top_p

    settings = [(1, 5, 3, 1.5, 0.5, 4, 0.8), (2, 6, 4, 1.3, 2.0, 4, 0.7), (1, 8, 5, 2.0, 1.6, 5, 0.75, -8.0),
                (3, 9, 4, 1.2, 0.7, 6, 0.9), (2, 30, 7, 1.7, 1.4, 9, 0.85, -1.0), (4, 50, 6, 1.4, 1.8, 20, 0.6),
                (3, 40, 9, 2.5, 1.5, 12, 0.7, 1.0)]  # fmt: skip
    order = torch.stack([torch.randperm(6, generator=generator) for _ in range(2)])
    ties = torch.tensor([3.0, 2.0, 2.0, 2.0, 1.0, -1.0]).expand(2, 6).gather(1, order)
    tied = (ties, ties.argmin(1, keepdim=True), 1.5, 0.8, 2, 1.0)
    return [*(draw(*setting) for setting in settings), tied, draw(2, 4, 3, 1.3, 0.9, 9, 0.8)]


def without_temperature(logits, seen, penalty, temperature, top_k, top_p):
    """These are the probabilities of temperature 1. If you divided probabilities by it: a constant factor is gone as
    soon as they sum to 1 again. Divide the logits."""
    return next_probs(logits, seen, penalty, 1.0, top_k, top_p)


def probabilities_divided(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by dividing probabilities by the temperature before top-p adds them up. They then do not
    sum to 1, and in the end the factor is gone: divide the logits."""
    return next_probs(logits, seen, penalty, 1.0, top_k, top_p * temperature)


def temperature_multiplied(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by multiplying the logits by the temperature: divide, so that a high one makes them flat."""
    return next_probs(logits, seen, penalty, 1 / temperature, top_k, top_p)


def negative_divided(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by dividing negative logits by the penalty, which makes these tokens likelier: they are
    multiplied."""
    scores = logits.scatter(1, seen, logits.gather(1, seen) / penalty)
    return nucleus(best(scores / temperature, top_k), top_p).softmax(-1)


def penalty_forgotten(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get without the penalty for tokens that stand in the text already."""
    return next_probs(logits, seen, 1.0, temperature, top_k, top_p)


def penalty_for_each_time(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by penalising a token once for each time it stands in the text: once is all."""
    for column in seen.split(1, dim=1):
        logits = penalised(logits, column, penalty)
    return next_probs(logits, seen, 1.0, temperature, top_k, top_p)


def penalty_on_probabilities(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by dividing probabilities by the penalty: it acts on logits, before all else."""
    probs = (logits / temperature).softmax(-1)
    scores = probs.scatter(1, seen, probs.gather(1, seen) / penalty).log()
    return nucleus(best(scores, top_k), top_p).softmax(-1)


def penalty_last(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get when top-k and top-p choose before the penalty: it comes first, and so decides who is in."""
    kept = nucleus(best(logits / temperature, top_k), top_p)
    return penalised(kept, seen, penalty).softmax(-1)


def penalty_for_all_rows(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get when each row is penalised for the tokens of all rows: each has its own text."""
    everywhere = seen.flatten().expand(len(seen), -1)
    return next_probs(logits, everywhere, penalty, temperature, top_k, top_p)


def top_p_of_all(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get when top-p adds up the probabilities from before top-k. It comes after: it adds up what
    top-k left, shared out anew."""
    scores = penalised(logits, seen, penalty) / temperature
    return best(nucleus(scores, top_p), top_k).softmax(-1)


def top_p_before_temperature(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get when top-p chooses before the temperature: that comes first, and so decides who is in."""
    return (nucleus(best(penalised(logits, seen, penalty), top_k), top_p) / temperature).softmax(-1)


def crossing_token_dropped(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by dropping the token that crosses top_p. It stays: what is kept reaches top_p, and at
    least one token always remains."""
    scores = best(penalised(logits, seen, penalty) / temperature, top_k)
    return nucleus(scores, top_p, crossing=False).softmax(-1)


def not_renormalised(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get without sharing out anew after top-p: what is left has to sum to 1."""
    scores = best(penalised(logits, seen, penalty) / temperature, top_k)
    return scores.softmax(-1) * (nucleus(scores, top_p) > -torch.inf)


def softmax_twice(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get with a softmax of probabilities at the end. Divide them by their sum."""
    probs = not_renormalised(logits, seen, penalty, temperature, top_k, top_p)
    return probs.masked_fill(probs == 0, -torch.inf).softmax(-1)


def exactly_k(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by keeping k tokens even where the k-th has equals. The library drops only what is below the
    k-th best score, so equals stay together."""
    scores = penalised(logits, seen, penalty) / temperature
    index = scores.topk(min(top_k, scores.size(1))).indices
    kept = torch.full_like(scores, -torch.inf).scatter(1, index, scores.gather(1, index))
    return nucleus(kept, top_p).softmax(-1)


def kth_dropped(logits, seen, penalty, temperature, top_k, top_p):
    """This is what you get by keeping only what is above the k-th best score: the k-th itself stays too."""
    scores = penalised(logits, seen, penalty) / temperature
    least = scores.topk(min(top_k, scores.size(1))).values[:, -1:]
    return nucleus(scores.masked_fill(scores <= least, -torch.inf), top_p).softmax(-1)


def left_in_order(logits, seen, penalty, temperature, top_k, top_p):
    """This is sorted, best first. Each probability belongs to its own token's place: scatter it back."""
    return next_probs(logits, seen, penalty, temperature, top_k, top_p).sort(descending=True).values


pipeline = Exercise(
    "5.2",
    "Sampler surgery",
    ("logits", "seen", "penalty", "temperature", "top_k", "top_p"),
    next_probs,
    pipeline_cases,
    (
        without_temperature,
        probabilities_divided,
        temperature_multiplied,
        negative_divided,
        penalty_forgotten,
        penalty_for_each_time,
        penalty_on_probabilities,
        penalty_last,
        penalty_for_all_rows,
        top_p_of_all,
        top_p_before_temperature,
        crossing_token_dropped,
        not_renormalised,
        softmax_twice,
        exactly_k,
        kth_dropped,
        left_in_order,
    ),
    edges=2,
)


EXERCISES = (padded_call, pipeline, batch, searching, port)
