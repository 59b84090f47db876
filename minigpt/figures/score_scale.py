"""√d_k: the scores of random queries and keys, the softmax over them and its slope, for widths from 1 to 1024."""

import math
from collections.abc import Sequence

import torch
import traitlets

from minigpt.figures.figure import Figure, drawing

WIDTHS = tuple(2**i for i in range(11))  # 1 … 1024
EDGE, BIN = 64, 2  # the histogram reaches from −64 to 64, in steps of 2


@torch.no_grad()
def read_scores(sizes: Sequence[int] = WIDTHS, n: int = 1000, keys: int = 16, seed: int = 0) -> dict:
    """The arguments of ScoreScale: `n` queries with `keys` keys each, all numbers drawn from N(0, 1), for each width.

    Returns {"sizes", "plain", "scaled"}; the last two hold, for each width, without and with the division by its root,
    {"std": of the scores, "bins": share of the scores in each bin from −64 to 64, "weights": the softmax's (keys,),
    largest first, "slope": the Frobenius norm of its Jacobian diag(p) − ppᵀ}, the last two as means over the queries.
    """
    read = {"sizes": list(sizes), "plain": [], "scaled": []}
    for d in sizes:
        g = torch.Generator().manual_seed(seed)
        q, k = torch.randn(n, 1, d, generator=g), torch.randn(n, keys, d, generator=g)
        for way, root in (("plain", 1.0), ("scaled", math.sqrt(d))):
            scores = (q @ k.mT)[:, 0] / root  # (n, keys)
            p = scores.softmax(-1)
            jacobian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]  # (n, keys, keys)
            bins = torch.histc(scores, 2 * EDGE // BIN, -EDGE, EDGE) / scores.numel()
            read[way].append(
                {
                    "std": round(float(scores.std()), 4),
                    "bins": [round(x, 5) for x in bins.tolist()],
                    "weights": [round(x, 5) for x in p.sort(-1, descending=True).values.mean(0).tolist()],
                    "slope": round(float(jacobian.flatten(1).norm(dim=1).mean()), 5),
                }
            )
    return read


class ScoreScale(Figure):
    """A slider over the width d of queries and keys; histogram of their scores, sorted weights, slope of the softmax.

    sizes, plain, scaled: as read_scores() makes them. index: which of the sizes is shown. divide: whether the scores
    are divided by √d. Raises ValueError where these do not fit together.
    """

    module = "score_scale"
    sizes = traitlets.List(traitlets.Int()).tag(sync=True)
    plain = traitlets.List().tag(sync=True)
    scaled = traitlets.List().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    divide = traitlets.Bool(False).tag(sync=True)

    def __init__(self, sizes: Sequence[int], plain: Sequence[dict], scaled: Sequence[dict], **state):
        if not len(sizes) == len(plain) == len(scaled) > 0:
            raise ValueError("ScoreScale needs sizes, plain and scaled as read_scores() makes them, equally many.")
        super().__init__(sizes=list(sizes), plain=list(plain), scaled=list(scaled), **state)

    @traitlets.validate("index")
    def _exists(self, proposal):
        if not 0 <= proposal["value"] < len(self.sizes):
            raise ValueError(f"index is {proposal['value']}, but it must lie between 0 and {len(self.sizes) - 1}.")
        return proposal["value"]

    def words(self) -> str:
        now = (self.scaled if self.divide else self.plain)[self.index]
        return (
            f"d = {self.sizes[self.index]}, {'divided by √d' if self.divide else 'not divided'}: the scores have "
            f"standard deviation {now['std']:.2f}; of {len(now['weights'])} keys the first gets "
            f"{now['weights'][0]:.2f} on average; slope of the softmax {now['slope']:.2f}."
        )

    def still(self) -> str:
        """Standard deviation, largest weight and slope against the width, not divided and divided."""
        marks, wide, high, top = [], 200, 120, 34
        xs = [i * (wide - 40) / max(1, len(self.sizes) - 1) for i in range(len(self.sizes))]
        panels = {
            "scores: std": lambda one: one["std"],
            "largest weight": lambda one: one["weights"][0],
            "slope": lambda one: one["slope"],
        }
        for n, (title, number) in enumerate(panels.items()):
            x0, most = 34 + n * (wide + 20), max(number(one) for one in [*self.plain, *self.scaled])
            marks.append(f'<text x="{x0}" y="16" font-weight="600">{title}</text>')
            marks.append(f'<text x="{x0 - 4}" y="{top + 9}" text-anchor="end">{most:.2g}</text>')
            marks.append(f'<text x="{x0 - 4}" y="{top + high}" text-anchor="end">0</text>')
            marks.append(f'<text x="{x0}" y="{top + high + 18}">d = {self.sizes[0]} … {self.sizes[-1]}</text>')
            for way, stroke in ((self.plain, "#8C6D1F"), (self.scaled, "#AA4499")):
                ys = [top + high * (1 - number(one) / most) for one in way]
                points = " ".join(f"{x0 + x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
                dashes = ' stroke-dasharray="6 4"' if way is self.plain else ""
                marks.append(f'<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="2"{dashes}/>')
        marks.append(f'<text x="34" y="{top + high + 40}">Dashed: not divided. Solid: divided by √d.</text>')
        words = "Three panels against d: not divided (dashed) the scores spread, one weight takes all, the slope falls"
        return drawing(marks, 3 * (wide + 20) + 34, top + high + 48, words)
