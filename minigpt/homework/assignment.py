"""Homework notebooks: one source, from which the student's and the solution's copies are made; answers taken back out.

The source marks its cells as nbgrader does (metadata "nbgrader": grade_id, grade, solution, locked, points):

    answer    solution, not grade      code between ### BEGIN SOLUTION and ### END SOLUTION; the grade_id is its name
    check     grade and locked         check("4.2", …), which has the points
    explain   solution and grade       Markdown, which a person reads and grades

All functions are pure: they take notebooks and return new ones.
"""

import ast
import copy
import re
from dataclasses import dataclass

from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
REGION = re.compile(rf"^([ \t]*){BEGIN}\n.*?^[ \t]*{END}[ \t]*\n?", re.DOTALL | re.MULTILINE)
TO_WRITE = "*Write your answer here.*"
STUDENT = "student"  # the grade_id of the cell that holds the student's id


@dataclass(frozen=True)
class Question:
    """One exercise of an assignment."""

    id: str  # "4.2"
    points: float
    name: str | None  # what the check is called with; None: a text, for a person to read


def marks(cell: NotebookNode) -> dict:
    """nbgrader's metadata of a cell; empty if it has none."""
    return cell.metadata.get("nbgrader", {})


def grade_id(cell: NotebookNode) -> str:
    """The name of a cell; "" if it has none."""
    found = marks(cell).get("grade_id", "")
    return found if isinstance(found, str) else ""


def is_answer(cell: NotebookNode) -> bool:
    """Whether a student writes into this cell, a text or code."""
    return bool(marks(cell).get("solution"))


def is_check(cell: NotebookNode) -> bool:
    """Whether this cell judges: a check, or the sum of all."""
    return cell.cell_type == "code" and (bool(marks(cell).get("grade")) or grade_id(cell) == "points")


def questions(source: NotebookNode) -> list[Question]:
    """The exercises of an assignment in order. ValueError if a check cell is not one call of check()."""
    found = []
    for cell in source.cells:
        if not marks(cell).get("grade"):
            continue
        points = marks(cell)["points"]
        if is_answer(cell):
            found.append(Question(grade_id(cell), points, None))
            continue
        call = re.fullmatch(r"check\(\"([\d.]+)\", (\w+), STUDENT\)", cell.source.strip())
        if not call:
            raise ValueError(f"a check cell is one line like check(\"4.2\", my_function, STUDENT), not {cell.source!r}")
        found.append(Question(call[1], points, call[2]))
    return found


def without_solution(text: str, stub: str = "...") -> str:
    """The text without what stands between the marks; `stub` in its place where something has to stand there."""
    def blank(found: re.Match) -> str:
        before = text[: found.start()].rstrip()
        return f"{found[1]}{stub}\n" if before.endswith(":") or not before else ""

    return REGION.sub(blank, text).rstrip("\n")


def with_solution(text: str) -> str:
    """The text without the marks alone."""
    kept = [line for line in text.splitlines() if line.strip() not in (BEGIN, END)]
    return "\n".join(kept)


def student_copy(source: NotebookNode) -> NotebookNode:
    """What a student is given: no solutions, no outputs."""
    made = cleared(source)
    for cell in made.cells:
        if is_answer(cell):
            cell.source = without_solution(cell.source, "..." if cell.cell_type == "code" else TO_WRITE)
        if BEGIN in cell.source or END in cell.source:
            raise ValueError(f"cell {grade_id(cell)!r} has a solution's mark that is not paired, or is no answer")
    return made


def solution_copy(source: NotebookNode) -> NotebookNode:
    """What a teacher is given: the solutions as a student would have written them."""
    made = cleared(source)
    for cell in made.cells:
        cell.source = with_solution(cell.source)
    return made


def cleared(notebook: NotebookNode) -> NotebookNode:
    """The notebook without outputs."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return made


def with_points(source: NotebookNode) -> NotebookNode:
    """The source with the cell that adds up the points written anew, from the points in the cells' metadata."""
    made = copy.deepcopy(source)
    by_code = {question.id: question.points for question in questions(made) if question.name}
    for cell in made.cells:
        if grade_id(cell) == "points":
            cell.source = f"tally({by_code})".replace("'", '"')
    return made


# ---- taking the answers back out -----------------------------------------------------------------


def answers(submitted: NotebookNode, source: NotebookNode) -> dict[str, str]:
    """What a student has written into the answer cells, by grade_id; the first cell with an id counts.

    Nothing else of the notebook is read: not its checks, not its points, not the student's own cells. An answer
    that still is the stub is left out. Where the metadata are lost, a cell is known by its id.
    """
    names = {cell.get("id"): grade_id(cell) for cell in source.cells if grade_id(cell)}
    wanted = {grade_id(cell): cell for cell in student_copy(source).cells if is_answer(cell)}
    found = {}
    for cell in submitted.cells:
        name = grade_id(cell) or names.get(cell.get("id"), "")
        if name in wanted and cell.cell_type == wanted[name].cell_type and name not in found:
            found[name] = cell.source
    return {name: text for name, text in found.items() if text.strip() != wanted[name].source.strip()}


def student_id(submitted: NotebookNode) -> str:
    """The id in the cell STUDENT = "…"; "" if there is none. The cell is read, not run."""
    for cell in submitted.cells:
        if grade_id(cell) != STUDENT:
            continue
        try:
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STUDENT":
                    value = ast.literal_eval(node.value)
                    return str(value).strip() if isinstance(value, str | int) else ""
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""
    return ""


def merged(source: NotebookNode, given: dict[str, str], student: str) -> NotebookNode:
    """The pristine notebook with a student's answers in it, and no solution. Where an answer is missing, the stub."""
    made = student_copy(source)
    for cell in made.cells:
        if grade_id(cell) == STUDENT:
            cell.source = f"STUDENT = {student!r}"
        elif is_answer(cell):
            cell.source = given.get(grade_id(cell), cell.source)
    return made
