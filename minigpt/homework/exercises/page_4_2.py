"""The checked exercises of 4.2.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import math

import torch
import torch.nn.functional as F

from ..exercise import Exercise, ValueExercise

# ---- 4.2.1: what a norm forgets ------------------------------------------------------------------

# LayerNorm of (4, 0, 0, 0), scale 1, shift 0, epsilon as good as 0.
forgets = ValueExercise(
    "4.2.1",
    "What a norm forgets",
    answer=math.sqrt(3),
    right="Mean and standard deviation are four times those of (1, 0, 0, 0) too, so the 4 cancels.",
    mistakes={
        4 * math.sqrt(3): "that is four times the old answer. The standard deviation is four times as large too.",
        1.5: "that is the standard deviation with n − 1 (Bessel's correction). A norm divides by n.",
        6.0: "that divides by the old standard deviation, and with n − 1. Compute both anew, with n.",
        2.0: "that is RMSNorm, which takes no mean off.",
        1.0: "a vector divided by its largest number, or by its length, is neither LayerNorm nor RMSNorm.",
        3.0: "that is the number minus the mean. It is still to be divided by the standard deviation.",
    },
)


# ---- 4.2.2: LayerNorm ----------------------------------------------------------------------------


def layer_norm(x, scale, shift, eps):
    return normalised(x, eps) * scale + shift


def normalised(x, eps, over=-1, unbiased=False):
    """(x − mean) / √(variance + eps) over the axes `over`."""
    variance = x.var(over, correction=int(unbiased), keepdim=True)
    return (x - x.mean(over, keepdim=True)) / (variance + eps).sqrt()


def layer_norm_cases(generator):
    def draw(B, T, C, size):
        x = size * (torch.randn(B, T, C, generator=generator) + torch.randn(1, generator=generator))
        scale, shift = torch.randn(C, generator=generator), torch.randn(C, generator=generator)
        return x, scale, shift, 1e-5

    sizes = [(1, 2, 3, 1.0), (2, 3, 4, 1.0), (2, 4, 5, 3.0), (3, 2, 6, 1e-3), (2, 5, 8, 1e-2), (4, 7, 12, 10.0)]
    return [draw(*size) for size in sizes]


def bessel(x, scale, shift, eps):
    """This is what you get with the variance over n − 1: pass correction=0 (or unbiased=False) to var and std."""
    return normalised(x, eps, unbiased=True) * scale + shift


def bessel_std_plus_eps(x, scale, shift, eps):
    """This is what you get with `x.std()` and eps outside the root: torch's std divides by n − 1, and eps is added to
    the variance."""
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + eps) * scale + shift


def eps_outside_the_root(x, scale, shift, eps):
    """This is what you get with eps added to the standard deviation: it is added to the variance, under the root."""
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, correction=0, keepdim=True) + eps) * scale + shift


def no_eps(x, scale, shift, eps):
    """This is what you get without eps, which matters where a token's numbers hardly differ."""
    return normalised(x, 0.0) * scale + shift


def divided_by_variance(x, scale, shift, eps):
    """This is what you get by dividing by the variance: take its square root."""
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + eps) * scale + shift


def mean_kept(x, scale, shift, eps):
    """This is RMSNorm with a shift: LayerNorm takes the mean off first."""
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * scale + shift


def mean_only(x, scale, shift, eps):
    """This is what you get without dividing: the mean is off, but every token keeps its size."""
    return (x - x.mean(-1, keepdim=True)) * scale + shift


def over_tokens(x, scale, shift, eps):
    """This is what you get over the T tokens: each token is normed by itself, over its C numbers."""
    return normalised(x, eps, over=1) * scale + shift


def over_the_text(x, scale, shift, eps):
    """This is what you get over a whole text, (T, C) at once: each token is normed by itself."""
    return normalised(x, eps, over=(1, 2)) * scale + shift


def over_everything(x, scale, shift, eps):
    """This is what you get with one mean and one variance for the whole batch: each token has its own."""
    return normalised(x, eps, over=(0, 1, 2)) * scale + shift


def over_the_batch(x, scale, shift, eps):
    """This is BatchNorm: one mean and one variance per feature, over texts and tokens. Here each token has its own."""
    return normalised(x, eps, over=(0, 1)) * scale + shift


def no_scale(x, scale, shift, eps):
    """This is what you get without the learned scale."""
    return normalised(x, eps) + shift


def no_shift(x, scale, shift, eps):
    """This is what you get without the learned shift."""
    return normalised(x, eps) * scale


def neither_scale_nor_shift(x, scale, shift, eps):
    """This is what you get without scale and shift: multiply by the one, then add the other."""
    return normalised(x, eps)


def shift_before_scale(x, scale, shift, eps):
    """This is what you get by adding the shift before the scale: multiply first."""
    return (normalised(x, eps) + shift) * scale


layer_norm_exercise = Exercise(
    "4.2.2",
    "LayerNorm",
    ("x", "scale", "shift", "eps"),
    layer_norm,
    layer_norm_cases,
    (
        bessel,
        bessel_std_plus_eps,
        eps_outside_the_root,
        no_eps,
        divided_by_variance,
        mean_kept,
        mean_only,
        over_tokens,
        over_the_text,
        over_everything,
        over_the_batch,
        no_scale,
        no_shift,
        neither_scale_nor_shift,
        shift_before_scale,
    ),
)


# ---- 4.2.3: a gated feed-forward network ---------------------------------------------------------


def swiglu(x, w_gate, w_up, w_down):
    return (F.silu(x @ w_gate) * (x @ w_up)) @ w_down


def swiglu_cases(generator):
    def draw(B, T, C, inner):
        def matrix(rows, columns):
            return torch.randn(rows, columns, generator=generator) / math.sqrt(rows)

        return 2 * torch.randn(B, T, C, generator=generator), matrix(C, inner), matrix(C, inner), matrix(inner, C)

    sizes = [(1, 1, 2, 3), (1, 2, 2, 2), (2, 3, 4, 6), (2, 4, 3, 8), (3, 5, 6, 4), (4, 6, 8, 20)]
    return [draw(*size) for size in sizes]


def plain_network(x, w_gate, w_up, w_down):
    """This is what you get without the up projection: silu(gate) has to be multiplied by x @ w_up."""
    return F.silu(x @ w_gate) @ w_down


def gate_and_up_swapped(x, w_gate, w_up, w_down):
    """This is what you get with the activation on the wrong half: silu goes on the gate, not on x @ w_up."""
    return (x @ w_gate * F.silu(x @ w_up)) @ w_down


def no_activation(x, w_gate, w_up, w_down):
    """This is what you get without silu, a product of two linear maps: the gate goes through silu."""
    return (x @ w_gate * (x @ w_up)) @ w_down


def sigmoid_gate(x, w_gate, w_up, w_down):
    """This is the first gated unit, GLU, with a sigmoid: silu(g) is g · sigmoid(g)."""
    return (torch.sigmoid(x @ w_gate) * (x @ w_up)) @ w_down


def relu_gate(x, w_gate, w_up, w_down):
    """This is ReGLU: the gate of SwiGLU goes through silu."""
    return (F.relu(x @ w_gate) * (x @ w_up)) @ w_down


def gelu_gate(x, w_gate, w_up, w_down):
    """This is GEGLU: the gate of SwiGLU goes through silu, g · sigmoid(g), which is near GELU but not it."""
    return (F.gelu(x @ w_gate) * (x @ w_up)) @ w_down


def gate_added(x, w_gate, w_up, w_down):
    """This is what you get by adding the gate: it multiplies."""
    return (F.silu(x @ w_gate) + x @ w_up) @ w_down


def silu_on_both(x, w_gate, w_up, w_down):
    """This is what you get with silu on both halves: the up projection stays linear."""
    return (F.silu(x @ w_gate) * F.silu(x @ w_up)) @ w_down


def silu_of_the_product(x, w_gate, w_up, w_down):
    """This is what you get with silu after the product: it belongs on the gate alone."""
    return F.silu(x @ w_gate * (x @ w_up)) @ w_down


def no_down_projection(x, w_gate, w_up, w_down):
    """This is what you get without w_down: the result has to come back to the stream's width."""
    return F.silu(x @ w_gate) * (x @ w_up)


def with_residual(x, w_gate, w_up, w_down):
    """This is what you get with the residual addition inside: the block adds x, the network does not."""
    return x + swiglu(x, w_gate, w_up, w_down)


gated = Exercise(
    "4.2.3",
    "SwiGLU",
    ("x", "w_gate", "w_up", "w_down"),
    swiglu,
    swiglu_cases,
    (
        plain_network,
        gate_and_up_swapped,
        no_activation,
        sigmoid_gate,
        relu_gate,
        gelu_gate,
        gate_added,
        silu_on_both,
        silu_of_the_product,
        no_down_projection,
        with_residual,
    ),
)


# ---- 4.2.4: name the amputated part --------------------------------------------------------------

amputated = ValueExercise(
    "4.2.4",
    "Name the amputated part",
    answer="D",
    right="Without attention no token hears of another: the best that is left is a table from one token to the next.",
    mistakes={
        "A": "without positions attention still brings in the other characters. Your classmate's model heard of none.",
        "B": "without the feed-forward network attention still brings in earlier characters, so the context matters.",
        "C": "without residual connections the positions collapse: the prediction hardly depends on any token.",
    },
)

EXERCISES = (forgets, layer_norm_exercise, gated, amputated)
