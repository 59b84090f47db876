"""The checked exercises of homework 1: counting, and one ruler for all models. Their text is in hw1.ipynb.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import math

import torch

from ..exercise import Exercise, Prediction
from .homework_1_leak import leaks
from .homework_1_race import honest_race
from .homework_1_table import table

# ---- 1.1: three rulers -----------------------------------------------------------------------------


def three_reports(generator):
    def draw(low, high):
        return low + (high - low) * float(torch.rand((), generator=generator))

    # In bits per byte the words win, then BPE, then the characters; the reported numbers say the reverse.
    characters, best = round(draw(9_000, 12_000)), draw(1.35, 1.5)
    n_bytes, tokens, words = (round(characters * s) for s in (draw(1.03, 1.09), draw(0.24, 0.28), draw(0.17, 0.19)))
    spent = {"characters": (best + draw(0.5, 0.7)) * n_bytes, "tokens": (best + draw(0.2, 0.3)) * n_bytes}
    return {
        "bytes": n_bytes,
        "characters": characters,
        "tokens": tokens,
        "words": words,
        "nats_per_character": round(spent["characters"] * math.log(2) / characters, 3),
        "bits_per_token": round(spent["tokens"] / tokens, 3),
        "perplexity_per_word": round(2 ** (best * n_bytes / words), 1),
    }


def rulers(report, nats=math.log(2), perplexity=math.log2, per=None):
    """Bits per byte of the three models. The units can be mistaken, and `per` what is divided by."""
    spent = (
        report["nats_per_character"] / nats * report["characters"],
        report["bits_per_token"] * report["tokens"],
        perplexity(report["perplexity_per_word"]) * report["words"],
    )
    return tuple(bits / report[unit] for bits, unit in zip(spent, per or ["bytes"] * 3, strict=True))


def three_rulers(**report):
    return rulers(report)


def nats_as_bits(**report):
    """the first is in nats. A nat is 1 / ln 2, about 1.44, bits."""
    return rulers(report, nats=1)


def nats_turned_over(**report):
    """in the first, nats were multiplied by ln 2. A bit is the smaller unit, so there are more of them: divide."""
    return rulers(report, nats=1 / math.log(2))


def nats_of_the_perplexity(**report):
    """the third is in nats: the bits in a perplexity are its log₂, not its ln."""
    return rulers(report, perplexity=math.log)


def both_in_nats(**report):
    """the first and the third are in nats: divide the loss by ln 2, and take log₂ of the perplexity."""
    return rulers(report, nats=1, perplexity=math.log)


def perplexity_as_loss(**report):
    """the third takes the perplexity for a number of bits. It is 2 to the power of the bits: take its log₂."""
    return rulers(report, perplexity=float)


def perplexity_spread_over_bytes(**report):
    """the third divides the perplexity itself among the bytes. Bits can be added up and shared out, perplexities
    cannot: take log₂ first."""
    *first, _ = rulers(report)
    return (*first, math.log2(report["perplexity_per_word"] * report["words"] / report["bytes"]))


def per_character(**report):
    """these are bits per character. Some characters of this text have two bytes: divide by the bytes."""
    return rulers(report, per=["characters"] * 3)


def each_its_own(**report):
    """these are bits per character, per token and per word: each model on a ruler of its own. Put all bits of the text
    above the line and its bytes below."""
    return rulers(report, per=["characters", "tokens", "words"])


def upside_down(**report):
    """these have the fraction upside down: a token is several bytes long, so a byte costs fewer bits than a token."""
    n = report["bytes"]
    return tuple(
        own * n / report[unit]
        for own, unit in zip(each_its_own(**report), ("characters", "tokens", "words"), strict=True)
    )


def spread_over_tokens(**report):
    """all three are divided by the number of BPE tokens. Only bytes are the same for all models."""
    return rulers(report, per=["tokens"] * 3)


three = Prediction(
    "1.1",
    "Three rulers",
    three_reports,
    three_rulers,
    "The order is the reverse of the reported numbers': the words' perplexity, which looks worst, is the best of all.",
    (
        nats_as_bits,
        nats_turned_over,
        nats_of_the_perplexity,
        both_in_nats,
        perplexity_as_loss,
        perplexity_spread_over_bytes,
        per_character,
        each_its_own,
        upside_down,
        spread_over_tokens,
    ),
)


# ---- 1.2: one ruler for a whole test set -----------------------------------------------------------


def losses(logits, targets, axis=-1):
    """Nats for each token that came, (B, T), and where one did."""
    real = targets != -100
    nats = -logits.double().log_softmax(axis).gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1)  # (B, T)
    return nats * real, real


def measure(logits, targets, n_bytes):
    nats, real = losses(logits, targets)
    return two(nats.sum() / real.sum(), nats.sum() / math.log(2) / n_bytes.sum())


def two(nats_per_token, bits_per_byte):
    """The two numbers of a report, the first made a perplexity."""
    return torch.stack([nats_per_token.exp(), bits_per_byte])


def measure_cases(generator):
    def draw(T, V, *lengths):
        B = len(lengths)
        logits = 2 * torch.randn(B, T, V, generator=generator)
        targets = torch.randint(V, (B, T), generator=generator)
        logits.scatter_add_(-1, targets[..., None], 3 * torch.rand(B, T, 1, generator=generator))
        targets = targets.masked_fill(torch.arange(T) >= torch.tensor(lengths)[:, None], -100)
        per_token = torch.tensor([2.2, 3.6, 5.1, 1.4, 4.3])[:B]
        return logits, targets, (torch.tensor(lengths) * per_token).ceil().long()

    ordinary = [draw(2, 3, 2, 1), draw(4, 5, 1, 4), draw(5, 7, 5, 2, 3), draw(9, 4, 2, 9, 6, 1),
                draw(12, 30, 12, 3, 5, 8, 1)]  # fmt: skip
    logits, targets, n_bytes = draw(8, 5, 8, 4)
    logits[0, 2, targets[0, 2]] -= 180  # a token that the model all but excludes: e⁻¹⁸⁰ is 0 in float32
    return [*ordinary, (logits, targets, n_bytes)]


def in_nats(logits, targets, n_bytes):
    """The second number is in nats: divide by ln 2."""
    nats, real = losses(logits, targets)
    return two(nats.sum() / real.sum(), nats.sum() / n_bytes.sum())


def two_to_the_nats(logits, targets, n_bytes):
    """The first number is 2 to the power of nats. Nats belong to e: exp(nats), or 2 ** bits."""
    right = measure(logits, targets, n_bytes)
    return torch.stack([2 ** right[0].log(), right[1]])


def e_to_the_bits(logits, targets, n_bytes):
    """The first number is e to the power of bits. Bits belong to 2: 2 ** bits, or exp(nats)."""
    right = measure(logits, targets, n_bytes)
    return torch.stack([right[0].log2().exp(), right[1]])


def mean_of_perplexities(logits, targets, n_bytes):
    """The first number is the mean of the texts' perplexities. Average the losses first, and take the power once, at
    the end: one hard text should not decide alone."""
    nats, real = losses(logits, targets)
    return torch.stack([(nats.sum(-1) / real.sum(-1)).exp().mean(), measure(logits, targets, n_bytes)[1]])


def mean_of_tokens_perplexities(logits, targets, n_bytes):
    """The first number is the mean of 1 / p over the tokens. Average the losses first, then take the power."""
    nats, real = losses(logits, targets)
    return torch.stack([nats.exp()[real].mean(), measure(logits, targets, n_bytes)[1]])


def loss_of_the_mean(logits, targets, n_bytes):
    """Both numbers come from the average probability of the tokens. Each token has its own surprise; add those."""
    nats, real = losses(logits, targets)
    mean = -(-nats).exp()[real].mean().log()
    return two(mean, mean * real.sum() / math.log(2) / n_bytes.sum())


def mean_of_means(logits, targets, n_bytes):
    """Both numbers are averages of each text's own average, so that a text of one token weighs as much as a long one.
    Add up over all texts, then divide once."""
    nats, real = losses(logits, targets)
    return two((nats.sum(-1) / real.sum(-1)).mean(), (nats.sum(-1) / n_bytes).mean() / math.log(2))


def mean_of_bits_per_byte(logits, targets, n_bytes):
    """The second number is the average of the texts' bits per byte. Add up all bits and all bytes, then divide once."""
    nats, real = losses(logits, targets)
    return two(nats.sum() / real.sum(), (nats.sum(-1) / n_bytes).mean() / math.log(2))


def bits_per_token(logits, targets, n_bytes):
    """The second number is bits per token: below the line belong the bytes."""
    nats, real = losses(logits, targets)
    return two(nats.sum() / real.sum(), nats.sum() / real.sum() / math.log(2))


def perplexity_per_byte(logits, targets, n_bytes):
    """The first number is a perplexity per byte. It was asked for per token: among how many *tokens* is the model
    undecided?"""
    nats, _ = losses(logits, targets)
    return two(nats.sum() / n_bytes.sum(), nats.sum() / math.log(2) / n_bytes.sum())


def padding_scored(logits, targets, n_bytes):
    """Padding was scored, as if token 0 had come there. Leave out where `targets` is −100."""
    nats, _ = losses(logits, targets.clamp(min=0))
    return two(nats.mean(), nats.sum() / math.log(2) / n_bytes.sum())


def padding_divided_by(logits, targets, n_bytes):
    """The first number divides by all B · T places. Count only those where a token came."""
    nats, _ = losses(logits, targets)
    return two(nats.mean(), nats.sum() / math.log(2) / n_bytes.sum())


def softmax_over_places(logits, targets, n_bytes):
    """The softmax runs over the places of a text (axis 1). A model shares out 1 among the V tokens: the last axis."""
    nats, real = losses(logits, targets, axis=1)
    return two(nats.sum() / real.sum(), nats.sum() / math.log(2) / n_bytes.sum())


def loss_in_place_of_perplexity(logits, targets, n_bytes):
    """The first number is the loss. The perplexity is e to the power of it, if it is in nats."""
    right = measure(logits, targets, n_bytes)
    return torch.stack([right[0].log(), right[1]])


def bits_in_place_of_perplexity(logits, targets, n_bytes):
    """The first number is the bits per token. The perplexity is 2 to the power of them."""
    right = measure(logits, targets, n_bytes)
    return torch.stack([right[0].log2(), right[1]])


def exchanged(logits, targets, n_bytes):
    """These are the right numbers in the wrong order: the perplexity comes first."""
    return measure(logits, targets, n_bytes).flip(0)


def logarithm_of_softmax(logits, targets, n_bytes):
    """This is what you get from `softmax(...).log()` in float32: e⁻¹⁸⁰ is rounded to 0 before the logarithm is taken.
    `log_softmax` and `cross_entropy` never leave the logarithms."""
    probs, real = logits.softmax(-1), targets != -100
    nats = -probs.gather(-1, targets.clamp(min=0)[..., None]).squeeze(-1).log()[real]
    return two(nats.sum() / real.sum(), nats.sum() / math.log(2) / n_bytes.sum())


ruler = Exercise(
    "1.2",
    "One ruler for a whole test set",
    ("logits", "targets", "n_bytes"),
    measure,
    measure_cases,
    (
        in_nats,
        two_to_the_nats,
        e_to_the_bits,
        mean_of_perplexities,
        mean_of_tokens_perplexities,
        loss_of_the_mean,
        mean_of_means,
        mean_of_bits_per_byte,
        bits_per_token,
        perplexity_per_byte,
        padding_scored,
        padding_divided_by,
        softmax_over_places,
        loss_in_place_of_perplexity,
        bits_in_place_of_perplexity,
        exchanged,
        logarithm_of_softmax,
    ),
    edges=1,
)

EXERCISES = (three, ruler, table, honest_race, leaks)
