"""Where a page can be run: its buttons, and the cell that fetches the book where there is none."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import execute
import furniture
import install
import install_cell
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import launch_buttons  # noqa: E402

PUBLIC = "https://github.com/example/minigpt"
PAGE = "chapters/2-core-concepts/2-1-gpt"


def buttons(address, suffix=".ipynb"):
    options = {"repository_url": address, "repository_branch": ""}
    context = {"page_source_suffix": suffix, "header_buttons": [], "pathto": lambda page: f"../../{page}.html"}
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options=options))
    launch_buttons.add_button(app, PAGE, "", context, None)
    return {link["text"]: link["url"] for group in context["header_buttons"] for link in group["buttons"]}


def test_a_public_repository_has_buttons_for_colab_and_binder():
    assert buttons(PUBLIC) == {
        "On your computer": "../../book/setup.html",
        "Colab": f"https://colab.research.google.com/github/example/minigpt/blob/main/{PAGE}.ipynb",
        "Binder": f"https://mybinder.org/v2/gh/example/minigpt/main?urlpath=lab/tree/{PAGE}.ipynb",
    }
    assert buttons(PUBLIC + "/") == buttons(PUBLIC + ".git") == buttons(PUBLIC)


@pytest.mark.parametrize("address", ["", "https://example.org/a/b", "https://github.com/example"])
def test_without_one_there_is_the_local_way(address):
    assert list(buttons(address)) == ["On your computer"]


def test_a_page_without_code_has_no_button():
    assert buttons(PUBLIC, ".md") == {}


@pytest.mark.parametrize("path", furniture.notebooks(), ids=lambda path: path.stem)
def test_the_install_cell_comes_and_goes(path):
    notebook, folder = furniture.read(path), path.parent.relative_to(ROOT).as_posix()
    before, code = [cell.source for cell in notebook.cells], execute.code_hash(notebook)
    install_cell.place(notebook, PUBLIC, folder)
    install_cell.place(notebook, PUBLIC, folder)  # twice is once
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert install_cell.is_install(first) and sum(map(install_cell.is_install, notebook.cells)) == 1
    assert "remove-cell" in first.metadata.tags and len(first.source.splitlines()) <= 25
    assert "card" in notebook.cells[1].metadata.tags and execute.code_hash(notebook) == code
    assert f'"{PUBLIC}"' in first.source and all(f'"{name}"' in first.source for name in notebook.metadata.minigpt.data)
    install_cell.place(notebook, "", folder)
    assert [cell.source for cell in notebook.cells] == before


@pytest.mark.parametrize("path", furniture.notebooks(), ids=lambda path: path.stem)
def test_every_notebook_has_the_cell_that_the_configuration_asks_for(path):
    notebook = furniture.read(path)
    stored = [cell.source for cell in notebook.cells if install_cell.is_install(cell)]
    install_cell.place(notebook, install_cell.repository(), path.parent.relative_to(ROOT).as_posix())
    assert stored == [cell.source for cell in notebook.cells if install_cell.is_install(cell)], "run `make furniture`"


def run_cell(monkeypatch, folder, installed):
    """Run the cell in `folder`; return the commands that it starts."""
    ran = []

    def record(command, check):
        ran.append(command)
        (Path("minigpt-book") / "chapters" / "2-core-concepts").mkdir(parents=True, exist_ok=True)

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(subprocess, "run", record)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there" if installed else None)
    exec(install_cell.install_cell(PUBLIC, "chapters/2-core-concepts", ["andersen"]).source, {})
    return ran


def test_where_minigpt_is_installed_the_cell_does_nothing(monkeypatch, tmp_path):
    before = list(sys.path)
    assert run_cell(monkeypatch, tmp_path, installed=True) == []
    assert Path.cwd() == tmp_path and sys.path == before and not list(tmp_path.iterdir())


def test_elsewhere_it_fetches_the_book_once(monkeypatch, tmp_path):
    clone, script = run_cell(monkeypatch, tmp_path, installed=False)
    assert clone[:2] == ["git", "clone"] and PUBLIC in clone
    assert script[1:] == ["minigpt-book/book/tools/install.py", "andersen"]
    assert (ROOT / "book" / "tools" / "install.py").exists()
    assert Path.cwd() == tmp_path / "minigpt-book/chapters/2-core-concepts"
    assert sys.path[0] == str(tmp_path / "minigpt-book")
    assert run_cell(monkeypatch, tmp_path, installed=True) == []  # the kernel was started anew
    assert Path.cwd() == tmp_path / "minigpt-book/chapters/2-core-concepts"


def test_an_installed_torch_is_kept(monkeypatch):
    ran = []

    def record(command, check):
        ran.append((command, Path(command[command.index("-c") + 1]).read_text() if "pip" in command else ""))

    monkeypatch.setattr(install.subprocess, "run", record)
    monkeypatch.setattr(install, "version", {"torch": "2.9.1+cu126"}.get)
    install.main(["andersen"])
    (pip, constraints), (fetch, _) = ran
    assert constraints == "torch==2.9.1+cu126\n" and pip[-1] == f"{ROOT}[pages]" and "--upgrade" not in pip
    assert fetch[-3:] == ["data", "fetch", "andersen"]


def test_binder_gets_the_pinned_packages():
    folder = ROOT / "binder"
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (included,) = [line.removeprefix("-r ") for line in lines if line.startswith("-r ")]
    assert (folder / included).resolve() == ROOT / "requirements.txt"
    assert os.access(folder / "postBuild", os.X_OK)
