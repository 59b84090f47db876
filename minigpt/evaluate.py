"""Evaluation: how well a model predicts text it has not seen."""

import math
from functools import wraps
from itertools import islice

import torch
from torch import nn

from .data import IGNORE
from .device import Group
from .objectives import clm_loss


def evaluating(use):
    """use(model, …) with the model in evaluation mode, which is afterwards in the mode that it was in."""

    @wraps(use)
    def run(model: nn.Module, *args, **options):
        was_training = model.training
        model.eval()
        try:
            return use(model, *args, **options)
        finally:
            model.train(was_training)

    return run


@evaluating
@torch.no_grad()
def evaluate_loss(
    model: nn.Module, data, loss_fn=clm_loss, batch_size: int = 64, *, group: Group = Group()
) -> float:
    """Mean loss in nats per scored token over all of `data`, every target counted exactly once.

    data.batches(batch_size) yields tuples of tensors whose last one holds the targets. The processes of a `group`
    share the batches out, and each returns the mean over all of them.
    """
    device = next(model.parameters()).device
    total, scored = 0.0, 0
    for batch in islice(data.batches(batch_size), group.rank, None, group.size):
        n = int((batch[-1] != IGNORE).sum())
        total += float(loss_fn(model, tuple(t.to(device) for t in batch))) * n
        scored += n
    if group.size > 1:
        total, scored = group.sum(torch.tensor([total, scored], dtype=torch.float64, device=device)).tolist()
    if scored == 0:
        raise ValueError("the evaluation data holds no target to score: give it at least two tokens of text")
    return total / scored


def perplexity(nats_per_token: float) -> float:
    """exp(loss): among how many equally likely tokens the model is, on average, undecided."""
    return math.exp(nats_per_token)


def bits_per_byte(nats_per_token: float, tokens: int, text: str) -> float:
    """Bits the model needs for each UTF-8 byte of `text`, which the tokenizer cut into so many `tokens`.

    Loss per token falls when tokens get shorter; bits per byte do not care how the text was cut, so they
    compare models of any vocabulary.
    """
    return nats_per_token * tokens / math.log(2) / len(text.encode("utf-8"))
