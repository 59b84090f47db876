"""The mask painter: a mask that the reader paints, and the slope of every output to every input under it."""

from collections.abc import Sequence
from html import escape

import torch
import traitlets
from torch import Tensor
from torch.autograd.functional import jacobian

from minigpt.attention import attention, causal_mask
from minigpt.figures.figure import Figure, Matrix, drawing

MOST_TOKENS, LARGEST_SIZE = 8, 16
WAYS = {
    "before": "before the softmax, as −∞",
    "after": "after the softmax, times 0",
    "renormalised": "after it, and renormalised",
}


class MaskPainter(Figure):
    """One layer of self-attention, softmax(Q Kᵀ / √d_k) V with Q = x W_Q, K = x W_K, V = x W_V, and a mask to paint.

    x: (T, C), T ≤ 8. w_q, w_k: (C, D), w_v: (C, E), all sizes ≤ 16; without w_k or w_v, keys or values are x itself.
    mask: (T, T) booleans, True where a query (row) may look at a key (column); causal if not given. way: where the
    mask works, "before" the softmax, "after" it, or "renormalised". tokens: T names. Raises ValueError where these do
    not fit together.
    """

    module = "mask_painter"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    x = Matrix().tag(sync=True)
    w_q = Matrix().tag(sync=True)
    w_k = Matrix().tag(sync=True)
    w_v = Matrix().tag(sync=True)
    mask = traitlets.List(traitlets.List(traitlets.Bool())).tag(sync=True)
    way = traitlets.Enum(list(WAYS), "before").tag(sync=True)

    def __init__(self, x, w_q, w_k=None, w_v=None, mask=None, tokens: Sequence[str] | None = None, **state):
        same = torch.eye(len(x[0])).tolist()
        T = len(x)
        tokens = [str(t) for t in range(T)] if tokens is None else list(tokens)
        mask = causal_mask(T).tolist() if mask is None else torch.as_tensor(mask).bool().tolist()
        w_k, w_v = (same if w is None else w for w in (w_k, w_v))
        super().__init__(x=x, w_q=w_q, w_k=w_k, w_v=w_v, tokens=tokens, mask=mask, **state)
        C, D = len(self.x[0]), len(self.w_q[0])
        if T > MOST_TOKENS or max(C, D, len(self.w_v[0])) > LARGEST_SIZE:
            raise ValueError(f"MaskPainter draws at most {MOST_TOKENS} tokens of {LARGEST_SIZE} numbers: show a part.")
        if not len(self.w_q) == len(self.w_k) == len(self.w_v) == C or len(self.w_k[0]) != D:
            raise ValueError(f"x has {C} numbers a row: w_q, w_k and w_v need {C} rows, w_q and w_k equal widths.")
        if len(tokens) != T:
            raise ValueError(f"x has {T} rows, but there are {len(tokens)} tokens: give one name for each.")

    @traitlets.validate("mask")
    def _square(self, proposal):
        T = len(self.x)
        if [len(row) for row in proposal["value"]] != [T] * T:
            raise ValueError(f"mask must have {T} rows of {T} booleans, one for each query and key.")
        return proposal["value"]

    def attend(self, x: Tensor, way: str) -> tuple[Tensor, Tensor]:
        """Output (T, E) and weights (T, T) for x (T, C), the mask working this way."""
        w_q, w_k, w_v, mask = (torch.tensor(m, dtype=x.dtype) for m in (self.w_q, self.w_k, self.w_v, self.mask))
        q, k, v = x @ w_q, x @ w_k, x @ w_v
        if way == "before":
            return attention(q, k, v, mask.bool())
        weights = attention(q, k, v)[1] * mask
        if way == "renormalised":
            weights = torch.nn.functional.normalize(weights, p=1, dim=-1)  # an empty row stays 0
        return weights @ v, weights

    def slopes(self) -> Tensor:
        """(T, T): max |∂ output_t / ∂ x_s| over the numbers of both, by torch's autograd."""
        x = torch.tensor(self.x, dtype=torch.float64)
        return jacobian(lambda x: self.attend(x, self.way)[0], x).abs().amax(dim=(1, 3))

    def error(self) -> float:
        """The largest distance between the output and that of the same mask before the softmax."""
        x = torch.tensor(self.x, dtype=torch.float64)
        return float((self.attend(x, self.way)[0] - self.attend(x, "before")[0]).abs().max())

    def words(self) -> str:
        slopes = self.slopes().triu(diagonal=1)
        start = f"The mask works {WAYS[self.way]}. "
        if slopes.max() < 1e-12:  # autograd leaves rounding where the denominator cancels
            return start + "No leak: no output moves with a later token."
        t, s = divmod(int(slopes.argmax()), len(self.tokens))
        how = "which the mask lets it see" if self.mask[t][s] else "whose weight is 0: it stands in the denominator"
        return (
            f"{start}Leak {slopes.max():.2f}: the output of token “{self.tokens[t]}” moves with the later token "
            f"“{self.tokens[s]}”, {how}. Largest distance from the output of the mask before the softmax: "
            f"{self.error():.2f}."
        )

    def still(self) -> str:
        """The weights under the mask, and beside them the slopes; those above the diagonal are the leak."""
        T, size, left, top = len(self.tokens), 42, 60, 44
        weights = self.attend(torch.tensor(self.x, dtype=torch.float64), self.way)[1].tolist()
        marks, wide = [], left + size * T + 30
        for n, (title, matrix) in enumerate((("mask and weights", weights), ("slopes", self.slopes().tolist()))):
            x0 = n * wide + left
            marks.append(f'<text x="{x0}" y="16" font-weight="600">{title}</text>')
            for t in range(T):
                y = top + size * t
                marks.append(f'<text x="{x0 - 8}" y="{y + 26}" text-anchor="end">{escape(self.tokens[t])}</text>')
                middle = x0 + size * t + size / 2
                marks.append(f'<text x="{middle}" y="{top - 8}" text-anchor="middle">{escape(self.tokens[t])}</text>')
                for s, number in enumerate(matrix[t]):
                    filled = self.mask[t][s] if n == 0 else number > 1e-12
                    hue = "#B3261E" if n and s > t else "#AA4499"
                    place = f'x="{x0 + size * s + 1}" y="{y + 1}" width="{size - 2}" height="{size - 2}" rx="4"'
                    marks.append(f'<rect {place} fill="{hue}" fill-opacity="{0.3 if filled else 0.04}"/>')
                    text = f"{number:.2f}" if filled else "0"
                    where = f'x="{x0 + size * s + size / 2}" y="{y + 26}"'
                    marks.append(f'<text {where} text-anchor="middle">{text}</text>')
        words = "Two grids, a row per output: the weights under the mask, and the slopes to every input"
        return drawing(marks, 2 * wide, top + size * T + 4, words)
