"""Sphinx extension: book/kill-table.md gets its table, the wrong answers that each check knows, when the book is built.

The table comes from the exercises themselves; tests/test_homework.py tries every line of it.
"""

import importlib
from pathlib import Path

from api_reference import escape

from minigpt import homework
from minigpt.homework.check import sentence
from minigpt.homework.exercise import ValueExercise

PAGE = "book/kill-table"


def modules() -> list:
    """The modules that hold exercises, homework first, then pages, by number."""
    folder = Path(homework.__file__).parent
    found = [*sorted(folder.glob("assignments/homework_[0-9].py")), *sorted(folder.glob("exercises/page_*.py"))]
    return [importlib.import_module(f"minigpt.homework.{path.parent.name}.{path.stem}") for path in found]


def rows(exercise) -> list[tuple[str, str]]:
    """(the wrong answer, what is said to it) for each mistake that a check knows."""
    if isinstance(exercise, ValueExercise):
        return [(str(wrong), said) for wrong, said in exercise.mistakes.items()]
    return [(mistake.__name__.replace("_", " "), sentence(mistake)) for mistake in exercise.mistakes]


def page() -> str:
    """All tables, as Markdown."""
    parts = []
    for module in modules():
        kind, number = module.__name__.rpartition(".")[2].split("_", 1)
        name = "The tool kit" if number == "0" else f"{'Homework' if kind == 'homework' else 'Page'} {number}"
        parts.append(f"## {name.replace('_', '.')}")
        for exercise in module.EXERCISES:
            lines = [f"| {escape(wrong)} | {escape(said)} |" for wrong, said in rows(exercise)]
            head = ["| wrong answer | what the student is told |", "|---|---|"]
            parts += [f"**{exercise.id} {escape(exercise.title)}**", "\n".join(head + lines)]
    return "\n\n".join(parts) + "\n"


def setup(app):
    def fill(app, docname, source):
        if docname == PAGE:
            source[0] += "\n" + page()

    app.connect("source-read", fill)
    app.connect("env-get-outdated", lambda *_: [PAGE])  # the exercises may have changed
    return {"parallel_read_safe": True, "parallel_write_safe": True}
