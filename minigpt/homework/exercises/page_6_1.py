"""The checked exercises of 6.1.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 6.1.1: how many tokens are read -------------------------------------------------------------

# A prompt of 10 tokens, then 4 more are written. A token that is written last is not read any more.
reading = ValueExercise(
    "6.1.1",
    "Tokens read",
    answer=(46, 13),
    right="10 + 11 + 12 + 13 without a cache; 10 + 1 + 1 + 1 with one: the fourth token is written, but not read.",
    mistakes={
        (50, 14): "the first token comes from the prompt alone, and the last one is not read any more. Count again.",
        (60, 14): "nothing has to be read after the last token is written, so no step reads 14 tokens.",
        (46, 14): "the first number is right. With a cache too, the last token is written, but not read.",
        (46, 4): "the first number is right. With a cache, somebody still has to read the prompt, once.",
        (46, 3): "the first number is right. With a cache, somebody still has to read the prompt, once.",
        (40, 13): "the second number is right. Without a cache the text that is read grows with every step.",
        (13, 46): "the right numbers, but the first is without a cache.",
        (13, 13): "without a cache, every step reads the whole text again.",
    },
)


# ---- 6.1.2: distinct-n ---------------------------------------------------------------------------


def distinct(tokens, n):
    return torch.tensor(share([gram for text in tokens.tolist() for gram in grams(text, n)]))


def grams(text, n):
    return [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]


def share(found):
    return len(set(found)) / len(found)


def mean_over_texts(tokens, n):
    """This is what you get as the mean over the texts: a run that each text has once would count as new each time."""
    return sum(share(grams(text, n)) for text in tokens.tolist()) / len(tokens)


def across_texts(tokens, n):
    """This is what you get by laying the texts end to end: some runs then begin in one text and end in the next."""
    return share(grams(tokens.flatten().tolist(), n))


def per_token(tokens, n):
    """This is what you get by dividing by the number of tokens. A text of T tokens has only T − n + 1 runs."""
    return len({gram for text in tokens.tolist() for gram in grams(text, n)}) / tokens.numel()


def one_too_long(tokens, n):
    """This is what you get with runs of n + 1 tokens."""
    return distinct(tokens, n + 1)


def without_order(tokens, n):
    """This is what you get when the order within a run does not count: (3, 7) and (7, 3) are two different runs."""
    return share([tuple(sorted(gram)) for text in tokens.tolist() for gram in grams(text, n)])


def only_once(tokens, n):
    """This is what you get by counting the runs that come exactly once. A run that comes twice is one different run."""
    found = [gram for text in tokens.tolist() for gram in grams(text, n)]
    return sum(found.count(gram) == 1 for gram in found) / len(found)


def repeated(tokens, n):
    """This is what you get as the share that repeats. Distinct-n is 1 minus that."""
    return 1 - distinct(tokens, n)


def not_overlapping(tokens, n):
    """This is what you get from runs that lie end to end. A run begins at every token that has n − 1 after it."""
    return share([tuple(text[i : i + n]) for text in tokens.tolist() for i in range(0, len(text) - n + 1, n)])


def single_tokens(tokens, n):
    """This is what you get from single tokens, whatever n is."""
    return distinct(tokens, 1)


def texts_of_tokens(generator):
    def draw(B, T, many, n):
        tokens = torch.randint(0, many, (B, T), generator=generator)
        tokens[:, :4] = torch.tensor([0, 1, 0, 1])  # comes twice in every text, and in all of them
        tokens[-1, -4:] = torch.tensor([1, 0, 0, 0])  # the same tokens in another order
        return tokens, n

    return [draw(2, 9, 3, 2), draw(3, 11, 5, 2), draw(4, 10, 6, 3), draw(2, 14, 4, 2), draw(5, 12, 9, 2)]


variety = Exercise(
    "6.1.2",
    "Distinct-n",
    ("tokens", "n"),
    distinct,
    texts_of_tokens,
    (
        mean_over_texts,
        across_texts,
        per_token,
        one_too_long,
        without_order,
        only_once,
        repeated,
        not_overlapping,
        single_tokens,
    ),
)


# ---- 6.1.3: a step with the cache ----------------------------------------------------------------


def cached_step(q, k, v, keys, values):
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)  # (H, S + 1, D)
    return looked_up(q, keys, values)


def looked_up(q, keys, values, root=None):
    scores = torch.einsum("hd,hsd->hs", q, keys) / (root or q.size(-1)) ** 0.5
    return torch.einsum("hs,hsd->hd", scores.softmax(-1), values)


def without_itself(q, k, v, keys, values):
    """This is what you get from the cache alone: the new token has to look at itself, too."""
    return looked_up(q, keys, values)


def value_not_kept(q, k, v, keys, values):
    """This is what you get when the new value stands in the place of the last one kept: append it."""
    return looked_up(q, keys, torch.cat([values[:, :-1], v[:, None]], 1))


def overwritten(q, k, v, keys, values):
    """This is what you get when the new key and value take the place of the last ones: append them."""
    replaced = (torch.cat([old[:, :-1], new[:, None]], 1) for old, new in ((keys, k), (values, v)))
    return looked_up(q, *replaced)


def unscaled(q, k, v, keys, values):
    """This is what you get without dividing by √D."""
    return cached_step(q * q.size(-1) ** 0.5, k, v, keys, values)


def scaled_by_width(q, k, v, keys, values):
    """This is what you get with √C, the width of all heads together. Each head has D numbers: divide by √D."""
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    return looked_up(q, keys, values, root=q.numel())


def only_itself(q, k, v, keys, values):
    """This is what you get when the token looks at itself alone: the keys and values of the text are in the cache."""
    return v.clone()


def equal_weights(q, k, v, keys, values):
    """This is what you get when every token counts the same: the weights come from q and the keys."""
    return torch.cat([values, v[:, None]], 1).mean(1)


def softmax_over_heads(q, k, v, keys, values):
    """This is what you get with the softmax over the heads. Each head's weights over the tokens add up to 1."""
    keys, values = torch.cat([keys, k[:, None]], 1), torch.cat([values, v[:, None]], 1)
    scores = torch.einsum("hd,hsd->hs", q, keys) / q.size(-1) ** 0.5
    return torch.einsum("hs,hsd->hd", scores.softmax(0), values)


def key_for_query(q, k, v, keys, values):
    """This is what you get when the new key asks in place of the query."""
    return cached_step(k, k, v, keys, values)


def cached_texts(generator):
    def draw(H, S, D):
        new = [torch.randn(H, D, generator=generator) for _ in range(3)]
        return *new, *(torch.randn(H, S, D, generator=generator) for _ in range(2))

    return [draw(2, 3, 4), draw(3, 2, 2), draw(2, 5, 3), draw(4, 7, 8), draw(3, 12, 5)]


step = Exercise(
    "6.1.3",
    "A step with the cache",
    ("q", "k", "v", "keys", "values"),
    cached_step,
    cached_texts,
    (
        without_itself,
        value_not_kept,
        overwritten,
        unscaled,
        scaled_by_width,
        only_itself,
        equal_weights,
        softmax_over_heads,
        key_for_query,
    ),
)


# ---- 6.1.4: which claim stands -------------------------------------------------------------------

claim = ValueExercise(
    "6.1.4",
    "Which claim stands",
    answer="C",
    right="Parsing tests the grammar and perplexity tests likelihood: neither has looked at what the functions do.",
    mistakes={
        "A": "a body that is only `return None` parses too. How many functions did what their docstring says?",
        "B": "the model's own low perplexity says that its text is likely, as that of its greedy stories was.",
        "D": "it has changed: the two numbers did measure something. They do not measure what is claimed.",
    },
)

EXERCISES = (reading, variety, step, claim)
