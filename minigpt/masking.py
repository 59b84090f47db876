"""What BERT and XLNet do to a text before a model reads it: tokens are hidden, or an order is drawn.

A MaskedDataset and a PermutedDataset have the protocol of TokenDataset, so the one training loop takes them too.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from .data import IGNORE, TokenDataset


def mask_tokens(
    ids: Tensor,
    mask_id: int,
    vocab_size: int,
    generator: torch.Generator,
    rate: float = 0.15,
    never: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Hide tokens as BERT does: (inputs, targets), both (B, T), from ids (B, T).

    Each token is asked for with probability `rate`, except those of `never` (padding, [CLS], …). Of those asked
    for, 80 % become mask_id, 10 % a random token and 10 % stay, so that a model cannot trust what it reads.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate={rate} must lie between 0 and 1: BERT hides 0.15 of the tokens")
    # The dice are thrown on the CPU, so that the same seed hides the same tokens on every device.
    chance, kind = (torch.rand(ids.shape, generator=generator).to(ids.device) for _ in range(2))
    other = torch.randint(vocab_size, ids.shape, generator=generator).to(ids.device)
    asked = (chance < rate) & ~torch.isin(ids, torch.tensor(never, dtype=ids.dtype, device=ids.device))
    targets = ids.masked_fill(~asked, IGNORE)
    inputs = ids.masked_fill(asked & (kind < 0.8), mask_id)
    return torch.where(asked & (kind >= 0.9), other, inputs), targets


def permute_order(ids: Tensor, generator: torch.Generator, predict: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Draw an order for each text as XLNet does: (ids, rank, targets), each (B, T).

    rank[b, i] says when token i is read. Only the last part `predict` of each order is scored, because a token
    read first would be guessed from nothing (Yang et al., 2019, section 2.3: 1/K with K = 6 or 7).
    """
    B, T = ids.shape
    rank = torch.rand(B, T, generator=generator).argsort(dim=1).argsort(dim=1).to(ids.device)  # (B, T)
    first = T - max(1, round(predict * T))  # the first rank that is scored
    return ids, rank, ids.masked_fill(rank < first, IGNORE)


class MaskedDataset:
    """Windows of `block_size` tokens, some of them hidden: batches for mlm_loss, (inputs, padding, targets).

    tokens as TokenDataset takes them; mask_id, rate and never as in mask_tokens(). What is hidden in batches() is
    the same at every call, so that two validation losses can be compared.
    """

    def __init__(self, tokens, block_size: int, mask_id: int, vocab_size: int, rate: float = 0.15, never=()):
        self.windows = TokenDataset(tokens, block_size)
        self.hide = dict(mask_id=mask_id, vocab_size=vocab_size, rate=rate, never=tuple(never))

    def __len__(self) -> int:
        return len(self.windows)

    def sample(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(inputs, padding, targets), each (B, T), from windows at random places."""
        ids, _ = self.windows.sample(batch_size, generator)
        inputs, targets = mask_tokens(ids, generator=generator, **self.hide)
        return inputs, torch.ones_like(ids, dtype=torch.bool), targets

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(inputs, padding, targets), each (≤ B, T), in order; every window once."""
        generator = torch.Generator().manual_seed(0)
        for ids, following in self.windows.batches(batch_size):
            padding = following != IGNORE
            # Window by window, so that what is hidden does not depend on the size of the batch.
            hidden = [mask_tokens(window, generator=generator, **self.hide) for window in ids]
            inputs, targets = (torch.stack(rows) for rows in zip(*hidden, strict=True))
            yield inputs, padding, targets.masked_fill(~padding, IGNORE)


class PermutedDataset:
    """Windows of `block_size` tokens, each with an order of its own: batches for plm_loss, (ids, rank, targets).

    predict as in permute_order(). The orders in batches() are the same at every call.
    """

    def __init__(self, tokens, block_size: int, predict: float = 1.0):
        if not 0 < predict <= 1:
            raise ValueError(f"predict={predict} must be above 0 and at most 1, where every token is scored")
        self.windows, self.predict = TokenDataset(tokens, block_size), predict

    def __len__(self) -> int:
        return len(self.windows)

    def sample(self, batch_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(ids, rank, targets), each (B, T), from windows at random places."""
        ids, _ = self.windows.sample(batch_size, generator)
        return permute_order(ids, generator, self.predict)

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(ids, rank, targets), each (≤ B, T), in order; every whole window once. A last part of one is left out:
        what pads it could be read before what is scored."""
        generator = torch.Generator().manual_seed(0)
        for ids, following in self.windows.batches(batch_size):
            whole = (following != IGNORE).all(dim=1)
            if whole.any():
                drawn = [permute_order(window[None], generator, self.predict) for window in ids[whole]]
                yield tuple(torch.cat(rows) for rows in zip(*drawn, strict=True))
