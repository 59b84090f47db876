"""Weights in a quarter of the space: each row of a matrix as 8-bit whole numbers and one scale.

A row w becomes q = round(w / s), whole numbers from −127 to 127, with s = max |w| / 127. Reading it gives s · q, which
is nowhere off by more than s / 2. Each row has its own scale, so that one large weight costs precision in its own row
only: the vector-wise absmax scheme of LLM.int8() (Dettmers et al., 2022, section 2.1, https://arxiv.org/abs/2208.07339),
here for storage alone. The model that is read from it computes in float32.
"""

import torch
from torch import Tensor

SCALE = ".scale"  # ends the name under which the scales of a matrix are kept


def quantize(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix (R, C) as int8 (R, C), beside it NAME.scale, float32 (R,); everything else in float32 as it is.

    Raises ValueError if a weight is not finite: it would spoil its whole row.
    """
    small = {}
    for name, w in weights.items():
        if not torch.isfinite(w).all():
            raise ValueError(f"{name} holds a number that is not finite: such a model cannot be stored in 8 bits")
        w = small[name] = w.float()
        if w.ndim == 2:
            scale = w.abs().amax(dim=1) / 127  # (R,)
            small[name] = (w / scale.clamp(min=1e-30)[:, None]).round().to(torch.int8)  # a row of zeros stays one
            small[name + SCALE] = scale
    return small


def dequantize(small: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of quantize(), up to rounding: all weights in float32. Raises ValueError if a scale is missing."""
    weights = {name: t for name, t in small.items() if not name.endswith(SCALE)}
    for name, q in weights.items():
        if q.dtype == torch.int8:
            scale = small.get(name + SCALE)
            if scale is None or q.ndim != 2 or scale.shape != q.shape[:1]:
                raise ValueError(f"{name} has not one scale for each row")
            weights[name] = q.float() * scale.float()[:, None]  # (R, C)
    return weights
