"""What check() says of values: shapes, numbers and errors, each on one line."""

import traceback
from typing import Any

from torch import Tensor, as_tensor

from .worker import Other


def shape(value: Any) -> str:
    """A tensor's shape; how long a list is that fills more than a line; of all else the value, texts in quotes."""
    if isinstance(value, list) and len(str(value)) > 80:
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return shown(repr(value))
    return str(tuple(value.shape)) if hasattr(value, "shape") else shown(value)


def describe(value: Any) -> str:
    """What a function returned, in words."""
    if value is None:
        return "None (is there a return?)"
    if isinstance(value, Other):
        return shown(value)
    if isinstance(value, tuple):
        return f"{len(value)} things ({', '.join(describe(v) for v in value)})"
    return f"a tensor of shape {shape(value)}" if hasattr(value, "shape") else f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """A value on one line, tensors as nested lists with two decimals."""
    if isinstance(value, Tensor) or hasattr(value, "tolist"):
        value = as_tensor(value)
        value = value.tolist() if not value.is_floating_point() else round_all(value.tolist())
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "…"


def round_all(value):
    """Nested lists of numbers, each rounded to two decimals."""
    return [round_all(v) for v in value] if isinstance(value, list) else round(value, 2)


def nested(value: Any) -> Any:
    """Lists, tensors and arrays as tuples, also inside each other; anything else as it is."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(nested(v) for v in value) if isinstance(value, list | tuple) else value


def unlike(value: Any, right: Any) -> str:
    """Where two values that hold texts first differ, lengths before what is inside, in a sentence; "" if nowhere."""
    mine, ours, at = nested(value), nested(right), ""
    if not isinstance(mine, type(ours)):
        return f"Your function returned {describe(value)}; {describe(right)} was expected."
    while isinstance(mine, tuple) and isinstance(ours, tuple) and mine != ours:
        if len(mine) != len(ours):
            wanted = f"length {len(ours)} was expected: {shown(list(ours))}"
            return f"Your output{at} has length {len(mine)}: {shown(list(mine))}; {wanted}."
        i = next(i for i, (a, b) in enumerate(zip(mine, ours, strict=True)) if a != b)
        mine, ours, at = mine[i], ours[i], f"{at}[{i}]"
    return "" if mine == ours else f"Your output{at} is {shown(repr(mine))}; {shown(repr(ours))} was expected."


def small(case: tuple) -> bool:
    """Whether a case is small enough to be shown in full."""
    return sum(v.numel() for v in case if isinstance(v, Tensor)) <= 60


def shape_range(values: list) -> str:
    """The smallest and the largest shape that an argument had; lists likewise, and what is neither."""
    values = sorted(values, key=lambda v: v.numel() if isinstance(v, Tensor) else len(v) if isinstance(v, list) else 0)
    first, last = shape(values[0]), shape(values[-1])
    return first if first == last else f"{first} … {last}"


def error_line(error: BaseException) -> str:
    """The end of a traceback, type and message, on one line: load_state_dict, for one, says what is missing on many."""
    text = " ".join(traceback.format_exception_only(error)[-1].split())
    return text if len(text) <= 300 else text[:299] + "…"
