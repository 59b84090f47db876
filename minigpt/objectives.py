"""Objectives: what a model is asked to predict. Each is a pure function, loss(model, batch) -> scalar."""

import torch.nn.functional as F
from torch import Tensor, nn

IGNORE = -100  # a target that is not scored


def clm_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Causal language modelling: predict each next token (Radford et al., 2018, equation 1).

    batch = (inputs, targets), both (B, T), where targets[b, t] is the token that follows inputs[b, t], or
    IGNORE. Returns the mean of −ln p(target) over the scored targets, in nats per token; 0 where none is.
    """
    inputs, targets = batch
    logits = model(inputs)  # (B, T, V)
    scored = (targets != IGNORE).sum().clamp(min=1)
    # In float32 whatever the autocast: a sum of V exponentials wants the digits.
    logits, targets = logits.flatten(0, 1).float(), targets.flatten()  # (B·T, V), (B·T,)
    return F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum") / scored
