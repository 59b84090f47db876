"""Make the copies of the assignments: homework/hw4.ipynb to hand out, homework/solutions/hw4.ipynb to keep.

    python book/tools/homework.py        all assignments
    python book/tools/homework.py 4      one

The source, chapters/homework/hw4.ipynb, also gets the cell that adds up the points written anew.
"""

import sys
from pathlib import Path

import nbformat

from minigpt.homework.assignment import solution_copy, student_copy, with_points

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "chapters" / "homework"


def make_copies(source: Path, folder: Path) -> None:
    """Write both copies of one assignment into `folder`; refresh the source itself."""
    (folder / "solutions").mkdir(parents=True, exist_ok=True)
    notebook = with_points(nbformat.read(source, as_version=4))
    kept = source.read_text(encoding="utf-8")
    if (text := nbformat.writes(notebook) + "\n") != kept:
        source.write_text(text, encoding="utf-8", newline="\n")
    for made, path in ((student_copy, folder / source.name), (solution_copy, folder / "solutions" / source.name)):
        path.write_text(nbformat.writes(made(notebook)) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    numbers = sys.argv[1:]
    sources = [SOURCES / f"hw{number}.ipynb" for number in numbers] or sorted(SOURCES.glob("hw*.ipynb"))
    for source in sources:
        if not source.exists():
            there = ", ".join(path.stem[2:] for path in sorted(SOURCES.glob("hw*.ipynb")))
            sys.exit(f"there is no {source.name}; there are homeworks {there}")
        make_copies(source, ROOT / "homework")
    print(f"{len(sources)} made: hand out homework/, keep homework/solutions/")
