"""The loss in the text: each token of a passage shaded by what it cost, and what its reader had expected instead."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import torch
import traitlets

from minigpt.figures.figure import Figure, drawing

BEST = 5  # tokens shown of each distribution
HOTTEST = 12  # bits: above it, the heat stays the same
MOST_TOKENS = 250  # a longer passage would not fit a page


def read_place(probs: torch.Tensor, came: int, names: Sequence[str]) -> list:
    """What the figure keeps of a distribution (V,): [bits, rank, entropy, the best tokens, their probabilities].

    Bits and rank are of the token that came (1: it was the likeliest); entropy, in bits, is the surprise that the
    reader expected on average.
    """
    order = probs.argsort(descending=True, stable=True)
    rank = int((order == came).nonzero()) + 1
    best = order[:BEST]
    entropy = float(torch.special.entr(probs).sum()) / math.log(2)
    bits = -math.log2(float(probs[came]))
    shares = [round(float(p), 4) for p in probs[best]]
    return [round(bits, 3), rank, round(entropy, 3), [names[i] for i in best], shares]


class LossText(Figure):
    """A passage as heat, −log₂ p behind each token, and the guess of one of its readers at one place.

    ids (T,): the tokens that came. names: how each of the V tokens of the vocabulary is shown. readers: {"bigram":
    probs, …}, each (T, V), row t the probabilities of token t from what stood before it. n_bytes: how long the passage
    is. before: the text before it, which is read and not scored. reader, against and position may be given too: who
    reads; with whom it is compared (−1: with nobody); which token is looked at.
    Raises ValueError where shapes do not fit or rows are no distributions.
    """

    module = "loss_text"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    readers = traitlets.List().tag(sync=True)  # [name, one read_place() for each token]
    before = traitlets.Unicode("").tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)  # [tokens of the vocabulary, bytes of the passage]
    reader = traitlets.Int(0).tag(sync=True)
    against = traitlets.Int(-1).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)

    def __init__(self, ids, names: Sequence[str], readers: Mapping, n_bytes: int, before: str = "", **state):
        ids, V = torch.as_tensor(ids).tolist(), len(names)
        if not all([*readers, readers]) or not 0 < len(ids) <= MOST_TOKENS:
            raise ValueError(f"LossText needs readers with names, and 1 to {MOST_TOKENS} tokens, not {len(ids)}.")
        kept = []
        for name, probs in readers.items():
            probs = torch.as_tensor(probs).detach().double()
            if probs.shape != (len(ids), V):
                raise ValueError(f"{name!r} must have the shape ({len(ids)}, {V}), not {tuple(probs.shape)}.")
            if not (probs > 0).all() or ((probs.sum(-1) - 1).abs() > 1e-3).any():
                raise ValueError(f"{name!r} must hold probabilities above 0 that sum to 1 in each row.")
            kept.append([name, [read_place(row, came, names) for row, came in zip(probs, ids, strict=True)]])
        tokens = [names[i] for i in ids]
        super().__init__(tokens=tokens, readers=kept, before=before, size=[V, int(n_bytes)], **state)

    @traitlets.validate("reader", "against", "position")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        first, last = -1 if name == "against" else 0, len(self.tokens if name == "position" else self.readers) - 1
        if not first <= value <= last:
            raise ValueError(f"{name} is {value}, but it must lie between {first} and {last}.")
        return value

    def bits(self, reader: int | None = None) -> list[float]:
        """What each token cost this reader, or the one in force."""
        return [guess[0] for guess in self.readers[self.reader if reader is None else reader][1]]

    def words(self) -> str:
        name, bits = self.readers[self.reader][0], self.bits()
        name = name[0].upper() + name[1:]
        mean, per_byte = sum(bits) / len(bits), sum(bits) / self.size[1]
        return (
            f"{name}, {len(bits)} tokens: {mean:.2f} bits per token, {per_byte:.2f} bits per byte, as unsure "
            f"as among {2**mean:.1f} equal choices. Half of all bits fall on {half(bits)} of the tokens."
        )

    def still(self) -> str:
        """The tokens in lines of monospaced text, each on its shade."""
        wide, step, high, x, y, marks = 640, 7.9, 22, 0.0, 0, []
        for token, bits in zip(self.tokens, self.bits(), strict=True):
            length = step * len(token)
            if x and x + length > wide:
                x, y = 0.0, y + high
            shade = 0.75 * min(1, bits / HOTTEST)
            box = f'x="{x:.1f}" y="{y}" width="{length:.1f}" height="18"'
            marks.append(f'<rect {box} fill="#D55E00" fill-opacity="{shade:.2f}"/>')
            marks.append(f'<text x="{x:.1f}" y="{y + 14}" xml:space="preserve">{escape(token)}</text>')
            x, y = (0.0, y + high) if "⏎" in token else (x + length + 2, y)
        words = f"A passage, each token the darker the more bits it cost: {self.readers[self.reader][0]}"
        return drawing(marks, wide, y + high, words, 13, "monospace")


def half(bits: Sequence[float]) -> int:
    """The least number of tokens that bring half of all bits."""
    spent, wanted = 0.0, sum(bits) / 2
    for n, cost in enumerate(sorted(bits, reverse=True), 1):
        spent += cost
        if spent >= wanted:
            return n
    return len(bits)
