"""What a teacher and the students read after grading: a CSV, a page for each student, and the class at a glance."""

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from .assignment import Question
from .grading import Record, write_text

STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
pre, .text { background: #f4f4f4; padding: .6rem; } .side { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); } .text h3 { margin: 0; } a { color: #0b57a4; }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616; } pre, .text { background: #262626; }
  a { color: #8ab8f0; } }"""


BY_HAND = " (by hand)"  # in the head of a column whose points a person gives


@dataclass(frozen=True)
class Row:
    """One student of the class."""

    student: str
    record: Record | None  # None: nothing was handed in
    late: timedelta | None = None
    notes: list[str] = field(default_factory=list)
    marks: dict[str, float] = field(default_factory=dict)  # the points that a person gave, by exercise

    @property
    def total(self) -> float | None:
        """The sum of the points; None if there is nothing to add up."""
        results = self.record.results if self.record else {}
        return sum(r["points"] for r in results.values()) + sum(self.marks.values()) if results or self.marks else None


def class_rows(
    records: list[Record],
    roster: list[str],
    times: dict[str, float],
    deadline: datetime | None = None,
    marks: dict[str, dict[str, float]] | None = None,
) -> list[Row]:
    """One row for each student, those of the roster first. Of several submissions the latest counts.

    Who has points that a person gave has a row too, though no longer on the roster nor among the submissions.

    times: when each file or student handed in, in seconds since 1970; otherwise the file's own time is taken.
    marks: the points that a person gave, by student (in any case) and exercise.
    """
    times = {name.casefold(): time for name, time in times.items()}
    given = {student.casefold(): points for student, points in (marks or {}).items()}
    by_student: dict[str, list[Record]] = {}
    for record in records:
        by_student.setdefault(record.student.casefold(), []).append(record)
    alike = same_answers(records)
    listed = {student.casefold() for student in roster}
    names = {student.casefold(): student for student in [*(marks or {}), *(r.student for r in records), *roster]}
    rows = []
    for key in [*dict.fromkeys(s.casefold() for s in roster), *sorted({*by_student, *given} - listed)]:
        found = sorted(by_student.get(key, []), key=lambda r: (not r.unreadable, handed_in(r, times)))
        if not found:
            note = "missing" if key in listed else "handed in nothing, not on the roster: kept for the points by hand"
            rows.append(Row(names[key], None, None, [note], given.get(key, {})))
            continue
        record = found[-1]
        notes = list(record.notes)
        if len(found) > 1:
            notes.append(f"{len(found)} submissions; {record.file} counts, not {', '.join(r.file for r in found[:-1])}")
        if roster and key not in listed:
            notes.append("not on the roster")
        twins = sorted({twin for r in found for twin in alike.get(r.file, []) if twin.casefold() != key})
        if twins:
            notes.append(f"the same answers as {', '.join(twins)}")
        after = handed_in(record, times) - deadline.timestamp() if deadline else 0
        late = timedelta(seconds=int(after)) if after > 0 else None
        rows.append(Row(names[key], record, late, notes, given.get(key, {})))
    return rows


def handed_in(record: Record, times: dict[str, float]) -> float:
    """When a submission was handed in, in seconds since 1970; `times` has its names in lower case."""
    return times.get(record.file.casefold(), times.get(record.student.casefold(), record.time))


def same_answers(records: list[Record]) -> dict[str, list[str]]:
    """For each file, the students who handed in the very same answers."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.answered:
            groups.setdefault(record.answered, []).append(record)
    return {r.file: [other.student for other in group if other is not r] for group in groups.values() for r in group}


def csv_text(rows: list[Row], asked: list[Question]) -> str:
    """The table as CSV: points by exercise, those that a person gives empty until they are given (read_marks)."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    columns = [q.id if q.name else f"{q.id}{BY_HAND}" for q in asked]
    table.writerow(["student", *columns, "total", "of", "late", "notes", "file", "seed"])
    for row in rows:
        results = row.record.results if row.record else {}
        points = [results[q.id]["points"] if q.id in results else row.marks.get(q.id, "") for q in asked]
        most = sum(q.points for q in asked if q.name or q.id in row.marks)
        total = "" if row.total is None else f"{row.total:g}"
        file, seed = (row.record.file, row.record.seed if results else "") if row.record else ("", "")
        cells = [row.student, *points, total, f"{most:g}", row.late or "", "; ".join(notes_of(row)), file, seed]
        table.writerow([harmless(cell) for cell in cells])
    return out.getvalue()


def read_marks(path: Path, asked: list[Question]) -> dict[str, dict[str, float]]:
    """The points that a person has written into the columns "by hand" of a table made by csv_text: by student, by
    exercise. ValueError if it is another table, if one is no number from 0 to the points of its exercise, or if two
    lines are of one student."""
    by_hand = {f"{question.id}{BY_HAND}": question for question in asked if not question.name}
    text = path.read_text(encoding="utf-8-sig")
    head = text.partition("\n")[0]
    table = csv.DictReader(io.StringIO(text), delimiter=";" if head.count(";") > head.count(",") else ",")
    columns = table.fieldnames or []
    if "student" not in columns or {c for c in columns if c.endswith(BY_HAND)} != set(by_hand):
        raise ValueError(f"{path} exists and is not the table of this homework: choose another --out")
    marks: dict[str, dict[str, float]] = {}
    rows = [(unharmed(row["student"] or ""), row) for row in table]
    lines_of = Counter(student.casefold() for student, _ in rows)
    for student, row in rows:
        for column, question in by_hand.items():
            said = (row[column] or "").strip()
            if not said:
                continue
            if lines_of[student.casefold()] > 1:
                raise ValueError(f"{path}: there are two lines of {student}: leave one, with the points that count")
            try:
                points = float(said.replace(",", "."))
            except ValueError:
                points = -1.0
            if not 0 <= points <= question.points:
                remedy = f"write a number from 0 to {question.points:g}, or leave it empty"
                raise ValueError(f"{path}: {student} has {said!r} for {question.id}; {remedy}")
            marks.setdefault(student, {})[question.id] = points
    return marks


def notes_of(row: Row) -> list[str]:
    """What there is to say of a student, with a line for each answer that did not run to its end."""
    ends = ("cell ran", "cell raised", "was called", "could not be judged", "It sent")
    results = row.record.results if row.record else {}
    lost = [f"{i}: {line.strip()}" for i, r in results.items() for line in r["message"].splitlines()[1:2]
            if any(end in line for end in ends)]  # fmt: skip
    return [*row.notes, *lost]


def harmless(cell) -> str:
    """Text that a spreadsheet does not take for a formula."""
    text = str(cell)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def unharmed(text: str) -> str:
    """The text of which `harmless` made this."""
    return text[1:] if harmless(text[1:]) == text else text


# ---- pages ---------------------------------------------------------------------------------------


def page(title: str, body: list[str]) -> str:
    """A whole page of HTML, which loads nothing."""
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = "\n".join(body)
    return f'<!doctype html>\n<html lang="en">\n<head>{head}<style>{STYLE}</style></head>\n' + (
        f"<body><main>\n<h1>{escape(title)}</h1>\n{body}\n</main></body>\n</html>\n"
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table; cells are HTML already. Numbers stand right."""
    def cell(text):
        return f'<td class="n">{text}</td>' if re.fullmatch(r"[\d.]+", text) else f"<td>{text}</td>"

    lines = ["<tr>" + "".join(f'<th scope="col">{h}</th>' for h in head) + "</tr>"]
    return "<table>\n" + "\n".join(lines + ["<tr>" + "".join(map(cell, r)) + "</tr>" for r in rows]) + "\n</table>"


def student_page(row: Row, asked: list[Question], source: NotebookNode) -> str:
    """One student's feedback: points, what was found, and the hints for what is not yet right."""
    results = row.record.results if row.record else {}
    lines = [f"{q.id}: {results[q.id]['points']:g} of {q.points:g}" for q in asked if q.id in results]
    body = [f"<p>{escape(', '.join(lines))}. Inputs drawn from seed {row.record.seed}.</p>" if lines else ""]
    body += [f"<p>{escape(note)}</p>" for note in row.notes]
    for question in asked:
        if question.id in results:
            result = results[question.id]
            body.append(f"<h2>{question.id}: {result['points']:g} of {question.points:g}</h2>")
            body.append(f"<pre>{escape(result['message'])}</pre>")
            if result["status"] != "right":
                body.append(f'<p><a href="#hints-{question.id}">Hints for {question.id}</a></p>')
        elif row.record and question.id in row.record.texts:
            given = f"{row.marks[question.id]:g} " if question.id in row.marks else ""
            body.append(f"<h2>{question.id}: {given}of {question.points:g}, read by your teacher</h2>")
            body.append(f"<pre>{escape(row.record.texts[question.id]) or 'not answered'}</pre>")
    wrong = [i for i, result in results.items() if result["status"] != "right"]
    for exercise_id in wrong:
        body.append(f'<h2 id="hints-{exercise_id}">Hints for {exercise_id}</h2>')
        body += [f"<details><summary>{s}</summary><p>{escape(t)}</p></details>" for s, t in hints(source, exercise_id)]
    return page(f"Feedback for {row.student}", body)


def hints(source: NotebookNode, exercise_id: str) -> list[tuple[str, str]]:
    """The hints of the source for one exercise: (summary, text) each."""
    for cell in source.cells:
        if cell.cell_type == "markdown" and cell.source.startswith(f"### Hints for {exercise_id}\n"):
            return re.findall(r"<summary>(.*?)</summary>\n+(.*?)\n+</details>", cell.source, re.DOTALL)
    return []


def overview_page(rows: list[Row], asked: list[Question], title: str) -> str:
    """The class: which exercise failed how often and with which known mistake, and each student's points."""
    results = [row.record.results for row in rows if row.record]
    lines, body = [], []
    for question in asked:
        found = [result[question.id] for result in results if question.id in result]
        if found:
            counts = Counter(r["status"] for r in found)
            mean = sum(r["points"] for r in found) / len(found)
            kinds = [str(counts[kind]) for kind in ("right", "wrong", "unanswered")]
            lines.append([question.id, *kinds, f"{mean:.2f}", f"{question.points:g}"])
            for mistake, n in Counter(r["mistake"] for r in found if r["mistake"]).most_common():
                body.append([question.id, str(n), escape(mistake)])
    parts = [f"<p>{sum(row.total is not None for row in rows)} graded of {len(rows)}.</p>"]
    parts += ["<h2>Exercises</h2>", table(["exercise", "right", "wrong", "open", "mean points", "of"], lines)]
    if body:
        parts += ["<h2>Known mistakes</h2>", table(["exercise", "times", "what it was"], body)]
    people = []
    for row in rows:
        name = escape(row.student)
        linked = f'<a href="{page_name(row.student)}">{name}</a>' if row.record else name
        total = "" if row.total is None else f"{row.total:g}"
        people.append([linked, total, f"late by {row.late}" if row.late else "", escape("; ".join(notes_of(row)))])
    parts += ["<h2>Students</h2>", table(["student", "points", "late", "notes"], people)]
    if any(not question.name for question in asked):
        parts.append('<p><a href="explanations.html">The answers to be read by a person, side by side</a></p>')
    return page(title, parts)


def explanations_page(rows: list[Row], asked: list[Question]) -> str:
    """All answers that a person reads, question by question, side by side."""
    body = []
    for question in asked:
        if question.name:
            continue
        body += [f"<h2>{question.id} (of {question.points:g})</h2>", '<div class="side">']
        for row in rows:
            text = row.record.texts.get(question.id, "") if row.record else ""
            if text.strip():
                said = f"<pre>{escape(text)}</pre>"
                body.append(f'<section class="text"><h3>{escape(row.student)}</h3>{said}</section>')
        body.append("</div>")
    return page("Explanations", body)


def page_name(student: str) -> str:
    """The file name of a student's page: letters and digits as they are, everything else as its code."""
    return "student-" + "".join(c if c.isalnum() and c.isascii() else f"_{ord(c):x}_" for c in student)[:150] + ".html"


def write_reports(rows: list[Row], asked: list[Question], source: NotebookNode, out: Path, title: str) -> Path:
    """Write the CSV and, in a folder beside it that carries its name, the pages. Returns the class overview."""
    folder = out.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row.record:
            write_text(folder / page_name(row.student), student_page(row, asked, source))
    write_text(folder / "explanations.html", explanations_page(rows, asked))
    write_text(folder / "overview.html", overview_page(rows, asked, title))
    write_text(out, csv_text(rows, asked))
    return folder / "overview.html"
