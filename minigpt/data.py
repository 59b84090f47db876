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
        higher than with overlapping windows. The last window is filled up with targets −100 and inputs 0.
        """
        last = len(self.tokens) - 1
        for first in range(0, last, batch_size * self.block_size):
            starts = torch.arange(first, min(first + batch_size * self.block_size, last), self.block_size)
            places = starts[:, None] + torch.arange(self.block_size)  # (B, T)
            beyond = places >= last
            inputs = self._take(places.clamp(max=last)).masked_fill(beyond, 0)
            targets = self._take((places + 1).clamp(max=last)).masked_fill(beyond, IGNORE)
            yield inputs, targets

    def _take(self, places: torch.Tensor) -> torch.Tensor:
        if isinstance(self.tokens, np.ndarray):  # of a memory map, only the pages with these places are read
            return torch.from_numpy(self.tokens[places.numpy()].astype(np.int64))
        return self.tokens[places].long()
