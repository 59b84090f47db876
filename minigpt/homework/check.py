"""check(): tells a learner whether an answer is right and, if not, what it looks like.

    check("4.1.2", my_attention)

The exercises of page 4.1 are data, in exercises_4_1.py. An answer that is a function is run on inputs drawn
from a seed and compared with a reference; an answer that is a value is compared with the right one. Each
exercise also lists known mistakes, so that a wrong answer can be called by its name. grade() is pure: an
exercise, an answer and a seed give a Result. check() prints it.
"""

import copy
import importlib
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Exercise:
    """A function to write."""

    id: str
    title: str
    arguments: tuple[str, ...]  # the names of its arguments, in order
    reference: Callable
    cases: Callable[[torch.Generator], list[tuple]]  # inputs, one tuple of arguments each, smallest first
    mistakes: tuple[Callable, ...] = ()  # functions that err as learners do; their docstrings say how
    rtol: float = 1e-3
    atol: float = 1e-5


@dataclass(frozen=True)
class ValueExercise:
    """A number, a shape or a choice to predict."""

    id: str
    title: str
    answer: Any
    right: str  # why the answer is what it is
    mistakes: dict[Any, str] = field(default_factory=dict)  # a wrong value -> what to say to it


@dataclass(frozen=True)
class Result:
    """status is "right", "wrong" or "unanswered"; mistake is what a known mistake is told, if it is one."""

    status: str
    message: str
    mistake: str | None = None


def load_exercise(exercise_id: str) -> Exercise | ValueExercise:
    """The exercise called `exercise_id`, for example "4.1.2"; "0.2" is of the tool kit. ValueError if there is none."""
    page = str(exercise_id).rpartition(".")[0]
    name = f"exercises_{page.replace('.', '_')}"
    if not re.fullmatch(r"0|\d+\.\d+", page) or not Path(__file__).with_name(f"{name}.py").exists():
        raise ValueError(f"there is no exercise {exercise_id!r}: ids look like '4.1.2', page and number.")
    found = {e.id: e for e in importlib.import_module(f"minigpt.homework.{name}").EXERCISES}
    if exercise_id not in found:
        raise ValueError(f"there is no exercise {exercise_id!r}: page {page} has {', '.join(found)}.")
    return found[exercise_id]


def check(exercise_id: str, answer: Any, seed: int = 0) -> None:
    """Print what was tested and what was found. Never raises: a page with open exercises still runs."""
    try:
        print(grade(load_exercise(exercise_id), answer, seed).message)
    except Exception as e:
        print(f"check could not judge this. {error_line(e)}")


def grade(exercise: Exercise | ValueExercise, answer: Any, seed: int = 0) -> Result:
    """Judge an answer. The same exercise, answer and seed give the same Result."""
    if is_open(answer):
        return unanswered(exercise)
    if isinstance(exercise, ValueExercise):
        return grade_value(exercise, answer)
    return grade_function(exercise, answer, seed)


def is_open(answer: Any) -> bool:
    """Whether the learner has not answered yet."""
    return answer is None or answer is ... or answer is NotImplemented


def unanswered(exercise: Exercise | ValueExercise) -> Result:
    """The result of an exercise without an answer."""
    return Result("unanswered", f"{exercise.id} {exercise.title}: not answered yet.")


# ---- values --------------------------------------------------------------------------------------


def grade_value(exercise: ValueExercise, answer: Any) -> Result:
    """Compare an answer with the right value and with the mistakes that the exercise knows."""
    title, value, right = f"{exercise.id} {exercise.title}", plain(answer), plain(exercise.answer)
    if kind(value) != kind(right):
        return Result("wrong", f"{title}: not yet.\n  You gave {shown(answer)}; the answer is {kind(right)}.")
    if equal(value, right):
        return Result("right", f"{title}: right. {exercise.right}")
    for wrong, sentence in exercise.mistakes.items():
        if equal(value, plain(wrong)):
            return Result("wrong", f"{title}: not yet.\n  {shown(answer)}: {sentence}", sentence)
    return Result("wrong", f"{title}: not yet.\n  {shown(answer)} is not it, nor a mistake this check knows.")


def plain(value: Any) -> Any:
    """Tensors and arrays as Python numbers or tuples, text without outer spaces and in lower case."""
    if isinstance(value, str):
        return value.strip().casefold()
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(plain(v) for v in value) if isinstance(value, list | tuple) else value


def kind(value: Any) -> str:
    """What sort of answer a value is, in words."""
    if isinstance(value, bool):
        return "True or False"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a piece of text"
    if isinstance(value, tuple):
        return "several values, such as (2, 3)"
    return f"of type {type(value).__name__}"


def equal(a: Any, b: Any) -> bool:
    """Equal up to rounding to three digits; tuples by their elements."""
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if kind(a) == kind(b) == "a number":
        return abs(a - b) <= 1e-3 * abs(b) + 1e-9
    return a == b


# ---- functions -----------------------------------------------------------------------------------


def grade_function(exercise: Exercise, answer: Any, seed: int) -> Result:
    """Run a learner's function beside ours on many cases, and say what its first wrong output looks like."""
    title = f"{exercise.id} {exercise.title}"
    if not callable(answer):
        said = f"You gave {shown(answer)}. Give the function itself, by its name, without calling it."
        return Result("wrong", f"{title}: not yet.\n  {said}")
    cases = exercise.cases(torch.Generator().manual_seed(seed))
    expected = [run(exercise.reference, case) for case in cases]
    got = [run(answer, case) for case in cases]
    if is_open(got[0]) or isinstance(got[0], NotImplementedError):
        return unanswered(exercise)
    wrong = [i for i in range(len(cases)) if difference(got[i], expected[i], exercise)]
    tested = f"Tested on {len(cases)} inputs"
    if not wrong:
        spread = ", ".join(f"{name} {shape_range(values)}" for name, values in arguments(exercise, cases))
        return Result("right", f"{title}: right.\n  {tested}: {spread}.")
    i = wrong[0]
    where = "all fail" if len(wrong) == len(cases) else f"{len(wrong)} fail"
    lines = [f"{title}: not yet.", f"  {tested}; {where}. The smallest that does:"]
    lines += [f"    {name}: {shape(value)}" for name, value in zip(exercise.arguments, cases[i], strict=True)]
    lines += [f"  {difference(got[i], expected[i], exercise)}"]
    mistake = None if isinstance(got[i], BaseException) else name_mistake(exercise, cases, got, wrong)
    if mistake:
        lines += [f"  {mistake}"]
    if small(cases[i]):
        lines += ["  The input's values:"]
        lines += [f"    {name} = {shown(v)}" for name, v in zip(exercise.arguments, cases[i], strict=True)]
    return Result("wrong", "\n".join(lines), mistake)


def run(function: Callable, case: tuple) -> Any:
    """What the function returns for a copy of the case (it may work in place), or the error it raises."""
    try:
        return function(*copy.deepcopy(case))
    except (Exception, SystemExit) as e:
        return e


def name_mistake(exercise: Exercise, cases: list[tuple], got: list, wrong: list[int]) -> str | None:
    """The mistake that gives what the answer gave, on the failing inputs and on all others too."""
    order = [
        *wrong,
        *(i for i in range(len(cases)) if i not in wrong),
    ]  # where they differ, they differ soonest there
    for mistake in exercise.mistakes:
        if all(same(got[i], run(mistake, cases[i]), exercise) for i in order):
            return " ".join(mistake.__doc__.split())
    return None


def same(a: Any, b: Any, exercise: Exercise) -> bool:
    """Two outcomes agree: the same numbers, NaN where NaN is, or errors of the same type."""
    if isinstance(a, BaseException) or isinstance(b, BaseException):
        return type(a) is type(b)
    a, b = as_tensor(a), as_tensor(b)
    if a is None or b is None or a.shape != b.shape or a.is_complex() or b.is_complex():
        return False
    return torch.allclose(a.double(), b.double(), exercise.rtol, exercise.atol, equal_nan=True)


def difference(got: Any, expected: Tensor, exercise: Exercise) -> str:
    """What is wrong with one output, in a sentence; "" if nothing is."""
    if isinstance(got, BaseException):
        return f"Your function raised {error_line(got)}"
    value = as_tensor(got)
    if value is None:
        return f"Your function returned {describe(got)}; a tensor of shape {shape(expected)} was expected."
    if value.dtype == torch.bool or value.is_complex():
        return f"Your function returned {value.dtype}; real numbers were expected."
    if value.shape != expected.shape:
        return f"Your output has shape {shape(value)}; {shape(expected)} was expected."
    value, expected = value.double(), expected.double()
    if torch.allclose(value, expected, exercise.rtol, exercise.atol):
        return ""
    gap = (value - expected).abs().nan_to_num(torch.inf, torch.inf, torch.inf)
    at = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
    return f"Your output at {list(at)} is {value[at]:.4g}; {expected[at]:.4g} was expected."


def as_tensor(value: Any) -> Tensor | None:
    """Tensors, arrays and nested lists of numbers as a tensor; None for anything else."""
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if isinstance(value, tuple | dict | str):
        return None
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return None


# ---- words ---------------------------------------------------------------------------------------


def shape(value: Any) -> str:
    """A tensor's shape; of anything else, the value."""
    return str(tuple(value.shape)) if hasattr(value, "shape") else shown(value)


def describe(value: Any) -> str:
    """What a function returned, in words."""
    if value is None:
        return "None (is there a return?)"
    if isinstance(value, tuple):
        return f"{len(value)} things ({', '.join(describe(v) for v in value)})"
    return f"a tensor of shape {shape(value)}" if hasattr(value, "shape") else f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """A value on one line, tensors as nested lists with two decimals."""
    if isinstance(value, Tensor) or hasattr(value, "tolist"):
        value = torch.as_tensor(value)
        value = value.tolist() if not value.is_floating_point() else round_all(value.tolist())
    text = str(value)
    return text if len(text) <= 200 else text[:197] + "…"


def round_all(value):
    """Nested lists of numbers, each rounded to two decimals."""
    return [round_all(v) for v in value] if isinstance(value, list) else round(value, 2)


def small(case: tuple) -> bool:
    """Whether a case is small enough to be shown in full."""
    return sum(v.numel() for v in case if isinstance(v, Tensor)) <= 60


def arguments(exercise: Exercise, cases: list[tuple]):
    """(name, all its values) for each argument."""
    return [(name, [case[i] for case in cases]) for i, name in enumerate(exercise.arguments)]


def shape_range(values: list) -> str:
    """The smallest and the largest shape that an argument had; numbers that are no tensors likewise."""
    values = sorted(values, key=lambda v: v.numel() if isinstance(v, Tensor) else 0)
    first, last = shape(values[0]), shape(values[-1])
    return first if first == last else f"{first} … {last}"


def error_line(error: BaseException) -> str:
    """The last line of a traceback: type and message."""
    return traceback.format_exception_only(error)[-1].strip().splitlines()[0]
