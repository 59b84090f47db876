"""Exercises, homework and quizzes: check() judges an answer; the exercises are data, one file a page or homework."""

from .check import check, given, tally

__all__ = ["check", "given", "tally"]
