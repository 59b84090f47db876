"""What a run needs to go on as if it had never stopped: the optimizer's memory, the dice, the log so far."""

import json
import random
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn

from .checkpoint import CheckpointError, describe, find_checkpoint, load_weights, read_configs, read_json, read_tensors
from .config import TrainConfig

# A resumed run may look, save and end at other moments; everything else would make it another run.
MAY_CHANGE = {"steps", "eval_every", "patience", "sample_every", "sample_prompt", "sample_tokens", "save_every", "keep"}
MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of a parameter, once that had a gradient


def training_tensors(model: nn.Module, optimizer, sampler: torch.Generator) -> dict[str, torch.Tensor]:
    """AdamW's moments under their parameters' names, and the states of the random generators."""
    tensors = {"rng.sampler": sampler.get_state(), "rng.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    for name, p in model.named_parameters():
        for key, value in optimizer.state.get(p, {}).items():
            tensors[f"{key}.{name}"] = value.detach().contiguous()
    return tensors


def load_training_state(
    out: Path, model: nn.Module, optimizer, sampler: torch.Generator, config: TrainConfig, rank: int = 0
) -> dict:
    """Put model, optimizer and generators back to where the newest checkpoint of `out` left them.

    The checkpoint has the dice of process 0. Those of another `rank` are seeded anew: with the same dice, all would
    drop the same units.
    """
    folder = find_checkpoint(out)
    saved, train_config = read_configs(folder)
    if saved != describe(model):
        raise CheckpointError(f"{folder} holds another model ({saved}): build the model from that configuration")
    changed = [f.name for f in fields(TrainConfig) if getattr(train_config, f.name) != getattr(config, f.name)]
    if changed := sorted(set(changed) - MAY_CHANGE):
        raise CheckpointError(f"{out} was trained with other values of {', '.join(changed)}: resume with the same ones")
    state = read_json(folder / "state.json")
    tensors = read_tensors(folder / "optimizer.safetensors")
    load_weights(model, read_tensors(folder / "model.safetensors"), folder / "model.safetensors")
    try:
        for name, p in model.named_parameters():
            if not any(f"{key}.{name}" in tensors for key in MOMENTS):
                continue  # frozen, or so far without a part in the loss
            for key in MOMENTS:
                # AdamW's step counter lives beside its parameter, as its fused kernel wants it.
                optimizer.state[p][key] = tensors[f"{key}.{name}"].to(p.device)
        sampler.set_state(tensors["rng.sampler"])
        if rank > 0:
            torch.manual_seed(random.Random(f"{config.seed} {rank} {int(state['step'])}").getrandbits(63))
        else:
            torch.set_rng_state(tensors["rng.torch"])
            if torch.cuda.is_available() and "rng.cuda" in tensors:
                torch.cuda.set_rng_state(tensors["rng.cuda"])
        int(state["step"])
    except (KeyError, RuntimeError, TypeError) as e:
        raise CheckpointError(f"{folder} lacks what resuming needs ({e}): start a new run in another folder") from e
    return state


def read_log(path: Path, step: int) -> list[dict]:
    """The lines of a log up to `step`; a line cut short by a crash is left out."""
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").split("\n"):  # no other separator: a sample may hold one
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line["step"] <= step:
            lines.append(line)
    return lines
