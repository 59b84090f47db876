"""Evaluation: how well a model predicts text it has not seen."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from .device import Group
from .objectives import IGNORE, clm_loss


@torch.no_grad()
def evaluate_loss(
    model: nn.Module, data, loss_fn=clm_loss, batch_size: int = 64, *, group: Group = Group()
) -> float:
    """Mean loss in nats per scored token over all of `data`, every target counted exactly once.

    data.batches(batch_size) yields tuples of tensors whose last one holds the targets. The processes of a `group`
    share the batches out, and each returns the mean over all of them.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, scored = 0.0, 0
    for batch in islice(data.batches(batch_size), group.rank, None, group.size):
        n = int((batch[-1] != IGNORE).sum())
        total += float(loss_fn(model, tuple(t.to(device) for t in batch))) * n
        scored += n
    model.train(was_training)
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


class StridedWindows:
    """A long text for evaluate_loss(), whose windows overlap so that no target is predicted from little context.

    Windows begin `stride` tokens apart. Of the first every target is scored, of each later one only the last `stride`:
    every target once, with at least block_size − stride tokens of context before it where the text has so many
    (Hugging Face, "Perplexity of fixed-length models"). stride = block_size lays the windows end to end, which is
    fastest and says a loss a little too high; stride = 1 gives every target all the context the model can use, and
    takes block_size times as long.

    tokens: 1-D, at least two; a list, an array, a tensor or a memory map.
    """

    def __init__(self, tokens: Sequence[int] | np.ndarray | Tensor, block_size: int, stride: int):
        if not 1 <= stride <= block_size:
            raise ValueError(f"stride={stride} must lie in 1 … {block_size}, the model's context: half of it is common")
        if len(tokens) < 2:
            raise ValueError(f"a text of {len(tokens)} tokens has nothing to predict: give at least two tokens")
        self.tokens, self.block_size, self.stride = np.asarray(tokens), block_size, stride

    def __len__(self) -> int:
        """The number of windows."""
        return len(range(0, max(1, len(self.tokens) - 1 - self.block_size + self.stride), self.stride))

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(inputs, targets), int64, each (≤ B, T); targets that another window scores are −100."""
        last = len(self.tokens) - 1
        for first in range(0, len(self), batch_size):
            starts = self.stride * np.arange(first, min(first + batch_size, len(self)))[:, None]  # (B, 1)
            places = starts + np.arange(self.block_size)  # (B, T)
            scored = (places < last) & ((starts == 0) | (places >= starts + self.block_size - self.stride))
            inputs, targets = (self.tokens[np.minimum(p, last)].astype(np.int64) for p in (places, places + 1))
            inputs, targets = np.where(places < last, inputs, 0), np.where(scored, targets, IGNORE)
            yield torch.from_numpy(inputs), torch.from_numpy(targets)
