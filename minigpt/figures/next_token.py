"""What comes next, and drawing it: a model's probabilities after a prompt, and after the likeliest continuations."""

import base64
import heapq
import itertools
from collections.abc import Callable, Sequence
from html import escape

import torch
import traitlets
from torch import Tensor

from minigpt.figures.figure import Figure, drawing
from minigpt.generate import next_token_probs

STEP = 1000  # logits are stored in thousandths, as 16-bit integers
TEMPERATURES = (0.1, 3.0)
SHOWN = 8  # bars in the still picture


def grow_tree(
    next_logits: Callable[[list[int]], Tensor], ids: Sequence[int], size: int, greedy: int = 0
) -> dict[tuple[int, ...], Tensor]:
    """The logits (V,) after `ids` and after its likeliest continuations: {continuation: logits}.

    Best first: each new entry is the most probable continuation, at temperature 1, that is not yet in the tree, so that
    no tree of `size` entries keeps a random text inside it for longer, on average. Beside them, the path of always
    taking the likeliest token, `greedy` tokens long. next_logits: token ids -> (V,), as float32 on the CPU.
    """
    tree: dict[tuple[int, ...], Tensor] = {}
    waiting = [(-1.0, ())]  # (−probability, continuation), the most probable on top
    while waiting and len(tree) < size:
        chance, path = heapq.heappop(waiting)
        tree[path] = next_logits([*ids, *path])
        best = tree[path].softmax(-1).topk(min(size, len(tree[path])))
        for p, token in zip(best.values.tolist(), best.indices.tolist(), strict=True):
            heapq.heappush(waiting, (chance * p, (*path, token)))
    path = ()
    for _ in range(greedy):
        path = (*path, int(tree[path].argmax()))
        if path not in tree:
            tree[path] = next_logits([*ids, *path])
    return tree


def packed(logits: Tensor) -> str:
    """Logits (V,) below their largest, in thousandths, as base64 of little-endian 16-bit integers."""
    below = ((logits - logits.max()) * STEP).round().clamp(min=-32768).to(torch.int16)
    return base64.b64encode(below.numpy().astype("<i2").tobytes()).decode()


def unpacked(text: str) -> Tensor:
    """The inverse of packed(), but for a constant."""
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.int16).double() / STEP


class NextToken(Figure):
    """The reader draws: bars of the next token's probabilities, one draw that is appended, or 200 that are counted.

    tokens: the V names of the vocabulary. prompts: [(names of the prompt's tokens, tree)], each tree as grow_tree()
    makes it. temperature: 0.1 to 3. top_k: how many tokens are kept, 0 for all. path: [[token id, the probability it
    had], …], what has been appended so far. Raises ValueError where these do not fit together.
    """

    module = "next_token"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    prompts = traitlets.List().tag(sync=True)
    prompt = traitlets.Int(0).tag(sync=True)
    path = traitlets.List().tag(sync=True)
    temperature = traitlets.Float(1.0).tag(sync=True)
    top_k = traitlets.Int(0).tag(sync=True)
    draws = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, tokens: Sequence[str], prompts: Sequence[tuple[Sequence[str], dict]], **state):
        if not prompts:
            raise ValueError("NextToken needs at least one prompt.")
        for names, tree in prompts:
            if () not in tree or not names:
                raise ValueError("each prompt needs its tokens' names, and a tree that begins with the prompt itself.")
            wrong = {tuple(x.shape) for x in tree.values()} - {(len(tokens),)}
            if wrong:
                raise ValueError(f"logits must have the shape ({len(tokens)},), one for each token, not {wrong.pop()}.")
        kept = [
            {"names": list(names), "tree": {" ".join(map(str, path)): packed(x) for path, x in tree.items()}}
            for names, tree in prompts
        ]
        super().__init__(tokens=list(tokens), prompts=kept, **state)

    @traitlets.validate("temperature")
    def _warm(self, proposal):
        if not TEMPERATURES[0] <= proposal["value"] <= TEMPERATURES[1]:
            raise ValueError(f"temperature must lie between {TEMPERATURES[0]} and {TEMPERATURES[1]:g}.")
        return proposal["value"]

    def probabilities(self) -> Tensor | None:
        """The next token's probabilities (V,) at the place now shown; None where the tree has ended."""
        logits = self.prompts[self.prompt]["tree"].get(" ".join(str(token) for token, _ in self.path))
        return None if logits is None else next_token_probs(unpacked(logits), self.temperature, self.top_k or None)

    def words(self) -> str:
        prompt = self.prompts[self.prompt]
        text = " ".join([*prompt["names"], *(self.tokens[token] for token, _ in self.path)])
        probs = self.probabilities()
        if probs is None:
            return f"After “{text}” the stored probabilities end."
        best = ", ".join(f"{self.tokens[i]} {probs[i]:.2f}" for i in probs.topk(min(4, len(probs))).indices.tolist())
        return f"After “{text}” at temperature {self.temperature:g}, the likeliest of {len(probs):,} tokens: {best}."

    def still(self) -> str:
        """The likeliest tokens as bars."""
        probs = self.probabilities()
        if probs is None:
            return ""
        best = probs.topk(min(SHOWN, len(probs)))
        left, width, row, marks = 90, 420, 26, []
        for i, p, token in zip(itertools.count(), best.values.tolist(), best.indices.tolist(), strict=False):
            y, bar = row * i, p / float(best.values[0]) * (width - left - 60)
            marks.append(f'<text x="{left - 8}" y="{y + 18}" text-anchor="end">{escape(self.tokens[token])}</text>')
            marks.append(f'<rect x="{left}" y="{y + 5}" width="{bar:.1f}" height="16" rx="3" fill="#0072B2"/>')
            marks.append(f'<text x="{left + bar + 6:.1f}" y="{y + 18}">{p:.3f}</text>')
        height = row * len(best.values)
        words = f"Bars of the {len(best.values)} likeliest next tokens"
        return drawing(marks, width, height, words)
