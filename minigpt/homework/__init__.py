"""Exercises and quizzes: check() judges an answer on a page; the exercises are data, one file a page."""

from .check import check

__all__ = ["check"]
