"""The contest of homework 6: answer questions from a passage, ahead of a dull rule."""

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import torch

from ...metrics import f1
from ..contest import Contest

YEAR = re.compile(r"\b(?:1\d{3}|20[0-2]\d)\b")


@lru_cache
def passages() -> list[dict]:
    """What is in passages.toml: title, part, text, and questions with their answers."""
    return tomllib.loads(Path(__file__).with_name("passages.toml").read_text(encoding="utf-8"))["passages"]


def examples(generator):
    """By part, ((question, passage), answers). All years of a passage are moved by as much, in its questions and
    answers too: what counts is what the passage says, not what somebody remembers."""
    parts = {"known": [], "asked": [], "held": []}
    for passage in passages():
        shift = int(torch.randint(-15, 0, (), generator=generator))
        for question, *answers in passage["questions"]:
            inputs = moved(question, shift), moved(passage["text"], shift)
            parts[passage["part"]].append((inputs, tuple(moved(answer, shift) for answer in answers)))
    return parts


def moved(text, shift):
    return YEAR.sub(lambda found: str(int(found[0]) + shift), text)


def sentences(passage):
    return re.split(r"(?<=[.!?])\s+", passage)


def nearest_sentence(question, passage):
    """This is the dull rule itself: the sentence that shares most words with the question. Say less of it."""
    asked = set(re.findall(r"\w+", question.lower()))
    return max(sentences(passage), key=lambda s: len(asked & set(re.findall(r"\w+", s.lower()))))


def all_of_it(question, passage):
    """This is the whole passage: the answer is in it, and so is all the rest, which costs precision."""
    return passage


def first_sentence(question, passage):
    """This is the first sentence, whatever the question."""
    return sentences(passage)[0]


def the_question(question, passage):
    """This is the question itself."""
    return question


def first_year(question, passage):
    """This is the first year of the passage, whatever the question."""
    found = YEAR.search(passage)
    return found[0] if found else ""


def nothing(question, passage):
    """This says nothing at all."""
    return ""


def f1_of(said, answers):
    return f1(hypothesis=said, reference=answers)


beat_the_rule = Contest(
    "6.5",
    "Beat the dull rule",
    ("question", "passage"),
    examples,
    f1_of,
    nearest_sentence,
    ((0.04, 0.25), (0.08, 0.5), (0.12, 0.75), (0.16, 1.0)),
    (
        nearest_sentence,
        all_of_it,
        first_sentence,
        the_question,
        first_year,
        nothing,
    ),
)
