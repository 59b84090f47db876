"""Token datasets: what the training loop draws its batches from.

A dataset is one long row of token ids. It lies in memory, or, when it is larger than memory, in a shard: a file of
unsigned 16-bit numbers that the operating system reads page by page, where it is touched.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from .corpora import CORPORA
from .texts import load_corpus, load_documents, load_split

__all__ = ["CORPORA", "TokenDataset", "load_corpus", "load_documents", "load_split", "open_shard", "write_shard"]

IGNORE = -100  # a target that no loss counts; PyTorch's own ignore_index


class TokenDataset:
    """Windows of `block_size` tokens; the targets are the same tokens one place further on.

    tokens: 1-D, a list, a NumPy array, a torch tensor or the memory map that open_shard() returns.
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


def write_shard(path, chunks: Iterable[Sequence[int]], tokenizer) -> Path:
    """Write token ids to `path` (name it .bin), two bytes each, and what they are to a .json beside it.

    chunks: lists or arrays of ids, for example one per document; only one is in memory at a time. The header is
    written last, so a shard with a header is complete. Raises ValueError if an id does not fit into 16 bits.
    """
    path = Path(path)
    if tokenizer.vocab_size > 2**16:
        raise ValueError(
            f"A shard holds 16-bit ids, up to 65,535, but this vocabulary has {tokenizer.vocab_size:,} tokens: "
            f"use a smaller vocabulary, or keep the tokens in memory."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    _header(path).unlink(missing_ok=True)
    partial, count = path.with_suffix(".partial"), 0
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                ids = np.asarray(chunk, dtype=np.int64)
                if ids.size and not (0 <= ids.min() and ids.max() < tokenizer.vocab_size):
                    raise ValueError(
                        f"An id lies outside 0 … {tokenizer.vocab_size - 1}: encode with this very tokenizer."
                    )
                file.write(ids.astype("<u2").tobytes())
                count += ids.size
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    header = {
        "format": "minigpt shard",
        "version": 1,
        "dtype": "uint16",
        "count": count,
        "vocab_size": tokenizer.vocab_size,
        "tokenizer": tokenizer.fingerprint(),
    }
    _header(path).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8", newline="\n")
    return path


def open_shard(path, tokenizer=None) -> np.memmap:
    """The ids of a shard as a read-only memory map, uint16 (N,): give it to TokenDataset.

    With a tokenizer, the shard must have been written with that one. Raises FileNotFoundError or ValueError.
    """
    path = Path(path)
    if not (path.is_file() and _header(path).is_file()):
        raise FileNotFoundError(
            f"{path} with {_header(path).name} beside it is not there or was not finished: write it with write_shard()."
        )
    try:
        header = json.loads(_header(path).read_text(encoding="utf-8"))
        known = (header["format"], header["version"], header["dtype"]) == ("minigpt shard", 1, "uint16")
        count, vocab_size, fingerprint = int(header["count"]), header["vocab_size"], header["tokenizer"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{_header(path)} is damaged ({error}): write the shard again with write_shard().") from error
    if not known:
        raise ValueError(f"{_header(path)} was written by another version of minigpt: write the shard again.")
    if path.stat().st_size != 2 * count:
        raise ValueError(
            f"{path} has {path.stat().st_size:,} bytes, but its header promises {count:,} tokens of 2 bytes: "
            f"it is truncated or of another run; write it again."
        )
    if tokenizer is not None and fingerprint != tokenizer.fingerprint():
        raise ValueError(
            f"{path} was written with another tokenizer (of {vocab_size:,} tokens; this one has "
            f"{tokenizer.vocab_size:,}): its ids would mean other words. Write it again."
        )
    if count == 0:
        raise ValueError(f"{path} holds no tokens: write it again from a text that is not empty.")
    return np.memmap(path, dtype="<u2", mode="r", shape=(count,))


def _header(path: Path) -> Path:
    return path.with_suffix(".json")
