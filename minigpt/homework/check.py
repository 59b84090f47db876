"""check(): tells a learner whether an answer is right and, if not, what it looks like.

    check("4.1.2", my_attention)               an exercise of page 4.1
    check("4.2", causal_attention, STUDENT)    the second exercise of homework 4

The exercises of page 4.1 are data, in exercises/page_4_1.py, those of homework 4 in assignments/homework_4.py. An
answer that is a function is run on inputs drawn from a seed and compared with a reference; an answer that is a value
is compared with the right one. Each exercise also lists known mistakes, so that a wrong answer can be called by its
name. grade() is pure: an exercise, an answer and a seed give a Result. judge() is the half of it that needs no
answer's code, only what came out: the grader calls it on what another process has computed. check() prints.
"""

import copy
import hashlib
import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .exercise import Exercise, Prediction, Result, ValueExercise
from .words import describe, error_line, nested, shape, shape_range, shown, small, unlike

ROUNDED = 5e-3  # the relative difference that rounding to three digits can make


class NotYet(Exception):
    """An answer of a homework is missing or wrong. A notebook shows its message, and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


FOUND: dict[str, Result] = {}  # what check() last found of each exercise of a homework, for tally()


def load_exercise(exercise_id: str) -> Exercise | ValueExercise | Prediction:
    """The exercise called "4.1.2" of page 4.1, "4.2" of homework 4 or "0.2" of the tool kit. ValueError if none is."""
    exercise_id = str(exercise_id)
    page = exercise_id.rpartition(".")[0]
    folder, kind = ("assignments", "homework") if of_homework(exercise_id) else ("exercises", "page")
    file = Path(__file__).parent / folder / f"{kind}_{page.replace('.', '_')}.py"
    if not re.fullmatch(r"\d+(\.\d+)?", page) or not file.exists():
        raise ValueError(f"there is no exercise {exercise_id!r}: ids look like '4.1.2', page and number.")
    found = {e.id: e for e in importlib.import_module(f"minigpt.homework.{folder}.{file.stem}").EXERCISES}
    if exercise_id not in found:
        raise ValueError(f"there is no exercise {exercise_id!r}: {kind} {page} has {', '.join(found)}.")
    return found[exercise_id]


def of_homework(exercise_id: str) -> bool:
    """Whether an id is one of a homework: "4.2" is, "4.1.2" of a page and "0.2" of the tool kit are not."""
    return re.fullmatch(r"[1-9]\d*\.\d+", str(exercise_id)) is not None


def seed_of(student: str) -> int:
    """The seed of a student's own numbers and inputs; 0 for nobody's."""
    name = str(student).strip().casefold().encode()
    return int.from_bytes(hashlib.sha256(name).digest()[:4], "little") if name else 0


def given(exercise_id: str, student: str = "") -> dict[str, Any]:
    """The numbers that this student is given in an exercise that has such."""
    return load_exercise(exercise_id).draw(torch.Generator().manual_seed(seed_of(student)))


def check(exercise_id: str, answer: Any, student: str = "") -> None:
    """Print what was tested and what was found.

    Never raises for an exercise of a page, which still runs while it is open. In a homework, an answer that is not
    right raises NotYet, so that whatever runs the notebook sees it.
    """
    exercise_id = str(exercise_id)  # 4.2 without its quotes is a number
    try:
        exercise = load_exercise(exercise_id)
    except ValueError as e:
        print(f"check could not judge this: {e}")
        return
    try:
        result = grade(exercise, answer, seed_of(student))
    except Exception as e:
        result = Result("wrong", f"check could not judge this. {error_line(e)}")
    if of_homework(exercise_id):
        FOUND[exercise_id] = result
        if result.status != "right":
            link_to_hints(exercise_id)
            raise NotYet(f"{result.message}\n  Three hints are folded above your answer: “Hints for {exercise_id}”.")
        if isinstance(exercise, Exercise):
            print(result.message.replace("right.", "right on the inputs tried here; grading uses others.", 1))
            return
    print(result.message)


def link_to_hints(exercise_id: str) -> None:
    """In a notebook, a link to where the hints are."""
    if "IPython" in sys.modules and sys.modules["IPython"].get_ipython():
        from IPython.display import Markdown, display

        display(Markdown(f"[Hints for {exercise_id}](#Hints-for-{exercise_id})"))


def tally(points: dict[str, float]) -> None:
    """Print the points of each exercise as far as check() has seen them. NotYet if any are missing."""
    rows = [f"{'exercise':10} {'points':>6}   of"]
    for exercise_id, most in points.items():
        result = FOUND.get(exercise_id, Result("not checked", ""))
        rows.append(f"{exercise_id:10} {most * result.share:6g} {most:4g}   {result.status}")
    total, most = sum(p * FOUND[i].share for i, p in points.items() if i in FOUND), sum(points.values())
    rows.append(f"{'total':10} {total:6g} {most:4g}   on the inputs tried here; grading uses others")
    if total < most:
        raise NotYet("\n".join(rows))
    print("\n".join(rows))


def grade(exercise: Exercise | ValueExercise | Prediction, answer: Any, seed: int = 0) -> Result:
    """Judge an answer. The same exercise, answer and seed give the same Result."""
    if is_open(answer):
        return unanswered(exercise)
    if hasattr(exercise, "rehearse"):  # a Contest, whose module imports this one
        return exercise.rehearse(answer, seed)
    if isinstance(exercise, Prediction):
        exercise = for_seed(exercise, seed)
    if isinstance(exercise, ValueExercise):
        return grade_value(exercise, answer)
    return grade_function(exercise, answer, seed)


def is_open(answer: Any) -> bool:
    """Whether the learner has not answered yet."""
    return answer is None or answer is ... or answer is NotImplemented


def unanswered(exercise: Exercise | ValueExercise) -> Result:
    """The result of an exercise without an answer."""
    return Result("unanswered", f"{exercise.id} {exercise.title}: not answered yet.")


def for_seed(exercise: Prediction, seed: int) -> ValueExercise:
    """The exercise with one student's numbers."""
    numbers = exercise.draw(torch.Generator().manual_seed(seed))
    wrong = {plain(mistake(**numbers)): sentence(mistake) for mistake in reversed(exercise.mistakes)}
    return ValueExercise(exercise.id, exercise.title, exercise.answer(**numbers), exercise.right, wrong)


def sentence(mistake: Callable) -> str:
    """What a learner is told who makes this mistake: its docstring."""
    return " ".join(mistake.__doc__.split())


# ---- values --------------------------------------------------------------------------------------


def grade_value(exercise: ValueExercise, answer: Any) -> Result:
    """Compare an answer with the right value and with the mistakes that the exercise knows."""
    title, value, right = f"{exercise.id} {exercise.title}", plain(answer), plain(exercise.answer)
    if kind(value) != kind(right):
        return Result("wrong", f"{title}: not yet.\n  You gave {shown(answer)}; the answer is {kind(right)}.")
    if equal(value, right):
        return Result("right", f"{title}: right. {exercise.right}", share=1.0)
    for within in (1e-6, ROUNDED):  # two mistakes can lie so close that rounding makes them look alike
        for wrong, sentence in exercise.mistakes.items():
            if equal(value, plain(wrong), within):
                return Result("wrong", f"{title}: not yet.\n  {shown(answer)}: {sentence}", sentence)
    so_far = f" Right so far: {sum(map(equal, value, right))} of {len(right)}." if same_length(value, right) else ""
    return Result("wrong", f"{title}: not yet.\n  {shown(answer)} is not it, nor a mistake this check knows.{so_far}")


def same_length(a: Any, b: Any) -> bool:
    """Whether both are tuples of one length."""
    return isinstance(a, tuple) and isinstance(b, tuple) and len(a) == len(b)


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


def equal(a: Any, b: Any, within: float = ROUNDED) -> bool:
    """Equal up to a relative difference, whole numbers exactly; tuples by their elements."""
    if same_length(a, b):
        return all(equal(x, y, within) for x, y in zip(a, b, strict=True))
    if kind(a) == kind(b) == "a number" and not (isinstance(a, int) and isinstance(b, int)):
        return abs(a - b) <= within * abs(b) + 1e-9
    return a == b


# ---- functions -----------------------------------------------------------------------------------


def grade_function(exercise: Exercise, answer: Any, seed: int) -> Result:
    """Run a learner's function beside ours on many cases, and say what its first wrong output looks like."""
    title = f"{exercise.id} {exercise.title}"
    if not callable(answer):
        said = f"You gave {shown(answer)}. Give the function itself, by its name, without calling it."
        return Result("wrong", f"{title}: not yet.\n  {said}")
    cases = exercise.cases(torch.Generator().manual_seed(seed))
    return judge(exercise, cases, [run(answer, case) for case in cases])


def judge(exercise: Exercise, cases: list[tuple], got: list) -> Result:
    """Judge what a function returned for each case, or the errors that it raised."""
    title = f"{exercise.id} {exercise.title}"
    expected = [run(exercise.reference, case) for case in cases]
    if is_open(got[0]) or isinstance(got[0], NotImplementedError):
        return unanswered(exercise)
    wrong = [i for i in range(len(cases)) if difference(got[i], expected[i], exercise)]
    tested = f"Tested on {len(cases)} inputs"
    if not wrong:
        spread = ", ".join(f"{name} {shape_range(values)}" for name, values in arguments(exercise, cases))
        return Result("right", f"{title}: right.\n  {tested}: {spread}.", share=1.0)
    i = wrong[0]
    where = "all fail" if len(wrong) == len(cases) else f"{len(wrong)} fail"
    lines = [f"{title}: not yet.", f"  {tested}; {where}. The smallest that does:"]
    lines += [f"    {name}: {shape(value)}" for name, value in zip(exercise.arguments, cases[i], strict=True)]
    lines += [f"  {difference(got[i], expected[i], exercise)}"]
    mistake = None if isinstance(got[i], BaseException) else name_mistake(exercise, cases, got, wrong)
    if mistake:
        lines += [f"  {mistake}"]
    named = zip(exercise.arguments, cases[i], strict=True)
    unseen = [f"    {name} = {shown(v)}" for name, v in named if shape(v) not in (shown(v), repr(v))]
    if unseen and small(cases[i]):  # all else stands above
        lines += ["  The input's values:", *unseen]
    only_edges = i >= len(cases) - exercise.edges
    if only_edges:
        lines += ["  All ordinary inputs are right; this one is extreme. That is half of the points."]
    return Result("wrong", "\n".join(lines), mistake, share=0.5 if only_edges else 0.0)


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
            return sentence(mistake)
    return None


def same(a: Any, b: Any, exercise: Exercise) -> bool:
    """Two outcomes agree: the same numbers, NaN where NaN is, the same texts, or errors of the same type."""
    if isinstance(a, BaseException) or isinstance(b, BaseException):
        return type(a).__name__ == type(b).__name__  # of what another process raised, we have the name
    if as_tensor(a) is None and as_tensor(b) is None:
        return nested(a) == nested(b)
    a, b = as_tensor(a), as_tensor(b)
    if a is None or b is None or a.shape != b.shape or a.is_complex() or b.is_complex():
        return False
    return torch.allclose(a.double(), b.double(), exercise.rtol, exercise.atol, equal_nan=True)


def difference(got: Any, expected: Any, exercise: Exercise) -> str:
    """What is wrong with one output, in a sentence; "" if nothing is. Numbers may differ by rounding, texts may not."""
    if isinstance(got, BaseException):
        return f"Your function raised {error_line(got)}"
    if as_tensor(expected) is None:
        return unlike(got, expected)
    value = as_tensor(got)
    if value is None:
        return f"Your function returned {describe(got)}; a tensor of shape {shape(expected)} was expected."
    if (value.dtype == torch.bool and expected.dtype != torch.bool) or value.is_complex():
        return f"Your function returned {value.dtype}; real numbers were expected."
    if value.shape != expected.shape:
        return f"Your output has shape {shape(value)}; {shape(expected)} was expected."
    value, expected = value.double(), expected.double()
    if torch.allclose(value, expected, exercise.rtol, exercise.atol):
        return ""
    gap = (value - expected).abs().nan_to_num(torch.inf, torch.inf, torch.inf)
    at = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
    where = f" at {list(at)}" if at else ""
    return f"Your output{where} is {value[at]:.4g}; {expected[at]:.4g} was expected."


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


def arguments(exercise: Exercise, cases: list[tuple]):
    """(name, all its values) for each argument."""
    return [(name, [case[i] for case in cases]) for i, name in enumerate(exercise.arguments)]
