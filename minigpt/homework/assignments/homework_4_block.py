"""The last checked exercises of homework 4: a Transformer block, and who sees whom in an encoder–decoder."""

import math

import torch

from ..exercise import Exercise

# ---- 4.4: a pre-norm block ---------------------------------------------------------------------------


def norm(x, eps, correction=0, over=-1):
    """LayerNorm without scale and shift."""
    return (x - x.mean(over, keepdim=True)) / (x.var(over, correction=correction, keepdim=True) + eps).sqrt()


def block(x, mix, w_in, w_out, eps):
    x = x + mix @ norm(x, eps)
    return x + network(norm(x, eps), w_in, w_out)


def network(x, w_in, w_out):
    return (x @ w_in).relu() @ w_out


def block_cases(generator):
    def draw(B, T, C, inner, size=1.0):
        x = size * (torch.randn(B, T, C, generator=generator) + 0.7)
        mix = (2 * torch.randn(B, T, T, generator=generator)).masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)
        w_in = torch.randn(C, inner, generator=generator) / math.sqrt(C)
        return x, mix.softmax(-1), w_in, torch.randn(inner, C, generator=generator) / math.sqrt(inner), 1e-5

    sizes = [(1, 2, 3, 4), (1, 3, 4, 2), (2, 3, 5, 7), (3, 4, 6, 24), (2, 6, 8, 12)]
    return [*(draw(*size) for size in sizes), draw(2, 3, 4, 5, size=2e-3)]


def bessel(x, mix, w_in, w_out, eps):
    """This is what you get with the variance over C − 1 (torch's default): a norm divides by C, `correction=0`."""
    x = x + mix @ norm(x, eps, 1)
    return x + network(norm(x, eps, 1), w_in, w_out)


def eps_forgotten(x, mix, w_in, w_out, eps):
    """This is what you get without eps, which is added to the variance and matters where numbers hardly differ."""
    return block(x, mix, w_in, w_out, 0.0)


def norm_over_tokens(x, mix, w_in, w_out, eps):
    """This is what you get by norming over the tokens: each token is normed by itself, over its C numbers."""
    x = x + mix @ norm(x, eps, over=1)
    return x + network(norm(x, eps, over=1), w_in, w_out)


def without_mean(x, mix, w_in, w_out, eps):
    """This is what you get with RMSNorm: LayerNorm takes the mean off first."""
    def rms(x):
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()

    x = x + mix @ rms(x)
    return x + network(rms(x), w_in, w_out)


def first_residual_forgotten(x, mix, w_in, w_out, eps):
    """This is what you get without the first residual connection: the mixed tokens are added to x."""
    x = mix @ norm(x, eps)
    return x + network(norm(x, eps), w_in, w_out)


def second_residual_forgotten(x, mix, w_in, w_out, eps):
    """This is what you get without the second residual connection: the network's output is added to the stream."""
    x = x + mix @ norm(x, eps)
    return network(norm(x, eps), w_in, w_out)


def no_residuals(x, mix, w_in, w_out, eps):
    """This is what you get without residual connections: each part adds to the stream."""
    return network(norm(mix @ norm(x, eps), eps), w_in, w_out)


def post_norm(x, mix, w_in, w_out, eps):
    """This is the block of 2017, which norms after adding. Pre-norm: each part reads the normed stream, and what it
    adds is added to the stream itself."""
    x = norm(x + mix @ x, eps)
    return norm(x + network(x, w_in, w_out), eps)


def normed_stream_kept(x, mix, w_in, w_out, eps):
    """This is what you get by adding to the normed stream: only what a part reads is normed, the stream is not."""
    n = norm(x, eps)
    x = n + mix @ n
    n = norm(x, eps)
    return n + network(n, w_in, w_out)


def adds_to_the_input(x, mix, w_in, w_out, eps):
    """This is what you get when the network's output is added to the block's input: what the mixing added is lost."""
    return x + network(norm(x + mix @ norm(x, eps), eps), w_in, w_out)


def parallel(x, mix, w_in, w_out, eps):
    """This is the parallel block, where both parts read the same input: here the network reads what mixing left."""
    return x + mix @ norm(x, eps) + network(norm(x, eps), w_in, w_out)


def second_norm_forgotten(x, mix, w_in, w_out, eps):
    """This is what you get without the second norm: the network reads the normed stream too."""
    x = x + mix @ norm(x, eps)
    return x + network(x, w_in, w_out)


def first_norm_forgotten(x, mix, w_in, w_out, eps):
    """This is what you get without the first norm: the mixing reads the normed stream too."""
    x = x + mix @ x
    return x + network(norm(x, eps), w_in, w_out)


def no_relu(x, mix, w_in, w_out, eps):
    """This is what you get without ReLU between the two matrices, which are then one linear map."""
    x = x + mix @ norm(x, eps)
    return x + norm(x, eps) @ w_in @ w_out


def mixed_the_wrong_way(x, mix, w_in, w_out, eps):
    """This is what you get with `mix` transposed: row t of it holds the weights with which token t takes from all."""
    x = x + mix.mT @ norm(x, eps)
    return x + network(norm(x, eps), w_in, w_out)


pre_norm_block = Exercise(
    "4.4",
    "A pre-norm block",
    ("x", "mix", "w_in", "w_out", "eps"),
    block,
    block_cases,
    (
        bessel,
        eps_forgotten,
        norm_over_tokens,
        without_mean,
        first_residual_forgotten,
        second_residual_forgotten,
        no_residuals,
        post_norm,
        normed_stream_kept,
        adds_to_the_input,
        parallel,
        second_norm_forgotten,
        first_norm_forgotten,
        no_relu,
        mixed_the_wrong_way,
    ),
    edges=1,
)


# ---- 4.5: who sees whom ------------------------------------------------------------------------------


def who_sees_whom(source, T):
    return seen(source, T)


def seen(source, T, shift=0, hide=True, crossed=True, leak=False, backwards=True):
    """(B, S + T, S + T) of 0 and 1: the rows look, first the S of the source, then the T of the target."""
    B, S = source.shape
    sees = torch.zeros(B, S + T, S + T, dtype=torch.bool)
    sees[:, :S, :S] = True if backwards else torch.ones(S, S, dtype=torch.bool).tril()
    sees[:, :S, S:] = leak
    sees[:, S:, :S] = crossed
    sees[:, S:, S:] = torch.ones(T, T, dtype=torch.bool).tril(shift)
    if hide:
        sees[:, :, :S] &= (source != 0)[:, None, :]
    return sees


def who_cases(generator):
    def draw(S, T, *lengths):  # of the source, how many tokens of each text are real
        source = torch.randint(1, 90, (len(lengths), S), generator=generator)
        return source.masked_fill(torch.arange(S) >= torch.tensor(lengths)[:, None], 0), T

    def length(most):
        return int(torch.randint(1, most, (), generator=generator))

    lengths = [(2, 3, 1), (3, 2, length(3), 3), (4, 5, 4, length(4), 2), (6, 4, length(6), 6, length(6)), (5, 7, 5, 2)]
    return [draw(*sizes) for sizes in lengths]


def padding_seen(source, T):
    """This is what you get when padding is seen: nobody looks at token 0."""
    return seen(source, T, hide=False)


def target_sees_no_source(source, T):
    """This is what you get without cross-attention: every target token sees the whole source (but its padding)."""
    return seen(source, T, crossed=False)


def source_sees_target(source, T):
    """This is what you get when the source sees the target: the encoder runs before there is one."""
    return seen(source, T, leak=True)


def source_is_causal(source, T):
    """This is what you get with a causal encoder: source tokens see the source on both sides."""
    return seen(source, T, backwards=False)


def target_sees_its_future(source, T):
    """This is what you get when the target sees its own future, the words that it is asked for."""
    return seen(source, T, shift=T)


def target_sees_one_ahead(source, T):
    """This is what you get when a target token sees the next one, the very word that it is asked for."""
    return seen(source, T, shift=1)


def target_blind_to_itself(source, T):
    """This is what you get when a target token does not see itself: it sees itself and those before."""
    return seen(source, T, shift=-1)


def rows_and_columns_swapped(source, T):
    """This is the transpose: the row looks, the column is looked at."""
    return seen(source, T).mT


def turned_over(source, T):
    """This has 1 where nobody may look, as torch.nn.Transformer's masks do: here 1 means "may look"."""
    return ~seen(source, T)


def rows_of_padding_emptied(source, T):
    """This is what you get when padding sees nothing: its rows are as all others. A row of nothing gives NaN."""
    sees = seen(source, T)
    sees[:, : source.size(1)] &= (source != 0)[:, :, None]
    return sees


def target_first(source, T):
    """This is what you get with the target before the source: the first S rows and columns are the source's."""
    return seen(source, T).roll((T, T), (1, 2))


def columns_of_real_tokens_hidden(source, T):
    """This is what you get when the real tokens of the source are hidden and the padding is seen."""
    return seen((source == 0).long(), T)


who = Exercise(
    "4.5",
    "Who sees whom",
    ("source", "T"),
    who_sees_whom,
    who_cases,
    (
        padding_seen,
        target_sees_no_source,
        source_sees_target,
        source_is_causal,
        target_sees_its_future,
        target_sees_one_ahead,
        target_blind_to_itself,
        rows_and_columns_swapped,
        turned_over,
        rows_of_padding_emptied,
        target_first,
        columns_of_real_tokens_hidden,
    ),
)
