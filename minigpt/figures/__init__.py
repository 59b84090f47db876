"""Living figures: each is one ES module (`name.js`) and one small Python class (`name.py`)."""

from minigpt.figures.attention_steps import AttentionSteps, attention_steps_example
from minigpt.figures.figure import Figure, Matrix
from minigpt.figures.quiz import Quiz, load_quiz

__all__ = ["AttentionSteps", "Figure", "Matrix", "Quiz", "attention_steps_example", "load_quiz"]
