"""Make the copies of the assignments: homework/hw4.ipynb to hand out, homework/solutions/hw4.ipynb to keep.

    python book/tools/homework.py        all assignments
    python book/tools/homework.py 4      one

The source, chapters/homework/hw4.ipynb, also gets the cell that adds up the points written anew.
"""

import sys
from pathlib import Path

import nbformat

from minigpt.files import write_whole
from minigpt.homework.assignment import answers, solution_copy, student_copy, with_points

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "chapters" / "homework"


def make_copies(source: Path, folder: Path) -> None:
    """Write both copies of one assignment into `folder`; refresh the source itself.

    SystemExit, with nothing written, if somebody has begun to answer the copy that is to be handed out.
    """
    (folder / "solutions").mkdir(parents=True, exist_ok=True)
    notebook = with_points(nbformat.read(source, as_version=4))
    handed = folder / source.name
    if handed.exists() and answers(nbformat.read(handed, as_version=4), notebook):
        sys.exit(f"{handed} has answers in it and was left as it is: move it away first")
    if (text := nbformat.writes(notebook) + "\n") != source.read_text(encoding="utf-8"):
        write_whole(source, text.encode())
    for made, path in ((student_copy, handed), (solution_copy, folder / "solutions" / source.name)):
        write_whole(path, (nbformat.writes(made(notebook)) + "\n").encode())


if __name__ == "__main__":
    numbers = sys.argv[1:]
    sources = [SOURCES / f"hw{number}.ipynb" for number in numbers] or sorted(SOURCES.glob("hw*.ipynb"))
    for source in sources:
        if not source.exists():
            there = ", ".join(path.stem[2:] for path in sorted(SOURCES.glob("hw*.ipynb")))
            sys.exit(f"there is no {source.name}; there are homeworks {there}")
        make_copies(source, ROOT / "homework")
    print(f"{len(sources)} made: hand out homework/, keep homework/solutions/")
