"""The models, all from one Block: GPT (decoder), Encoder (BERT's shape), Seq2Seq (2017's), XLNet (two streams).

Names are GPT-2's own, so that its state dict loads after transposing some matrices (see hf.py).
Shapes: B batch, T tokens, S tokens of another text, C = n_embd, V = vocab_size.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import KVCache, MultiHeadAttention, rotary_angles
from .config import GPTConfig


def make_norm(config: GPTConfig) -> nn.Module:
    """LayerNorm (Ba et al., 2016) or RMSNorm over a token's C numbers."""
    if config.norm == "rms":
        return nn.RMSNorm(config.n_embd, eps=config.norm_eps)
    return nn.LayerNorm(config.n_embd, eps=config.norm_eps, bias=config.bias)


class MLP(nn.Module):
    """The feed-forward network: each token by itself, wider in between (Vaswani et al., 2017, 3.3)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.activation = config.activation
        wide = 2 * config.inner if config.activation == "swiglu" else config.inner  # swiglu: a gate for each number
        self.c_fc = nn.Linear(config.n_embd, wide, bias=config.bias)
        self.c_proj = nn.Linear(config.inner, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)  # (B, T, 4C)
        if self.activation == "gelu":
            x = F.gelu(x, approximate="tanh")  # GPT-2's GELU is the tanh approximation
        elif self.activation == "swiglu":
            gate, x = x.chunk(2, dim=-1)  # (B, T, n_inner) each
            x = F.silu(gate) * x
        else:
            x = F.relu(x) if self.activation == "relu" else F.relu(x).square()
        return self.dropout(self.c_proj(x))  # (B, T, C)


class Block(nn.Module):
    """Attention, then the feed-forward network; each reads the residual stream and adds to it.

    With cross=True a third part stands between them, which reads another text (the decoder of 2017).
    """

    def __init__(self, config: GPTConfig, cross: bool = False):
        super().__init__()
        self.post_norm = config.post_norm
        self.ln_1 = make_norm(config)
        self.attn = MultiHeadAttention(config)
        if cross:
            self.ln_cross_attn = make_norm(config)
            self.crossattention = MultiHeadAttention(config)
        self.ln_2 = make_norm(config)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, context=None, context_mask=None, cache=(None, None), stream=None, **look) -> Tensor:
        """x (B, T, C) -> (B, T, C).

        context (B, S, C) and context_mask serve the cross-attention; cache is a pair, (own, of the context).
        stream: another residual stream at the same positions, from which keys and values come in x's place.
        look: what else self-attention takes (mask, is_causal, angles).
        """
        own, crossed = cache
        if stream is not None and not self.post_norm:
            stream = self.ln_1(stream)
        x = self.add(x, self.ln_1, self.attn, stream, cache=own, **look)  # (B, T, C)
        if context is not None:
            x = self.add(x, self.ln_cross_attn, self.crossattention, context, context_mask, cache=crossed)
        return self.add(x, self.ln_2, self.mlp)  # (B, T, C)

    def add(self, x: Tensor, norm: nn.Module, part: nn.Module, *args, **options) -> Tensor:
        """The residual connection: what `part` makes of the stream is added to the stream, (B, T, C)."""
        if self.post_norm:  # as in 2017
            return norm(x + part(x, *args, **options))
        return x + part(norm(x), *args, **options)


class GPT(nn.Module):
    """A decoder-only Transformer; with a fresh GPTConfig, GPT-2's architecture exactly (Radford et al., 2019).

    Weights start as GPT-2's did: normal with standard deviation 0.02, biases 0, and the projections that
    write to the residual stream smaller by 1/√(2 L), so that the stream does not grow with depth.
    """

    causal = True  # no token looks at a later one

    def __init__(self, config: GPTConfig, cross: bool = False):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)  # what each token means
        if config.positions == "learned":
            self.wpe = nn.Embedding(config.block_size, config.n_embd)  # where it stands
        if config.n_segment:
            self.wse = nn.Embedding(config.n_segment, config.n_embd)  # which segment it belongs to
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config, cross) for _ in range(config.n_layer))
        self.ln_f = nn.Identity() if config.post_norm else make_norm(config)  # post-norm blocks end with a norm
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        if config.tied:
            self.lm_head.weight = self.wte.weight
        self.apply(self._init)
        for name, p in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * config.n_layer))

    @staticmethod
    def _init(module: nn.Module):
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, ids: Tensor, padding: Tensor | None = None, **options) -> Tensor:
        """ids (B, T) -> logits (B, T, V): at every position, a score for each token of the vocabulary.

        padding and the options are those of hidden(), which does the work.
        """
        return self.lm_head(self.hidden(ids, padding, **options))

    def hidden(
        self,
        ids: Tensor,
        padding: Tensor | None = None,
        *,
        segments: Tensor | None = None,
        cache: list | None = None,
        context: Tensor | None = None,
        context_padding: Tensor | None = None,
    ) -> Tensor:
        """ids (B, T) -> what the stack has made of each token, (B, T, C), before the head.

        padding (B, S) is False where a text of the batch has no token (None: nowhere). Or it holds whole numbers:
        which document a token belongs to, 0 for none; then documents that share a row do not see each other.
        Positions are counted over the tokens of each document. segments (B, T): each token's segment. With a cache
        from new_cache(), ids are only the tokens after those the cache has seen, and padding covers all S so far.
        context (B, S', C) is the other text that a decoder's cross-attention reads. Raises ValueError past
        block_size: no position is known there.
        """
        start = cache[0][0].length if cache is not None else 0
        x, angles = self.embed(ids, self.positions(ids, padding, start), segments)
        mask = None if padding is None else padding.bool()[:, None, None]  # (B, 1, 1, S)
        if padding is not None and padding.dtype != torch.bool:
            mask = mask & (padding[:, None, -ids.size(1) :, None] == padding[:, None, None])  # (B, 1, T, S)
        look = {"mask": mask, "is_causal": self.causal, "angles": angles}
        context_mask = None if context_padding is None else context_padding[:, None, None]  # (B, 1, 1, S')
        for i, block in enumerate(self.h):
            x = block(x, context, context_mask, cache[i] if cache is not None else (None, None), **look)  # (B, T, C)
        return self.ln_f(x)

    def positions(self, ids: Tensor, padding: Tensor | None, start: int) -> Tensor:
        """(T,), or (B, T) where texts are padded: the place of each token, counted from `start`."""
        end = start + ids.size(1)
        if end > self.config.block_size:
            raise ValueError(
                f"{end} tokens do not fit into a context of {self.config.block_size}: pass the last "
                f"{self.config.block_size} tokens, or train a model with a larger block_size"
            )
        if padding is None:
            return torch.arange(start, end, device=ids.device)
        place = torch.arange(padding.size(1), device=ids.device).expand_as(padding)  # (B, S)
        begins = torch.ones_like(place, dtype=torch.bool)
        begins[:, 1:] = padding[:, 1:] != padding[:, :-1]
        first = place.masked_fill(~begins, 0).cummax(1).values  # where each token's document begins
        return (place - first)[:, start:end]

    def embed(self, ids: Tensor, positions: Tensor, segments: Tensor | None = None):
        """The residual stream's beginning (B, T, C), and RoPE's angles or None."""
        x = self.wte(ids)  # (B, T, C)
        if segments is not None:
            x = x + self.wse(segments)
        if self.config.positions == "learned":
            return self.drop(x + self.wpe(positions)), None
        return self.drop(x), rotary_angles(positions, self.config.head_size, self.config.rope_theta)

    def new_cache(self, batch_size: int = 1, context_length: int = 0) -> list[tuple[KVCache, KVCache | None]]:
        """An empty cache for each layer, to pass to forward() while generating: its own keys and values, and, if
        context_length says how long the other text is, those of the cross-attention."""
        c, w = self.config, self.wte.weight

        def empty(length: int, heads: int) -> KVCache:
            return KVCache(batch_size, heads, length, c.head_size, device=w.device, dtype=w.dtype)

        crossed = [empty(context_length, c.kv_heads) if context_length else None for _ in self.h]
        return [(empty(c.block_size, c.kv_heads), other) for other in crossed]

    def num_parameters(self, embeddings: bool = True) -> int:
        """How many numbers training adjusts; without the embeddings (and a tied head) if embeddings=False."""
        total = sum(p.numel() for p in self.parameters())  # a tied head is listed, and so counted, once
        tables = {m.weight for m in self.modules() if isinstance(m, nn.Embedding)}  # Seq2Seq shares its one
        return total if embeddings else total - sum(w.numel() for w in tables)


class Encoder(GPT):
    """GPT without the causal mask: every token looks at every other, before and behind it (Devlin et al., 2019)."""

    causal = False


class Seq2Seq(nn.Module):
    """An encoder that reads the source and a decoder that writes the target, looking at what was read
    (Vaswani et al., 2017). Both share one vocabulary, and one table of embeddings if the config ties them."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = GPT(config, cross=True)
        self.encoder.lm_head = None  # only the decoder speaks
        if config.tied:
            self.encoder.wte.weight = self.decoder.wte.weight

    def forward(self, source: Tensor, source_padding: Tensor, ids: Tensor) -> Tensor:
        """source (B, S), its padding (B, S), and the target so far, ids (B, T) -> logits (B, T, V)."""
        context = self.encoder.hidden(source, source_padding)  # (B, S, C)
        return self.decoder(ids, context=context, context_padding=source_padding)

    num_parameters = GPT.num_parameters


class XLNet(GPT):
    """Two streams through one stack (Yang et al., 2019, section 2.3), with this book's positions and blocks.

    Each token i is predicted from the tokens that come before it in `order`, wherever they stand. The content
    stream h_i knows token i; the query stream g_i knows only its place, so it may be asked which token it is.
    """

    def __init__(self, config: GPTConfig):
        super().__init__(config)
        self.query = nn.Parameter(torch.empty(config.n_embd).normal_(std=0.02))  # where every g_i starts from

    def forward(self, ids: Tensor, rank: Tensor) -> Tensor:
        """ids (B, T); rank (B, T): rank[b, i] is when token i is read, 0 first. Returns logits (B, T, V) at each
        token's own position. (GPT's, at position t, are for token t + 1.)"""
        see = rank[:, None, None, :] < rank[:, None, :, None]  # (B, 1, T, T): query i may look at token j
        itself = torch.eye(ids.size(1), dtype=torch.bool, device=ids.device)
        positions = self.positions(ids, None, 0)
        h, angles = self.embed(ids, positions)  # (B, T, C)
        g = self.query.expand_as(h)
        if self.config.positions == "learned":
            g = g + self.wpe(positions)
        for block in self.h:
            # Keys and values always come from h: g asks, h is asked.
            asked, h = h, block(h, mask=see | itself, angles=angles)  # (B, T, C)
            g = block(g, stream=asked, mask=see, angles=angles)  # (B, T, C)
        return self.lm_head(self.ln_f(g))


class TaskHead(nn.Module):
    """A linear layer on a trained stack, for tasks whose answer is no text: a class, a place, a number.

    pooling says what it reads: "first" the first token (BERT's [CLS]), "last" the last token (of a GPT, the only
    one that has seen all), "mean" all tokens' mean, "each" every token by itself (for spans).
    """

    def __init__(self, stack: GPT, outputs: int, pooling: str):
        super().__init__()
        if pooling not in ("first", "last", "mean", "each"):
            raise ValueError(f"pooling={pooling!r} must be 'first', 'last', 'mean' or 'each'")
        self.config, self.stack, self.pooling = stack.config, stack, pooling
        self.score = nn.Linear(stack.config.n_embd, outputs)
        nn.init.normal_(self.score.weight, std=0.02)
        nn.init.zeros_(self.score.bias)

    def forward(self, ids: Tensor, padding: Tensor, **options) -> Tensor:
        """ids (B, T), padding (B, T), on the right -> scores (B, outputs), or (B, T, outputs) with "each"."""
        x = self.stack.hidden(ids, padding, **options)  # (B, T, C)
        if self.pooling == "first":
            x = x[:, 0]
        elif self.pooling == "last":
            x = x[torch.arange(x.size(0), device=x.device), padding.sum(1) - 1]
        elif self.pooling == "mean":
            real = padding[..., None].to(x.dtype)  # (B, T, 1)
            x = (x * real).sum(1) / real.sum(1)
        return self.score(x)

    num_parameters = GPT.num_parameters


KINDS = {kind.__name__: kind for kind in (GPT, Encoder, Seq2Seq, XLNet)}  # by the name that a checkpoint records
