"""How the tests of the exercises grade an answer."""

from minigpt.homework.check import grade, load_exercise


def judge(exercise_id: str, answer, seeds=range(3)) -> list:
    """The results of grading this answer, one for each seed of the random inputs."""
    return [grade(load_exercise(exercise_id), answer, seed) for seed in seeds]


def sentence(mistake) -> str:
    """What a learner is told who makes this mistake."""
    return " ".join(mistake.__doc__.split())
