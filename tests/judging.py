"""How the tests of the exercises grade an answer."""

import pytest

from minigpt.homework.check import grade, load_exercise

# A test that takes `seeds` runs on a few inputs, and in `make test-long` on many.
MANY = pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 23), marks=pytest.mark.long)])


def every_right_way(answers: dict[str, list]):
    """A mark: the test runs for each (exercise_id, answer), given the answers of each exercise."""
    ways = [pytest.param(i, answer, id=f"{i}-{answer.__name__}") for i in answers for answer in answers[i]]
    return pytest.mark.parametrize("exercise_id, answer", ways)


def judge(exercise_id: str, answer, seeds=range(3)) -> list:
    """The results of grading this answer, one for each seed of the random inputs."""
    return [grade(load_exercise(exercise_id), answer, seed) for seed in seeds]


def sentence(mistake) -> str:
    """What a learner is told who makes this mistake."""
    return " ".join(mistake.__doc__.split())
