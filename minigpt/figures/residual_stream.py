"""The residual stream of one token: what attention and feed-forward networks write, and what the head would say."""

from html import escape

import torch
import torch.nn.functional as F
import traitlets

from minigpt.figures.figure import Figure, Matrix, drawing

MAX_TOKENS, MAX_LAYERS = 32, 8  # more would not fit a page


@torch.no_grad()
def read_stream(model, tokenizer, text: str, k: int = 3) -> dict:
    """What a GPT's residual stream does at each of the T tokens of `text`: the arguments of ResidualStream.

    stream (T, 2L + 1): the stream's length ‖x‖ at the embedding and after each write (attention, feed-forward, …).
    writes (T, 2L): the length of each write. cosines (T, 2L): the cosine between a write and the stream it is added to.
    lens (T, L + 1, k): the k tokens that the head would predict from the embedding and after each layer, as
    [token, probability]: the logit lens (nostalgebraist, 2020). Raises ValueError for a post-norm model, whose stream
    is no plain sum of writes, and for a text of no token.
    """
    if model.config.post_norm:
        raise ValueError("a post-norm model rescales its stream after every write: choose a model with post_norm=False")
    ids = torch.tensor([tokenizer.encode(text)])
    if not ids.numel():
        raise ValueError("the text has no token: give at least one word")
    written = []
    hooks = [
        part.register_forward_hook(lambda module, inputs, output: written.append(output[0]))
        for block in model.h
        for part in (block.attn, block.mlp)
    ]
    try:
        hidden = model.eval().hidden(ids)
    finally:
        for hook in hooks:
            hook.remove()
    start, _ = model.embed(ids, model.positions(ids, None, 0))  # (1, T, C)
    writes = torch.stack(written)  # (2L, T, C)
    stream = torch.cat([start, writes]).cumsum(0)  # (2L + 1, T, C): the stream is nothing but a sum
    torch.testing.assert_close(model.ln_f(stream[-1]), hidden[0], atol=1e-3, rtol=1e-3)
    top = model.lm_head(model.ln_f(stream[::2])).softmax(-1).topk(k)  # (L + 1, T, k)
    lens = [
        [[[tokenizer.token(i), round(p, 4)] for i, p in zip(*best, strict=True)] for best in zip(*layer, strict=True)]
        for layer in zip(top.indices.transpose(0, 1).tolist(), top.values.transpose(0, 1).tolist(), strict=True)
    ]
    return {
        "tokens": [tokenizer.token(i) for i in ids[0].tolist()],
        "stream": stream.norm(dim=-1).T,
        "writes": writes.norm(dim=-1).T,
        "cosines": F.cosine_similarity(writes, stream[:-1], dim=-1).T,
        "lens": lens,
    }


class ResidualStream(Figure):
    """A river whose width is the stream's length, its tributaries the writes, and over it the logit lens.

    The arguments are those that `read_stream()` returns: ResidualStream(**read_stream(model, tokenizer, "Once upon")).
    position: the token that is shown. Raises ValueError if the shapes do not fit together.
    """

    module = "residual_stream"
    tokens = traitlets.List(traitlets.Unicode()).tag(sync=True)
    stream = Matrix().tag(sync=True)
    writes = Matrix().tag(sync=True)
    cosines = Matrix().tag(sync=True)
    lens = traitlets.List().tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)

    def __init__(self, tokens, stream, writes, cosines, lens, position=None, **state):
        position = len(tokens) - 1 if position is None else position
        super().__init__(
            tokens=list(tokens), stream=stream, writes=writes, cosines=cosines, lens=lens, position=position, **state
        )

    @traitlets.validate("tokens", "stream", "writes", "cosines", "lens", "position")
    def _fit(self, proposal):
        new = self.state() | {proposal["trait"].name: proposal["value"]}
        T, parts = len(new["tokens"]), len(new["writes"][0])
        if not T == len(new["stream"]) == len(new["writes"]) == len(new["cosines"]) == len(new["lens"]):
            raise ValueError(f"stream, writes, cosines and lens need one row for each of the {T} tokens.")
        if parts % 2 or len(new["stream"][0]) != parts + 1 or len(new["cosines"][0]) != parts:
            raise ValueError("L layers have 2 L writes with as many cosines, and 2 L + 1 lengths of the stream.")
        if any(len(row) != parts // 2 + 1 for row in new["lens"]):
            raise ValueError(f"lens needs the embedding and {parts // 2} layers for every token.")
        if T > MAX_TOKENS or parts > 2 * MAX_LAYERS:
            raise ValueError(
                f"ResidualStream draws at most {MAX_TOKENS} tokens and {MAX_LAYERS} layers; got {T} tokens and "
                f"{parts // 2} layers. Show a shorter text, or some of the layers."
            )
        if not 0 <= new["position"] < T:
            raise ValueError(f"position is {new['position']}, but the {T} tokens are numbered 0 to {T - 1}.")
        return proposal["value"]

    def words(self) -> str:
        t = self.position
        lens, last = self.lens[t], self.lens[t][-1][0]
        first = next(layer for layer in range(len(lens)) if all(row[0][0] == last[0] for row in lens[layer:]))
        since = "from the embedding on" if first == 0 else f"from layer {first} on"
        follows = f" The text goes on with “{self.tokens[t + 1]}”." if t + 1 < len(self.tokens) else ""
        return (
            f"After “{self.tokens[t]}” the stream grows from {self.stream[t][0]:.1f} to {self.stream[t][-1]:.1f}. "
            f"Its best guess {since} is “{last[0]}”, at the end with {100 * last[1]:.0f} %.{follows}"
        )

    def still(self) -> str:
        """Bars of the stream's length for the shown token, a row for each write; the best guess after each layer."""
        t, widest = self.position, max(max(row) for row in self.stream)
        parts = ["embedding"] + [
            f"{layer + 1}: {part}" for layer in range(len(self.lens[t]) - 1) for part in ("attention", "feed-forward")
        ]
        marks = []
        for i, (part, length) in enumerate(zip(parts, self.stream[t], strict=True)):
            y = 22 + 24 * i
            marks.append(f'<text x="110" y="{y + 13}" text-anchor="end">{part}</text>')
            marks.append(f'<rect x="118" y="{y}" width="{200 * length / widest:.1f}" height="18" fill="#8C6D1F"/>')
            if i:
                write = 200 * self.writes[t][i - 1] / widest
                color = "#AA4499" if i % 2 else "#5B4FC4"
                marks.append(f'<rect x="118" y="{y + 13}" width="{write:.1f}" height="5" fill="{color}"/>')
            if i % 2 == 0:
                token, p = self.lens[t][i // 2][0]
                marks.append(f'<text x="330" y="{y + 13}">{escape(token)} {100 * p:.0f} %</text>')
        marks.append('<text x="118" y="13">length of the stream, of the write</text><text x="330" y="13">guess</text>')
        height = 28 + 24 * len(parts)
        words = "The residual stream of one token, layer by layer"
        return drawing(marks, 440, height, words)
