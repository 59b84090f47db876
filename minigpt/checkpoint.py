"""Checkpoints: everything a model needs to be used, and everything training needs to go on.

A run's folder holds one folder per save and a small file `latest` that names the newest complete one:

    runs/tales/latest            "step-2000"
    runs/tales/step-2000/        config.json  model.safetensors  tokenizer.json
                                 state.json   optimizer.safetensors  (what resuming needs)

A save is written under another name, flushed to the disk and renamed; only then does `latest` move. So a
crash, a full disk or a power cut at any moment leaves the last good checkpoint whole. Nothing here is a
pickle: loading a checkpoint can never run somebody else's code.
"""

import json
import os
import shutil
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from .config import GPTConfig, TrainConfig, from_dict, to_dict
from .model import GPT, KINDS
from .tokenizer import load_tokenizer

FORMAT, VERSION = "minigpt", 1


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not ours. The message says what to do."""


def write_file(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def to_json(value) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8")


def save_checkpoint(out, step: int, model: GPT, tokenizer=None, train_config=None, state=None, tensors=None) -> Path:
    """Save into out/step-N, then let out/latest name it. Returns the new folder.

    `state` (JSON values) and `tensors` are what training needs to go on: see train.py. Raises OSError, and
    leaves no trace of the attempt, if the disk is full or the folder cannot be written.
    """
    kind = type(model).__name__
    if kind not in KINDS or hasattr(model, "lora"):
        raise TypeError(
            f"a {kind}{' with LoRA' if hasattr(model, 'lora') else ''} has no checkpoint format of its own: "
            "save the model below it, or the adapter with save_lora"
        )
    out = Path(out)
    folder, partial = out / f"step-{step}", out / f"step-{step}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        config = {"format": FORMAT, "version": VERSION, "kind": kind, "model": to_dict(model.config)}
        if train_config is not None:
            config["train"] = to_dict(train_config)
        write_file(partial / "config.json", to_json(config))
        weights = {n: p.detach().contiguous() for n, p in model.state_dict().items()}
        for name in tied_names(model):
            del weights[name]  # the same numbers as another tensor: stored once
        write_file(partial / "model.safetensors", safetensors.torch.save(weights))
        if tokenizer is not None:
            tokenizer.save(partial / "tokenizer.json")
        if state is not None:
            write_file(partial / "state.json", to_json(state))
            write_file(partial / "optimizer.safetensors", safetensors.torch.save(tensors))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
        write_file(out / "latest.partial", folder.name.encode())
        os.replace(out / "latest.partial", out / "latest")
    except (OSError, SafetensorError) as e:
        shutil.rmtree(partial, ignore_errors=True)
        (out / "latest.partial").unlink(missing_ok=True)
        kept = f"the last good checkpoint is {_latest(out)}" if _latest(out) else "no earlier checkpoint exists"
        raise OSError(f"could not save {folder} ({e}); {kept}: free some space and start again from there") from e
    return folder


def prune_checkpoints(out, keep: int, best_step: int | None = None) -> None:
    """Delete all but the newest `keep` checkpoints and the one of `best_step`, and what a crash left half-written."""
    for partial in Path(out).glob("step-*.partial"):
        shutil.rmtree(partial)
    folders = sorted(Path(out).glob("step-*[0-9]"), key=lambda f: int(f.name.removeprefix("step-")))
    for folder in folders[:-keep]:
        if folder.name != f"step-{best_step}":
            shutil.rmtree(folder)


def _latest(out: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    try:
        folder = out / (out / "latest").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return folder if folder.is_dir() else None


def find_checkpoint(folder) -> Path:
    """The folder that holds the weights: `folder` itself, or the newest checkpoint of a run's folder."""
    folder = Path(folder)
    found = folder if (folder / "config.json").is_file() else _latest(folder)
    if found is None:
        there = "holds no checkpoint" if folder.is_dir() else "does not exist"
        raise CheckpointError(f"{folder} {there}: name a folder that minigpt has saved, or train one first")
    return found


def read_json(path: Path) -> dict:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: copy the whole folder again, or use another checkpoint") from None
    except (ValueError, OSError) as e:
        raise CheckpointError(f"{path} cannot be read ({e}): use another checkpoint") from e
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object: use another checkpoint")
    return value


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: copy the whole folder again, or use another checkpoint") from None
    except (SafetensorError, OSError, ValueError) as e:
        raise CheckpointError(f"{path} is truncated or damaged ({e}): use another checkpoint") from e


def tied_names(model: GPT) -> dict[str, str]:
    """Which names of the state dict stand for the same tensor as an earlier name, and which that is."""
    first: dict[int, str] = {}
    return {n: first[id(p)] for n, p in model.state_dict(keep_vars=True).items() if first.setdefault(id(p), n) != n}


def load_weights(model: GPT, weights: dict[str, torch.Tensor], source) -> None:
    """Put `weights` into the model, naming what does not fit instead of printing a screenful."""
    wanted = model.state_dict()
    weights = weights | {name: weights.get(source) for name, source in tied_names(model).items()}
    missing, extra = sorted(set(wanted) - set(weights)), sorted(set(weights) - set(wanted))
    if missing or extra:
        raise CheckpointError(f"{source} does not fit its config.json: missing {missing[:3]}, unexpected {extra[:3]}")
    for name, w in weights.items():
        if w is None or w.shape != wanted[name].shape:
            shape = None if w is None else tuple(w.shape)
            hint = ": it was trained with another vocabulary" if name in ("wte.weight", "lm_head.weight") else ""
            raise CheckpointError(
                f"{source}: {name} has shape {shape}, but config.json asks for {tuple(wanted[name].shape)}{hint}"
            )
    model.load_state_dict(weights)


def read_configs(folder: Path) -> tuple[GPTConfig, TrainConfig | None]:
    """The two configurations of a checkpoint folder, the second None where training was not recorded."""
    values = read_json(folder / "config.json")
    if values.get("format") != FORMAT:
        hint = ": load it with minigpt.hf.load_gpt2" if values.get("model_type") == "gpt2" else ""
        raise CheckpointError(f"{folder} was not saved by minigpt{hint}")
    if values.get("kind", "GPT") not in KINDS:
        raise CheckpointError(f"{folder} holds a {values['kind']!r}, which minigpt has not: it has {', '.join(KINDS)}")
    if values.get("version") != VERSION:
        raise CheckpointError(
            f"{folder} has format version {values.get('version')}, this minigpt reads version {VERSION}: "
            "update minigpt, or train again"
        )
    try:
        train_config = from_dict(TrainConfig, values["train"]) if "train" in values else None
        return from_dict(GPTConfig, values["model"]), train_config
    except (KeyError, TypeError, ValueError) as e:
        raise CheckpointError(f"{folder / 'config.json'} is not a configuration of minigpt ({e})") from e


def load_checkpoint(folder):
    """(model, tokenizer) from a checkpoint's folder, or from a run's folder its newest; tokenizer may be None.

    The model is on the CPU and in evaluation mode. Raises CheckpointError with one sentence if a file is
    missing, truncated, of another version, or if weights, vocabulary and tokenizer do not belong together.
    """
    folder = find_checkpoint(folder)
    config, _ = read_configs(folder)
    model = KINDS[read_json(folder / "config.json").get("kind", "GPT")](config)
    load_weights(model, read_tensors(folder / "model.safetensors"), folder / "model.safetensors")
    path = folder / "tokenizer.json"
    tokenizer = load_tokenizer(path) if path.is_file() else None
    if tokenizer is not None and tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{path} has {tokenizer.vocab_size} tokens, the model only {config.vocab_size}: "
            "they are not of one training"
        )
    return model.eval(), tokenizer
