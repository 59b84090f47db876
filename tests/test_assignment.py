"""Assignments: the copies that are handed out and kept, and the answers taken back out of whatever comes in."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import nbformat.v4 as nb
import pytest

from minigpt.homework.assignment import (
    answers,
    grade_id,
    is_answer,
    is_check,
    marks,
    merged,
    questions,
    solution_copy,
    student_copy,
    student_id,
    with_points,
    without_solution,
)
from minigpt.homework.check import load_exercise
from minigpt.homework.grading import homework_number
from minigpt.homework.report import hints

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "tools"))
import homework as tool  # noqa: E402

SOURCES = sorted((ROOT / "chapters" / "homework").glob("hw*.ipynb"))
BOOK = {path.stem: nbformat.read(path, as_version=4) for path in SOURCES}
SOURCE = BOOK["hw4"]


@pytest.mark.parametrize("name", BOOK)
def test_an_assignment_is_whole(name):
    source = BOOK[name]
    nbformat.validate(source)
    assert with_points(source) == source, "run `make homework`"
    asked = questions(source)
    assert 4 <= len(asked) <= 6 and homework_number(source) == int(name[2:])
    assert {q.name is None for q in asked} == {True, False}
    for question in asked:
        assert question.points > 0 and len(hints(source, question.id)) == 3
        assert question.name is None or load_exercise(question.id).id == question.id
    names = [grade_id(cell) for cell in source.cells if marks(cell)]
    assert len(set(names)) == len(names) and {"student", "points"} <= set(names)
    assert all(is_answer(cell) or marks(cell)["locked"] or grade_id(cell) == "student"
               for cell in source.cells if marks(cell))  # fmt: skip
    assert not [cell for cell in source.cells if cell.cell_type == "code" and (cell.outputs or not marks(cell))]


@pytest.mark.parametrize("name", BOOK)
def test_the_students_copy_has_no_solution_and_the_other_no_marks(name):
    for cell, given in zip(BOOK[name].cells, student_copy(BOOK[name]).cells, strict=True):
        assert "SOLUTION" not in given.source
        assert is_answer(cell) or cell.source == given.source
        if is_answer(cell):
            assert given.source.rstrip().endswith("..." if cell.cell_type == "code" else "here.*")
    assert not any("SOLUTION" in cell.source for cell in solution_copy(BOOK[name]).cells)


def test_the_copies_are_written(tmp_path):
    kept = (ROOT / "chapters" / "homework" / "hw4.ipynb").read_bytes()
    source = tmp_path / "hw4.ipynb"
    source.write_bytes(kept)
    tool.make_copies(source, tmp_path / "out")
    assert source.read_bytes() == kept  # it was fresh
    written = [nbformat.read(tmp_path / "out" / name, as_version=4) for name in ("hw4.ipynb", "solutions/hw4.ipynb")]
    assert answers(written[0], SOURCE) == {} and len(answers(written[1], SOURCE)) == 7
    tool.make_copies(source, tmp_path / "out")  # nobody has answered yet
    begun = next(cell for cell in written[0].cells if is_answer(cell))
    begun.source = "my answer"
    nbformat.write(written[0], tmp_path / "out" / "hw4.ipynb")
    with pytest.raises(SystemExit, match="has answers in it"):
        tool.make_copies(source, tmp_path / "out")
    assert "my answer" in (tmp_path / "out" / "hw4.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize("text, left", [
    ("def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION", "def f(x):\n    ..."),
    ("a = ...\n### BEGIN SOLUTION\na = 1\n### END SOLUTION\n", "a = ..."),
    ("### BEGIN SOLUTION\na = 1\n### END SOLUTION\nb = 2", "...\nb = 2"),
    ("a = 1", "a = 1"),
])  # fmt: skip
def test_a_solution_leaves_what_python_needs(text, left):
    assert without_solution(text) == left


def test_a_mark_without_its_pair_is_refused():
    source = student_copy(SOURCE)
    next(cell for cell in source.cells if grade_id(cell) == "4.2").source += "\n### BEGIN SOLUTION"
    with pytest.raises(ValueError, match="4.2"):
        student_copy(source)


# ---- what comes in -------------------------------------------------------------------------------


def test_only_answers_are_taken_back():
    given = solution_copy(SOURCE)
    for cell in given.cells:
        if is_check(cell) or grade_id(cell) == "setup":
            cell.source = "def check(*_): print('4.2: right')"
            cell.metadata["nbgrader"]["points"] = 999
    given.cells.append(nb.new_code_cell("import os"))
    given.cells.append(nb.new_code_cell("late = 1", metadata={"nbgrader": {"grade_id": "4.2", "solution": True}}))
    found = answers(given, SOURCE)
    assert set(found) == {"4.1", "4.2", "4.3-design", "4.3", "4.4", "4.5", "4.6"}
    assert "late" not in found["4.2"]  # the first with an id counts
    again = merged(SOURCE, found, "alice")
    assert [c.source for c in again.cells if is_check(c)] == [c.source for c in SOURCE.cells if is_check(c)]
    assert not any("import os" in cell.source or "def check" in cell.source for cell in again.cells)
    assert student_id(again) == "alice"


def test_an_answer_is_known_by_its_cell_where_metadata_are_lost():
    given = solution_copy(SOURCE)
    for cell in given.cells:
        cell.metadata = {}
    assert len(answers(given, SOURCE)) == 7


@pytest.mark.parametrize("cell, found", [
    ("STUDENT = 'bob'", "bob"), ("STUDENT = 4711  # me", "4711"), ("x = 1\nSTUDENT = ' a b '", "a b"),
    ("STUDENT = ", ""),
    ("STUDENT = open('x').read()", ""), ("", ""), ("STUDENT = [1]", ""), ("STUDENT = " + "(" * 9999, ""),
])  # fmt: skip
def test_the_students_id_is_read_and_not_run(cell, found):
    given = student_copy(SOURCE)
    next(c for c in given.cells if grade_id(c) == "student").source = cell
    assert student_id(given) == found


# ---- in pytest, as a student runs it -------------------------------------------------------------


def nbval(path):
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-q", "-p", "no:cacheprovider", path.name]
    return subprocess.run(command, cwd=path.parent, capture_output=True, text=True, encoding="utf-8")


def test_a_student_sees_each_open_exercise_and_the_points(tmp_path):
    given = student_copy(SOURCE)
    solved = {grade_id(cell): cell.source for cell in solution_copy(SOURCE).cells}
    for cell in given.cells:
        if grade_id(cell) in ("4.2", "4.5"):
            cell.source = solved[grade_id(cell)]
    (tmp_path / "hw4.ipynb").write_text(json.dumps(given), encoding="utf-8")
    said = nbval(tmp_path / "hw4.ipynb")
    assert "4 failed" in said.stdout, said.stdout  # three exercises and the sum
    for line in ("4.1 How many parameters: not answered yet.", "4.4 A pre-norm block: not answered yet.", "9   20"):
        assert line in said.stdout
    assert "check.py" not in said.stdout  # no traceback


def test_the_solution_passes(tmp_path):
    (tmp_path / "hw4.ipynb").write_text(json.dumps(solution_copy(SOURCE)), encoding="utf-8")
    said = nbval(tmp_path / "hw4.ipynb")
    assert said.returncode == 0, said.stdout
