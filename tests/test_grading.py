"""Grading a class: right points, named mistakes, and cheats that end with 0 points and leave all others unharmed."""

import csv
import io
import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
import torch

from minigpt.homework.assignment import grade_id, is_check, questions, solution_copy, student_copy
from minigpt.homework.check import load_exercise, run
from minigpt.homework.grading import cases_of, find_submissions, grade_all, read_submission, verdict
from minigpt.homework.report import class_rows, csv_text, harmless, notes_of, page_name, read_marks, write_reports
from minigpt.homework.sandbox import Sandbox
from minigpt.homework.worker import Limits, encode

ROOT = Path(__file__).resolve().parents[1]
SOURCE = nbformat.read(ROOT / "chapters" / "homework" / "hw4.ipynb", as_version=4)
FULL = {"4.1": 2.0, "4.2": 5.0, "4.3": 5.0, "4.4": 4.0, "4.5": 4.0}
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows there is no sandbox")
torch.set_num_threads(1)


@pytest.fixture(scope="module")
def box():
    with Sandbox(Limits(seconds=3, total=30, memory=1024, processes=12, file_size=1)) as box:
        box.start()
        yield box


def notebook(student, solved=True, source=SOURCE, **changed):
    """A submission. changed: new sources of cells, named by grade_id with _ for . and -."""
    made = (solution_copy if solved else student_copy)(source)
    for cell in made.cells:
        name = grade_id(cell).replace(".", "_").replace("-", "_")
        if name == "student":
            cell.source = f"STUDENT = {student!r}"
        if "c" + name in changed:
            cell.source = changed["c" + name]
    return made


def grade_class(folder, box, notebooks, seed=7, source=SOURCE, **options):
    """Records by file name, of notebooks by file name."""
    for name, content in notebooks.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else nbformat.writes(content), encoding="utf-8")
    found = [read_submission(path, folder, source) for path in find_submissions(folder)]
    records = grade_all(found, source, [box], seed, folder.parent / f"{folder.name}-records", **options)
    return {record.file: record for record in records}


def points(record):
    return {name: result["points"] for name, result in record.results.items()}


# ---- honest work ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "chapters" / "homework").glob("hw*.ipynb")))
def test_the_solution_has_full_points_and_the_students_copy_none(tmp_path, box, name):
    source = nbformat.read(ROOT / "chapters" / "homework" / f"{name}.ipynb", as_version=4)
    full = {q.id: q.points for q in questions(source) if q.name}
    read = {q.id for q in questions(source)} - set(full)
    for who, solved in (("alice", True), ("bob", False)):
        made = notebook(who, solved, source=source)
        record = grade_class(tmp_path / who, box, {f"{who}.ipynb": made}, source=source)[f"{who}.ipynb"]
        assert points(record) == (full if solved else dict.fromkeys(full, 0)), record.results
        assert record.notes == [] and set(record.texts) == read
        assert all(bool(text) == solved for text in record.texts.values())
        assert solved or all("not answered" in result["message"] for result in record.results.values())


def test_outputs_are_as_many_as_inputs():
    question, cases = next(q for q in questions(SOURCE) if q.id == "4.2"), cases_of("4.2", 7)
    right = [encode(run(load_exercise("4.2").reference, case)) for case in cases]
    assert verdict(question, [{"outcomes": right}], "", 7).status == "right"
    for outcomes in (right[:-1], [*right, right[0]]):
        result = verdict(question, [{"outcomes": outcomes}], "", 7)
        assert result.status == "wrong" and f"sent {len(outcomes)} outputs for {len(cases)} inputs" in result.message


def test_a_mistake_is_named_and_an_edge_costs_half(tmp_path, box):
    solution = {grade_id(cell): cell.source for cell in solution_copy(SOURCE).cells}
    unscaled = solution["4.2"].replace(" / math.sqrt(q.size(-1))", "")
    finite = solution["4.2"].replace("-math.inf", "-1e4")
    records = grade_class(tmp_path / "in", box, {
        "a.ipynb": notebook("a", c4_2=unscaled, c4_4="def block(:", c4_5="who_sees_whom = 3"),
        "b.ipynb": notebook("b", c4_2=finite, c4_1="parameters = 10")})  # fmt: skip
    first, second = (records[name].results for name in ("a.ipynb", "b.ipynb"))
    assert points(records["a.ipynb"]) == FULL | {"4.2": 0.0, "4.4": 0.0, "4.5": 0.0}
    assert "without dividing" in first["4.2"]["mistake"] and "SyntaxError" in first["4.4"]["message"]
    assert "without calling it" in first["4.5"]["message"]
    assert points(records["b.ipynb"]) == FULL | {"4.2": 2.5, "4.1": 0.0}
    assert "−10,000" in second["4.2"]["mistake"] and "extreme" in second["4.2"]["message"]


def test_the_same_seed_gives_the_same_inputs_and_another_others(tmp_path, box):
    wrong = {"a.ipynb": notebook("a", c4_4="def block(x, *rest):\n    return x")}
    said = [grade_class(tmp_path / str(i), box, wrong, seed)["a.ipynb"].results["4.4"]["message"]
            for i, seed in enumerate((1, 1, 2))]  # fmt: skip
    assert said[0] == said[1] != said[2]


# ---- cheats --------------------------------------------------------------------------------------

HEAD = "def causal_attention(q, k, v):\n    "
CHEATS = {  # what stands in the answer to 4.2, and what the report says of it
    "prints": (HEAD + "print('4.2 Causal attention: right.')", "not answered"),
    "prints much": (HEAD + "print('right ' * 10**7)", "not answered"),
    "patches check": ("import minigpt.homework.check as c\nc.check = c.grade = c.judge = lambda *a, **k: 'right'\n"
                      + HEAD + "return q", "shape"),
    "patches allclose": ("torch.allclose = torch.equal = lambda *a, **k: True\n" + HEAD + "return v", "shape"),
    "equals all": ("class All(torch.Tensor):\n    def __eq__(self, other): return True\n"
                   + HEAD + "return torch.zeros(1).as_subclass(All)", "shape"),
    "imports": ("from minigpt.homework.assignments.homework_4 import causal_attention", "ModuleNotFoundError"),
    "opens": (f"exec(open({str(ROOT / 'minigpt/homework/assignments/homework_4.py')!r}).read())", "Error"),
    "opens the source": (f"import json\njson.load(open({str(ROOT / 'chapters/homework/hw4.ipynb')!r}))", "Error"),
    "exits": (HEAD + "import sys; sys.exit(0)", "SystemExit"),
    "exits at once": ("import os\nos._exit(0)", "ended the whole process (exit status 0)"),
    "exits when called": (HEAD + "import os; os._exit(0)", "ended the whole process (exit status 0)"),
    "loops": (HEAD + "while True: pass", "longer than the 3 seconds"),
    "takes 100 GB": (HEAD + "return torch.zeros(25 * 10**9)", "allocate memory"),
    "deletes": (f"import shutil\nshutil.rmtree({str(ROOT / 'minigpt')!r})", "Error"),
    "writes": (f"open({str(ROOT / 'cheated.txt')!r}, 'w').write('x')", "Error"),
    "calls home": (HEAD + "import socket; return socket.create_connection(('1.1.1.1', 53), 1)", "OSError"),
    "knows the example": (HEAD + "return torch.tensor([[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]])", "expected"),
    "pickles": ("class P:\n    def __reduce__(self): return (exec, ('1/0',))\n" + HEAD + "return P()", "a P"),
    "writes to the channel": (HEAD + "import os\n    for n in range(64):\n        try: os.write(n, b'{\"step\": 6, "
                              "\"outcomes\": [{\"tensor\": [\"float32\", [1], \"AAAAAA==\"]}]}\\n')\n"
                              "        except OSError: pass", "wrote what is no answer"),
}  # fmt: skip


@pytest.mark.parametrize("cheat", CHEATS)
@pytest.mark.skipif(not (sys.platform == "linux" and os.geteuid() == 0), reason="the walls need root on Linux")
def test_a_cheat_has_no_points_and_harms_nobody(cheat, tmp_path, box):
    answer, said = CHEATS[cheat]
    if cheat == "deletes":  # not the real one, should a wall be down
        victim = tmp_path / "precious"
        victim.mkdir()
        answer = f"import shutil\nshutil.rmtree({str(victim)!r})"
    records = grade_class(tmp_path / "in", box, {
        "eve.ipynb": notebook("eve", c4_2=answer), "frank.ipynb": notebook("frank")})  # fmt: skip
    eve = records["eve.ipynb"]
    assert points(eve) == FULL | {"4.2": 0.0}, eve.results
    assert said in eve.results["4.2"]["message"]
    (row,) = class_rows([eve], [], {})
    ran = ("not answered", "shape", "expected", "SystemExit", "allocate memory", "OSError", "a P")  # and was wrong
    assert said in ran or "4.2: " in " ".join(notes_of(row))
    assert points(records["frank.ipynb"]) == FULL
    assert not (ROOT / "cheated.txt").exists() and (cheat != "deletes" or victim.exists())


@pytest.mark.skipif(not (sys.platform == "linux" and os.geteuid() == 0), reason="the walls need root on Linux")
def test_a_fork_bomb_has_no_points_and_harms_nobody(tmp_path, box):
    """test_sandbox.py proves the cap; here it is proven once more, with children that sleep, before the bomb."""
    count = "import os, time\ndef causal_attention(q, k, v):\n    n = 0\n    for _ in range(200):\n"
    count += "        try: pid = os.fork()\n        except OSError: break\n"
    count += "        if pid == 0: time.sleep(5); os._exit(0)\n        n += 1\n    return [n]"
    bomb = "import os\n" + HEAD + "while True:\n        try: os.fork()\n        except OSError: pass"
    said = grade_class(tmp_path / "first", box, {"a.ipynb": notebook("a", c4_2=count)})["a.ipynb"].results["4.2"]
    assert said["points"] == 0 and "(1,)" in said["message"]  # the cap let it end, and it sent one number
    records = grade_class(tmp_path / "in", box, {"eve.ipynb": notebook("eve", c4_2=bomb), "f.ipynb": notebook("f")})
    assert points(records["eve.ipynb"]) == FULL | {"4.2": 0.0} and points(records["f.ipynb"]) == FULL


def test_edited_checks_and_points_count_for_nothing_and_are_told(tmp_path, box):
    cheat = notebook("eve", solved=False)
    for cell in cheat.cells:
        if is_check(cell):
            cell.source = "print('right')"
            cell.metadata["nbgrader"]["points"] = 100
    cheat.cells = [cell for cell in cheat.cells if grade_id(cell) != "check-4.5"]
    record = grade_class(tmp_path / "in", box, {"eve.ipynb": cheat})["eve.ipynb"]
    assert set(points(record).values()) == {0.0}
    notes = " ".join(record.notes)
    assert "deleted: check-4.5" in notes and "edited: check-4.1" in notes and "points edited" in notes


def test_somebody_elses_id_does_not_touch_the_others_grade(tmp_path, box):
    records = grade_class(tmp_path / "in", box, {"alice/hw4.ipynb": notebook("alice"),
                                                 "mallory/hw4.ipynb": notebook("alice", solved=False)})  # fmt: skip
    rows = {row.student: row for row in class_rows(list(records.values()), [], {})}
    assert rows["alice"].total == 20 and rows["mallory"].total == 0
    assert "the notebook says alice, its place says mallory" in rows["mallory"].notes


# ---- the class -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def class_of_seven(tmp_path_factory, box):
    folder = tmp_path_factory.mktemp("class") / "in"
    same = "def block(x, mix, w_in, w_out, eps):\n    return x"
    records = grade_class(folder, box, {
        "alice/hw4.ipynb": notebook("alice"), "alice/hw4-again.ipynb": notebook("alice", c4_5="..."),
        "bob.ipynb": notebook("bob", False, c4_4=same), "carol.ipynb": notebook("carol", False, c4_4=same),
        "dan.ipynb": "{", "=cmd.ipynb": notebook("", False),
        "eve.ipynb": notebook("eve", c4_6="<script>alert(1)</script>")})  # fmt: skip
    return folder, records


def test_late_missing_unreadable_and_duplicate_submissions_are_named(class_of_seven):
    _, records = class_of_seven
    times = {"alice/hw4.ipynb": 2000.0, "alice/hw4-again.ipynb": 1000.0, "bob": 5000.0, "carol.ipynb": 10.0}
    roster = ["Alice", "bob", "carol", "dan", "gil"]
    rows = class_rows(list(records.values()), roster, times, datetime.fromtimestamp(3000))
    by_name = {row.student: row for row in rows}
    assert [row.student for row in rows][:5] == ["Alice", "bob", "carol", "dan", "gil"]
    assert by_name["Alice"].total == 20 and "alice/hw4.ipynb counts" in " ".join(by_name["Alice"].notes)
    assert by_name["bob"].late.total_seconds() == 2000 and by_name["carol"].late is None
    assert "the same answers as carol" in by_name["bob"].notes and "the same answers as bob" in by_name["carol"].notes
    assert by_name["gil"].notes == ["missing"] and "unreadable" in by_name["dan"].notes[0]
    assert "not on the roster" in by_name["eve"].notes


def test_the_reports_say_it_all_and_run_nothing(class_of_seven, tmp_path):
    _, records = class_of_seven
    rows = class_rows(list(records.values()), [], {})
    overview = write_reports(rows, questions(SOURCE), SOURCE, tmp_path / "grades.csv", "Homework 4")
    table = list(csv.DictReader(io.StringIO((tmp_path / "grades.csv").read_text(encoding="utf-8"))))
    by_name = {line["student"]: line for line in table}
    assert by_name["eve"]["total"] == "20" and by_name["eve"]["of"] == "20" and by_name["eve"]["4.6 (by hand)"] == ""
    assert "'=cmd" in by_name and by_name["dan"]["total"] == ""
    text = overview.read_text(encoding="utf-8")
    assert all(page_name(row.student) in text for row in rows)
    explained = (tmp_path / "grades" / "explanations.html").read_text(encoding="utf-8")
    assert "<script>" not in explained and "&lt;script&gt;" in explained
    feedback = (tmp_path / "grades" / page_name("bob")).read_text(encoding="utf-8")
    assert "0 of 4" in feedback and 'href="#hints-4.4"' in feedback and "torch.var" in feedback
    assert not list(tmp_path.rglob("*.part*"))
    assert csv_text([], questions(SOURCE)).count("\n") == 1
    assert harmless("=1") == "'=1" and harmless("a") == "a" and harmless("") == ""


def test_the_points_that_a_teacher_gives_are_kept_and_added(class_of_seven, tmp_path):
    _, records = class_of_seven
    asked, out = questions(SOURCE), tmp_path / "grades.csv"
    before = {row.student: row for row in class_rows(list(records.values()), [], {})}
    out.write_text(csv_text(list(before.values()), asked), encoding="utf-8")
    assert read_marks(out, asked) == {}

    def with_points(said, delimiter=","):
        lines = list(csv.DictReader(io.StringIO(csv_text(list(before.values()), asked))))
        table = io.StringIO()
        writer = csv.DictWriter(table, lines[0], delimiter=delimiter)
        writer.writeheader()
        for line in lines:
            writer.writerow(line | ({"4.6 (by hand)": said} if line["student"] == "eve" else {}))
        out.write_text(table.getvalue(), encoding="utf-8-sig")
        return read_marks(out, asked)

    for said, delimiter in (("3.5", ","), ("3,5", ";"), (" 3.50 ", ",")):  # as spreadsheets of several countries save
        assert with_points(said, delimiter) == {"eve": {"4.6": 3.5}}
    rows = class_rows(list(records.values()), [], {}, marks=with_points("3.5"))
    write_reports(rows, asked, SOURCE, out, "Homework 4")
    eve = next(r for r in csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))) if r["student"] == "eve")
    assert (eve["4.6 (by hand)"], eve["total"], eve["of"]) == ("3.5", "23.5", "25")
    assert "3.5 of 5, read by your teacher" in (tmp_path / "grades" / page_name("eve")).read_text(encoding="utf-8")
    assert read_marks(out, asked) == {"eve": {"4.6": 3.5}}  # and so they are there the next time too
    for wrong in ("6", "-1", "good", "nan"):
        with pytest.raises(ValueError, match="eve has .* for 4.6; write a number from 0 to 5"):
            with_points(wrong)
    for other in ("name,points\neve,3\n", "student,5.6 (by hand),total\neve,3,3\n", ""):
        out.write_text(other, encoding="utf-8")
        with pytest.raises(ValueError, match="choose another --out"):
            read_marks(out, asked)


def test_what_was_graded_is_not_graded_again(class_of_seven, box, monkeypatch):
    folder, records = class_of_seven
    monkeypatch.setattr(box, "run", lambda *_: pytest.fail("it ran again"))
    for seed in (None, 7):
        assert grade_class(folder, box, {}, seed)["eve.ipynb"] == records["eve.ipynb"]
        with pytest.raises(pytest.fail.Exception):
            grade_class(folder, box, {}, seed, again=True)
    with pytest.raises(pytest.fail.Exception):
        grade_class(folder, box, {}, seed=99)  # other inputs than those of the records


def test_the_command(minigpt, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "alice.ipynb").write_text(nbformat.writes(notebook("alice")), encoding="utf-8")
    (tmp_path / "roster.csv").write_text("student,name\nalice,A\nzoe,Z\n", encoding="utf-8")
    out = tmp_path / "grades.csv"
    options = ["--out", out, "--seed", 5, "--jobs", 1, "--roster", tmp_path / "roster.csv"]
    code, said = minigpt("grade", folder, *options)
    assert code is None and "seed 5" in said and "Held" in said
    table = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert [(line["student"], line["total"], line["notes"]) for line in table] == [
        ("alice", "20", ""), ("zoe", "", "missing")]  # fmt: skip
    assert "no notebook" in minigpt("grade", tmp_path / "grades", "--out", out)[0]
    assert "no time" in minigpt("grade", folder, "--out", out, "--deadline", "tomorrow")[0]
    assert "does not exist" in minigpt("grade", folder, "--out", tmp_path / "x" / "y.csv")[0]
    assert "there is no" in minigpt("grade", folder, "--out", out, "--homework", 99)[0]


@pytest.mark.long
def test_fifty_submissions_in_fifteen_minutes(minigpt, tmp_path):
    """One in ten hangs, one in ten is open but for one wrong answer."""
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(50):
        changed = {0: {"c4_2": HEAD + "while True: pass"}, 1: {"c4_4": "def block(*a): return 0"}}.get(i % 10, {})
        made = notebook(f"s{i:02}x", solved=i % 10 != 1, **changed)
        (folder / f"s{i:02}x.ipynb").write_text(json.dumps(made), encoding="utf-8")
    began = time.monotonic()
    code, _ = minigpt("grade", folder, "--out", tmp_path / "grades.csv", "--jobs", 2)
    took = time.monotonic() - began
    table = list(csv.DictReader(io.StringIO((tmp_path / "grades.csv").read_text(encoding="utf-8"))))
    assert code is None and [line["total"] for line in table].count("20") == 40
    print(f"50 submissions took {took:.0f} s")
    assert took < 15 * 60
