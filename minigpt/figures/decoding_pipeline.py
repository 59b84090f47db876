"""The decoding pipeline: from a prompt's logits, stage by stage, to the distribution the next token is drawn from."""

import math
from collections.abc import Callable, Sequence
from html import escape

import torch
import traitlets
from torch import Tensor

from minigpt.figures.figure import Figure, drawing
from minigpt.generate import next_token_probs, penalize_repetition

BIN = 0.1  # width of a bin of the rest's logits


def read_decoding(logits: Tensor, name: Callable[[int], str], prompt: str, ids: Sequence[int], best: int = 50) -> dict:
    """The arguments of DecodingPipeline from the logits (V,) after `ids`; name(id) is how a token is shown.

    The `best` tokens, and those that stand in `ids`, keep their logits. All others are put into bins of width 0.1; a
    bin keeps its number of tokens and the logit with which its total is right at temperature 1 and nearly so elsewhere.
    """
    if logits.ndim != 1 or not logits.isfinite().all():
        raise ValueError(f"logits must be V finite numbers, those of one position, but their shape is {logits.shape}")
    logits = logits.detach().double().cpu()
    order = logits.argsort(descending=True)
    seen = torch.isin(order, torch.tensor(list(ids)))
    shown = seen | (torch.arange(len(order)) < best)
    rest = logits[order[~shown]]
    bins = (rest / BIN).floor()
    groups = [(g := rest[bins == b], len(g)) for b in bins.unique()]
    return {
        "prompt": prompt,
        "tokens": [name(int(i)) for i in order[shown]],
        "logits": [round(x, 4) for x in logits[order[shown]].tolist()],
        "seen": seen[shown].nonzero().flatten().tolist(),
        "rest": [[round(float(g.logsumexp(0)) - math.log(n), 4), n] for g, n in groups],
    }


class DecodingPipeline(Figure):
    """Bars of the next token's probability after each stage: penalty, temperature, top-k, top-p, renormalised, drawn.

    The first arguments are those that read_decoding() returns: tokens with a logit each, the places of those that the
    text already has (`seen`), and [logit, how many] for groups of all the others. The knobs are those of generate():
    temperature 0 is greedy, top_k 0 keeps all. Raises ValueError where names and numbers do not fit together.
    """

    module = "decoding_pipeline"
    prompt = traitlets.Unicode().tag(sync=True)
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    logits = traitlets.List(traitlets.Float()).tag(sync=True)
    seen = traitlets.List(traitlets.Int()).tag(sync=True)
    rest = traitlets.List().tag(sync=True)
    penalty = traitlets.Float(1.0, min=1.0, max=2.0).tag(sync=True)
    temperature = traitlets.Float(1.0, min=0.0, max=3.0).tag(sync=True)
    top_k = traitlets.Int(0, min=0).tag(sync=True)
    top_p = traitlets.Float(1.0, min=0.05, max=1.0).tag(sync=True)
    stage = traitlets.Int(5, min=0, max=5).tag(sync=True)

    def __init__(self, prompt: str, tokens: Sequence[str], logits, seen: Sequence[int] = (), rest=(), **knobs):
        if not 2 <= len(tokens) == len(logits):
            raise ValueError(f"{len(tokens)} tokens with {len(logits)} logits: give two or more, with one logit each")
        if not all(math.isfinite(x) for x in [*logits, *(x for x, _ in rest)]):
            raise ValueError("a logit is no finite number")
        if not all(0 <= i < len(tokens) for i in seen):
            raise ValueError(f"seen={list(seen)} must be places among the {len(tokens)} tokens")
        rest = [[float(x), int(n)] for x, n in rest]
        super().__init__(prompt=prompt, tokens=list(tokens), logits=[float(x) for x in logits], seen=list(seen),
                         rest=rest, **knobs)  # fmt: skip

    def probabilities(self) -> Tensor:
        """What the next token is drawn from: the tokens first, in their order, then every one of the rest."""
        rest = [x for x, n in self.rest for _ in range(n)]
        scores = torch.tensor([self.logits + rest], dtype=torch.float64)
        if self.seen:
            scores = penalize_repetition(scores, torch.tensor([self.seen]), self.penalty)
        top_k = self.top_k or None
        return next_token_probs(scores, self.temperature, top_k, self.top_p)[0]

    def words(self) -> str:
        p = self.probabilities()
        kept, best = p[p > 0], int(p.argmax())
        bits = abs(float((kept * kept.log2()).sum()))
        return (
            f"After “{self.prompt}”, {len(kept):,} of {len(p):,} tokens can be drawn (repetition penalty "
            f"{self.penalty:g}, temperature {self.temperature:g}, top-k {self.top_k or 'all'}, top-p {self.top_p:g}). "
            f"“{self.tokens[best]}” is the likeliest, with {p[best]:.3f}. Entropy: {bits:.2f} bits."
        )

    def still(self) -> str:
        """The probabilities that the next token is drawn from, as bars."""
        left, width, row = 130, 460, 24
        marks = []
        for i, (token, p) in enumerate(zip(self.tokens[:12], self.probabilities().tolist(), strict=False)):
            y, bar = row * i, p * (width - left - 70)
            marks.append(f'<text x="{left - 8}" y="{y + 17}" text-anchor="end">{escape(token)}</text>')
            marks.append(f'<rect x="{left}" y="{y + 4}" width="{bar:.1f}" height="16" rx="3" fill="#0072B2"/>')
            marks.append(f'<text x="{left + bar + 6:.1f}" y="{y + 17}">{f"{p:.3f}" if p else "✕ dropped"}</text>')
        height = row * min(12, len(self.tokens))
        words = "Bars of the next token's probabilities after decoding"
        return drawing(marks, width, height, words)
