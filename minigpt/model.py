"""GPT-2, exactly: token and position embeddings, a stack of blocks, a head that scores every token.

Names are GPT-2's own, so that its state dict loads after transposing some matrices (see hf.py).
Shapes: B batch, T tokens, C = n_embd, V = vocab_size.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import KVCache, MultiHeadAttention
from .config import GPTConfig


class MLP(nn.Module):
    """The feed-forward network: each token by itself, four times wider in between (Vaswani et al., 2017, 3.3)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.c_fc(x), approximate="tanh")  # (B, T, 4C); GPT-2's GELU is the tanh approximation
        return self.dropout(self.c_proj(x))  # (B, T, C)


class Block(nn.Module):
    """Attention, then the feed-forward network; each reads a normalised copy and adds to the residual stream."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.norm_eps, bias=config.bias)
        self.attn = MultiHeadAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, eps=config.norm_eps, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cache: KVCache | None = None) -> Tensor:
        x = x + self.attn(self.ln_1(x), is_causal=True, cache=cache)  # (B, T, C)
        return x + self.mlp(self.ln_2(x))  # (B, T, C)


class GPT(nn.Module):
    """A decoder-only Transformer with GPT-2's architecture (Radford et al., 2019).

    Weights start as GPT-2's did: normal with standard deviation 0.02, biases 0, and the two projections that
    write to the residual stream smaller by 1/√(2 L), so that the stream does not grow with depth.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)  # what each token means
        self.wpe = nn.Embedding(config.block_size, config.n_embd)  # where it stands
        self.drop = nn.Dropout(config.dropout)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd, eps=config.norm_eps, bias=config.bias)
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

    def forward(self, ids: Tensor, cache: list[KVCache] | None = None) -> Tensor:
        """ids (B, T) -> logits (B, T, V): at every position, a score for each token that may come next.

        With a cache from new_cache(), ids are only the tokens after those the cache has seen.
        Raises ValueError past block_size: there is no position embedding for such a place.
        """
        start = cache[0].length if cache is not None else 0
        end = start + ids.size(1)
        if end > self.config.block_size:
            raise ValueError(
                f"{end} tokens do not fit into a context of {self.config.block_size}: pass the last "
                f"{self.config.block_size} tokens, or train a model with a larger block_size"
            )
        positions = torch.arange(start, end, device=ids.device)  # (T,)
        x = self.drop(self.wte(ids) + self.wpe(positions))  # (B, T, C)
        for i, block in enumerate(self.h):
            x = block(x, cache=None if cache is None else cache[i])  # (B, T, C)
        return self.lm_head(self.ln_f(x))  # (B, T, V)

    def new_cache(self, batch_size: int = 1) -> list[KVCache]:
        """An empty key–value cache for each layer, to pass to forward() while generating."""
        c, w = self.config, self.wte.weight
        return [
            KVCache(batch_size, c.n_head, c.block_size, c.head_size, device=w.device, dtype=w.dtype) for _ in self.h
        ]

    def num_parameters(self, embeddings: bool = True) -> int:
        """How many numbers training adjusts; without the two embeddings (and a tied head) if embeddings=False."""
        total = sum(p.numel() for p in self.parameters())  # a tied head is listed, and so counted, once
        return total if embeddings else total - self.wte.weight.numel() - self.wpe.weight.numel()
