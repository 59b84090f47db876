"""What a stored notebook must be: run, clean, readable anywhere, and with its card and references up to date."""

import re
from pathlib import Path

import execute
import furniture
import install_cell
import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_CELL = 25  # lines
LONGEST_RUN = 90  # seconds on 2 cores
MOST_MEMORY = 2000  # MB
PICTURES = ("image/png", "image/svg+xml", "image/jpeg")
FILE_NAME = re.compile(r"^\S+\.(png|svg|jpe?g)$")
MYST = re.compile(r"^\s*(:{3,}|`{3,}|~{3,})\{|\{[a-z][a-z:-]*\}`|^\([\w-]+\)=$", re.MULTILINE)
MACHINE = re.compile(r"/home/\w|/root/|/Users/\w|/tmp/|[A-Z]:\\\\?Users|/work/\w|site-packages")

pytestmark = pytest.mark.parametrize("path", furniture.notebooks(), ids=lambda path: path.stem)


def code_cells(path):
    cells = furniture.read(path).cells
    return [cell for cell in cells if cell.cell_type == "code" and not install_cell.is_install(cell)]


def outputs(path):
    return [output for cell in code_cells(path) for output in cell.outputs]


def test_it_ran_from_top_to_bottom(path):
    counts = [cell.execution_count for cell in code_cells(path) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)), "run `make execute NB=…`: the cells were not run in order"


def test_its_outputs_belong_to_its_code(path):
    measured = furniture.load_measurements().get(path.relative_to(ROOT).as_posix(), {})
    assert measured.get("code") == execute.code_hash(furniture.read(path)), "run `make execute NB=…`: it has changed"


def test_it_is_quick_and_small(path):
    measured = furniture.load_measurements()[path.relative_to(ROOT).as_posix()]
    assert measured["seconds"] <= LONGEST_RUN
    assert measured["peak_mb"] <= MOST_MEMORY


def test_no_error_and_no_stderr_is_stored(path):
    for cell in code_cells(path):
        if "raises-exception" not in cell.metadata.get("tags", []):
            assert not [output for output in cell.outputs if output.output_type == "error"], cell.source
    assert not [output for output in outputs(path) if output.get("name") == "stderr"]


def test_no_widget_without_its_kernel_is_stored(path):
    notebook = furniture.read(path)
    assert "widgets" not in notebook.metadata
    assert not [output for output in outputs(path) if execute.WIDGET_VIEW in output.get("data", {})]


def test_every_picture_has_words(path):
    for cell in code_cells(path):
        if any(set(PICTURES) & set(output.get("data", {})) for output in cell.outputs):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 3 and not FILE_NAME.match(alt), f"no alternative text:\n{cell.source}"
    for cell in furniture.read(path).cells:
        if cell.cell_type == "markdown":
            alts = re.findall(r"!\[(.*?)\]\(", cell.source) + re.findall(r"<img(?![^>]*alt=\"\w)[^>]*>", cell.source)
            assert all(len(alt.split()) >= 3 and not alt.startswith("<img") for alt in alts), cell.source


def test_learners_cells_hold_plain_markdown(path):
    for cell in furniture.read(path).cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"^```\w*\n.*?^```$|(?<!\})`[^`\n]+`", "", cell.source, flags=re.DOTALL | re.MULTILINE)
            assert not MYST.search(prose), f"a MyST directive or role, which JupyterLab shows raw:\n{cell.source}"


def test_no_cell_is_long(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source


def test_card_and_references_are_generated(path):
    notebook = furniture.read(path)
    assert furniture.find_cell(notebook, "card").source == furniture.card(path, notebook), "run `make furniture`"
    assert furniture.find_cell(notebook, "references").source == furniture.references(path, notebook)
    assert "card" in notebook.cells[1].metadata.get("tags", []), "the card stands right after the title"
    assert "references" in notebook.cells[-1].metadata.get("tags", []), "the references stand at the end"


def test_it_names_no_machine(path):
    found = [line for line in path.read_text(encoding="utf-8").splitlines() if MACHINE.search(line[:1000])]
    assert not found, found[:3]
