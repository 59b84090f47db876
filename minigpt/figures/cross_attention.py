"""Cross-attention: for each target token, which source tokens the decoder looked at to write it."""

from html import escape

import numpy as np
import torch
import traitlets

from minigpt.attention import record_attention
from minigpt.figures.figure import Figure, drawing

MAX_TOKENS = 24  # more rows or columns would not fit a page


@torch.no_grad()
def read_cross_attention(model, source, ids) -> torch.Tensor:
    """The decoder's cross-attention weights (L, H, T, S) of a Seq2Seq for one pair.

    source: S token ids. ids: the T ids that the decoder is given, beginning with its start token; row t of the weights
    is the look with which it writes token t of the target.
    """
    source, ids = torch.as_tensor(source)[None], torch.as_tensor(ids)[None]
    with record_attention(model.eval()) as maps:
        model(source, torch.ones_like(source, dtype=torch.bool), ids)
    return torch.cat([maps[f"decoder.h.{layer}.crossattention"] for layer in range(model.config.n_layer)])


class CrossAttention(Figure):
    """The weights from the target token being written to every source token, per layer and head.

    source: S labels. target: T labels, of the tokens that are written. weights (L, H, T, S), a tensor, an array or
    nested lists, whose rows sum to 1. alignment, if it is known: for each target token the index of the right source
    token, −1 where there is none. layer, head: the map that is shown; head = H shows the mean of all H heads. step: the
    target token being written. Raises ValueError if the shapes do not fit together, or there are more than 24 tokens.
    """

    module = "cross_attention"
    source = traitlets.List(traitlets.Unicode()).tag(sync=True)
    target = traitlets.List(traitlets.Unicode()).tag(sync=True)
    weights = traitlets.List().tag(sync=True)
    alignment = traitlets.List(traitlets.Int()).tag(sync=True)
    layer = traitlets.Int(0).tag(sync=True)
    head = traitlets.Int(0).tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)

    def __init__(self, source, target, weights, alignment=(), layer=None, head=None, step=0, **state):
        weights = weights.detach().cpu() if hasattr(weights, "detach") else weights
        try:
            array = np.asarray(weights, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError("weights must be numbers of shape (L, H, T, S), with rows of equal length.") from None
        if array.ndim != 4 or array.shape[2:] != (len(target), len(source)):
            raise ValueError(
                f"weights of shape {array.shape} do not fit {len(target)} target and {len(source)} source tokens: "
                "they must be (layers, heads, target, source)."
            )
        if not np.isfinite(array).all() or (array < 0).any() or abs(array.sum(-1) - 1).max() > 1e-2:
            raise ValueError("every row of weights must be positive and sum to 1: pass attention weights, not scores.")
        if max(array.shape[2:]) > MAX_TOKENS:
            raise ValueError(f"CrossAttention draws at most {MAX_TOKENS} tokens a side: choose a shorter pair.")
        alignment = [int(s) for s in alignment]
        if alignment and (len(alignment) != len(target) or not all(-1 <= s < len(source) for s in alignment)):
            raise ValueError(
                f"alignment needs a source index, or −1, for each of the {len(target)} target tokens, not {alignment}."
            )
        layer = array.shape[0] - 1 if layer is None else layer  # the last layer, the mean of its heads
        head = array.shape[1] if head is None else head
        super().__init__(
            source=list(source), target=list(target), weights=array.round(4).tolist(), alignment=alignment,
            layer=layer, head=head, step=step, **state,
        )  # fmt: skip

    @traitlets.validate("layer", "head", "step")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        many = {"layer": len(self.weights), "head": len(self.weights[0]) + 1, "step": len(self.target)}[name]
        if not 0 <= value < many:
            raise ValueError(f"{name} is {value}, but it must lie between 0 and {many - 1}.")
        return value

    def map(self) -> np.ndarray:
        """The weights (T, S) now shown: of one head, or the mean of the layer's heads."""
        layer = np.array(self.weights[self.layer])
        return layer.mean(0) if self.head == len(layer) else layer[self.head]

    def words(self) -> str:
        row = self.map()[self.step]
        most = int(row.argmax())
        heads = len(self.weights[0])
        who = "all heads together look" if self.head == heads else f"head {self.head + 1} looks"
        said = (
            f"To write “{self.target[self.step]}” ({self.step + 1} of {len(self.target)}), in layer {self.layer + 1} "
            f"{who} mostly at “{self.source[most]}” ({row[most]:.2f}), source token {most + 1}."
        )
        right = self.alignment[self.step] if self.alignment else -1
        if right >= 0:
            said += " That is the right place." if right == most else f" The right place would be {right + 1}."
        return said

    def still(self) -> str:
        """The map as a picture: a row per target token, a column per source token; the right places are ringed."""
        T, S, left, top, size = len(self.target), len(self.source), 84, 84, 28
        marks = []
        for s, token in enumerate(self.source):
            turn = f"translate({left + size * s + 18} {top - 8}) rotate(-50)"
            marks.append(f'<text transform="{turn}">{escape(token)}</text>')
        for t, row in enumerate(self.map().tolist()):
            y = top + size * t
            marks.append(f'<text x="{left - 8}" y="{y + 19}" text-anchor="end">{escape(self.target[t])}</text>')
            for s, weight in enumerate(row):
                ring = ' stroke="#009E73" stroke-width="2"' if self.alignment and self.alignment[t] == s else ""
                fill = f'fill="#AA4499" fill-opacity="{0.03 + 0.82 * weight:.2f}"'
                place = f'x="{left + size * s + 2}" y="{y + 2}" width="{size - 4}" height="{size - 4}"'
                marks.append(f'<rect {place} rx="3" {fill}{ring}/>')
        width, height = left + size * S + 40, top + size * T + 2
        words = "Cross-attention, one row per target token"
        return drawing(marks, width, height, words)
