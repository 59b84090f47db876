"""Shards: token ids on the disk, for texts that are larger than memory.

A shard is a file of unsigned 16-bit numbers that the operating system reads page by page, where it is touched, and a
small header beside it. A prepared folder (prepare.py makes it out of any amount of text) has two, and their tokenizer:

    FOLDER/manifest.json  tokenizer.json  train.bin  train.json  val.bin  val.json
"""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .files import write_whole
from .tokenizer import load_tokenizer

SPLITS = ("train", "val")


def write_shard(path, chunks: Iterable[Sequence[int]], tokenizer) -> Path:
    """Write token ids to `path` (name it .bin), two bytes each, and what they are to a .json beside it.

    chunks: lists or arrays of ids, for example one per document; only one is in memory at a time. The header is
    written last, so a shard with a header is complete. Raises ValueError if an id does not fit into 16 bits.
    """
    path = Path(path)
    check_vocabulary(tokenizer)
    path.parent.mkdir(parents=True, exist_ok=True)
    _header(path).unlink(missing_ok=True)
    partial, count = path.with_suffix(".partial"), 0
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                count += file.write(two_bytes(chunk, tokenizer)) // 2
            file.flush()
            os.fsync(file.fileno())  # before the header says that it is whole
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    write_header(path, count, tokenizer)
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
        count, vocab_size, fingerprint = int(header["count"]), int(header["vocab_size"]), header["tokenizer"]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
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


def write_header(path: Path, count: int, tokenizer) -> None:
    """Write the .json beside a shard of `count` ids, which makes it a finished one."""
    what = {"format": "minigpt shard", "version": 1, "dtype": "uint16", "count": count}
    what |= {"vocab_size": tokenizer.vocab_size, "tokenizer": tokenizer.fingerprint()}
    write_json(_header(path), what)


def write_json(path: Path, value: dict) -> None:
    """Write a file that is at any moment the old one or the new one, whole."""
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def check_vocabulary(tokenizer) -> None:
    """Raise ValueError if the tokenizer's ids do not fit into 16 bits."""
    if tokenizer.vocab_size > 2**16:
        raise ValueError(
            f"A shard holds 16-bit ids, up to 65,535, but this vocabulary has {tokenizer.vocab_size:,} tokens: "
            f"use a smaller vocabulary, or keep the tokens in memory."
        )


def two_bytes(ids: Sequence[int], tokenizer) -> bytes:
    """Ids as they lie in a shard. Raises ValueError if the tokenizer has not all of them."""
    ids = np.asarray(ids, dtype=np.int64)
    if ids.size and not (0 <= ids.min() and ids.max() < tokenizer.vocab_size):
        raise ValueError(f"An id lies outside 0 … {tokenizer.vocab_size - 1}: encode with this very tokenizer.")
    return ids.astype("<u2").tobytes()


def open_shards(folder):
    """(training ids, validation ids, tokenizer) of a folder that prepare() has finished.

    The ids are read-only memory maps, uint16 (N,): give them to TokenDataset. Raises FileNotFoundError or ValueError.
    """
    folder = Path(folder)
    known = read_manifest(folder)
    if known is None or not known["finished"]:
        state = "holds no prepared text" if known is None else "is not finished"
        raise FileNotFoundError(f"{folder} {state}: make it with `python -m minigpt data prepare TEXT --out {folder}`.")
    tokenizer = load_tokenizer(folder)
    train, val = (open_shard(folder / f"{split}.bin", tokenizer) for split in SPLITS)
    return train, val, tokenizer


def read_manifest(folder: Path) -> dict | None:
    """What manifest.json says of a prepared folder, finished or not; None where none has been begun."""
    path = folder / "manifest.json"
    if not path.is_file():
        return None
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if [known[name] for name in ("format", "version")] != ["minigpt prepared", 1]:
            raise ValueError("it was written by another version of minigpt")
        if not all(isinstance(known[name], int) for name in ("pieces", "train", "val", "finished")):
            raise TypeError("its counts are no numbers")
        return known
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be used ({error}): prepare the text again, in a new folder.") from error
