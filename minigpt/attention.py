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
        return self.k[:, :, : self.length], self.v[:, :, : self.length]


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each on its own D = C / H numbers of every token (Vaswani et al., 2017, 3.2.2)."""

    def __init__(self, config):
        super().__init__()
        self.n_head, self.head_size, self.dropout = config.n_head, config.head_size, config.dropout
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)  # W_Q, W_K, W_V in one matrix
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
    ) -> Tensor:
        """Queries from x (B, T, C); keys and values from `context` (B, S, C), or from x itself when it is None.

        mask (broadcasts to (B, H, T, S)) says who may look at whom; is_causal adds that no query looks past
        its own position. With a cache, x holds only the tokens after those already stored. Returns (B, T, C).
        """
        B, T, C = x.shape
        if context is None:
            q, k, v = self.c_attn(x).split(C, dim=-1)  # (B, T, C) each
        else:  # the same matrix, sliced: C rows make queries of x, the other 2C keys and values of the context
            w, b = self.c_attn.weight, self.c_attn.bias
            q = F.linear(x, w[:C], None if b is None else b[:C])  # (B, T, C)
            k, v = F.linear(context, w[C:], None if b is None else b[C:]).split(C, dim=-1)  # (B, S, C) each
        q, k, v = (t.view(B, -1, self.n_head, self.head_size).transpose(1, 2) for t in (q, k, v))  # (B, H, ·, D)
        if cache is not None:
            k, v = cache.append(k, v)  # (B, H, S, D)

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
