"""The code of every folded solution is right where it is pasted: in its answer cell, with what its page imports."""

import ast
import re
from contextlib import suppress

import furniture
import pytest
from test_template import FOLDED, PAGES

from minigpt.homework.check import grade, load_exercise

CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def names_of(path) -> dict:
    """What a page imports, and its functions: the names that an answer may use there without running the rest."""
    source = "\n".join(cell.source for cell in furniture.read(path).cells if cell.cell_type == "code")
    page = {}
    for part in ast.parse(source).body:
        if isinstance(part, ast.Import | ast.ImportFrom | ast.FunctionDef):
            with suppress(NameError):  # a function whose defaults are what the page has computed
                exec(compile(ast.Module([part], []), path.name, "exec"), page)
    return page


def solutions(path) -> dict[str, tuple[str, str]]:
    """What answers each exercise: the name that its cell hands to check, and the code of the solution after it."""
    found, waiting = {}, None
    for cell in furniture.read(path).cells:
        asked = re.search(r'^check\("([\d.]+)", (\w+)', cell.source, re.MULTILINE)
        if cell.cell_type == "code" and asked:
            waiting = asked.groups()
        elif cell.cell_type == "markdown" and waiting:
            for title, body in FOLDED.findall(cell.source):
                if title in ("Solution", "Answer") and (code := CODE.search(body)):
                    found[waiting[0]] = (waiting[1], code[1])
            waiting = None
    return found


PRINTED = [
    (path, id, *answer)
    for path in [furniture.ROOT / "book" / "toolkit.ipynb", *PAGES.values()]
    for id, answer in solutions(path).items()
]


def test_there_are_solutions_in_code():
    assert len(PRINTED) > len(PAGES)


@pytest.mark.parametrize("path, id, name, code", PRINTED, ids=[id for _, id, *_ in PRINTED])
def test_the_printed_solution_is_right(path, id, name, code):
    page = names_of(path)
    exec(code, page)
    result = grade(load_exercise(id), page[name])
    assert result.status == "right", result.message
