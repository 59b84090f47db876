"""The checked exercises of homework 4: attention, heads, the block, the encoder–decoder. Their text is in hw4.ipynb.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import math

import torch

from ..exercise import Exercise, Prediction
from .homework_4_block import pre_norm_block, who

INF = math.inf


# ---- 4.1: how many parameters ------------------------------------------------------------------------


def numbers_of_a_gpt(generator):
    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    # With these, no two mistakes give the same number.
    return {"V": draw(60, 100), "P": draw(29, 34), "C": 4 * draw(4, 8), "L": draw(2, 5)}


def count(V, P, C, L):
    return V * C + P * C + L * (12 * C * C + 13 * C) + 2 * C


def tied_head_twice(V, P, C, L):
    """that counts the output layer too. It is tied: the same V · C numbers as the token embedding."""
    return count(V, P, C, L) + V * C


def no_biases(V, P, C, L):
    """that leaves out the biases of the linear layers: 9 C in each block, one for each number that comes out."""
    return count(V, P, C, L) - L * 9 * C


def no_norms(V, P, C, L):
    """that leaves out the norms: each has a scale and a shift of C numbers, two norms a block and one at the end."""
    return count(V, P, C, L) - L * 4 * C - 2 * C


def weights_alone(V, P, C, L):
    """that counts the matrices alone. Biases (9 C a block) and norms (4 C a block, 2 C at the end) are learned too."""
    return V * C + P * C + L * 12 * C * C


def no_final_norm(V, P, C, L):
    """that leaves out the last norm, after all blocks: 2 C."""
    return count(V, P, C, L) - 2 * C


def no_positions(V, P, C, L):
    """that leaves out the position embedding, P · C."""
    return count(V, P, C, L) - P * C


def one_block(V, P, C, L):
    """that counts one block. There are L."""
    return V * C + P * C + 12 * C * C + 13 * C + 2 * C


def no_output_projection_counted(V, P, C, L):
    """that leaves out attention's output projection, C · C + C in each block."""
    return count(V, P, C, L) - L * (C * C + C)


def narrow_network(V, P, C, L):
    """that takes the feed-forward network to be C wide inside. It is 4 C wide: 8 C · C weights in each block."""
    return count(V, P, C, L) - L * (6 * C * C + 3 * C)


parameters = Prediction(
    "4.1",
    "How many parameters",
    numbers_of_a_gpt,
    count,
    "V·C + P·C for the embeddings, 12·C² + 13·C for each block, 2·C for the last norm; the head is tied.",
    (
        tied_head_twice,
        no_biases,
        no_norms,
        weights_alone,
        no_final_norm,
        no_positions,
        one_block,
        no_output_projection_counted,
        narrow_network,
    ),
)


# ---- 4.2: causal attention, the last T of S positions ------------------------------------------------


def causal(q, k, v, scale=None, shift=0, fill=-INF, align="right", axis=-1):
    T, S = q.size(-2), k.size(-2)
    scores = q @ k.mT / (scale or math.sqrt(q.size(-1)))  # (…, T, S)
    may_look = torch.ones(T, S, dtype=torch.bool).tril(shift + (S - T if align == "right" else 0))
    return scores.masked_fill(~may_look, fill).softmax(axis) @ v  # (…, T, E)


def causal_attention(q, k, v):
    return causal(q, k, v)


def causal_cases(generator):
    def draw(T, S, D, E, *leading):
        return tuple(2 * torch.randn(*leading, n, d, generator=generator) for n, d in ((T, D), (S, D), (S, E)))

    ordinary = [draw(2, 3, 2, 3, 1), draw(3, 3, 4, 2, 2), draw(2, 5, 3, 4, 2), draw(4, 4, 5, 2, 3, 2),
                draw(3, 7, 6, 5, 2, 4), draw(6, 9, 16, 3, 2)]  # fmt: skip
    # Scores near −20,000, where a "large negative number" is the largest of all. Sixty-fourths, so that float32 has
    # the scores exactly: rounded there, they would be 0.002 off, and answers in float64 not those of float32.
    q, k = torch.full((1, 2, 4), -100.0), 100 + torch.randint(64, (1, 3, 4), generator=generator) / 64
    v = torch.randn(1, 3, 2, generator=generator)
    return [*ordinary, (q, k, v)]


def unscaled(q, k, v):
    """This is what you get without dividing the scores by √D."""
    return causal(q, k, v, scale=1)


def divided_by_width(q, k, v):
    """This is what you get with 1/D: divide by the square root of D."""
    return causal(q, k, v, scale=q.size(-1))


def scaled_by_length(q, k, v):
    """This is what you get with the number of keys under the root: it is the width of a key, D."""
    return causal(q, k, v, scale=math.sqrt(k.size(-2)))


def softmax_over_queries(q, k, v):
    """This is what you get with the softmax over the queries (axis −2): each query shares out 1 among the keys, so
    it runs over the last axis."""
    return causal(q, k, v, axis=-2)


def unmasked(q, k, v):
    """This is what you get without a mask: every query sees the future."""
    return causal(q, k, v, shift=k.size(-2))


def sees_one_ahead(q, k, v):
    """This is what you get when each query sees one token too far: it may look at itself and no further."""
    return causal(q, k, v, shift=1)


def blind_to_itself(q, k, v):
    """This is what you get when a query may not look at its own position."""
    return causal(q, k, v, shift=-1)


def aligned_to_the_left(q, k, v):
    """This is what you get with `tril()` as it is, which puts the T queries at the first positions. They are the last
    T of S: mind the diagonal."""
    return causal(q, k, v, align="left")


def sees_the_future_alone(q, k, v):
    """This is what you get with the mask the wrong way round: who may look and who may not are swapped."""
    T, S = q.size(-2), k.size(-2)
    may_look = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    return (q @ k.mT / math.sqrt(q.size(-1))).masked_fill(may_look, -INF).softmax(-1) @ v


def masked_after_softmax(q, k, v):
    """This is what you get by setting weights to 0 after the softmax: the rows no longer sum to 1. Mask the scores, or
    divide each row by its sum again."""
    weights = (q @ k.mT / math.sqrt(q.size(-1))).softmax(-1)
    return weights.tril(k.size(-2) - q.size(-2)) @ v


def masked_with_zero(q, k, v):
    """This is what you get by multiplying the scores by the mask: a score of 0 still has the weight e⁰. Set it to
    −∞."""
    return (q @ k.mT / math.sqrt(q.size(-1))).tril(k.size(-2) - q.size(-2)).softmax(-1) @ v


def masked_with_a_finite_number(q, k, v):
    """This is what you get with a mask such as −10,000 where the scores themselves lie below it: use −∞."""
    return causal(q, k, v, fill=-1e4)


attention = Exercise(
    "4.2",
    "Causal attention",
    ("q", "k", "v"),
    causal_attention,
    causal_cases,
    (
        unscaled,
        divided_by_width,
        scaled_by_length,
        softmax_over_queries,
        unmasked,
        sees_one_ahead,
        blind_to_itself,
        aligned_to_the_left,
        sees_the_future_alone,
        masked_after_softmax,
        masked_with_zero,
        masked_with_a_finite_number,
    ),
    edges=1,
)


# ---- 4.3: heads of your own design -------------------------------------------------------------------


def cut(x, H):
    return x.unflatten(-1, (H, -1)).transpose(1, 2)  # (B, H, T, D)


def join(y):
    return y.transpose(1, 2).flatten(2)  # (B, T, C)


def heads(x, context, w_q, w_k, w_v, w_o, n_head, cut=cut, join=join, scale=None):
    source = x if context is None else context
    q, k, v = cut(x @ w_q, n_head), cut(source @ w_k, n_head), cut(source @ w_v, n_head)
    weights = (q @ k.mT / (scale or math.sqrt(q.size(-1)))).softmax(-1)  # (B, H, T, S)
    return join(weights @ v) @ w_o


def multi_head(x, context, w_q, w_k, w_v, w_o, n_head):
    return heads(x, context, w_q, w_k, w_v, w_o, n_head)


def heads_cases(generator):
    def draw(B, T, S, H, D):
        C = H * D
        x, context = torch.randn(B, T, C, generator=generator), torch.randn(B, S or 1, C, generator=generator)
        matrices = [1.5 * torch.randn(C, C, generator=generator) / math.sqrt(C) for _ in range(4)]
        return x, context if S else None, *matrices, H

    sizes = [(1, 2, 0, 2, 3), (1, 2, 3, 2, 3), (2, 3, 0, 3, 2), (2, 4, 3, 2, 5), (3, 2, 5, 4, 3), (2, 5, 7, 3, 4)]
    return [draw(*size) for size in sizes]


def one_head(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get with a single head: n_head is not used."""
    return heads(x, context, w_q, w_k, w_v, w_o, 1)


def scaled_by_c(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get with √C: the scores of a head are sums of D = C / H products."""
    return heads(x, context, w_q, w_k, w_v, w_o, n_head, scale=math.sqrt(x.size(-1)))


def heads_unscaled(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get without dividing by √D."""
    return heads(x, context, w_q, w_k, w_v, w_o, n_head, scale=1)


def viewed(x, H):
    return x.reshape(x.size(0), H, x.size(1), -1)


def joined_by_view(y):
    return y.reshape(y.size(0), y.size(2), -1)


def cut_by_view(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get by viewing (B, T, C) as (B, H, T, D), which mixes the tokens: view as (B, T, H, D), then
    swap T and H."""
    return heads(x, context, w_q, w_k, w_v, w_o, n_head, cut=viewed)


def cut_and_joined_by_view(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get with views alone, in and out, which mix the tokens: swap T and H on both ways."""
    return heads(x, context, w_q, w_k, w_v, w_o, n_head, cut=viewed, join=joined_by_view)


def not_swapped_back(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get by viewing (B, H, T, D) as (B, T, C) at the end: swap H and T back first."""
    return heads(x, context, w_q, w_k, w_v, w_o, n_head, join=joined_by_view)


def interleaved(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get when head h takes the columns h, h + H, …: it takes D columns side by side."""
    return heads(x, context, w_q, w_k, w_v, w_o, n_head, cut=lambda x, H: x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2))


def context_ignored(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get from self-attention: keys and values come from the context when there is one."""
    return heads(x, None, w_q, w_k, w_v, w_o, n_head)


def crossed_the_wrong_way(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is cross-attention reversed: the queries come from x, keys and values from the context, so that there is
    one output for each token of x."""
    return heads(x if context is None else context, x, w_q, w_k, w_v, w_o, n_head)


def not_projected(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get without w_o at the end."""
    return heads(x, context, w_q, w_k, w_v, torch.eye(x.size(-1)), n_head)


def matrices_transposed(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get with the matrices transposed: here x @ w, and `nn.Linear` computes x @ weight.T, so copy
    w.T into its weight."""
    return heads(x, context, w_q.mT, w_k.mT, w_v.mT, w_o.mT, n_head)


def output_transposed(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get with w_o alone transposed: it is applied from the right as the others are."""
    return heads(x, context, w_q, w_k, w_v, w_o.mT, n_head)


def causal_heads(x, context, w_q, w_k, w_v, w_o, n_head):
    """This is what you get with a causal mask: an encoder, and a decoder that reads the source, see all of it."""
    source = x if context is None else context
    q, k, v = cut(x @ w_q, n_head), cut(source @ w_k, n_head), cut(source @ w_v, n_head)
    return join(causal(q, k, v, align="left")) @ w_o


own_heads = Exercise(
    "4.3",
    "Heads of your own design",
    ("x", "context", "w_q", "w_k", "w_v", "w_o", "n_head"),
    multi_head,
    heads_cases,
    (
        one_head,
        scaled_by_c,
        heads_unscaled,
        cut_by_view,
        cut_and_joined_by_view,
        not_swapped_back,
        interleaved,
        context_ignored,
        crossed_the_wrong_way,
        not_projected,
        matrices_transposed,
        output_transposed,
        causal_heads,
    ),
)

EXERCISES = (parameters, attention, own_heads, pre_norm_block, who)
