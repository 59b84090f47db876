"""The cell with which a notebook fetches the book where there is none: on Colab, which opens a notebook and no more.

`make furniture` writes it into every notebook when _config.yml names a repository, and takes it out when it names none.
It is hidden in the book, and does nothing where minigpt is installed.
"""

from pathlib import Path

import nbformat.v4 as nb
import yaml

ROOT = Path(__file__).resolve().parents[2]
TAG = "install"
CELL = """\
# On Colab and the like: fetch the book, and install what it needs. Where minigpt is installed, this does nothing.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("minigpt") is None or os.path.isdir("minigpt-book"):
    if not os.path.isdir("minigpt-book"):
        subprocess.run(["git", "clone", "-q", "--depth", "1", "{repository}", "minigpt-book"], check=True)
        subprocess.run([{command}], check=True)
    sys.path.insert(0, os.path.abspath("minigpt-book"))
    os.chdir("minigpt-book/{folder}")"""


def repository() -> str:
    """The address of the public repository, from _config.yml; "" while there is none."""
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def is_install(cell) -> bool:
    return TAG in cell.metadata.get("tags", [])


def install_cell(address: str, folder: str, corpora: list[str]):
    """The cell for a notebook in this folder of the repository, which reads these corpora."""
    script = ["minigpt-book/book/tools/install.py", *corpora]
    command = ", ".join(["sys.executable", *(f'"{word}"' for word in script)])
    source = CELL.format(repository=address, command=command, folder=folder)
    return nb.new_code_cell(source, id=TAG, metadata={"tags": [TAG, "remove-cell"]})


def place(notebook, address: str, folder: str) -> None:
    """Put the cell before all other code, right after the header card; with no address, take it out."""
    notebook.cells = [cell for cell in notebook.cells if not is_install(cell)]
    if address:
        notebook.cells.insert(2, install_cell(address, folder, notebook.metadata["minigpt"]["data"]))
