"""Sphinx extension: book/for-teachers.md gets its table of assignments, read from their notebooks, at each build."""

import re
from pathlib import Path

import nbformat

from minigpt.homework.assignment import questions

PAGE = "book/for-teachers"
MARK = "<!-- assignments -->"
FOLDER = Path(__file__).parents[2] / "chapters" / "homework"


def row(path: Path) -> str:
    """One assignment: number, title, exercises, minutes, points, and how many of these a person gives."""
    source = nbformat.read(path, as_version=4)
    number, title = re.match(r"# Homework (\d+): (.+)", source.cells[0].source).groups()
    minutes = re.search(r"(\d+) minutes|two hours", source.cells[0].source)
    asked = questions(source)
    by_hand = sum(question.points for question in asked if not question.name)
    cells = [number, title, len(asked), minutes[1] or 120, f"{sum(q.points for q in asked):g}", f"{by_hand:g}"]
    return f"| {' | '.join(map(str, cells))} |"


def table() -> str:
    lines = ["| no. | assignment | exercises | minutes | points | of which by hand |", "|--:|---|--:|--:|--:|--:|"]
    return "\n".join(lines + [row(path) for path in sorted(FOLDER.glob("hw*.ipynb"))])


def setup(app):
    def fill(app, docname, source):
        if docname == PAGE:
            source[0] = source[0].replace(MARK, table())

    app.connect("source-read", fill)
    app.connect("env-get-outdated", lambda *_: [PAGE])  # an assignment may have changed
    return {"parallel_read_safe": True, "parallel_write_safe": True}
