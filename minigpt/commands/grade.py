"""The command that grades homework."""

import csv
import re
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from tqdm.auto import tqdm
from tyro.conf import Positional

ASSIGNMENTS = Path(__file__).resolve().parents[2] / "chapters" / "homework"


def grade_command(
    submissions: Positional[Path],
    *,
    out: Path = Path("grades.csv"),
    homework: int | None = None,
    source: Path | None = None,
    roster: Path | None = None,
    deadline: str | None = None,
    times: Path | None = None,
    seed: int | None = None,
    jobs: int = 2,
    seconds: float = 20.0,
    memory: int = 2048,
    again: bool = False,
    trust: bool = False,
) -> None:
    """Grade a folder of submissions: a CSV, a page for each student, and an overview of the class.

    Points that you write into the CSV's columns "by hand" are kept, and added up, when the same command runs again.

    Args:
        submissions: a folder with alice.ipynb or alice/hw4.ipynb for each student, or one notebook.
        out: the CSV; the pages go into a folder of the same name beside it.
        homework: its number; read from the notebooks when not given.
        source: the assignment, with its solutions, when it is none of the book's.
        roster: a file with a student id on each line (of a CSV, the first column): who is missing is named.
        deadline: such as 2026-11-30T23:59, local time; what came later is marked, by how much.
        times: a CSV of student (or file) and time, where the files' own times say nothing.
        seed: of the random inputs, to repeat a run. Not given: a fresh one for what has no grade yet.
        jobs: how many submissions at once.
        seconds: the longest that one answer may run.
        memory: MB that a submission may use.
        again: grade also what has been graded before.
        trust: on Windows, run the submissions without walls around them.
    """
    try:
        import nbformat  # noqa: F401
    except ModuleNotFoundError as e:
        raise ModuleNotFoundError("grading reads notebooks: pip install nbformat") from e
    import torch

    from ..homework.assignment import questions
    from ..homework.grading import find_submissions, grade_all, homework_number, read_source, read_submission
    from ..homework.report import class_rows, read_marks, write_reports
    from ..homework.sandbox import Limits, Sandbox

    if jobs < 1 or seconds <= 0 or memory < 1:
        raise ValueError("jobs, seconds and memory must be at least 1")
    if out.suffix != ".csv":
        raise ValueError(f"--out names a CSV, such as grades.csv, and not {out.name}")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"{out.absolute().parent} does not exist: make the folder for {out.name} first")
    until = read_time(deadline) if deadline else None
    given_times = {row[0]: read_time(row[1]).timestamp() for row in read_rows(times, 2)} if times else {}
    everyone = [row[0] for row in read_rows(roster, 1)] if roster else []
    files = find_submissions(submissions)
    book = read_source(source or find_source(files, homework))
    number = homework_number(book)
    marks = read_marks(out, questions(book)) if out.exists() else {}
    found = [read_submission(path, submissions, book) for path in files]
    torch.set_num_threads(1)
    limits = Limits(seconds=seconds, total=6 * seconds, memory=memory)
    with ExitStack() as stack, tqdm(total=len(found), unit="submission") as bar:
        boxes = [stack.enter_context(Sandbox(limits, trust)) for _ in range(min(jobs, len(found)))]
        for box in boxes:
            box.start()
        bar.write(boxes[0].describe())
        records = grade_all(found, book, boxes, seed, out.with_suffix("") / "records", again, bar.update)
    rows = class_rows(records, everyone, given_times, until, marks)
    overview = write_reports(rows, questions(book), book, out, f"Homework {number}")
    seeds = sorted({record.seed for record in records if not record.unreadable})
    drawn = f", seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" if seeds else ""
    print(f"{out}: {len(rows)} students{drawn}. The class at a glance: {overview}")


def find_source(files: list[Path], homework: int | None) -> Path:
    """The assignment that these notebooks answer. ValueError if they do not say, or do not agree."""
    if homework is None:
        from ..homework.grading import can_be_read

        files = [path for path in files if can_be_read(path)]
        named = {found[1] for path in files if (found := re.search(r"hw(\d+)", path.name))}
        for path in files:
            named |= set(re.findall(r'"grade_id": "(\d+)\.\d+"', path.read_text(encoding="utf-8", errors="replace")))
        if len(named) != 1:
            said = "is " + " and ".join(sorted(named)) if named else "does not show"
            raise ValueError(f"which homework it is {said}: say --homework 4, for example")
        homework = int(named.pop())
    path = ASSIGNMENTS / f"hw{homework}.ipynb"
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: say --source with the assignment's notebook")
    return path


def read_rows(path: Path, least: int) -> list[list[str]]:
    """The rows of a CSV that have something in them, without its header, if one is there."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)]
    if rows and rows[0][0].casefold() in ("student", "id", "name", "file"):
        rows = rows[1:]
    if any(len(row) < least for row in rows):
        raise ValueError(f"{path}: each line needs {least} columns, separated by commas")
    return rows


def read_time(text: str) -> datetime:
    """A time such as 2026-11-30T23:59, local unless it says otherwise."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: write it like 2026-11-30T23:59") from None
