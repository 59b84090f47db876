"""The head gallery: every head of a GPT on one sentence, named by measured scores, each with its knock-out's cost."""

import math
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from html import escape

import numpy as np
import torch
import torch.nn.functional as F
import traitlets
from torch import Tensor

from minigpt.attention import record_attention
from minigpt.figures.figure import Figure, drawing
from minigpt.model import GPT

MOST_TOKENS = 24  # a larger map would not fit a page
KINDS = ("previous", "first", "induction")  # the scores that can name a head
DIGITS = {kind: 3 for kind in KINDS} | {"entropy": 2, "brightest": 2, "change": 3, "error": 3}
LEVELS = 10  # shades of a small map


def head_scores(weights: Tensor, ids: Tensor) -> dict[str, Tensor]:
    """What each head does on average: weights (B, H, T, T) on the texts ids (B, T) -> five scores of shape (H,).

    previous, first: mean weight on the token before and on the text's first token. induction: mean weight on what came
    right after earlier places of the same token, over the queries that have one (Olsson et al., 2022); NaN where no
    token repeats. entropy: of a row, in bits. brightest: the largest weight of a row. The first row is left out: it
    has no choice.
    """
    T = ids.size(1)
    t = torch.arange(1, T)
    after = F.pad(ids[:, :, None] == ids[:, None, :-1], (1, 0)).tril()  # (B, T, T): was query t's token right before s?
    asked = after.any(-1)  # (B, T)
    return {
        "previous": weights[:, :, t, t - 1].mean((0, 2)),
        "first": weights[:, :, t, 0].mean((0, 2)),
        "induction": (weights * after[:, None]).sum(-1).transpose(0, 1)[:, asked].mean(-1),
        "entropy": torch.special.entr(weights[:, :, t]).sum(-1).mean((0, 2)) / math.log(2),
        "brightest": weights[:, :, t].amax(-1).mean((0, 2)),
    }


@contextmanager
def head_off(model: GPT, layer: int, head: int):
    """While the block runs, this head writes nothing: zeros stand where c_proj would read it (zero ablation)."""
    D = model.config.head_size

    def silence(module, inputs):
        heads = inputs[0].clone()  # (B, T, C), the heads side by side
        heads[..., head * D : (head + 1) * D] = 0
        return (heads,)

    hook = model.h[layer].attn.c_proj.register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()


@torch.no_grad()
def read_heads(model: GPT, name: Callable[[int], str], ids: Sequence[int], texts: Tensor, bar: float = 0.2) -> dict:
    """The arguments of HeadGallery: the maps of one sentence, the scores and knock-outs on other texts.

    name(id) is how a token is shown; ids: the sentence. texts (B, T), B ≥ 2: scores and losses are means over them, and
    the loss is in bits per token. A knock-out's error is the standard error over the B texts, each against itself.
    """
    texts = torch.as_tensor(texts)
    if texts.ndim != 2 or min(texts.shape) < 2:
        raise ValueError(f"texts must be at least two rows of token ids of equal length, not {tuple(texts.shape)}.")
    model.eval()

    def loss() -> Tensor:  # (B,), bits per token
        return F.cross_entropy(model(texts)[:, :-1].mT, texts[:, 1:], reduction="none").mean(1) / math.log(2)

    with record_attention(model) as maps:
        base = loss()
        scores = [head_scores(weights, texts) for weights in maps.values()]
        model(torch.as_tensor(ids)[None])
        weights = torch.cat(list(maps.values()))  # (L, H, T, T)
    scores = {kind: torch.stack([layer[kind] for layer in scores]) for kind in scores[0]}
    L, H = scores["first"].shape
    change = torch.empty(L, H, len(texts))
    for layer in range(L):
        for head in range(H):
            with head_off(model, layer, head):
                change[layer, head] = loss() - base
    even = torch.ones(texts.size(1), texts.size(1)).tril()
    even = head_scores((even / even.sum(-1, keepdim=True)).expand(len(texts), 1, -1, -1), texts)
    return {
        "tokens": [name(int(i)) for i in ids],
        "weights": weights,
        "scores": scores | {"change": change.mean(-1), "error": change.std(-1) / math.sqrt(len(texts))},
        "even": {kind: float(score) for kind, score in even.items()},
        "loss": float(base.mean()),
        "measured": texts.numel(),
        "bar": bar,
    }


class HeadGallery(Figure):
    """Small multiples, layers × heads: click one, see its map, what it does by measurement, and what it costs to lose.

    tokens: T labels. weights (L, H, T, T): causal attention weights on this sentence. scores: for each name of DIGITS
    an (L, H) table; induction may be NaN. even: the same scores, but the last two, of a head that spreads its weight
    evenly. loss: with all heads on, bits per token. measured: how many tokens scores and loss are means of. bar: the
    score from which a head is named. head: the chosen one, counted through all layers from 0. off: whether it is
    switched off. tried: the heads that have been off, whose cost is known. order, only: how the gallery is sorted (by
    place, or by one of entropy, brightest, change) and which name it is filtered by. Raises ValueError if shapes do not
    fit together, or there are more than 24 tokens.
    """

    module = "head_gallery"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    per_layer = traitlets.Int(1).tag(sync=True)
    weights = traitlets.List().tag(sync=True)
    scores = traitlets.Dict().tag(sync=True)
    even = traitlets.Dict().tag(sync=True)
    names = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
    loss = traitlets.Float().tag(sync=True)
    measured = traitlets.Int().tag(sync=True)
    bar = traitlets.Float().tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    off = traitlets.Bool(False).tag(sync=True)
    tried = traitlets.List(traitlets.Int()).tag(sync=True)
    order = traitlets.Enum(["place", "entropy", "brightest", "change"], "place").tag(sync=True)
    only = traitlets.Enum(["all", *KINDS, "none"], "all").tag(sync=True)

    def __init__(self, tokens, weights, scores, even, loss, measured, bar=0.2, **state):
        maps = np.asarray(weights, dtype=np.float64)
        T = len(tokens)
        if maps.ndim != 4 or maps.shape[2:] != (T, T):
            raise ValueError(f"weights of shape {maps.shape} do not fit {T} tokens: they must be (L, H, T, T).")
        if T > MOST_TOKENS:
            raise ValueError(f"HeadGallery draws at most {MOST_TOKENS} tokens: choose a shorter sentence.")
        if not np.isfinite(maps).all() or (maps < 0).any() or abs(maps.sum(-1) - 1).max() > 1e-2:
            raise ValueError("every row of weights must be positive and sum to 1: pass attention weights, not scores.")
        if np.triu(maps, 1).any():
            raise ValueError("a token looks ahead: HeadGallery draws causal attention, a triangle.")
        tables = {kind: np.asarray(scores.get(kind, ()), dtype=np.float64) for kind in DIGITS}
        for kind, table in tables.items():
            if table.shape != maps.shape[:2]:
                raise ValueError(f"scores need a table {kind!r} of shape {maps.shape[:2]}, a number for each head.")
        flat = {kind: _rounded(table.ravel(), DIGITS[kind]) for kind, table in tables.items()}
        names = [[k for k in KINDS if flat[k][i] is not None and flat[k][i] >= bar] for i in range(len(flat["first"]))]
        super().__init__(
            tokens=list(tokens), per_layer=maps.shape[1], names=names, loss=round(float(loss), 3), measured=measured,
            weights=[[row[: t + 1] for t, row in enumerate(m)] for m in maps.reshape(-1, T, T).round(2).tolist()],
            scores=flat, even={kind: _rounded([x], DIGITS[kind])[0] for kind, x in even.items()}, bar=bar, **state,
        )  # fmt: skip

    @traitlets.validate("head")
    def _exists(self, proposal):
        if not 0 <= proposal["value"] < len(self.weights):
            raise ValueError(f"head is {proposal['value']}, but it must lie between 0 and {len(self.weights) - 1}.")
        return proposal["value"]

    def rank(self, kind: str) -> int:
        """The chosen head's place when the heads are sorted by this score, the largest first; from 1."""
        return 1 + sum(x > self.scores[kind][self.head] for x in self.scores[kind])

    def words(self) -> str:
        i, many = self.head, len(self.weights)
        score = {kind: values[i] for kind, values in self.scores.items()}
        name = " and ".join(f"“{kind}”" for kind in self.names[i]) or "none"
        again = score["induction"]
        again = "" if again is None else f", {_percent(again)} to what followed the same token before"
        said = (
            f"Layer {i // self.per_layer}, head {i % self.per_layer}, on {self.measured:,} tokens: "
            f"{_percent(score['previous'])} of its weight goes to the previous token, {_percent(score['first'])} to "
            f"the first{again}. Bar: {_percent(self.bar)}. Name: {name}. Entropy {score['entropy']:.2f} bits (spread "
            f"evenly: {self.even['entropy']:.2f}). Its brightest cell in a row holds {score['brightest']:.2f} on "
            f"average: rank {self.rank('brightest')} of {many}."
        )
        if not self.off:
            return said + " It is on. Switch it off to see what it costs."
        change, error = score["change"], score["error"]
        clear = "" if abs(change) > 2 * error else " No clear change."
        return said + (
            f" Switched off: the loss goes from {self.loss:.3f} to {self.loss + change:.3f} bits, {_signed(change)} "
            f"(standard error {error:.3f}), rank {self.rank('change')} of {many}.{clear}"
        )

    def still(self) -> str:
        """All heads as small maps, a row for each layer, with their names and what it costs to switch them off."""
        cell = 120 / len(self.tokens)
        marks = []
        for i, rows in enumerate(self.weights):
            x, y = 150 * (i % self.per_layer), 190 * (i // self.per_layer)
            marks.append(f'<text x="{x}" y="{y + 14}">layer {i // self.per_layer}, head {i % self.per_layer}</text>')
            marks.append(f'<g transform="translate({x} {y + 22}) scale({cell:.3f})" fill="#AA4499">{_shades(rows)}</g>')
            name = escape(" + ".join(self.names[i]) or "none")
            marks.append(f'<text x="{x}" y="{y + 157}">{name}</text>')
            marks.append(f'<text x="{x}" y="{y + 173}">off: {_signed(self.scores["change"][i])} bits</text>')
        rows = -(-len(self.weights) // self.per_layer)
        words = f"Attention maps of {len(self.weights)} heads, with their names and the change in loss without them"
        return drawing(marks, 150 * self.per_layer, 190 * rows, words, 12)


def _shades(rows: list[list[float]]) -> str:
    """A triangle of cells of size 1, one path for each of LEVELS opacities; white cells are left out."""
    paths = {}
    for t, row in enumerate(rows):
        for s, weight in enumerate(row):
            paths.setdefault(math.ceil(LEVELS * weight), []).append(f"M{s} {t}h1v1h-1z")
    paths.pop(0, None)
    return "".join(f'<path d="{"".join(at)}" opacity="{level / LEVELS:.1f}"/>' for level, at in sorted(paths.items()))


def _rounded(values, digits: int) -> list[float | None]:
    return [None if math.isnan(x) else round(float(x), digits) for x in values]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _signed(bits: float) -> str:
    return f"{bits:+.3f}".replace("-", "−")
