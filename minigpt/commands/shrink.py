"""The command that makes a trained model small enough to be committed or sent: shrink."""

import os
import re
import shutil
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from tyro.conf import Positional

from ..checkpoint import INT8_WEIGHTS, CheckpointError, find_checkpoint, load_checkpoint, read_tensors
from ..files import write_file, write_whole
from ..quantize import quantize


def shrink(run, out) -> Path:
    """Write the newest checkpoint of `run` into the new folder `out`, its matrices as int8 (see quantize.py).

    Beside the weights go config.json, tokenizer.json and the run's log.jsonl (see thin()), where they are there;
    load_checkpoint() reads such a folder like any other. What only resuming needs stays behind. Raises ValueError if
    `out` exists.
    """
    run, out = Path(run), Path(out)
    source = find_checkpoint(run)
    load_checkpoint(source)  # raises CheckpointError now, if it is damaged
    if out.exists():
        raise ValueError(f"{out} exists already and was left as it is: name a new folder, or remove it first")
    if (source / INT8_WEIGHTS).is_file():
        raise CheckpointError(f"{source} is stored in 8 bits already: copy the folder as it is")
    weights = quantize(read_tensors(source / "model.safetensors"))
    partial = out.with_name(out.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_file(partial / INT8_WEIGHTS, safetensors.torch.save(weights))
    logs = [path for path in (source / "log.jsonl", source.parent / "log.jsonl") if path.is_file()]
    for path in [source / "config.json", source / "tokenizer.json"]:
        if path.is_file():
            shutil.copyfile(path, partial / path.name)
    for path in logs[:1]:
        write_file(partial / path.name, thin(path.read_text(encoding="utf-8")).encode())
    os.replace(partial, out)
    return out


def thin(log: str) -> str:
    """Of a log's lines every tenth step, the last one, and all that hold more than a step: a look, a sample, an end."""
    lines = re.findall(r"[^\n]+\n?", log)  # no other separator of lines: a sample may hold one
    kept = re.compile(r'"step": \d*0,|"val_loss"|"sample"|"stopped"')
    return "".join(line for i, line in enumerate(lines, 1) if kept.search(line) or i == len(lines))


def shrink_adapter(adapter: Path, out: Path) -> None:
    """Write the LoRA in a file of save_lora() to the new file `out`, its matrices as int8; load_lora() reads it.

    Raises ValueError if `adapter` cannot be read, or if `out` exists.
    """
    if out.exists():
        raise ValueError(f"{out} exists already and was left as it is: name a new file, or remove it first")
    try:
        with safe_open(adapter, framework="pt") as file:
            about, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as e:
        raise ValueError(f"{adapter} is damaged ({e}): name the adapter.safetensors of a run") from e
    write_whole(out, safetensors.torch.save(quantize(tensors), metadata=about))


def shrink_command(run: Positional[Path], out: Positional[Path]) -> None:
    """Store a model in a quarter of the space: matrices in 8 bits, with a scale for each row.

    Args:
        run: a run, or a checkpoint of minigpt; or the adapter.safetensors of a LoRA.
        out: the folder (of an adapter: the file) to write; it must not exist yet.
    """
    if run.suffix == ".safetensors" and run.is_file():
        shrink_adapter(run, out)
        print(f"wrote {out}, {out.stat().st_size / 1e6:.2f} MB; load_lora() reads it")
        return
    shrink(run, out)
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"wrote {out}, {size / 1e6:.2f} MB; generate, evaluate and export read it like any checkpoint")
