"""Token datasets: what the training loop draws its batches from.

A dataset is one long row of token ids. It lies in memory, or, when it is larger than memory, on the disk: shards.py.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

IGNORE = -100  # a target that no loss counts; PyTorch's own ignore_index


class TokenDataset:
    """Windows of `block_size` tokens; the targets are the same tokens one place further on.

    tokens: 1-D, a list, a NumPy array, a torch tensor or the memory map that shards.open_shard() returns.
    """

    def __init__(self, tokens: Sequence[int] | np.ndarray | torch.Tensor, block_size: int):
        if not isinstance(tokens, (np.ndarray, torch.Tensor)):
            tokens = torch.tensor(tokens, dtype=torch.int32)
        if tokens.ndim != 1:
            raise ValueError(f"Tokens must be one row, not of shape {tuple(tokens.shape)}.")
        if block_size < 1 or len(tokens) < block_size + 1:
            raise ValueError(
                f"{len(tokens)} tokens are too few for block_size={block_size}: a window needs {block_size} "
                f"inputs and one more target. Use at least {block_size + 1} tokens, or a smaller block_size."
            )
        self.tokens = tokens
        self.block_size = block_size

    def __len__(self) -> int:
        """The number of tokens."""
        return len(self.tokens)

    def sample(self, batch_size: int, generator: torch.Generator | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """(inputs, targets), int64, each (B, T): windows that begin at uniformly random places and may overlap."""
        starts = torch.randint(len(self.tokens) - self.block_size, (batch_size,), generator=generator)
        windows = self._take(starts[:, None] + torch.arange(self.block_size + 1))  # (B, T + 1)
        return windows[:, :-1], windows[:, 1:]

    def batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(inputs, targets), int64, each (≤ B, T), in order: every token but the first is a target exactly once.

        Windows lie end to end, so the first tokens of each are predicted from little context: the loss is a little
        higher than with the overlapping windows of StridedWindows. The last window is filled up with targets −100 and
        inputs 0.
        """
        yield from StridedWindows(self.tokens, self.block_size, self.block_size).batches(batch_size)

    def _take(self, places: torch.Tensor) -> torch.Tensor:
        if isinstance(self.tokens, np.ndarray):  # of a memory map, only the pages with these places are read
            return torch.from_numpy(self.tokens[places.numpy()].astype(np.int64))
        return self.tokens[places].long()


class StridedWindows:
    """A long text for evaluate_loss(), whose windows overlap so that no target is predicted from little context.

    Windows begin `stride` tokens apart. Of the first every target is scored, of each later one only the last `stride`:
    every target once, with at least block_size − stride tokens of context before it where the text has so many
    (Hugging Face, "Perplexity of fixed-length models"). stride = block_size lays the windows end to end, which is
    fastest and says a loss a little too high; stride = 1 gives every target all the context the model can use, and
    takes block_size times as long.

    tokens: 1-D, at least two; a list, an array, a tensor or a memory map.
    """

    def __init__(self, tokens: Sequence[int] | np.ndarray | torch.Tensor, block_size: int, stride: int):
        if not 1 <= stride <= block_size:
            raise ValueError(f"stride={stride} must lie in 1 … {block_size}, the model's context: half of it is common")
        if len(tokens) < 2:
            raise ValueError(f"a text of {len(tokens)} tokens has nothing to predict: give at least two tokens")
        self.tokens, self.block_size, self.stride = np.asarray(tokens), block_size, stride

    def __len__(self) -> int:
        """The number of windows."""
        return len(range(0, max(1, len(self.tokens) - 1 - self.block_size + self.stride), self.stride))

    def batches(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(inputs, targets), int64, each (≤ B, T); targets that another window scores are −100."""
        last = len(self.tokens) - 1
        for first in range(0, len(self), batch_size):
            starts = self.stride * np.arange(first, min(first + batch_size, len(self)))[:, None]  # (B, 1)
            places = starts + np.arange(self.block_size)  # (B, T)
            scored = (places < last) & ((starts == 0) | (places >= starts + self.block_size - self.stride))
            inputs, targets = (self.tokens[np.minimum(p, last)].astype(np.int64) for p in (places, places + 1))
            inputs, targets = np.where(places < last, inputs, 0), np.where(scored, targets, IGNORE)
            yield torch.from_numpy(inputs), torch.from_numpy(targets)
