"""Answers with their probabilities: a span that a head points at, or a text that a GPT writes.

Both kinds are measured alike, by the probability that the model itself gives to exactly this answer; and
calibration_error() says how far such probabilities are from being right.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .chat import Message, encode_prompt
from .decoding import generate_batch
from .evaluate import evaluating
from .model import GPT, TaskHead
from .tokenizer import END_OF_TEXT, IM_END

LONGEST = 30  # tokens in a span


@dataclass(frozen=True)
class Span:
    """What a span head points at: the passage's tokens first … last, both included."""

    text: str
    probability: float  # start[first] · end[last]
    first: int
    last: int
    tokens: list[int]  # the passage, (S,)
    start: Tensor  # (S,): the probability that the answer begins at this token
    end: Tensor  # (S,): … that it ends with it


@dataclass(frozen=True)
class Written:
    """What a GPT writes: its tokens, the closing one included, and the probability of each after those before it."""

    text: str
    probability: float  # the product over the tokens: of exactly this answer, ending here
    tokens: list[int]
    chances: list[float]


def best_span(start: Tensor, end: Tensor, longest: int = LONGEST) -> tuple[int, int]:
    """The span (first, last), both included, with the largest start[first] · end[last]; start and end are (S,).

    It does not end before it begins, and has at most `longest` tokens (Devlin et al., 2019, section 4.2).
    """
    if longest < 1 or not len(start) == len(end) > 0:
        raise ValueError("a span needs start and end probabilities of the same tokens, and room for at least one")
    both = start[:, None] * end  # (S, S): row first, column last
    allowed = torch.ones_like(both, dtype=torch.bool).triu().tril(longest - 1)
    return divmod(int(both.masked_fill(~allowed, -1).argmax()), len(end))


@evaluating
@torch.inference_mode()
def point(model: TaskHead, tokenizer, question: str, context: str, longest: int = LONGEST) -> Span:
    """Let a span head, trained on encode_span()'s rows, answer a question from a passage.

    The passage loses its end where question and passage together are longer than the model's context. The softmax is
    over the whole row, as in span_loss(), but only the passage can be chosen.
    """
    before = [*tokenizer.encode(question), tokenizer.special_tokens[IM_END]]
    passage = tokenizer.encode(context)[: model.config.block_size - len(before)]
    if not passage:
        raise ValueError("there is nothing to point at: give a passage, and a question that leaves room for it")
    ids = torch.tensor([before + passage], device=model.score.weight.device)
    probs = model(ids, torch.ones_like(ids, dtype=torch.bool))[0].float().softmax(0)  # (T, 2)
    start, end = probs[len(before) :].cpu().T  # (S,) each
    first, last = best_span(start, end, longest)
    text = tokenizer.decode(passage[first : last + 1]).strip()
    return Span(text, float(start[first] * end[last]), first, last, passage, start, end)


def write(
    model: GPT, tokenizer, conversations: Sequence[Sequence[Message]], max_new_tokens: int = 24, batch_size: int = 32
) -> list[Written]:
    """What the model says next in each conversation, greedily, with the probability of each token.

    A conversation that is too long for the context loses its beginning.
    """
    room = model.config.block_size - max_new_tokens
    prompts = [encode_prompt(tokenizer, messages)[-room:] for messages in conversations]
    stop = [tokenizer.special_tokens[token] for token in (IM_END, END_OF_TEXT) if token in tokenizer.special_tokens]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # similar lengths together: little padding
    written: list = [None] * len(prompts)
    for at in range(0, len(order), batch_size):
        batch = order[at : at + batch_size]
        texts = generate_batch(model, [prompts[i] for i in batch], max_new_tokens, temperature=0, stop=stop)
        for i, ids in zip(batch, texts, strict=True):
            chances = token_chances(model, prompts[i], ids)
            text = tokenizer.decode([token for token in ids if token not in stop]).strip()
            written[i] = Written(text, float(chances.prod()), ids, chances.tolist())
    return written


@evaluating
@torch.inference_mode()
def token_chances(model: GPT, prompt: Sequence[int], said: Sequence[int]) -> Tensor:
    """(N,): the probability of each of the N tokens `said`, after the prompt and those said before it."""
    ids = torch.tensor([[*prompt, *said]], device=model.wte.weight.device)
    logits = model(ids[:, :-1])[0, len(prompt) - 1 :].float()  # (N, V)
    return logits.softmax(-1).gather(1, ids[0, len(prompt) :, None])[:, 0].cpu()


def reliability(
    probabilities: Sequence[float], right: Sequence[float], bins: int = 10
) -> list[tuple[int, float, float]]:
    """The reliability diagram: (how many, their mean probability, the share that is right) of each bin with answers.

    The bins (0, 1/bins], … are equally wide; a probability of 0 falls into the first (Guo et al., 2017, section 2).
    """
    if not len(probabilities) == len(right) > 0 or bins < 1:
        raise ValueError("calibration needs a bin or more, and for each answer its probability and whether it is right")
    p, right = torch.tensor(probabilities, dtype=torch.double), torch.tensor(right, dtype=torch.double)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a probability lies between 0 and 1: give probabilities, not scores or percent")
    number = ((p * bins).ceil() - 1).clamp(min=0)  # (N,): the bin of each
    inside = [number == b for b in range(bins)]
    return [(int(i.sum()), float(p[i].mean()), float(right[i].mean())) for i in inside if i.any()]


def calibration_error(probabilities: Sequence[float], right: Sequence[float], bins: int = 10) -> float:
    """The expected calibration error: the mean over all answers of |probability − share right| of their bins
    (Guo et al., 2017, section 2). 0 where of the answers given with probability p a share p is right."""
    found = reliability(probabilities, right, bins)
    return sum(many * abs(p - share) for many, p, share in found) / len(probabilities)
