"""The self-test of the tool kit: eight quick checks, one for each tool.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

dot_product = ValueExercise(
    "0.1",
    "Dot product",
    answer=4,
    right="2·1 + (−1)·4 + 3·2 = 2 − 4 + 6.",
    mistakes={
        12: "that drops the minus sign: (−1)·4 is −4.",
        -48: "that multiplies the products. Add them.",
        28: "that is (2 − 1 + 3)·(1 + 4 + 2). Multiply first, place by place, then add.",
    },
)

matrix_shape = ValueExercise(
    "0.2",
    "Shape of a matrix product",
    answer=(5, 2),
    right="(5, 3) @ (3, 2): the inner 3s meet and vanish, the outer sizes stay.",
    mistakes={
        (2, 5): "that is the transpose: the rows come from the left factor.",
        (3, 3): "the sizes that agree are the ones that vanish.",
        (5, 3, 2): "the middle size is summed over, so it vanishes.",
        (5, 3): "that is the left factor's shape. Each of its rows becomes a row of 2 numbers.",
    },
)


def positive_numbers(generator):
    return [(2 * torch.randn(n, generator=generator),) for n in (2, 3, 5, 8)]


def softmax_of(x):
    return x.softmax(-1)


def without_exp(x):
    """This divides the numbers by their sum without exp, so that negative numbers give negative shares."""
    return x / x.sum()


def exp_alone(x):
    """This is exp without the division: the results do not sum to 1."""
    return x.exp()


def sigmoid_of(x):
    """This squeezes each number by itself (the sigmoid). Softmax divides by the sum over all of them."""
    return x.sigmoid()


def log_softmax_of(x):
    """This is the logarithm of the softmax."""
    return x.log_softmax(-1)


def over_the_mean(x):
    """This divides by the mean of the exponentials. Divide by their sum."""
    return x.exp() / x.exp().mean()


softmax = Exercise(
    "0.3",
    "Softmax",
    ("x",),
    softmax_of,
    positive_numbers,
    (without_exp, exp_alone, sigmoid_of, log_softmax_of, over_the_mean),
)

shifted = ValueExercise(
    "0.4",
    "Softmax, all logits raised",
    answer="C",
    right="Every exp is multiplied by the same exp(100), and the division takes it out again.",
    mistakes={
        "A": "a larger logit wins against a smaller one, but here all of them grow by the same amount.",
        "B": "shares sum to 1: they cannot all grow.",
        "D": "that is what a low temperature does, which multiplies the logits. Here something is added.",
    },
)

surprise = ValueExercise(
    "0.5",
    "Surprise",
    answer=5,
    right="1/32 is ½ five times over: −log₂(1/32) = 5 bits.",
    mistakes={
        -5: "that is log₂ p. The surprise has a minus sign in front.",
        3.4657: "that is in nats, −ln p. In bits, use log2, or divide by ln 2.",
        1.5051: "that is with log10. Use log2.",
        32: "that is 1/p, the number of equally likely cases. The surprise is its logarithm.",
        0.03125: "that is p itself.",
    },
)


def cross_entropy_bits(probs):
    return -probs.log2().mean()


def probabilities(generator):
    return [((3 * torch.randn(n, generator=generator)).sigmoid(),) for n in (2, 3, 6, 10)]


def in_nats(probs):
    """This is in nats. For bits, use log2."""
    return -probs.log().mean()


def log_of_the_mean(probs):
    """This takes the logarithm of the mean probability. Take the mean of the surprises: the order matters."""
    return -probs.mean().log2()


def total_bits(probs):
    """This is the sum. Cross-entropy is the mean, per character."""
    return -probs.log2().sum()


def sign_lost(probs):
    """This is negative: the minus sign is missing."""
    return probs.log2().mean()


def own_entropy(probs):
    """This weights each surprise with its own p, as an entropy does. These p are of characters that came, each once."""
    return -(probs * probs.log2()).sum()


cross_entropy = Exercise(
    "0.6",
    "Cross-entropy in bits",
    ("probs",),
    cross_entropy_bits,
    probabilities,
    (in_nats, log_of_the_mean, total_bits, sign_lost, own_entropy),
)

descent = ValueExercise(
    "0.7",
    "One step downhill",
    answer=4,
    right="The slope of w² at 5 is 10, and 5 − 0.1 · 10 = 4.",
    mistakes={
        6: "that goes uphill: the slope is subtracted.",
        4.5: "that uses the slope 5, which is w. The slope of w² is 2w.",
        2.5: "that subtracts 0.1 times the height 25. Subtract 0.1 times the slope.",
        -5: "that takes the whole slope as the step. The learning rate is 0.1.",
        1: "that is the length of the step. Where does it lead?",
    },
)

broadcast = ValueExercise(
    "0.8",
    "Broadcasting",
    answer=(4, 3),
    right="From the right: 3 against 1 gives 3; the vector is stretched along the rows too.",
    mistakes={
        (3, 4): "line the shapes up from the right: 1 stands under 3, 4 stands before it.",
        (4, 1, 3): "no new axis arises when one shape is (3,) and the other (4, 1): two axes are enough.",
        (4, 4): "the vector has 3 numbers: its axis meets the axis of size 1, which stretches to 3.",
        (12,): "the 12 numbers keep two axes.",
    },
)

EXERCISES = (dot_product, matrix_shape, softmax, shifted, surprise, cross_entropy, descent, broadcast)
