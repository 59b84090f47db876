"""The KV cache player: a GPT writes the same text twice, and what each way computes and keeps is counted."""

from collections.abc import Callable, Sequence
from html import escape

import torch
import traitlets

from minigpt.config import GPTConfig
from minigpt.figures.figure import Figure, drawing
from minigpt.generate import generate
from minigpt.model import GPT

MOST_TOKENS = 40  # a larger square would not fit a page


def multiplications(config: GPTConfig, new: int, seen: int) -> int:
    """Multiplications in the matrix products of one pass: `new` tokens are read, `seen` positions are looked at.

    Of attention the whole (new, seen) rectangle is counted, masked places too, as the formula computes it. Norms,
    activations and the softmax are left out: they grow with C, the products with C².
    """
    C = config.n_embd
    project = C * (C + 2 * config.kv_heads * config.head_size) + C * C  # W_Q, W_K, W_V and W_O, for one token
    feed_forward = C * config.inner * (3 if config.activation == "swiglu" else 2)
    attend = 2 * seen * C  # q · k for every position, then the weighted sum of the v
    return new * (config.n_layer * (project + feed_forward + attend) + C * config.vocab_size)


def cache_bytes(model: GPT) -> int:
    """What the KV cache keeps for one token: a key and a value in every layer."""
    return sum(t[:, :, :1].numel() * t.element_size() for own, _ in model.new_cache() for t in (own.k, own.v))


def read_cache(
    model: GPT, name: Callable[[int], str], ids: Sequence[int], new: int, seed: int = 0, **sampling
) -> dict:
    """The arguments of CachePlayer: `new` tokens after `ids`, written without and with the cache, and the counts.

    name(id) is how a token is shown; seed and the keyword arguments, which are generate()'s, serve both ways. Raises
    ValueError if the text is too long to be shown, or for the model's context.
    """
    most = min(MOST_TOKENS, model.config.block_size)
    if len(ids) + new > most:
        raise ValueError(f"{len(ids)} tokens and {new} new ones are too many to show: at most {most} together")
    dice = [torch.Generator().manual_seed(seed) for _ in range(2)]
    plain = list(generate(model, ids, new, use_cache=False, generator=dice[0], **sampling))
    cached = list(generate(model, ids, new, use_cache=True, generator=dice[1], **sampling))
    if plain != cached:  # the cache changes no token; rounding might, where two tokens are equally likely
        raise ValueError("without and with the cache the model wrote different texts: choose another prompt or seed")
    lengths = range(len(ids), len(ids) + len(plain))
    return {
        "tokens": [name(int(i)) for i in [*ids, *plain]],
        "prompt": len(ids),
        "without": [multiplications(model.config, n, n) for n in lengths],
        "cached": [multiplications(model.config, n if n == len(ids) else 1, n) for n in lengths],
        "per_token": cache_bytes(model),
    }


class CachePlayer(Figure):
    """Left the square that is computed anew for every token, right the one new row; counters under both.

    tokens: the prompt's and the written ones, `prompt` of them given. without, cached: the multiplications of each
    step. per_token: bytes that the cache keeps for a token. step: which step is shown, from 1.
    """

    module = "cache_player"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    prompt = traitlets.Int(1).tag(sync=True)
    without = traitlets.List(traitlets.Int()).tag(sync=True)
    cached = traitlets.List(traitlets.Int()).tag(sync=True)
    per_token = traitlets.Int(0).tag(sync=True)
    step = traitlets.Int(1).tag(sync=True)

    def __init__(self, tokens: Sequence[str], prompt: int, without: Sequence[int], cached: Sequence[int], **state):
        steps = len(tokens) - prompt
        if prompt < 1 or steps < 1:
            raise ValueError(f"{len(tokens)} tokens, {prompt} of them given: give a prompt and at least one token more")
        if not len(without) == len(cached) == steps:
            raise ValueError(f"{steps} tokens are written, so {steps} counts are needed for each way")
        super().__init__(tokens=list(tokens), prompt=prompt, without=list(without), cached=list(cached), **state)

    @traitlets.validate("step")
    def _exists(self, proposal):
        if not 1 <= proposal["value"] <= len(self.without):
            raise ValueError(f"step is {proposal['value']}, but it must lie between 1 and {len(self.without)}.")
        return proposal["value"]

    def length(self) -> int:
        """How many tokens the text has before the step that is shown."""
        return self.prompt + self.step - 1

    def words(self) -> str:
        t, n = self.step, self.length()
        both = sum(self.without[:t]), sum(self.cached[:t])
        read = n if t == 1 else 1
        return (
            f"Step {t} of {len(self.without)} writes “{self.tokens[n]}”. Without a cache the model reads "
            f"{n} {_tokens(n)}: {self.without[t - 1]:,} multiplications. With it, {read} {_tokens(read)}: "
            f"{self.cached[t - 1]:,}. So far {both[0] / both[1]:.1f} times as many without it; "
            f"the cache keeps {self.per_token * n:,} bytes."
        )

    def still(self) -> str:
        """Two triangles of attention, without and with the cache: dark is computed now, pale was computed before."""
        n, size = self.length(), 12
        left = [(r, c, "#AA4499", 1 if r == n - 1 else 0.4) for r in range(n) for c in range(r + 1)]
        first = 0 if self.step == 1 else n - 1
        right = [(r, c, "#AA4499", 1) for r in range(first, n) for c in range(r + 1)]
        marks, wide = [], size * n + 40
        for side, (title, cells) in enumerate((("without cache", left), ("with cache", right))):
            marks.append(f'<text x="{side * wide}" y="12">{title}</text>')
            for r, c, hue, opacity in cells:
                x, y = side * wide + size * c, 20 + size * r
                marks.append(
                    f'<rect x="{x}" y="{y}" width="{size - 1}" height="{size - 1}" fill="{hue}" opacity="{opacity}"/>'
                )
        text = "".join(self.tokens[: n + 1])
        marks.append(f'<text x="0" y="{size * n + 40}">{escape(text)}</text>')
        width = max(2 * wide, 8 * len(text))
        return drawing(marks, width, size * n + 50, "What is computed in this step, without and with a cache", 12)


def _tokens(n: int) -> str:
    return "token" if n == 1 else "tokens"
