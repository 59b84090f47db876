"""What comes next? Counting with contexts of 0, 1, … characters beside a GPT, character by character of one passage."""

import math
from html import escape

import torch
import traitlets

from minigpt.figures.figure import Figure, drawing

BEST = 5  # characters shown of each distribution


def guess(probs: torch.Tensor, vocabulary: str, char: str) -> list:
    """What the figure keeps of a distribution (V,): [bits of the character that came, its rank, the best, their p]."""
    order = probs.argsort(descending=True, stable=True)
    came = vocabulary.index(char)
    rank = int((order == came).nonzero()) + 1
    best = order[:BEST]
    bits = round(-math.log2(float(probs[came])), 4)
    return [bits, rank, "".join(vocabulary[i] for i in best), [round(float(p), 4) for p in probs[best]]]


class NextCharacter(Figure):
    """Two models' guesses at every character of a passage; the reader may guess first.

    text: the passage. start: where asking begins; what stands before is given, T = len(text) − start characters are
    asked for. vocabulary: the characters, in the order of the distributions. counted: {"kneser-ney": tensor,
    "witten-bell": tensor}, each (contexts, T, V); gpt: (T, V); all of them probabilities.
    position, smoothing and game may be given too: where the figure opens, with which smoothing, and as a game or not.
    Raises ValueError where shapes do not fit or rows are no distributions.
    """

    module = "next_character"
    text = traitlets.Unicode().tag(sync=True)
    start = traitlets.Int(0).tag(sync=True)
    vocabulary = traitlets.Int().tag(sync=True)
    counted = traitlets.Dict().tag(sync=True)
    gpt = traitlets.List().tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    context = traitlets.Int(0).tag(sync=True)
    smoothing = traitlets.Unicode("kneser-ney").tag(sync=True)
    game = traitlets.Bool(False).tag(sync=True)
    outcomes = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, text: str, start: int, vocabulary: str, counted: dict, gpt, context: int = 5, **state):
        asked, V = text[start:], len(vocabulary)
        if set(counted) != {"kneser-ney", "witten-bell"}:
            raise ValueError("counted needs the two smoothings 'kneser-ney' and 'witten-bell'.")
        tables = {name: torch.as_tensor(t, dtype=torch.float64) for name, t in {**counted, "gpt": gpt}.items()}
        for name, table in tables.items():
            wanted = f"({'' if name == 'gpt' else 'contexts, '}{len(asked)}, {V})"
            if table.shape[-2:] != (len(asked), V) or table.ndim != (2 if name == "gpt" else 3):
                raise ValueError(f"{name} must have the shape {wanted}, not {tuple(table.shape)}.")
            if (table <= 0).any() or ((table.sum(-1) - 1).abs() > 1e-3).any():
                raise ValueError(f"{name} must hold probabilities above 0 that sum to 1 in each row.")
        if not 0 <= context < len(tables["kneser-ney"]):
            raise ValueError(f"context must be 0 to {len(tables['kneser-ney']) - 1}, not {context}.")

        def column(table):
            return [guess(row, vocabulary, char) for row, char in zip(table, asked, strict=True)]

        super().__init__(
            text=text, start=start, vocabulary=V, context=context, gpt=column(tables["gpt"]),
            counted={name: [column(table) for table in tables[name]] for name in counted}, **state,
        )  # fmt: skip

    def bits(self) -> tuple[list[float], list[float]]:
        """The surprise at every character: of counting, with the context and smoothing in force, and of the GPT."""
        return [g[0] for g in self.counted[self.smoothing][self.context]], [g[0] for g in self.gpt]

    def words(self) -> str:
        counted, gpt = (sum(bits) / len(bits) for bits in self.bits())
        return (
            f"{len(self.gpt)} characters of unseen text. Counting with {self.context} characters of context needs "
            f"{counted:.2f} bits per character, the GPT {gpt:.2f}."
        )

    def still(self) -> str:
        """Both models' surprise at each character, as bars above and below the text."""
        step, half = 9, 54
        marks = []
        for i, (char, a, b) in enumerate(zip(self.text[self.start :], *self.bits(), strict=True)):
            x = step * i
            up, down = (min(half, half * bits / 10) for bits in (a, b))
            marks.append(f'<rect x="{x + 1}" y="{half - up:.1f}" width="7" height="{up:.1f}" fill="#0072B2"/>')
            marks.append(f'<rect x="{x + 1}" y="{half + 18}" width="7" height="{down:.1f}" fill="#D55E00"/>')
            marks.append(f'<text x="{x + 4.5}" y="{half + 13}" text-anchor="middle">{escape(char.strip())}</text>')
        width, height = step * len(self.gpt), 2 * half + 18
        words = "Surprise at each character, of counting above the text and of a GPT below"
        return drawing(marks, width, height, words, 12, "monospace")
