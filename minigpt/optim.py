"""The optimizer and its learning rate: AdamW with decay groups, and three schedules."""

import math

import torch
from torch import nn

from .config import TrainConfig


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups: weights of two or more dimensions decay; biases and norms, which have one, do not.

    Decay pulls a weight towards 0 at every step (Loshchilov & Hutter, 2019). It keeps matrices small; a norm's
    scale or a bias pulled to 0 would only lose its job.
    """
    params = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in params if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
    ]


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over the two groups, with PyTorch's fused kernel: one pass over the weights at each step."""
    groups = parameter_groups(model, config.weight_decay)
    return torch.optim.AdamW(groups, lr=config.lr, betas=(config.beta1, config.beta2), fused=True)


def learning_rate(step: int, config: TrainConfig) -> float:
    """The learning rate of update number `step`, counted from 0.

    All schedules rise over `warmup` steps. "constant" stays; "cosine" falls along half a cosine
    (Loshchilov & Hutter, 2017) to lr · final_lr; "wsd" stays until the last `decay` of the run and then
    falls in a straight line (Hu et al., 2024), so one long stable phase can serve runs of many lengths.
    It never falls before it has risen: where `decay` reaches into the warmup, the fall begins after it.
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "cosine":
        done = (step - config.warmup) / max(1, config.steps - config.warmup)
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))  # 1 -> 0
    else:
        falling = min(config.decay * config.steps, config.steps - config.warmup)  # the last so many steps
        fall = min(1.0, (config.steps - step) / max(1.0, falling))  # 1, then -> 0
    return config.lr * (config.final_lr + (1 - config.final_lr) * fall)
