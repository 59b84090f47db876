"""Training: one loop for every model and every objective.

    log = train(model, train_data, val_data, TrainConfig(steps=1000), tokenizer=tokenizer, out="runs/tales")

Data is any object with sample(batch_size, generator) -> batch and batches(batch_size) -> batches, a batch being
a tuple of tensors whose last one holds the targets. loss_fn(model, batch) -> scalar says what to learn.
"""

import json
import math
import signal
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from .checkpoint import (
    CheckpointError,
    find_checkpoint,
    load_weights,
    prune_checkpoints,
    read_configs,
    read_json,
    read_tensors,
    save_checkpoint,
    write_file,
)
from .config import TrainConfig
from .evaluate import evaluate_loss
from .generate import stream
from .objectives import clm_loss
from .optim import learning_rate, make_optimizer

# A resumed run may look, save and end at other moments; everything else would make it another run.
MAY_CHANGE = {"steps", "eval_every", "patience", "sample_every", "sample_prompt", "sample_tokens", "save_every", "keep"}


def pick_device(name: str = "auto") -> torch.device:
    """The device called `name`; "auto" takes CUDA, else Apple's MPS, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as e:
        raise ValueError(f"device {name!r} cannot be used here ({str(e).splitlines()[0]}): use 'auto' or 'cpu'") from e
    return torch.device(name)


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AMX or AVX512-BF16)."""
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(getattr(torch.cpu, name, bool)() for name in tests)


def pick_dtype(name: str, device: torch.device, parameters: int) -> str:
    """The dtype called `name`; "auto" takes bfloat16 where the hardware has it and it pays, else float32.

    On a CPU it pays for large matrices: `minigpt bench` on two cores with AVX512-BF16 trained 11 M parameters 1.7
    times as fast, 1 M only 1.1 times, so smaller models keep float32's digits.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    return "bfloat16" if device.type == "cpu" and parameters >= 5_000_000 and cpu_has_bfloat16() else "float32"


def autocast(dtype: str, device: torch.device):
    """The context in which the model runs: with bfloat16, its matrix products use it; weights stay float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if dtype == "bfloat16" else nullcontext()


@contextmanager
def ctrl_c():
    """Turn Ctrl-C into a flag, so that a step is never cut in half. A second Ctrl-C stops at once."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield pressed
        return

    def handle(signum, frame):
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def train(
    model: nn.Module,
    train_data,
    val_data=None,
    config: TrainConfig = TrainConfig(),
    *,
    loss_fn=clm_loss,
    tokenizer=None,
    out=None,
    resume: bool = False,
) -> list[dict]:
    """Train `model` in place and return the log, a list of {"step", "loss", "lr", "grad_norm", …} in nats per token.

    Lines at eval_every also have "val_loss", over the whole of val_data; lines at sample_every "sample". With
    `out`, each line is appended to out/log.jsonl and checkpoints are saved; resume=True goes on from the newest
    one, bit for bit as if the run had never stopped (same torch version, device and number of threads).
    Ctrl-C saves a checkpoint and returns the log, whose last line then has "stopped": "interrupted"; early
    stopping says "no better for N looks". Raises FloatingPointError if the loss is no longer a number,
    MemoryError if a batch does not fit.
    """
    device = pick_device(config.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 for what autocast leaves in float32
    model.to(device).train()
    dtype = pick_dtype(config.dtype, device, sum(p.numel() for p in model.parameters()))
    optimizer = make_optimizer(model, config)
    sampler = torch.Generator().manual_seed(config.seed)  # which windows are drawn
    torch.manual_seed(config.seed)  # which units dropout drops
    state = {"step": 0, "best_loss": None, "best_step": None, "looks_without_gain": 0}
    log: list[dict] = []
    if out is not None:
        out = Path(out)
        if resume:
            state = load_training_state(out, model, optimizer, sampler, config)
            log = read_log(out / "log.jsonl", state["step"])
        elif (out / "latest").exists():
            raise CheckpointError(f"{out} already holds a run: resume it (--resume), or choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        write_file(out / "log.jsonl", "".join(json.dumps(line) + "\n" for line in log).encode())

    run = torch.compile(model) if config.compile else model
    saved_step = state["step"] if resume else None

    def record(line: dict):
        log.append(line)
        if out is not None:
            with open(out / "log.jsonl", "a", encoding="utf-8") as f:
                f.write(json.dumps(line, ensure_ascii=False) + "\n")

    def save():
        nonlocal saved_step
        if out is None or state["step"] == saved_step:
            return
        tensors = training_tensors(model, optimizer, sampler)
        save_checkpoint(out, state["step"], model, tokenizer, config, state, tensors)
        prune_checkpoints(out, config.keep, state["best_step"])
        saved_step = state["step"]

    def look() -> dict:
        """The validation loss, a sample of text, or nothing, as due at this step."""
        step, line = state["step"], {}
        at_end = step == config.steps
        if val_data is not None and (at_end or (config.eval_every and step % config.eval_every == 0)):
            with autocast(dtype, device):
                line["val_loss"] = evaluate_loss(run, val_data, loss_fn, config.batch_size)
            better = state["best_loss"] is None or line["val_loss"] < state["best_loss"]
            state["looks_without_gain"] = 0 if better else state["looks_without_gain"] + 1
            if better:
                state.update(best_loss=line["val_loss"], best_step=step)
        if tokenizer is not None and config.sample_every and (at_end or step % config.sample_every == 0):
            dice = torch.Generator().manual_seed(config.seed)
            pieces = stream(model, tokenizer, config.sample_prompt, config.sample_tokens, generator=dice)
            line["sample"] = "".join(pieces)
            bar.write(f"— step {step} —\n{config.sample_prompt}{line['sample']}\n")
        return line

    with ctrl_c() as interrupted, tqdm(initial=state["step"], total=config.steps, unit="step", desc="train") as bar:
        seen = look() if state["step"] == 0 else {}  # before the first update: what a model knows that knows nothing
        if seen:
            record({"step": 0, **seen})
        started, tokens = time.perf_counter(), 0
        while state["step"] < config.steps and not interrupted.is_set():
            lr = learning_rate(state["step"], config)
            for group in optimizer.param_groups:
                group["lr"] = lr
            loss = torch.zeros((), device=device)
            try:
                for _ in range(config.accumulate):
                    batch = train_data.sample(config.batch_size, sampler)
                    batch = tuple(t.to(device, non_blocking=True) for t in batch)
                    with autocast(dtype, device):
                        part = loss_fn(run, batch) / config.accumulate  # so that the parts add up to one mean
                    part.backward()
                    loss += part.detach()
                    tokens += batch[-1].numel()
            except RuntimeError as e:
                raise_if_out_of_memory(e, config)
                raise
            limit = config.clip or math.inf
            grad_norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
            if not math.isfinite(float(loss)):
                last = f"; the last good checkpoint is {out}/step-{saved_step}" if saved_step else ""
                raise FloatingPointError(
                    f"the loss became {float(loss)} at step {state['step']}: "
                    f"lower lr (now {lr:g}) or raise warmup{last}"
                )
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            state["step"] += 1

            line = {"step": state["step"], "loss": float(loss), "lr": lr, "grad_norm": float(grad_norm)}
            line["tokens_per_second"] = round(tokens / (time.perf_counter() - started))
            bar.update()
            line |= look()
            bar.set_postfix({k: f"{line[k]:.3f}" for k in ("loss", "val_loss") if k in line}, refresh=False)
            if config.patience and state["looks_without_gain"] >= config.patience:
                line["stopped"] = f"no better for {config.patience} looks"
            if interrupted.is_set():
                line["stopped"] = "interrupted"
            record(line)  # before saving: a kill in between costs a step, never a line of the log
            due = config.save_every and state["step"] % config.save_every == 0
            if due or (config.patience and state["best_step"] == state["step"]):
                save()
            if "stopped" in line:
                break
        save()
    model.eval()
    return log


def raise_if_out_of_memory(error: RuntimeError, config: TrainConfig) -> None:
    """Name the remedy if `error` is a failed allocation."""
    if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
        raise MemoryError(
            f"out of memory with batch_size={config.batch_size}: use batch_size={max(1, config.batch_size // 2)} and "
            f"accumulate={config.accumulate * 2} (the same training in less memory), or a smaller preset"
        ) from error


def training_tensors(model: nn.Module, optimizer, sampler: torch.Generator) -> dict[str, torch.Tensor]:
    """AdamW's moments under their parameters' names, and the states of the random generators."""
    tensors = {"rng.sampler": sampler.get_state(), "rng.torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    for name, p in model.named_parameters():
        for key, value in optimizer.state.get(p, {}).items():
            tensors[f"{key}.{name}"] = value.detach().contiguous()
    return tensors


def load_training_state(out: Path, model: nn.Module, optimizer, sampler: torch.Generator, config: TrainConfig) -> dict:
    """Put model, optimizer and generators back to where the newest checkpoint of `out` left them."""
    folder = find_checkpoint(out)
    model_config, train_config = read_configs(folder)
    if model_config != model.config:
        raise CheckpointError(f"{folder} holds another model ({model_config}): build the model from that configuration")
    changed = [f.name for f in fields(TrainConfig) if getattr(train_config, f.name) != getattr(config, f.name)]
    if changed := sorted(set(changed) - MAY_CHANGE):
        raise CheckpointError(f"{out} was trained with other values of {', '.join(changed)}: resume with the same ones")
    state = read_json(folder / "state.json")
    tensors = read_tensors(folder / "optimizer.safetensors")
    load_weights(model, read_tensors(folder / "model.safetensors"), folder / "model.safetensors")
    try:
        for name, p in model.named_parameters():
            for key in ("step", "exp_avg", "exp_avg_sq"):
                # AdamW's step counter lives beside its parameter, as its fused kernel wants it.
                optimizer.state[p][key] = tensors[f"{key}.{name}"].to(p.device)
        sampler.set_state(tensors["rng.sampler"])
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
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if line["step"] <= step:
            lines.append(line)
    return lines
