"""Grading: submissions in, one record for each out. Their code runs in a sandbox; what it returns is judged here.

    a submission's answers ─→ the pristine notebook ─→ Sandbox.run() ─→ check.judge() ─→ a record (JSON)

Nothing that a submission says of itself counts: points, checks and setup come from the source, right answers never
leave this process, and the inputs are drawn anew for each run.
"""

import hashlib
import json
import os
import queue
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import nbformat
import torch
from nbformat import NotebookNode

from ..files import write_whole
from .assignment import Question, answers, grade_id, is_answer, is_check, marks, merged, questions, student_id
from .check import error_line, grade, judge, load_exercise, of_homework, seed_of, unanswered
from .check import given as given_numbers
from .contest import Contest, rate
from .exercise import Exercise, Result
from .sandbox import Lost, Sandbox
from .worker import decode, encode

FOLDER = Path(__file__).parent
JUDGES = ("check.py", "exercise.py", "contest.py", "words.py", "assignments/passages.toml")  # besides its own files
LARGEST_FILE = 20_000_000  # bytes


@dataclass(frozen=True)
class Submission:
    """What was handed in, before anything of it runs."""

    file: str  # as the teacher sees it, relative to the folder of submissions
    student: str  # who handed it in
    time: float  # when it was handed in, seconds since 1970
    digest: str  # of the file, of its place and of what judges it
    signed: str = ""  # the id in the notebook, on which the numbers depend that a student is given
    answers: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unreadable: str = ""  # why it cannot be graded


@dataclass(frozen=True)
class Record:
    """What grading a submission gave. Kept as JSON, so that it need not be done again."""

    file: str
    student: str
    time: float
    digest: str
    seed: int  # of this submission's inputs; the same seed gives the same inputs
    results: dict[str, dict]  # by exercise: status, message, mistake, points
    texts: dict[str, str]  # answers for a person to read
    notes: list[str]
    answered: str = ""  # a digest of the answers, to find those that are the same
    unreadable: str = ""


# ---- reading -------------------------------------------------------------------------------------


def find_submissions(folder: Path) -> list[Path]:
    """All notebooks of a folder, or the one file. FileNotFoundError if there is none."""
    found = [folder] if folder.is_file() else sorted(folder.rglob("*.ipynb"))
    found = [path for path in found if ".ipynb_checkpoints" not in path.parts]
    found = [path for path in found if not stat.S_ISDIR(path.lstat().st_mode)]
    if not found:
        raise FileNotFoundError(f"there is no notebook in {folder}: name a folder of submissions, or one file")
    return found


def can_be_read(path: Path) -> bool:
    """Whether this is a file, of a size that can be read. No link is: it may lead to anything, even to itself."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST_FILE and os.access(path, os.R_OK)


def key_of(source: NotebookNode) -> bytes:
    """What a grade depends on besides the submission: the assignment, and the code that judges."""
    exercises = sorted(FOLDER.glob(f"assignments/homework_{homework_number(source)}*.py"))
    files = [*exercises, *(FOLDER / name for name in JUDGES)]
    return nbformat.writes(source).encode() + b"".join(path.read_bytes() for path in files)


def read_source(path: Path) -> NotebookNode:
    """An assignment. ValueError if the file is none."""
    try:
        source = nbformat.read(path, as_version=4)
        nbformat.validate(source)
        homework_number(source)
    except OSError:
        raise
    except Exception as e:  # anything may be in a file
        said = f"{type(e).__name__}: {e}".splitlines()[0][:200]
        raise ValueError(f"{path} is no notebook with an assignment: {said}") from None
    return source


def read_submission(path: Path, folder: Path, source: NotebookNode) -> Submission:
    """Read a notebook, without running anything of it. One that cannot be read says why."""
    file = path.relative_to(folder).as_posix() if path != folder else path.name
    name = named_by(path, folder)
    time, key = path.lstat().st_mtime, key_of(source)
    try:
        if not can_be_read(path):
            raise ValueError("it is a link, no file, larger than 20 MB, or closed to whoever grades")
        data = path.read_bytes()
        notebook = nbformat.reads(data.decode("utf-8"), as_version=4)
        given, student = answers(notebook, source), student_id(notebook)
        notes = tuple(oddities(notebook, source, student, name))
        if not any(grade_id(cell) for cell in notebook.cells):
            raise ValueError("no cell of the assignment is in it")
    except Exception as e:  # anything may be in a file: no JSON, no notebook, cells that are no cells
        said = f"unreadable: {e}".splitlines()[0][:200]
        return Submission(file, name, time, hashlib.sha256(file.encode()).hexdigest(), unreadable=said)
    digest = hashlib.sha256(key + name.encode() + data).hexdigest()
    fits = words(student) <= words(name) or not words(name)
    return Submission(file, student if student and fits else name, time, digest, student, given, notes)


def named_by(path: Path, folder: Path) -> str:
    """Who handed in a file, by its place: alice/hw4.ipynb, or alice.ipynb. What a notebook says of itself cannot be
    trusted: somebody else's id in it must not touch the other's grade."""
    parents = path.relative_to(folder).parts[:-1] if path != folder else ()
    return parents[0] if parents else path.stem


def words(name: str) -> set[str]:
    """The words in a name, but for "hw4" and numbers such as the "(1)" of a download, which name nobody."""
    found = re.split(r"[\W_]+", name.casefold())
    return {word for word in found if word and not re.fullmatch(r"(hw|homework)\d*|\d{1,2}", word)}


def oddities(notebook: NotebookNode, source: NotebookNode, student: str, name: str) -> Iterator[str]:
    """What a teacher should know of a submission: none of it changes the points."""
    cells = {grade_id(cell): cell for cell in notebook.cells if grade_id(cell)}
    locked = [cell for cell in source.cells if marks(cell).get("locked")]
    gone = [grade_id(cell) for cell in locked if grade_id(cell) not in cells]
    edited = [grade_id(cell) for cell in locked
              if grade_id(cell) in cells and cells[grade_id(cell)].source.strip() != cell.source.strip()]  # fmt: skip
    priced = [grade_id(cell) for cell in source.cells
              if grade_id(cell) in cells and marks(cells[grade_id(cell)]).get("points") != marks(cell).get("points")]
    if gone:
        yield f"locked cells deleted: {', '.join(gone)} (the originals were used)"
    if edited:
        yield f"locked cells edited: {', '.join(edited)} (the originals were used)"
    if priced:
        yield f"points edited: {', '.join(priced)} (the originals were used)"
    if not student:
        yield "no student id in the notebook: named by its place"
    elif words(name) and not words(student) <= words(name):
        yield f"the notebook says {student}, its place says {name}"


# ---- running and judging -------------------------------------------------------------------------


def steps_of(submission: Submission, source: NotebookNode, seed: int) -> tuple[list[dict], dict[str, list[int]]]:
    """The steps for the sandbox, and for each answered exercise the numbers of its steps, the question last."""
    asked = {question.id: question for question in questions(source)}
    steps, mine, own = [], {}, []
    for cell in merged(source, submission.answers, submission.signed).cells:
        if cell.cell_type != "code":
            continue
        if is_check(cell):
            exercise_id = next((i for i in asked if f'"{i}"' in cell.source), "")
            if own and exercise_id and grade_id(cell) != "points":
                cases = cases_of(exercise_id, seed)
                mine[exercise_id] = [*own, len(steps)]
                encoded = None if cases is None else [encode(case) for case in cases]
                steps.append({"ask": asked[exercise_id].name, "cases": encoded})
            own = []
        elif not is_answer(cell) or grade_id(cell) in submission.answers:
            own += [len(steps)] if is_answer(cell) else []
            steps.append({"cell": grade_id(cell) or "cell", "source": cell.source})
    return steps, mine


def cases_of(exercise_id: str, seed: int) -> list[tuple] | None:
    """The inputs on which a function is judged; None for a value."""
    exercise = load_exercise(exercise_id)
    if isinstance(exercise, Contest):
        return [inputs for inputs, _ in exercise.graded(seed, writes=True)]
    return exercise.cases(torch.Generator().manual_seed(seed)) if isinstance(exercise, Exercise) else None


def grade_submission(submission: Submission, source: NotebookNode, sandbox: Sandbox, seed: int) -> Record:
    """Run a submission's answers and judge what they return."""
    own_seed = int.from_bytes(hashlib.sha256(f"{seed} {submission.student}".encode()).digest()[:4], "little")
    all_questions = questions(source)
    by_code = [q for q in all_questions if q.name]
    texts = {q.id: submission.answers.get(q.id, "") for q in all_questions if not q.name}
    steps, mine = steps_of(submission, source, own_seed)
    numbers = {q.id: given_numbers(q.id, submission.signed) for q in by_code if hasattr(load_exercise(q.id), "draw")}
    replies = sandbox.run(steps, numbers) if mine else []
    results = {}
    for question in by_code:
        if question.id in mine:
            result = verdict(question, [replies[i] for i in mine[question.id]], submission.signed, own_seed)
        else:
            result = unanswered(load_exercise(question.id))
        results[question.id] = asdict(result) | {"points": round(question.points * result.share, 2)}
    said = sorted((name, " ".join(text.split())) for name, text in submission.answers.items())
    return Record(submission.file, submission.student, submission.time, submission.digest, seed, results, texts,
                  list(submission.notes), hashlib.sha256(repr(said).encode()).hexdigest() if said else "")  # fmt: skip


def verdict(question: Question, replies: list, signed: str, seed: int) -> Result:
    """Judge one exercise by the replies to its cells and to its question."""
    exercise = load_exercise(question.id)
    title = f"{exercise.id} {exercise.title}: not yet.\n  "
    *cells, reply = replies
    for cell in cells:
        if isinstance(cell, Lost):
            return Result("wrong", f"{title}When the answer's cell ran, {cell.reason}.")
    if isinstance(reply, Lost):
        return Result("wrong", f"{title}When the answer was called, {reply.reason}.")
    try:
        errors = [decode(cell["error"]) for cell in cells if cell.get("error")]
        if isinstance(exercise, Exercise) and "outcomes" in reply:
            cases = cases_of(question.id, seed)
            got = [decode(outcome) for outcome in reply["outcomes"]]
            if len(got) != len(cases):
                return Result("wrong", f"{title}It sent {len(got)} outputs for {len(cases)} inputs.")
            return judge(exercise, cases, got)
        if isinstance(exercise, Contest) and "outcomes" in reply:
            held, said = exercise.graded(seed, writes=True), [decode(outcome) for outcome in reply["outcomes"]]
            if len(said) != len(held):
                return Result("wrong", f"{title}It sent {len(said)} outputs for {len(held)} inputs.")
            return rate(exercise, held, said)
        judge_value = exercise.judge if isinstance(exercise, Contest) else partial(grade, exercise)
        result = judge_value(decode(reply["value"]), seed_of(signed))
        if errors and not result.share:
            return Result("wrong", f"{title}The answer's cell raised {error_line(errors[0])}")
        return result
    except Exception as e:  # what came is no reply of ours
        return Result("wrong", f"{title}What it sent could not be judged. {error_line(e)[:200]}")


# ---- many ----------------------------------------------------------------------------------------


def grade_all(
    submissions: list[Submission],
    source: NotebookNode,
    sandboxes: list[Sandbox],
    seed: int | None,
    kept: Path,
    again: bool = False,
    done: Callable[[], None] = lambda: None,
) -> list[Record]:
    """Grade submissions, as many at once as there are sandboxes; `done` is called after each.

    A record is written to the folder `kept` as soon as it is there, and what has one is not graded again.
    seed: of the inputs. None: what has been graded stays, whatever its seed was; all else gets a fresh one.
    """
    fresh = secrets.randbits(31) if seed is None else seed
    kept.mkdir(parents=True, exist_ok=True)
    free: queue.Queue[Sandbox] = queue.Queue()
    for sandbox in sandboxes:
        free.put(sandbox)

    def one(submission: Submission) -> Record:
        place = kept / f"{submission.digest}.json"
        if submission.unreadable:
            return empty(submission, submission.unreadable)
        if place.exists() and not again:
            known = Record(**json.loads(place.read_text(encoding="utf-8")))
            if seed in (None, known.seed):
                return Record(**asdict(known) | {"file": submission.file, "time": submission.time})
        sandbox = free.get()
        try:
            record = grade_submission(submission, source, sandbox, fresh)
        except OSError:
            raise  # no sandbox, no disk: nobody's submission is to blame
        except Exception as e:
            return empty(submission, f"could not be graded: {error_line(e)[:200]}")
        finally:
            free.put(sandbox)
        write_text(place, json.dumps(asdict(record), indent=1, ensure_ascii=False))
        return record

    records = {}
    with ThreadPoolExecutor(len(sandboxes)) as pool:
        waiting = {pool.submit(one, submission): submission.file for submission in submissions}
        for future in as_completed(waiting):
            records[waiting[future]] = future.result()
            done()
    return [records[submission.file] for submission in submissions]


def empty(submission: Submission, why: str) -> Record:
    """The record of what could not be graded."""
    notes = [*submission.notes, why]
    return Record(submission.file, submission.student, submission.time, submission.digest, 0, {}, {}, notes, "", why)


def homework_number(source: NotebookNode) -> int:
    """Which homework a source is, from its exercises. ValueError if they are of several, or of none."""
    ids = [question.id for question in questions(source)]
    numbers = {exercise_id.partition(".")[0] for exercise_id in ids}
    if len(numbers) != 1 or not all(of_homework(exercise_id) for exercise_id in ids):
        raise ValueError(f"an assignment's exercises have ids such as 4.1, 4.2, all of one homework; these are {ids}")
    return int(numbers.pop())


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    write_whole(path, text.encode())
