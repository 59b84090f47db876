"""The checked exercises of 4.1.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import math

import torch

from ..exercise import Exercise, ValueExercise

INF = math.inf


# ---- 4.1.1: the sum of all weights ---------------------------------------------------------------

# x (2, 5, 12), context (2, 7, 12), n_head = 3: the weights are (2, 3, 5, 7).
sum_of_weights = ValueExercise(
    "4.1.1",
    "The sum of all weights",
    answer=30,
    right="Each of the B · H · T = 2 · 3 · 5 queries shares out a weight of exactly 1.",
    mistakes={
        210: "that counts the weights, B · H · T · S. What does each row of S weights sum to?",
        1: "that is one row. How many rows are there?",
        42: "that lets each key share out 1, a softmax over the queries. Each query shares out 1.",
        10: "that takes one head. Every head has weights of its own.",
        15: "that takes one text of the two.",
        5: "that leaves out the heads and the texts: there are B · H matrices of T rows.",
        6: "that counts one row for each head and text, but there are T rows in each matrix.",
        150: "that counts the weights as if keys came from x (S = T). They come from the context.",
        120: "that takes the width C for the number of heads.",
    },
)


# ---- 4.1.2: attention with a mask ----------------------------------------------------------------


def attention(q, k, v, mask):
    scores = q @ k.mT / math.sqrt(q.size(-1))  # (B, T, S)
    return hide(scores, mask).softmax(-1) @ v  # (B, T, E)


def hide(scores, mask, value=-INF):
    return scores if mask is None else scores.masked_fill(~mask, value)


def attention_cases(generator):
    def draw(B, T, S, D, E, masked=True):
        q, k = torch.randn(B, T, D, generator=generator), torch.randn(B, S, D, generator=generator)
        v = torch.randn(B, S, E, generator=generator)
        mask = torch.rand(B, T, S, generator=generator) < 0.6
        mask.scatter_(-1, torch.randint(S, (B, T, 1), generator=generator), True)  # everyone sees someone
        mask[:, 0, :] = torch.arange(S) < S // 2  # and someone never sees the last key
        return 2 * q, k, v, mask if masked else None

    sizes = [
        (1, 2, 3, 2, 2),
        (2, 2, 3, 4, 3),
        (2, 3, 5, 3, 2),
        (3, 4, 2, 5, 4),
        (2, 6, 9, 8, 5),
        (4, 10, 7, 16, 12),
    ]
    cases = [draw(*size, masked) for size in sizes for masked in (False, True)]
    # Scores below −10,000, where a "large negative number" is no longer lower than all others.
    q = torch.full((2, 2, 4), -100.0)
    k = torch.tensor([100.0, 101.0, 102.0]).view(1, 3, 1).repeat(2, 1, 4)
    v = torch.randn(2, 3, 2, generator=generator)
    mask = torch.tensor([[True, False, False], [True, True, False]]).repeat(2, 1, 1)
    return [*cases, (q, k, v, mask)]


def no_scale(q, k, v, mask):
    """This is what you get without dividing by √d_k."""
    return hide(q @ k.mT, mask).softmax(-1) @ v


def scale_without_root(q, k, v, mask):
    """This is what you get by dividing by d_k: take its square root."""
    return hide(q @ k.mT / q.size(-1), mask).softmax(-1) @ v


def scale_by_keys(q, k, v, mask):
    """This is what you get with √S: d_k is the width of a key, not the number of keys."""
    return hide(q @ k.mT / math.sqrt(k.size(-2)), mask).softmax(-1) @ v


def scale_by_value_width(q, k, v, mask):
    """This is what you get with the width of a value: d_k is the width of a key."""
    return hide(q @ k.mT / math.sqrt(v.size(-1)), mask).softmax(-1) @ v


def scale_after_softmax(q, k, v, mask):
    """This is what you get by dividing after the softmax: divide the scores."""
    return hide(q @ k.mT, mask).softmax(-1) / math.sqrt(q.size(-1)) @ v


def softmax_over_queries(q, k, v, mask):
    """This is what you get with a softmax over the queries: each query's weights over the keys sum to 1."""
    return hide(q @ k.mT / math.sqrt(q.size(-1)), mask).softmax(-2) @ v


def softmax_over_queries_nan_to_zero(q, k, v, mask):
    """This is a softmax over the queries, its NaN made 0: each query's weights over the keys sum to 1."""
    return hide(q @ k.mT / math.sqrt(q.size(-1)), mask).softmax(-2).nan_to_num(0.0) @ v


def softmax_over_texts(q, k, v, mask):
    """This is what you get with a softmax over the batch: the texts have nothing to do with each other."""
    return hide(q @ k.mT / math.sqrt(q.size(-1)), mask).softmax(0) @ v


def softmax_over_everything(q, k, v, mask):
    """This is what you get with one softmax over the whole matrix: take one for each row."""
    scores = hide(q @ k.mT / math.sqrt(q.size(-1)), mask)
    return scores.flatten(-2).softmax(-1).view_as(scores) @ v


def no_softmax(q, k, v, mask):
    """This is what you get without the softmax."""
    return hide(q @ k.mT / math.sqrt(q.size(-1)), mask, 0.0) @ v


def hard_maximum(q, k, v, mask):
    """This is what you get by taking the best key alone: softmax mixes them."""
    best = hide(q @ k.mT / math.sqrt(q.size(-1)), mask).argmax(-1, keepdim=True)
    return v.gather(-2, best.expand(-1, -1, v.size(-1)))


def mask_ignored(q, k, v, mask):
    """This is what you get without the mask."""
    return attention(q, k, v, None)


def mask_reversed(q, k, v, mask):
    """This is what you get with the mask reversed: True means that the query may look."""
    return attention(q, k, v, None if mask is None else ~mask)


def mask_as_zero_score(q, k, v, mask):
    """This is what you get with masked scores of 0: e⁰ is 1, not 0. Use −inf."""
    return hide(q @ k.mT / math.sqrt(q.size(-1)), mask, 0.0).softmax(-1) @ v


def mask_after_softmax(q, k, v, mask):
    """This is what you get by masking after the softmax: the rows no longer sum to 1."""
    return hide((q @ k.mT / math.sqrt(q.size(-1))).softmax(-1), mask, 0.0) @ v


def mask_of_ten_thousand(q, k, v, mask):
    """This is what you get with −10,000 in place of −inf: some scores here are lower than that."""
    return hide(q @ k.mT / math.sqrt(q.size(-1)), mask, -1e4).softmax(-1) @ v


masked_attention = Exercise(
    "4.1.2",
    "Attention with a mask",
    ("q", "k", "v", "mask"),
    attention,
    attention_cases,
    (
        no_scale,
        scale_without_root,
        scale_by_keys,
        scale_by_value_width,
        scale_after_softmax,
        softmax_over_queries,
        softmax_over_queries_nan_to_zero,
        softmax_over_texts,
        softmax_over_everything,
        no_softmax,
        hard_maximum,
        mask_ignored,
        mask_reversed,
        mask_as_zero_score,
        mask_after_softmax,
        mask_of_ten_thousand,
    ),
)


# ---- 4.1.3: several heads ------------------------------------------------------------------------


def multi_head(x, w_qkv, w_o, n_head):
    return join(causal(*split(x @ w_qkv, n_head))) @ w_o


def split(qkv, n_head):
    """(B, T, 3C) -> q, k, v (B, H, T, D) each."""
    B, T, _ = qkv.shape
    return [t.reshape(B, T, n_head, -1).transpose(1, 2) for t in qkv.chunk(3, dim=-1)]


def split_by_view(qkv, n_head):
    B, T, _ = qkv.shape
    return [t.reshape(B, n_head, T, -1) for t in qkv.chunk(3, dim=-1)]


def split_interleaved(qkv, n_head):
    B, T, _ = qkv.shape
    return [t.reshape(B, T, -1, n_head).permute(0, 3, 1, 2) for t in qkv.chunk(3, dim=-1)]


def split_per_head(qkv, n_head):
    B, T, _ = qkv.shape
    return qkv.reshape(B, T, n_head, -1).transpose(1, 2).chunk(3, dim=-1)


def join(y):
    """(B, H, T, D) -> (B, T, C)."""
    B, _, T, _ = y.shape
    return y.transpose(1, 2).reshape(B, T, -1)


def join_by_view(y):
    B, _, T, _ = y.shape
    return y.reshape(B, T, -1)


def causal(q, k, v, width=None, diagonal=0):
    T = q.size(-2)
    scores = q @ k.mT / math.sqrt(width or q.size(-1))
    return hide(scores, torch.ones(T, T, dtype=torch.bool).tril(diagonal)).softmax(-1) @ v


def one_head(x, w_qkv, w_o, n_head):
    """This is what you get with one head of width C: n_head is not used."""
    return multi_head(x, w_qkv, w_o, 1)


def heads_by_view(x, w_qkv, w_o, n_head):
    """This is what you get by reshaping straight to (B, H, T, D), which mixes tokens: reshape to (B, T,
    H, D), then swap T and H."""
    return join(causal(*split_by_view(x @ w_qkv, n_head))) @ w_o


def heads_by_view_and_back(x, w_qkv, w_o, n_head):
    """This is what you get by reshaping straight to (B, H, T, D) and back, which mixes tokens: split C,
    not T."""
    return join_by_view(causal(*split_by_view(x @ w_qkv, n_head))) @ w_o


def heads_interleaved(x, w_qkv, w_o, n_head):
    """This is what you get when head h takes columns h, h + H, …: it takes D neighbouring columns."""
    return join(causal(*split_interleaved(x @ w_qkv, n_head))) @ w_o


def heads_before_qkv(x, w_qkv, w_o, n_head):
    """This is what you get by cutting into heads before cutting into q, k and v."""
    return join(causal(*split_per_head(x @ w_qkv, n_head))) @ w_o


def joined_by_view(x, w_qkv, w_o, n_head):
    """This is what you get by reshaping (B, H, T, D) straight to (B, T, C): swap H and T back first."""
    return join_by_view(causal(*split(x @ w_qkv, n_head))) @ w_o


def scaled_by_width(x, w_qkv, w_o, n_head):
    """This is what you get with √C: each head's scores are sums of D = C / H products."""
    return join(causal(*split(x @ w_qkv, n_head), width=x.size(-1))) @ w_o


def heads_unscaled(x, w_qkv, w_o, n_head):
    """This is what you get without dividing by √D."""
    return join(causal(*split(x @ w_qkv, n_head), width=1)) @ w_o


def no_causal_mask(x, w_qkv, w_o, n_head):
    """This is what you get without the causal mask."""
    return join(causal(*split(x @ w_qkv, n_head), diagonal=x.size(1))) @ w_o


def sees_one_ahead(x, w_qkv, w_o, n_head):
    """This is what you get when each token sees one token too far."""
    return join(causal(*split(x @ w_qkv, n_head), diagonal=1)) @ w_o


def blind_to_itself(x, w_qkv, w_o, n_head):
    """This is what you get when a token may not look at itself: the first token then sees nothing,
    hence NaN."""
    return join(causal(*split(x @ w_qkv, n_head), diagonal=-1)) @ w_o


def no_output_projection(x, w_qkv, w_o, n_head):
    """This is what you get without the output projection w_o."""
    return join(causal(*split(x @ w_qkv, n_head)))


def output_projection_transposed(x, w_qkv, w_o, n_head):
    """This is what you get with w_o transposed: it is applied from the right, as w_qkv is."""
    return join(causal(*split(x @ w_qkv, n_head))) @ w_o.mT


def keys_and_queries_swapped(x, w_qkv, w_o, n_head):
    """This is what you get with queries and keys swapped: the order in w_qkv is q, k, v."""
    q, k, v = split(x @ w_qkv, n_head)
    return join(causal(k, q, v)) @ w_o


def keys_and_values_swapped(x, w_qkv, w_o, n_head):
    """This is what you get with keys and values swapped: the order in w_qkv is q, k, v."""
    q, k, v = split(x @ w_qkv, n_head)
    return join(causal(q, v, k)) @ w_o


def multi_head_cases(generator):
    def draw(B, T, H, D):
        C = H * D
        x = torch.randn(B, T, C, generator=generator)
        w_qkv, w_o = torch.randn(C, 3 * C, generator=generator), torch.randn(C, C, generator=generator)
        return x, w_qkv / math.sqrt(C), w_o, H  # so that queries and keys have unit variance

    sizes = [(1, 2, 1, 2), (1, 3, 2, 1), (2, 3, 2, 3), (3, 4, 3, 2), (2, 5, 4, 3), (2, 8, 2, 6), (4, 7, 6, 4)]
    return [draw(*size) for size in sizes]


several_heads = Exercise(
    "4.1.3",
    "Several heads",
    ("x", "w_qkv", "w_o", "n_head"),
    multi_head,
    multi_head_cases,
    (
        one_head,
        heads_by_view,
        heads_by_view_and_back,
        heads_interleaved,
        heads_before_qkv,
        joined_by_view,
        scaled_by_width,
        heads_unscaled,
        no_causal_mask,
        sees_one_ahead,
        blind_to_itself,
        no_output_projection,
        output_projection_transposed,
        keys_and_queries_swapped,
        keys_and_values_swapped,
    ),
)


# ---- 4.1.4: what attention knows of order --------------------------------------------------------

order = ValueExercise(
    "4.1.4",
    "Order",
    answer="B",
    right="Outputs walk with their tokens, unchanged: without mask and positions, a text is a bag of tokens.",
    mistakes={
        "A": "each output row belongs to a query. The queries have moved, so where do the rows stand?",
        "C": "each query still meets the same set of keys, and a sum does not mind the order of its terms.",
        "D": "softmax runs over the keys of one row. Reordering the keys reorders weights; it changes none.",
    },
)

EXERCISES = (sum_of_weights, masked_attention, several_heads, order)
