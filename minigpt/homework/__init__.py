"""Exercises, homework and quizzes: check() judges an answer; the exercises are data, in exercises/ and assignments/."""

from .check import check, given, tally

__all__ = ["check", "given", "tally"]
