"""What an exercise is: a function to write, or a value to predict; and what is found of an answer. check.py judges."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

# Some inputs are drawn until each known mistake shows in them.
MOST_DRAWS = 2000
STUCK = "no input tells a known mistake from the reference, or from another: are they the same?"


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
    edges: int = 0  # so many of the last cases are extreme: who fails there alone has half of the points


@dataclass(frozen=True)
class ValueExercise:
    """A number, a shape or a choice to predict."""

    id: str
    title: str
    answer: Any
    right: str  # why the answer is what it is
    mistakes: dict[Any, str] = field(default_factory=dict)  # a wrong value -> what to say to it


@dataclass(frozen=True)
class Prediction:
    """A value to predict from numbers that differ from student to student. `for_seed` makes a ValueExercise of it."""

    id: str
    title: str
    draw: Callable[[torch.Generator], dict[str, Any]]  # the numbers given
    answer: Callable  # given the numbers, by name, the right value
    right: str  # why it is right
    mistakes: tuple[Callable, ...] = ()  # given the numbers, a wrong value; their docstrings say how one gets it


@dataclass(frozen=True)
class Result:
    """status is "right", "wrong" or "unanswered"; mistake is what a known mistake is told, if it is one."""

    status: str
    message: str
    mistake: str | None = None
    share: float = 0.0  # of the points
