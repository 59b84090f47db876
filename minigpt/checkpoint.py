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
import re
import shutil
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from .config import GPTConfig, TrainConfig, from_dict, to_dict
from .files import sync_folder, write_file, write_whole
from .lora import add_lora
from .model import GPT, KINDS, TaskHead
from .quantize import dequantize
from .tokenizer import load_tokenizer

FORMAT, VERSION = "minigpt", 1
INT8_WEIGHTS = "model.int8.safetensors"  # what `minigpt shrink` writes in place of model.safetensors


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not ours. The message says what to do."""


def to_json(value) -> bytes:
    """JSON as it stands in a file: indented, UTF-8."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8")


def describe(model: nn.Module) -> dict:
    """All that is needed to build `model` again, as JSON values: its kind and config, its task head, its LoRA."""
    values = {"kind": type(model).__name__, "model": to_dict(model.config)}
    if isinstance(model, TaskHead):
        values["kind"] = type(model.stack).__name__
        values["head"] = {"outputs": model.score.out_features, "pooling": model.pooling}
    if values["kind"] not in KINDS:
        raise TypeError(f"a {values['kind']} has no checkpoint format: save one of {', '.join(KINDS)}, or a TaskHead")
    if hasattr(model, "lora"):
        values["lora"] = model.lora
    return values


def build(values: dict) -> nn.Module:
    """The inverse of describe(): a model of that shape, with fresh weights."""
    model = KINDS[values["kind"]](from_dict(GPTConfig, values["model"]))
    if "head" in values:
        model = TaskHead(model, **values["head"])
    if "lora" in values:
        add_lora(model, **values["lora"])
    return model


def save_checkpoint(out, step: int, model: GPT, tokenizer=None, train_config=None, state=None, tensors=None) -> Path:
    """Save into out/step-N, then let out/latest name it. Returns the new folder.

    `state` (JSON values) and `tensors` are what training needs to go on: see train.py. Raises OSError, and
    leaves no trace of the attempt, if the disk is full or the folder cannot be written.
    """
    description = describe(model)
    out = Path(out)
    folder, partial, old = (out / f"step-{step}{ending}" for ending in ("", ".partial", ".old"))
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        config = {"format": FORMAT, "version": VERSION, **description}
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
        if folder.exists():  # saved before: out of the way, and deleted only when the new one is in its place
            shutil.rmtree(old, ignore_errors=True)
            os.replace(folder, old)
        os.replace(partial, folder)
        sync_folder(out)
        shutil.rmtree(old, ignore_errors=True)
        write_whole(out / "latest", folder.name.encode())
    except (OSError, SafetensorError) as e:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        kept = f"the last good checkpoint is {_latest(out)}" if _latest(out) else "no earlier checkpoint exists"
        raise OSError(f"could not save {folder} ({e}); {kept}: free some space and start again from there") from e
    return folder


def prune_checkpoints(out, keep: int, best_step: int | None = None) -> None:
    """Delete all but the newest `keep` checkpoints and the one of `best_step`, and what a crash left half-written."""
    for partial in Path(out).glob("step-*.partial"):
        shutil.rmtree(partial)
    folders = [f for f in Path(out).glob("step-*") if re.fullmatch(r"step-[0-9]+", f.name)]  # "step-2-copy" is not ours
    folders.sort(key=lambda f: int(f.name.removeprefix("step-")))
    for folder in folders[:-keep]:
        if folder.name != f"step-{best_step}":
            shutil.rmtree(folder)


def _latest(out: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    try:
        name = (out / "latest").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    here = name.startswith("step-") and Path(name).name == name  # no way out of this folder
    return out / name if here and (out / name).is_dir() else None


def find_checkpoint(folder) -> Path:
    """The folder that holds the weights: `folder` itself, or the newest checkpoint of a run's folder."""
    folder = Path(folder)
    found = folder if (folder / "config.json").is_file() else _latest(folder)
    if found is None:
        there = "holds no checkpoint" if folder.is_dir() else "does not exist"
        raise CheckpointError(f"{folder} {there}: name a folder that minigpt has saved, or train one first")
    return found


def read_json(path: Path) -> dict:
    """The JSON object in a file; CheckpointError if there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: copy the whole folder again, or use another checkpoint") from None
    except (ValueError, OSError, RecursionError) as e:
        raise CheckpointError(f"{path} cannot be read ({e}): use another checkpoint") from e
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object: use another checkpoint")
    return value


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in a safetensors file; CheckpointError if it is missing or damaged."""
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing: copy the whole folder again, or use another checkpoint") from None
    except (SafetensorError, OSError, ValueError) as e:
        raise CheckpointError(f"{path} is truncated or damaged ({e}): use another checkpoint") from e


def read_weights(folder: Path) -> tuple[dict[str, torch.Tensor], Path]:
    """The weights in a checkpoint's folder, in float32 also where they are stored in 8 bits, and their file."""
    path = folder / INT8_WEIGHTS
    if not path.is_file():
        path = folder / "model.safetensors"
        return read_tensors(path), path
    small = read_tensors(path)
    try:
        return dequantize(small), path
    except ValueError as e:
        raise CheckpointError(f"{path} is damaged ({e}): use another checkpoint") from e


def tied_names(model: GPT) -> dict[str, str]:
    """Which names of the state dict stand for the same tensor as an earlier name, and which that is."""
    first: dict[int, str] = {}
    return {n: first[id(p)] for n, p in model.state_dict(keep_vars=True).items() if first.setdefault(id(p), n) != n}


def make_model(make, weights: dict[str, torch.Tensor], source, n_layer: int) -> nn.Module:
    """make() with `weights` in it. It is called twice, first on PyTorch's meta device, which takes no memory: absurd
    sizes in a config.json are an error then, not a full memory."""
    if n_layer > len(weights):
        raise CheckpointError(f"{source} does not fit its config.json: it has not the weights of {n_layer} layers")
    try:
        with torch.device("meta"):
            check_weights(make(), weights, source)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RuntimeError) as e:
        why = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise CheckpointError(f"{source}: its config.json describes no model ({why}): use another checkpoint") from e
    model = make()
    load_weights(model, weights, source)
    return model


def load_weights(model: GPT, weights: dict[str, torch.Tensor], source) -> None:
    """Put `weights` into the model, naming what does not fit instead of printing a screenful."""
    model.load_state_dict(check_weights(model, weights, source))


def check_weights(model: GPT, weights: dict[str, torch.Tensor], source) -> dict[str, torch.Tensor]:
    """The weights, tied ones under each of their names; CheckpointError if they are not those of `model`."""
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
    return weights


def read_configs(folder: Path) -> tuple[dict, TrainConfig | None]:
    """What a checkpoint's folder holds, as describe() tells it, and how it was trained (None: not recorded).

    A field that a configuration did not have yet when it was saved has its first value."""
    values = read_json(folder / "config.json")
    if values.get("format") != FORMAT:
        hint = ": load it with minigpt.hf.load_gpt2" if values.get("model_type") == "gpt2" else ""
        raise CheckpointError(f"{folder} was not saved by minigpt{hint}")
    if values.setdefault("kind", "GPT") not in list(KINDS):
        raise CheckpointError(f"{folder} holds a {values['kind']!r}, which minigpt has not: it has {', '.join(KINDS)}")
    if values.get("version") != VERSION:
        raise CheckpointError(
            f"{folder} has format version {values.get('version')}, this minigpt reads version {VERSION}: "
            "update minigpt, or train again"
        )
    try:
        values["model"] = to_dict(from_dict(GPTConfig, values["model"]))
        train_config = from_dict(TrainConfig, values["train"]) if "train" in values else None
        return {name: values[name] for name in ("kind", "model", "head", "lora") if name in values}, train_config
    except (KeyError, TypeError, ValueError) as e:
        raise CheckpointError(f"{folder / 'config.json'} is not a configuration of minigpt ({e})") from e


def load_checkpoint(folder):
    """(model, tokenizer) from a checkpoint's folder, or from a run's folder its newest; tokenizer may be None.

    The model is on the CPU and in evaluation mode. Raises CheckpointError with one sentence if a file is
    missing, truncated, of another version, or if weights, vocabulary and tokenizer do not belong together.
    """
    folder = find_checkpoint(folder)
    values, _ = read_configs(folder)
    weights, path = read_weights(folder)
    model = make_model(lambda: build(values), weights, path, values["model"]["n_layer"])
    path = folder / "tokenizer.json"
    tokenizer = load_tokenizer(path) if path.is_file() else None
    if tokenizer is not None and tokenizer.vocab_size > model.config.vocab_size:
        raise CheckpointError(
            f"{path} has {tokenizer.vocab_size} tokens, the model only {model.config.vocab_size}: "
            "they are not of one training"
        )
    return model.eval(), tokenizer
