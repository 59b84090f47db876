"""Attention: the formula, and the one module that GPT and every other model of the book uses.

    Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V                      (Vaswani et al., 2017, equation 1)

Masks are boolean and True means "may look", as in F.scaled_dot_product_attention (and the reverse of
torch.nn.MultiheadAttention's). Shapes: B batch, T queries, S keys, H heads, C = n_embd, D = C / H.
"""

import math
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, written as the formula reads.

    q (..., T, D), k (..., S, D), v (..., S, E); mask, if given, is boolean and broadcasts to (..., T, S).
    Returns the output (..., T, E) and the weights (..., T, S), whose rows sum to 1. A query that may look
    at nothing gets weights and output 0, as F.scaled_dot_product_attention gives it.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))  # (..., T, S)
    if mask is None:
        weights = scores.softmax(dim=-1)
    else:
        scores = scores.masked_fill(~mask, -math.inf)  # before the softmax, so that a row still sums to 1
        weights = scores.softmax(dim=-1).masked_fill(~mask, 0.0)  # a row of −inf alone: NaN becomes 0
    return weights @ v, weights  # (..., T, E), (..., T, S)


def causal_mask(T: int, S: int | None = None, device=None) -> Tensor:
    """(T, S): query t may look at every key up to itself. The T queries are the last T of S positions."""
    S = T if S is None else S
    return torch.ones(T, S, dtype=torch.bool, device=device).tril(diagonal=S - T)  # aligned bottom-right


def rotary_angles(positions: Tensor, head_size: int, theta: float) -> tuple[Tensor, Tensor]:
    """cos and sin of RoPE's angles for positions (..., T), each (..., 1, T, D): (Su et al., 2021, section 3.2.2).

    Pair i of a head's D numbers turns by position · theta^(−2i/D) radians: the first pairs fast, the last slowly.
    """
    speeds = theta ** (-torch.arange(0, head_size, 2, device=positions.device, dtype=torch.float32) / head_size)
    angles = positions[..., None].float() * speeds  # (..., T, D/2)
    angles = torch.cat([angles, angles], dim=-1).unsqueeze(-3)  # (..., 1, T, D): the same for every head
    return angles.cos(), angles.sin()


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair (x[i], x[i + D/2]) of x (B, H, T, D) by its angle. How far two vectors turn apart depends only
    on how far apart they stand, so q · k learns about distance and not about place."""
    cos, sin = angles
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)


class KVCache:
    """The keys and values that one layer has computed so far, so that no token is computed twice."""

    def __init__(self, batch_size: int, n_head: int, max_length: int, head_size: int, device=None, dtype=None):
        self.k = torch.empty(batch_size, n_head, max_length, head_size, device=device, dtype=dtype)
        self.v = torch.empty_like(self.k)
        self.length = 0  # positions filled

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values (B, H, T, D) of the next T positions; return all so far, (B, H, S, D) each."""
        start, self.length = self.length, self.length + k.size(-2)
        self.k[:, :, start : self.length] = k
        self.v[:, :, start : self.length] = v
        return self.stored()

    def stored(self) -> tuple[Tensor, Tensor]:
        """The keys and values of all positions so far, (B, H, S, D) each."""
        return self.k[:, :, : self.length], self.v[:, :, : self.length]

    def reorder(self, rows: Tensor) -> None:
        """Row b of the batch goes on with what row rows[b] has stored: beam search drops texts and doubles others."""
        self.k, self.v = self.k[rows], self.v[rows]


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each on its own D = C / H numbers of every token (Vaswani et al., 2017, 3.2.2)."""

    def __init__(self, config):
        super().__init__()
        self.n_head, self.head_size = config.n_head, config.head_size
        self.dropout, self.qk_norm = config.dropout, config.qk_norm
        self.widths = [n * self.head_size for n in (config.n_head, config.kv_heads, config.kv_heads)]  # of Q, K, V
        self.c_attn = nn.Linear(config.n_embd, sum(self.widths), bias=config.bias)  # W_Q, W_K, W_V in one matrix
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)  # W_O
        self.resid_dropout = nn.Dropout(config.dropout)
        self.record = None  # where record_attention wants this layer's weights

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        is_causal: bool = False,
        cache: KVCache | None = None,
        angles: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Queries from x (B, T, C); keys and values from `context` (B, S, C), or from x itself when it is None.

        mask (broadcasts to (B, H, T, S)) says who may look at whom; is_causal adds that no query looks past
        its own position. With a cache, x holds only the tokens after those already stored, and a context is
        read once: what is stored of it serves from then on. angles (rotary_angles) turn queries and keys by
        their place, where x and context stand at the same positions. Returns (B, T, C).
        """
        B, T, C = x.shape
        read = context is not None and cache is not None and cache.length > 0  # its keys and values are stored
        if context is None:
            q, k, v = self.c_attn(x).split(self.widths, dim=-1)  # (B, T, C); K and V narrower where heads share them
        else:  # the same matrix, sliced: its first C rows make the queries, the others keys and values
            q = self._project(x, slice(0, C))  # (B, T, C)
            k, v = (None, None) if read else self._project(context, slice(C, None)).split(self.widths[1:], dim=-1)
        q = self._compared(q, angles)  # (B, H, T, D)
        if read:
            k, v = cache.stored()
        else:
            k, v = self._compared(k, angles), self._heads(v)  # (B, H or fewer, S, D)
            if cache is not None:
                k, v = cache.append(k, v)
        if k.size(1) < self.n_head:  # each head of keys and values serves several heads of queries
            k, v = (t.repeat_interleave(self.n_head // k.size(1), dim=1) for t in (k, v))  # (B, H, S, D)

        S = k.size(-2)
        if is_causal and (mask is not None or 1 < T != S):  # a single last query may look at everything
            causal = causal_mask(T, S, x.device)
            mask, is_causal = causal if mask is None else mask & causal, False
        is_causal = is_causal and T == S > 1

        if self.record is None:
            p = self.dropout if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p, is_causal=is_causal)
        else:
            y, weights = attention(q, k, v, causal_mask(T, S, x.device) if is_causal else mask)
            self.record(weights.detach())  # (B, H, T, S)
        y = y.transpose(1, 2).reshape(B, T, C)  # heads side by side again
        return self.resid_dropout(self.c_proj(y))  # (B, T, C)

    def _project(self, x: Tensor, rows: slice) -> Tensor:
        """x times some rows of c_attn's matrix: W_Q alone, or W_K and W_V."""
        w, b = self.c_attn.weight, self.c_attn.bias
        return F.linear(x, w[rows], None if b is None else b[rows])

    def _heads(self, t: Tensor) -> Tensor:
        """(B, T, n · D) -> (B, n, T, D)."""
        return t.view(t.size(0), t.size(1), -1, self.head_size).transpose(1, 2)

    def _compared(self, t: Tensor, angles: tuple[Tensor, Tensor] | None) -> Tensor:
        """Queries or keys (B, T, n · D) as they enter the dot product, (B, n, T, D): normalised, turned."""
        t = self._heads(t)
        if self.qk_norm:
            t = F.rms_norm(t, (self.head_size,))
        return t if angles is None else rotate(t, angles)


@contextmanager
def record_attention(model: nn.Module):
    """Keep the attention weights of every layer of `model` while the block runs.

        with record_attention(model) as maps:
            model(ids)
        maps["h.0.attn"]  # (B, H, T, S), of the last forward pass

    The keys are the modules' names, in the order of the layers. Inside the block the layers call attention()
    above in place of the fused kernel, so what is kept is what was used. Raises RuntimeError where it could
    not keep its word: a model without attention, dropout switched on, or a model that is being recorded already.
    """
    # A compiled or distributed wrapper puts a prefix before each name; the reader should not meet it.
    names = {n.removeprefix("_orig_mod.").removeprefix("module."): m for n, m in model.named_modules()}
    layers = {n: m for n, m in names.items() if isinstance(m, MultiHeadAttention)}
    if not layers:
        raise RuntimeError(f"{type(model).__name__} has no MultiHeadAttention to record")
    if any(m.training and m.dropout > 0 for m in layers.values()):
        raise RuntimeError("dropout is on, so two passes would differ: call model.eval() before recording")
    if any(m.record is not None for m in layers.values()):
        raise RuntimeError("this model is being recorded already: leave the outer record_attention first")
    maps = {}
    for name, layer in layers.items():
        layer.record = lambda weights, name=name: maps.__setitem__(name, weights)
    try:
        yield maps
    finally:
        for layer in layers.values():
            layer.record = None
    if not maps:
        raise RuntimeError("no forward pass ran inside record_attention, so there is nothing to show")
