"""Softmax and temperature: a few tokens, a logit each, and the probabilities that softmax makes of them."""

import math
from html import escape

import torch
import traitlets

from minigpt.figures.figure import Figure, drawing

MOST_TOKENS, LARGEST_LOGIT = 12, 6.0
TEMPERATURES = (0.1, 5.0)


class Softmax(Figure):
    """Bars of softmax(logits / temperature) over a few tokens, with a slider for every logit and the temperature.

    tokens: 2 to 12 names. logits: a number for each, between −6 and 6; tensors and arrays will do.
    temperature: 0.1 to 5. Without arguments: four words that may follow "The cat sat on the".
    Raises ValueError where names and numbers do not fit together or leave the sliders' range.
    """

    module = "softmax"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    logits = traitlets.List(traitlets.Float()).tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)

    def __init__(self, tokens=("mat", "sofa", "floor", "moon"), logits=None, temperature: float = 1.0):
        logits = (3.0, 2.0, 1.0, -1.0) if logits is None else logits
        numbers = torch.as_tensor(logits, dtype=torch.float64).detach().cpu()
        if numbers.shape != (len(tokens),) or not 2 <= len(tokens) <= MOST_TOKENS:
            raise ValueError(f"Softmax shows 2 to {MOST_TOKENS} tokens with one logit each; got {len(tokens)} tokens "
                             f"and logits of shape {tuple(numbers.shape)}.")  # fmt: skip
        super().__init__(tokens=list(tokens), logits=numbers.tolist(), temperature=temperature)

    @traitlets.validate("logits")
    def _in_range(self, proposal):
        if not all(abs(x) <= LARGEST_LOGIT for x in proposal["value"]):  # False for NaN too
            raise ValueError(f"a logit must lie between −{LARGEST_LOGIT:g} and {LARGEST_LOGIT:g}: {proposal['value']}")
        return proposal["value"]

    @traitlets.validate("temperature")
    def _warm(self, proposal):
        if not TEMPERATURES[0] <= proposal["value"] <= TEMPERATURES[1]:
            raise ValueError(f"temperature must lie between {TEMPERATURES[0]} and {TEMPERATURES[1]:g}.")
        return proposal["value"]

    def probabilities(self) -> torch.Tensor:
        """softmax(logits / temperature), one number for each token."""
        return (torch.tensor(self.logits, dtype=torch.float64) / self.temperature).softmax(0)

    def words(self) -> str:
        p = self.probabilities()
        entropy = -sum(x * math.log2(x) for x in p.tolist() if x > 0)
        shares = ", ".join(f"“{token}” {x:.2f}" for token, x in zip(self.tokens, p.tolist(), strict=True))
        return f"Softmax at temperature {self.temperature:g}: {shares}. Entropy: {entropy:.2f} bits."

    def still(self) -> str:
        """The probabilities as bars."""
        left, width, row = 90, 420, 28
        marks = []
        for i, (token, p) in enumerate(zip(self.tokens, self.probabilities().tolist(), strict=True)):
            y = row * i
            bar = p * (width - left - 60)
            marks.append(f'<text x="{left - 8}" y="{y + 19}" text-anchor="end">{escape(token)}</text>')
            marks.append(f'<rect x="{left}" y="{y + 5}" width="{bar:.1f}" height="18" rx="3" fill="#0072B2"/>')
            marks.append(f'<text x="{left + bar + 6:.1f}" y="{y + 19}">{p:.3f}</text>')
        height = row * len(self.tokens)
        words = f"Bars of the probabilities of {len(self.tokens)} tokens"
        return drawing(marks, width, height, words)
