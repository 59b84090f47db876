"""Scaling: many small runs whose compute is counted, and the power laws drawn through them.

    python -m minigpt.scaling chapters/models/scaling/runs.jsonl

trains every run of grid() that the file does not hold yet and appends a line for each. The models read bytes, so their
loss is bits per byte. Page 1.2 draws the lines; Kaplan et al. (2020) and Hoffmann et al. (2022) did this at scale.
"""

import json
import math
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import MODERN, GPTConfig, TrainConfig
from .data import TokenDataset
from .model import GPT, MLP
from .texts import load_split
from .train import train

VOCABULARY = 256  # a token is a byte
CONTEXT, BATCH = 64, 8  # bytes in a window, windows in a step: the same for every run
TESTED = 2**15  # so many bytes of the validation text are scored, the same for every run
WALL = {  # budget in FLOPs: the widths of the models that spend it
    3e9: (4, 6, 8, 12, 16, 24),
    1e10: (6, 8, 12, 16, 24, 32, 48),
    3e10: (8, 12, 16, 24, 32, 48, 64),
    1e11: (16, 24, 32, 48, 64, 96),
}
LEARNING_RATE = {"gpt": 0.25, "gru": 0.9, "bag": 0.25}  # times 1 / width: found by a few trials of each


@dataclass(frozen=True)
class Run:
    """One training. Of the corpus it may read the first `unique` bytes (0: all), as often as it takes."""

    sweep: str  # "compute", "held out" (one more budget, to test the law with), "data", "size" or "algorithm"
    steps: int  # updates, each from BATCH windows of CONTEXT bytes
    width: int = 32  # C
    model: str = "gpt"  # or "gru", or "bag"
    window: int = 0  # so many last bytes lie in the bag
    budget: float = 0  # the FLOPs that steps were chosen to spend; 0: steps were chosen otherwise
    unique: int = 0
    looks: int = 1  # the best of so many looks at the validation text counts
    seed: int = 0


# ---- models --------------------------------------------------------------------------------------


class RNN(nn.Module):
    """A recurrent network: one state is carried from byte to byte, by gates (GRU; Cho et al., 2014)."""

    def __init__(self, width: int):
        super().__init__()
        self.wte = nn.Embedding(VOCABULARY, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.lm_head = nn.Linear(width, VOCABULARY, bias=False)
        nn.init.normal_(self.wte.weight, std=0.1)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> logits (B, T, V)."""
        states, _ = self.gru(self.wte(ids))  # (B, T, C), one byte after the other
        return self.lm_head(states)


class Bag(nn.Module):
    """A bag: the mean of the last `window` bytes' embeddings, their order forgotten; then a feed-forward network."""

    def __init__(self, width: int, window: int):
        super().__init__()
        self.window = window
        self.wte = nn.Embedding(VOCABULARY, width)
        self.ln = nn.RMSNorm(width)
        self.mlp = MLP(GPTConfig(VOCABULARY, CONTEXT, 1, 1, width, n_inner=12 * width, **MODERN))
        self.ln_f = nn.RMSNorm(width)
        self.lm_head = nn.Linear(width, VOCABULARY, bias=False)
        for table in (self.wte, self.lm_head):
            nn.init.normal_(table.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> logits (B, T, V)."""
        x = F.pad(self.wte(ids), (0, 0, self.window - 1, 0))  # (B, window − 1 + T, C)
        x = self.ln(x.unfold(1, self.window, 1).mean(-1))  # (B, T, C)
        return self.lm_head(self.ln_f(x + self.mlp(x)))


def make_model(run: Run) -> nn.Module:
    """The model of a run, with weights drawn from its seed."""
    torch.manual_seed(run.seed)
    if run.model == "gru":
        return RNN(run.width)
    if run.model == "bag":
        return Bag(run.width, run.window)
    heads = max(1, run.width // 16)
    return GPT(GPTConfig(VOCABULARY, CONTEXT, n_layer=2, n_head=heads, n_embd=run.width, tied=False, **MODERN))


def weights(model: nn.Module) -> int:
    """N: the weights that multiply, so those of every matrix. A table of embeddings is looked up and does not count."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    heads = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}  # a tied table multiplies there
    return sum(p.numel() for p in model.parameters() if p.dim() == 2 and id(p) not in tables - heads)


def flops_per_token(model: nn.Module) -> int:
    """Multiplications and additions that training spends on one token: C ≈ 6 N D, counted for small models too.

    Forward, every weight of a matrix multiplies once and adds once; backward costs twice as much: 6 for each weight.
    Attention compares each token with CONTEXT others and mixes their values: 12 · layers · CONTEXT · width more
    (Chowdhery et al., 2023, appendix B), which 6 N leaves out and which small models cannot ignore.
    """
    attention = 12 * len(model.h) * CONTEXT * model.config.n_embd if isinstance(model, GPT) else 0
    return 6 * weights(model) + attention


# ---- runs ----------------------------------------------------------------------------------------


def spend(budget: float, **how) -> Run:
    """The run that spends `budget` FLOPs."""
    run = Run(steps=1, budget=budget, **how)
    steps = round(budget / flops_per_token(make_model(run)) / (BATCH * CONTEXT))
    return replace(run, steps=max(1, steps))


def grid() -> list[Run]:
    """Every run of page 1.2: one seed of each, then another of most."""
    rivals = {"model": "gru", "width": 56}, {"model": "bag", "window": 2}
    runs = [spend(budget, sweep="compute", width=width) for budget, widths in WALL.items() for width in widths]
    runs += [spend(3e11, sweep="held out", width=32)]
    runs += [Run("data", steps=500, unique=4**k, looks=5) for k in range(5, 10)]
    runs += [Run("size", steps=200, width=width) for width in (8, 16, 32, 64)]
    runs += [spend(budget, sweep="algorithm", **rival) for budget in WALL for rival in rivals]
    runs += [spend(3e10, sweep="algorithm", model="bag", window=window) for window in (1, 3, 4)]
    again = [replace(run, seed=1) for run in runs if run.sweep != "held out" and run.window in (0, 2)]
    return runs + again


def as_bytes(text: str) -> Tensor:
    """The UTF-8 bytes of a text, uint8."""
    return torch.frombuffer(bytearray(text.encode("utf-8")), dtype=torch.uint8)


def measure(run: Run, train_bytes: Tensor, val_bytes: Tensor) -> dict:
    """Train a run: a line of the log, {…the run's fields, "parameters", "weights", "tokens", "flops", …}."""
    model = make_model(run)
    config = TrainConfig(
        steps=run.steps,
        batch_size=BATCH,
        lr=LEARNING_RATE[run.model] / run.width,
        warmup=max(1, run.steps // 10),
        eval_every=run.steps // run.looks if run.looks > 1 else 0,
        seed=run.seed,
        device="cpu",
        dtype="float32",
    )
    started = time.perf_counter()
    text = train_bytes[: run.unique or None]
    log = train(model, TokenDataset(text, CONTEXT), TokenDataset(val_bytes[: TESTED + 1], CONTEXT), config)
    if "stopped" in log[-1]:
        raise KeyboardInterrupt
    tokens = run.steps * BATCH * CONTEXT
    return asdict(run) | {
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights": weights(model),
        "tokens": tokens,
        "flops": tokens * flops_per_token(model),
        "bits": round(min(line["val_loss"] for line in log if "val_loss" in line) / math.log(2), 4),
        "seconds": round(time.perf_counter() - started, 1),
    }


def read_runs(path) -> list[dict]:
    """The lines of a log, [] if there is none yet."""
    path = Path(path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def main(path: str) -> None:
    """Train what the log at `path` lacks, and append it there."""
    done = [{key: row[key] for key in asdict(Run("", 1))} for row in read_runs(path)]
    texts = [as_bytes(text) for text in load_split("wikipedia")]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    for run in grid():
        if asdict(run) not in done:
            row = measure(run, *texts)
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{row['sweep']} {row['model']} {row['parameters']:,} parameters: {row['bits']} bits", flush=True)


# ---- laws ----------------------------------------------------------------------------------------


def power_law(x, y) -> tuple[float, float]:
    """(exponent, factor) of y = factor · x^exponent: on log-log paper a straight line, fitted by least squares."""
    exponent, height = np.polyfit(np.log(x), np.log(y), 1)
    return float(exponent), math.exp(height)


def law_with_floor(x, y) -> tuple[float, float, float]:
    """(floor, factor, exponent) of y = floor + factor · x^exponent, by least squares in y; floor ≥ 0, exponent < 0.

    Every exponent from −2 to −0.01 is tried; given one, the best floor and factor follow from a linear equation.
    """
    x, y, best = np.asarray(x, float), np.asarray(y, float), None
    for exponent in np.linspace(-2, -0.01, 400):
        column = (x / x.min()) ** exponent
        (floor, factor), *_ = np.linalg.lstsq(np.stack([np.ones_like(x), column], 1), y, rcond=None)
        if floor < 0:
            floor, factor = 0.0, float(column @ y / (column @ column))
        error = ((floor + factor * column - y) ** 2).sum()
        if best is None or error < best[0]:
            best = (error, float(floor), float(factor * x.min() ** -exponent), float(exponent))
    return best[1:]


def bottoms(rows: list[dict], span: float = 4.0, size: str = "weights") -> dict:
    """The bottom of each budget's valley, {budget: (sizes, bits)}, in ascending order of budgets.

    Up its sides a valley is no parabola, so only runs count whose size is at most `span` times larger or smaller than
    the one with the fewest bits (the mean of its seeds).
    """
    found = {}
    for budget in sorted({row["budget"] for row in rows}):
        runs = [(row[size], row["bits"]) for row in rows if row["budget"] == budget]
        best = min({s for s, _ in runs}, key=lambda s: np.mean([bits for t, bits in runs if t == s]))
        near = sorted(run for run in runs if best / span <= run[0] <= best * span)
        found[budget] = tuple(np.array(column) for column in zip(*near, strict=True))
    return found


def lowest_points(sizes, bits) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(log of the best size, its bits, whether there is one): the lowest point of the parabola through bits against
    log size (Hoffmann et al., 2022, section 3.2).

    bits (runs,), or (runs, draws) for many parabolas at once. There is no lowest point where a parabola opens
    downward, or has it beyond the sizes that were measured.
    """
    x = np.log(sizes)
    a, b, c = np.polyfit(x, bits, 2)
    best = -b / (2 * a)
    return best, c + b * best / 2, (a > 0) & (x.min() <= best) & (best <= x.max())


def valley(sizes, bits) -> tuple[float, float]:
    """(best size, its bits) of one budget's runs. Raises ValueError where they show no valley."""
    best, low, found = lowest_points(sizes, bits)
    if not found:
        raise ValueError("these runs show no valley: add smaller or larger models on the side where it still falls")
    return float(np.exp(best)), float(low)


def redraw_valleys(valleys: dict, draws: int = 1000, seed: int = 0) -> np.ndarray:
    """The valleys' lowest points as they might have been: (draws, budgets, 2), size and bits.

    valleys: {budget: (sizes, bits)}. A bootstrap of residuals (Efron, 1979): each run keeps its size and gets the
    parabola's bits plus the error of a run drawn from the same valley. Errors are stretched by √(n / (n − 3)), since
    a parabola through n points has made them too small. Draws without a lowest point are left out: where they are
    many, the interval is too narrow, so more than half of them is a ValueError.
    """
    dice = np.random.default_rng(seed)
    lowest = np.empty((draws, len(valleys), 2))
    for column, (sizes, bits) in enumerate(valleys.values()):
        n, bits = len(sizes), np.asarray(bits)
        if len(set(sizes)) < 4:
            raise ValueError(f"{len(set(sizes))} sizes leave a parabola no error to draw from: measure 4 or more")
        curve = np.polyval(np.polyfit(np.log(sizes), bits, 2), np.log(sizes))
        errors = (bits - curve) * math.sqrt(n / (n - 3))
        best, low, found = lowest_points(sizes, curve[:, None] + dice.choice(errors, (n, 2 * draws)))
        if found.sum() < draws:
            raise ValueError("hardly a redrawn valley has a lowest point: measure more runs")
        lowest[:, column] = np.stack([np.exp(best), low], 1)[found][:draws]
    return lowest


def interval(values, level: float = 0.9) -> tuple[float, float]:
    """The middle `level` of the values."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m minigpt.scaling LOG.jsonl")
    main(sys.argv[1])
