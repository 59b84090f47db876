"""Training: one loop for every model and every objective, in one process or in several.

    log = train(model, train_data, val_data, TrainConfig(steps=1000), tokenizer=tokenizer, out="runs/tales")

Data is any object with sample(batch_size, generator) -> batch and batches(batch_size) -> batches, a batch being
a tuple of tensors whose last one holds the targets. loss_fn(model, batch) -> scalar says what to learn: the mean over
the targets that are not IGNORE.
"""

import json
import math
import signal
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from .checkpoint import CheckpointError, prune_checkpoints, save_checkpoint
from .config import TrainConfig
from .data import IGNORE
from .device import Group, autocast, pick_device, pick_dtype, process_group
from .evaluate import evaluate_loss
from .files import write_whole
from .generate import stream
from .model import TaskHead
from .objectives import clm_loss
from .optim import learning_rate, make_optimizer
from .resume import load_training_state, read_log, training_tensors
from .tokenizer import END_OF_TEXT


@contextmanager
def asked_to_stop():
    """Turn Ctrl-C, or a cluster's SIGTERM, into a flag, so that no step is cut in half. A second one stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield asked
        return

    def handle(signum, frame):
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def train(
    model: nn.Module,
    train_data,
    val_data=None,
    config: TrainConfig = TrainConfig(),
    *,
    loss_fn=clm_loss,
    val_loss_fn=None,
    tokenizer=None,
    out=None,
    resume: bool = False,
) -> list[dict]:
    """Train `model` in place and return the log, a list of {"step", "loss", "lr", "grad_norm", …} in nats per token.
    The model ends on config.device, in evaluation mode.

    Lines at eval_every also have "val_loss", over the whole of val_data (of val_loss_fn, if it is to be another than
    loss_fn: smoothed labels are for training only); lines at sample_every "sample". With `out`, each line is appended
    to out/log.jsonl and checkpoints are saved; resume=True goes on from the newest one, bit for bit as if the run had
    never stopped (same torch version, device and number of threads).
    Ctrl-C saves a checkpoint and returns the log, whose last line then has "stopped": "interrupted"; early
    stopping says "no better for N looks". Under torchrun, N processes with batches of B do what one does with
    batches of N · B, up to rounding and dropout's dice; the first of them writes, and its dice alone go on in a resumed
    run: the others' are thrown anew, from the seed, their number and the step. Raises FloatingPointError if the loss or
    the gradient is no longer a number, MemoryError if a batch does not fit, ConnectionError if another process has
    ended. It seeds PyTorch's global generator and leaves it where training ends; on CUDA it leaves TF32 switched on.
    """
    val_loss_fn = val_loss_fn or loss_fn
    device = pick_device(config.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 for what autocast leaves in float32
    dtype = pick_dtype(config.dtype, device, sum(p.numel() for p in model.parameters()))
    model.to(device).train()
    optimizer = make_optimizer(model, config)
    sampler = torch.Generator().manual_seed(config.seed)  # which windows are drawn
    state = {"step": 0, "best_loss": None, "best_step": None, "looks_without_gain": 0}
    out = None if out is None else Path(out)
    if resume and out is None:
        raise ValueError("resume=True needs `out`, the folder of the run to go on with")

    with process_group(device) as group, asked_to_stop() as asked:
        torch.manual_seed(config.seed + group.rank)  # which units dropout drops
        if resume:
            state = load_training_state(out, model, optimizer, sampler, config, group.rank)
        elif out is not None and (out / "latest").exists():
            raise CheckpointError(f"{out} already holds a run: resume it (--resume), or choose another folder")
        log = read_log(out / "log.jsonl", state["step"]) if resume else []
        saved_step = state["step"] if resume else None
        folder = out if group.rank == 0 else None  # where to write: one process does
        group.sum(torch.zeros((), device=device))  # all have read before one writes
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / "log.jsonl", "".join(map(log_line, log)).encode())
        run = torch.compile(model) if config.compile else model
        idle = isinstance(model, TaskHead) and not model.config.tied  # its stack's output head has no part in the loss
        wrapped = DistributedDataParallel(run, find_unused_parameters=idle) if group.size > 1 else run

        bar = tqdm(initial=state["step"], total=config.steps, unit="step", desc="train", disable=group.rank > 0)
        with bar:
            if state["step"] == 0:  # before the first update: what a model knows that knows nothing
                with autocast(dtype, device):
                    line = look(run, val_data, val_loss_fn, tokenizer, config, state, group, bar)
                if line:
                    record({"step": 0, **line}, log, folder)
            tokens, seconds = 0, 0.0  # of training itself: looks and saves do not count
            while state["step"] < config.steps:
                started = time.perf_counter()
                lr = learning_rate(state["step"], config)
                for parameters in optimizer.param_groups:
                    parameters["lr"] = lr
                batches = [train_data.sample(config.batch_size * group.size, sampler) for _ in range(config.accumulate)]
                batches = [tuple(group.part(t).to(device, non_blocking=True) for t in batch) for batch in batches]
                with clear_errors(config, group):
                    loss = add_gradients(wrapped, batches, loss_fn, group, autocast(dtype, device))
                grad_norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip or math.inf)
                check_numbers(loss, float(grad_norm), state["step"], lr, out, saved_step)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                state["step"] += 1

                seconds += time.perf_counter() - started
                tokens += group.size * sum(batch[-1].numel() for batch in batches)
                line = {"step": state["step"], "loss": loss, "lr": lr, "grad_norm": float(grad_norm)}
                line["tokens_per_second"] = round(tokens / seconds)
                bar.update()
                with autocast(dtype, device):
                    line |= look(run, val_data, val_loss_fn, tokenizer, config, state, group, bar)
                bar.set_postfix({k: f"{line[k]:.3f}" for k in ("loss", "val_loss") if k in line}, refresh=False)
                if config.patience and state["looks_without_gain"] >= config.patience:
                    line["stopped"] = f"no better for {config.patience} looks"
                if group.any(asked.is_set(), device):  # all stop at the same step
                    line["stopped"] = "interrupted"
                record(line, log, folder)  # before saving: a kill in between costs a step, never a line of the log
                due = config.save_every and state["step"] % config.save_every == 0
                ends = "stopped" in line or state["step"] == config.steps
                if due or ends or (config.patience and state["best_step"] == state["step"]):
                    if folder is not None and state["step"] != saved_step:
                        tensors = training_tensors(model, optimizer, sampler)
                        save_checkpoint(folder, state["step"], model, tokenizer, config, state, tensors)
                        prune_checkpoints(folder, config.keep, state["best_step"])
                    saved_step = state["step"]
                if "stopped" in line:
                    break
    model.eval()
    return log


def add_gradients(model: nn.Module, batches: list[tuple[Tensor, ...]], loss_fn, group: Group, autocasting) -> float:
    """Forward and backward through the batches of one step: leaves the gradients in the weights, returns the loss.

    Both are of the mean over all targets of all batches of all processes, so the parts weigh as many targets as they
    have: a mean of means would not be the same where batches are masked or padded differently.
    """
    scored = sum((batch[-1] != IGNORE).sum() for batch in batches)
    everywhere = group.sum(scored.clone()).clamp(min=1)
    loss = torch.zeros((), device=scored.device)
    for i, batch in enumerate(batches):
        # Processes exchange gradients once a step, while the last backward pass runs.
        quiet = model.no_sync() if group.size > 1 and i + 1 < len(batches) else nullcontext()
        with quiet:
            with autocasting:
                part = loss_fn(model, batch) * ((batch[-1] != IGNORE).sum() / everywhere)
            (part * group.size).backward()  # DistributedDataParallel takes the mean over processes; we want the sum
        loss += part.detach()
    return float(group.sum(loss))


@torch.no_grad()
def look(model, val_data, loss_fn, tokenizer, config: TrainConfig, state: dict, group: Group, bar) -> dict:
    """The validation loss, a sample of text, both or nothing, as due at this step; keeps the best loss in `state`."""
    step, line = state["step"], {}
    at_end = step == config.steps
    if val_data is not None and (at_end or (config.eval_every and step % config.eval_every == 0)):
        line["val_loss"] = evaluate_loss(model, val_data, loss_fn, config.batch_size, group=group)
        better = state["best_loss"] is None or line["val_loss"] < state["best_loss"]
        state["looks_without_gain"] = 0 if better else state["looks_without_gain"] + 1
        if better:
            state.update(best_loss=line["val_loss"], best_step=step)
    due = config.sample_every and (at_end or step % config.sample_every == 0)
    if due and tokenizer is not None and group.rank == 0:
        dice, end = torch.Generator().manual_seed(config.seed), tokenizer.special_tokens.get(END_OF_TEXT)
        stop = () if end is None else (end,)
        pieces = stream(model, tokenizer, config.sample_prompt, config.sample_tokens, generator=dice, stop=stop)
        line["sample"] = "".join(pieces)
        bar.write(f"— step {step} —\n{config.sample_prompt}{line['sample']}\n")
    return line


def record(line: dict, log: list[dict], folder: Path | None) -> None:
    """Append a line to the log, and to the log's file if there is a folder."""
    log.append(line)
    if folder is not None:
        with open(folder / "log.jsonl", "a", encoding="utf-8") as f:
            f.write(log_line(line))


def log_line(line: dict) -> str:
    """A line of a log's file. ASCII, so that a sample with a separator of lines of its own (U+2028) stays one line."""
    return json.dumps(line) + "\n"


def check_numbers(loss: float, grad_norm: float, step: int, lr: float, out: Path | None, saved: int | None) -> None:
    """Raise FloatingPointError if the loss or the gradient is no number any more: nothing good can come after that."""
    last = f"; the last good checkpoint is {out}/step-{saved}" if saved else ""
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss became {loss} at step {step}: lower lr (now {lr:g}) or raise warmup{last}")
    if not math.isfinite(grad_norm):
        raise FloatingPointError(
            f"the gradient became {grad_norm} at step {step}, though the loss is {loss:.4g}: lower lr (now {lr:g}) or "
            f"raise warmup; if that does not help, loss_fn has no derivative there (as √x at 0){last}"
        )


@contextmanager
def clear_errors(config: TrainConfig, group: Group):
    """Name the remedy where memory could not be had, or where another process has fallen silent."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise MemoryError(
                f"out of memory with batch_size={config.batch_size}: use batch_size={max(1, config.batch_size // 2)} "
                f"and accumulate={config.accumulate * 2} (the same training in less memory), or a smaller preset"
            ) from error
        if group.size > 1 and any(word in str(error) for word in ("gloo", "NCCL", "onnection")):
            raise group.lost(error) from error
        raise
