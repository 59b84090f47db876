"""Of homework 1: a table with an answer for every context, by Kneser and Ney."""

from collections import Counter

import torch

from ..exercise import Exercise

# ---- 1.3: Kneser–Ney, of any order -----------------------------------------------------------------


def kneser_ney(text, context, n, V, D):
    return smooth(text, context, n, V, D)


def strings(text, length):
    return [tuple(text[i : i + length]) for i in range(len(text) - length + 1)]


def counted(text, m, n):
    """How often each string of m + 1 tokens; of those shorter than n + 1, after how many different tokens."""
    return Counter(strings(text, m + 1)) if m == n else Counter(s[1:] for s in set(strings(text, m + 2)))


def interpolate(c, shorter, D):
    """What was taken off, D for each kind of follower, is shared out like `shorter`."""
    return (c - D * (c > 0) + D * (c > 0).sum() * shorter) / c.sum()


def last(context, m):
    return context[len(context) - m :]


def stay(p):
    return p


def smooth(text, context, n, V, D, count=counted, mix=interpolate, strange=stay, short=last, start=None):
    """(V,): from equal shares to the longest context, one token more at a time."""
    text, context = text.tolist(), context.tolist()[max(0, len(context) - n) :]
    p = torch.full((V,), 1 / V, dtype=torch.float64) if start is None else start
    for m in range(len(context) + 1):
        c = torch.zeros(V, dtype=torch.float64)
        for string, number in count(text, m, n).items():
            if string[:-1] == tuple(short(context, m)):
                c[string[-1]] = number
        p = mix(c, p, D) if c.sum() else strange(p)
    return p


def table_cases(generator):
    def whole(high):
        return int(torch.randint(high, (), generator=generator))

    def draw(T, V, kinds, n, context=None, length=None):
        """A text of T tokens of only so many kinds; one of its own contexts of this length, if none is given."""
        favourite = torch.randint(kinds, (kinds,), generator=generator)  # what mostly follows each token
        text = [kinds] * (V > kinds + 1) + list(range(kinds))  # the first token may be one that follows none
        while len(text) < T:
            text.append(int(favourite[text[-1]]) if whole(5) < 3 else whole(kinds))
        if context is None:
            i = whole(T - length)
            context = text[i : i + length]
        D = (3 + whole(6)) / 10
        return torch.tensor(text), torch.tensor(context, dtype=torch.long), n, V, D

    def strange(text, context, n, V, D):
        """The same with a context whose last token is known, but not after the token before it."""
        pairs = set(strings(text.tolist(), 2))
        found = [(a, b) for a in range(V) for b in text[:-1].tolist() if (a, b) not in pairs]
        return text, torch.tensor(found[whole(len(found))]), n, V, D

    return [
        draw(6, 4, 3, 1, length=1),
        draw(7, 5, 3, 1, length=3),
        draw(9, 4, 3, 0, length=2),
        strange(*draw(12, 6, 5, 2, length=2)),
        draw(14, 5, 4, 2, context=[1, 4]),  # a token that the text does not have
        draw(16, 5, 4, 2, context=[]),
        draw(20, 6, 4, 3, length=1),
        draw(30, 5, 4, 2, length=4),
        draw(40, 7, 5, 3, length=3),
        draw(90, 8, 7, 4, length=6),
    ]


def often_everywhere(text, context, n, V, D):
    """This counts how often a string comes, for the shorter contexts too. There, count after how many *different*
    tokens it comes: that is Kneser and Ney's idea."""
    return smooth(text, context, n, V, D, lambda text, m, n: counted(text, m, m))


def varied_everywhere(text, context, n, V, D):
    """This counts different tokens before it for the longest strings too. Those of n + 1 tokens are counted as often as
    they come."""
    return smooth(text, context, n, V, D, lambda text, m, n: counted(text, m, n + 1))


def discount_lost(text, context, n, V, D):
    """This does not sum to 1: D was taken off each count, and nobody got it. It goes to the shorter context."""
    return smooth(text, context, n, V, D, mix=lambda c, p, D: (c - D * (c > 0)) / c.sum())


def nothing_taken(text, context, n, V, D):
    """This sums to more than 1: the shorter context was given its share, but nothing was taken off the counts."""
    return smooth(text, context, n, V, D, mix=lambda c, p, D: (c + D * (c > 0).sum() * p) / c.sum())


def taken_off_zeros(text, context, n, V, D):
    """This takes D off counts of 0 too, so that it sums to less than 1. From 0 there is nothing to take."""
    return smooth(text, context, n, V, D, mix=lambda c, p, D: (c - D + D * (c > 0).sum() * p) / c.sum())


def given_back_once(text, context, n, V, D):
    """This sums to less than 1: D was taken off each *kind* of follower, and given back once. Give back D · K."""
    return smooth(text, context, n, V, D, mix=lambda c, p, D: (c - D * (c > 0) + D * p) / c.sum())


def whole_vocabulary_as_kinds(text, context, n, V, D):
    """This sums to more than 1: it takes V for K, the number of kinds. Count only the tokens that did follow."""
    return smooth(text, context, n, V, D, mix=lambda c, p, D: (c - D * (c > 0) + D * V * p) / c.sum())


def only_the_unseen(text, context, n, V, D):
    """This gives the shorter context's share only to tokens that never followed. It is shared out among all."""
    def mix(c, p, D):
        return torch.where(c > 0, c - D, D * (c > 0).sum() * p) / c.sum()

    return smooth(text, context, n, V, D, mix=mix)


def seen_tokens_only(text, context, n, V, D):
    """This starts from equal shares among the tokens that the text has. A token never seen gets 0, and one of those in
    the test makes the surprise infinite: start from 1 / V for all V."""
    seen = torch.bincount(text, minlength=V) > 0
    return smooth(text, context, n, V, D, start=seen.double() / seen.sum())


def stops_at_the_empty_context(text, context, n, V, D):
    """This takes the plain shares for the empty context, and a token never seen gets 0. The empty context too is mixed
    with what is shorter still: equal shares."""
    def mix(c, p, D):
        return c / c.sum() if (p == 1 / V).all() else interpolate(c, p, D)

    return smooth(text, context, n, V, D, mix=mix)


def straight_to_equal_shares(text, context, n, V, D):
    """This mixes the longest context with equal shares at once. Go down one token at a time: the shorter contexts know
    something too."""
    return smooth(text, context, n, V, D, mix=lambda c, p, D: interpolate(c, torch.full_like(c, 1 / V), D))


def strange_context_guesses(text, context, n, V, D):
    """This gives equal shares after a context never seen. Its last tokens may be well known: use the shorter one."""
    return smooth(text, context, n, V, D, strange=lambda p: torch.full_like(p, 1 / V))


def strange_context_skipped(text, context, n, V, D):
    """This gives 0 to everything after a context never seen. That is no distribution, and such contexts are the very
    places where a table is weak: use the shorter context."""
    return smooth(text, context, n, V, D, strange=torch.zeros_like)


def first_tokens(text, context, n, V, D):
    """This reads the first n tokens of a long context. The next token stands after the last n."""
    return smooth(text, context[:n], n, V, D)


def shortened_at_the_end(text, context, n, V, D):
    """This shortens a context at its end. Drop its *first* token: the nearest ones stay."""
    return smooth(text, context, n, V, D, short=lambda h, m: h[:m])


def context_counted(text, context, n, V, D):
    """This counts the context too. It belongs to the text that is tested: the counts come from `text` alone."""
    return smooth(torch.cat([text, context]), context, n, V, D)


def short_context_as_longest(text, context, n, V, D):
    """This takes a context of fewer than n tokens for the longest. Only strings of n + 1 tokens are counted as often as
    they come, however short the context is."""
    return smooth(text, context, min(n, len(context)), V, D)


table = Exercise(
    "1.3",
    "A table of your own design",
    ("text", "context", "n", "V", "D"),
    kneser_ney,
    table_cases,
    (
        often_everywhere,
        varied_everywhere,
        discount_lost,
        nothing_taken,
        taken_off_zeros,
        given_back_once,
        whole_vocabulary_as_kinds,
        only_the_unseen,
        seen_tokens_only,
        stops_at_the_empty_context,
        straight_to_equal_shares,
        strange_context_guesses,
        strange_context_skipped,
        first_tokens,
        shortened_at_the_end,
        context_counted,
        short_context_as_longest,
    ),
)
