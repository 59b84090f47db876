"""Objectives: what a model is asked to predict. Each is a pure function, loss(model, batch) -> scalar.

A batch is a tuple of tensors: what the model reads, and last the targets, IGNORE where nothing is asked. So GPT,
BERT, XLNet and the translator differ in what they read and in who may look at whom, and in nothing else.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data import IGNORE


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean of −ln p(target) over the scored targets, in nats; 0 where none is. logits (…, V), targets (…)."""
    scored = (targets != IGNORE).sum().clamp(min=1)
    # In float32 whatever the autocast: a sum of V exponentials wants the digits.
    logits, targets = logits.flatten(0, -2).float(), targets.flatten()  # (N, V), (N,)
    loss = F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum", label_smoothing=label_smoothing)
    return loss / scored


def clm_loss(model: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Causal language modelling: predict each next token (Radford et al., 2018, equation 1).

    batch = (inputs, targets), both (B, T), where targets[b, t] is the token that follows inputs[b, t], or
    IGNORE; or (inputs, documents, targets), where several documents share a row. Returns the mean of −ln p(target)
    over the scored targets, in nats per token; 0 where none is.
    """
    *inputs, targets = batch
    return cross_entropy(model(*inputs), targets)


def mlm_loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Masked language modelling: restore the hidden tokens (Devlin et al., 2019, section 3.1).

    batch = (inputs, padding, targets), each (B, T), as masking.mask_tokens() makes them.
    """
    inputs, padding, targets = batch
    return cross_entropy(model(inputs, padding), targets)


def plm_loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Permutation language modelling: predict tokens in a random order (Yang et al., 2019, equations 3 and 5).

    batch = (ids, rank, targets), each (B, T), as masking.permute_order() makes them.
    """
    ids, rank, targets = batch
    return cross_entropy(model(ids, rank), targets)


def seq2seq_loss(model: nn.Module, batch: tuple[Tensor, ...], label_smoothing: float = 0.0) -> Tensor:
    """Translate with teacher forcing: predict each next target token after the true ones before it.

    batch = (source (B, S), its padding (B, S), inputs (B, T), targets (B, T)). label_smoothing spreads that part
    of each target over the whole vocabulary (Vaswani et al., 2017, section 5.4, used 0.1).
    """
    source, padding, inputs, targets = batch
    return cross_entropy(model(source, padding, inputs), targets, label_smoothing)


def classification_loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Choose a class for each text: batch = (ids (B, T), padding (B, T), targets (B,)); model is a TaskHead."""
    ids, padding, targets = batch
    return cross_entropy(model(ids, padding), targets)


def span_loss(model: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Point at an answer: batch = (ids (B, T), padding (B, T), targets (B, 2)), the first and last token of the
    span, both included; model is a TaskHead with two outputs per token (Devlin et al., 2019, section 4.2).

    The mean of the two cross-entropies over the T places; padding cannot be chosen.
    """
    ids, padding, targets = batch
    scores = model(ids, padding).transpose(1, 2)  # (B, 2, T)
    return cross_entropy(scores.masked_fill(~padding[:, None], -torch.inf), targets)
