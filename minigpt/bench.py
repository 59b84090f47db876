"""Benchmarks: tokens per second, beside the same model in Hugging Face transformers.

Same weights, same batch, same dtype, same fused AdamW, dropout 0, attention through SDPA on both sides. The two take
turns, so that a machine that slows down slows both; what counts is the median of the ratios of neighbours.
"""

import time
from statistics import median

import torch
from tqdm.auto import tqdm

from .config import TrainConfig, preset
from .device import autocast, pick_device
from .generate import generate
from .hf import export_gpt2
from .model import GPT
from .objectives import clm_loss
from .optim import make_optimizer

SIZES = {"1M": ("micro", 32), "10M": ("mini", 8)}  # preset, batch size


def pair_of_models(preset_name: str, device: torch.device):
    """Our GPT and Hugging Face's GPT2LMHeadModel with the same random weights, both in training mode."""
    import tempfile

    from transformers import GPT2LMHeadModel

    torch.manual_seed(0)
    ours = GPT(preset(preset_name, vocab_size=1024))
    with tempfile.TemporaryDirectory() as folder:
        export_gpt2(ours, None, folder)
        theirs = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="sdpa")
    theirs.generation_config.eos_token_id = theirs.generation_config.pad_token_id = None  # never stop early
    return ours.to(device).train(), theirs.to(device).train()


def alternate(one, other, rounds: int, device: torch.device, label: str) -> tuple[list[float], list[float]]:
    """Seconds of `rounds` calls of each, in turn, after one uncounted round that warms both up."""
    times = ([], [])
    for r in tqdm(range(rounds + 1), desc=label, leave=False):
        for f, seconds in zip((one, other), times, strict=True):
            started = time.perf_counter()
            f()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if r:
                seconds.append(time.perf_counter() - started)
    return times


def training(size: str, dtype: str, device: torch.device, rounds: int = 15) -> dict:
    """Tokens per second of whole training steps: forward, loss, backward, clip, update."""
    name, batch_size = SIZES[size]
    ours, theirs = pair_of_models(name, device)
    ids = torch.randint(1024, (batch_size, ours.config.block_size + 1), device=device)

    def our_loss():
        return clm_loss(ours, (ids[:, :-1], ids[:, 1:]))

    def their_loss():
        # Their model shifts labels itself and would score one token less; it is handed the targets as they are.
        return theirs(ids[:, :-1], labels=ids[:, :-1], shift_labels=ids[:, 1:].contiguous(), use_cache=False).loss

    def step(model, loss_of):
        optimizer = make_optimizer(model, TrainConfig())

        def run():
            with autocast(dtype, device):
                loss = loss_of()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return run

    a, b = alternate(step(ours, our_loss), step(theirs, their_loss), rounds, device, f"training {size} {dtype}")
    return _row("training", size, dtype, ids[:, 1:].numel(), a, b)


def generation(size: str, dtype: str, device: torch.device, rounds: int = 7, new_tokens: int = 100) -> dict:
    """Tokens per second of greedy generation with a KV cache, from a prompt of 16 tokens, one text at a time."""
    ours, theirs = (m.eval() for m in pair_of_models(SIZES[size][0], device))
    prompt = torch.randint(1024, (1, 16), device=device)

    def our_run():
        with autocast(dtype, device):
            return list(generate(ours, prompt[0].tolist(), new_tokens, temperature=0))

    def their_run():
        with autocast(dtype, device), torch.inference_mode():
            return theirs.generate(
                prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new_tokens, do_sample=False
            )

    a, b = alternate(our_run, their_run, rounds, device, f"generation {size} {dtype}")
    return _row("generation", size, dtype, new_tokens, a, b)


def _row(what, size, dtype, tokens, ours, theirs) -> dict:
    return {
        "what": what,
        "model": size,
        "dtype": dtype,
        "minigpt tokens/s": tokens / median(ours),
        "transformers tokens/s": tokens / median(theirs),
        "ratio": median(b / a for a, b in zip(ours, theirs, strict=True)),
    }


def bench(sizes: tuple[str, ...] = ("1M", "10M"), device: str = "auto") -> list[dict]:
    """Run everything and print a table: medians of 15 training steps and of 7 texts of 100 tokens."""
    where = pick_device(device)
    started = time.perf_counter()
    import transformers

    import_seconds = time.perf_counter() - started
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{versions}, {where}, {torch.get_num_threads()} threads")
    print(f"importing transformers took {import_seconds:.1f} s, which no row below contains\n")
    columns = ("what", "model", "dtype", "minigpt tokens/s", "transformers tokens/s", "ratio")
    print(" | ".join(f"{c:>21}" for c in columns))
    rows = []
    for what in (training, generation):
        for size in sizes:
            for dtype in ("float32", "bfloat16"):
                row = what(size, dtype, where)
                rows.append(row)
                shown = (f"{v:,.0f}" if "tokens" in c else f"{v:.2f}×" if c == "ratio" else v for c, v in row.items())
                print(" | ".join(f"{v:>21}" for v in shown), flush=True)
    return rows
