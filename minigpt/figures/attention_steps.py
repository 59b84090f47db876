"""Attention, step by step: one query of one sentence, from its products with the keys to the output."""

from html import escape

import torch
import traitlets

from minigpt.attention import attention, causal_mask
from minigpt.figures.figure import Figure, Matrix, drawing

MAX_TOKENS, MAX_SIZE = 12, 6  # more would not fit a page


def attention_steps_example() -> dict:
    """Six tokens whose Q, K and V (6, 4) were made by hand, so that "it" finds "cat" and "because" finds a verb."""
    return {
        "tokens": ["the", "cat", "sat", "because", "it", "slept"],
        "q": [[2.0, -0.5, -1.0, 0.5], [0.5, 0.5, 2.5, -1.0], [2.5, -1.0, 0.0, 0.5],
              [-1.0, 2.5, -0.5, -0.5], [2.5, 0.0, -0.5, -1.0], [1.5, -0.5, -0.5, 2.5]],
        "k": [[-0.5, -0.5, 1.5, -0.5], [2.0, 0.0, -0.5, 0.5], [0.0, 2.0, -0.5, -0.5],
              [-1.0, 0.0, 1.0, -1.0], [0.5, -0.5, -0.5, 2.0], [0.0, 1.5, -0.5, -0.5]],
        "v": [[0.2, -0.2, 0.5, 0.1], [2.0, 0.5, -0.5, 1.0], [0.3, 2.0, 0.4, -1.0],
              [-0.5, 0.3, 1.5, 0.2], [1.0, -0.4, 0.2, 0.5], [-1.0, 1.5, -0.3, 2.0]],
    }  # fmt: skip


class AttentionSteps(Figure):
    """The steps of softmax(Q Kᵀ / √d_k) V for one query at a time, with numbers that can be edited.

    tokens: T strings. q, k (T, D) and v (T, E): torch tensors, NumPy arrays or nested lists, T ≤ 12, D and E ≤ 6.
    query: the row of Q that is followed. step: how far the walk has come, 1–6. matrix: show all queries at once.
    Without arguments it shows `attention_steps_example()`. Raises ValueError if the shapes do not fit together; change
    several of them at once inside `with figure.hold_trait_notifications():`.
    """

    module = "attention_steps"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    q = Matrix().tag(sync=True)
    k = Matrix().tag(sync=True)
    v = Matrix().tag(sync=True)
    query = traitlets.Int(4).tag(sync=True)
    causal = traitlets.Bool(False).tag(sync=True)
    scaled = traitlets.Bool(True).tag(sync=True)
    step = traitlets.Int(6, min=1, max=6).tag(sync=True)
    matrix = traitlets.Bool(False).tag(sync=True)

    def __init__(self, tokens=None, q=None, k=None, v=None, causal=False, **state):
        given = {"tokens": tokens, "q": q, "k": k, "v": v}
        missing = [name for name, value in given.items() if value is None]
        if len(missing) == 4:
            given = attention_steps_example()
        elif missing:
            raise ValueError(f"AttentionSteps needs tokens, q, k and v, or none of them; add {', '.join(missing)} too.")
        given["tokens"] = list(given["tokens"])
        state = {"query": min(4, len(given["tokens"]) - 1), "causal": causal} | state
        super().__init__(**given, **state)

    @traitlets.validate("tokens", "q", "k", "v", "query")
    def _fit(self, proposal):
        new = self.state() | {proposal["trait"].name: proposal["value"]}
        T, D, E = len(new["tokens"]), len(new["q"][0]), len(new["v"][0])
        for name in "qkv":
            if len(new[name]) != T:
                raise ValueError(f"{name} has {len(new[name])} rows for {T} tokens: give one row per token.")
        if len(new["k"][0]) != D:
            raise ValueError(f"q has {D} numbers a row and k has {len(new['k'][0])}: a dot product needs equally many.")
        if T > MAX_TOKENS or D > MAX_SIZE or E > MAX_SIZE:
            raise ValueError(
                f"AttentionSteps draws at most {MAX_TOKENS} tokens with {MAX_SIZE} numbers each; got {T} tokens, "
                f"d_k = {D}, d_v = {E}. Show a part of it."
            )
        if not 0 <= new["query"] < T:
            raise ValueError(f"query is {new['query']}, but the {T} tokens are numbered 0 to {T - 1}.")
        return proposal["value"]

    def weights(self) -> torch.Tensor:
        """The attention weights (T, T) of the numbers now in the figure, by `minigpt.attention.attention`."""
        q, k, v = (torch.tensor(x, dtype=torch.float64) for x in (self.q, self.k, self.v))
        q = q if self.scaled else q * q.size(-1) ** 0.5  # undoes attention()'s scaling
        return attention(q, k, v, causal_mask(len(q)) if self.causal else None)[1]

    def words(self) -> str:
        row = self.weights()[self.query]
        ranked = [f"“{self.tokens[i]}” ({row[i]:.2f})" for i in row.argsort(descending=True, stable=True)[:3]]
        most, rest = ranked[0], " and ".join(ranked[1:])
        return f"“{self.tokens[self.query]}” looks mostly at {most}{', then at ' + rest if rest else ''}."

    def still(self) -> str:
        """The attention weights as a picture: one row per query, the followed query framed."""
        T, left, top, size = len(self.tokens), 84, 84, 44
        width, height = left + size * T + 2, top + size * T + 2
        marks = []
        for t, row in enumerate(self.weights().tolist()):
            y = top + size * t
            marks.append(f'<text x="{left - 8}" y="{y + 27}" text-anchor="end">{escape(self.tokens[t])}</text>')
            turn = f"translate({left + size * t + 27} {top - 8}) rotate(-50)"
            marks.append(f'<text transform="{turn}">{escape(self.tokens[t])}</text>')
            for s, weight in enumerate(row):
                x = left + size * s
                fill = f'fill="#AA4499" fill-opacity="{0.03 + 0.72 * weight:.2f}"'
                marks.append(f'<rect x="{x + 1}" y="{y + 1}" width="{size - 2}" height="{size - 2}" rx="4" {fill}/>')
                marks.append(f'<text x="{x + 22}" y="{y + 27}" text-anchor="middle">{weight:.2f}</text>')
        y = top + size * self.query
        place = f'x="{left}" y="{y}" width="{size * T}" height="{size}" rx="5"'
        marks.append(f'<rect {place} fill="none" stroke="#0072B2" stroke-width="2"/>')
        words = "Attention weights, one row per query token"
        return drawing(marks, width, height, words)
