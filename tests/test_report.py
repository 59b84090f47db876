"""The class's table: the points that a person gave are lost in no way, and a class with gaps has its reports too."""

from dataclasses import replace
from datetime import UTC, datetime

import nbformat
import pytest

from minigpt.homework.assignment import Question
from minigpt.homework.grading import Record
from minigpt.homework.report import Row, class_rows, csv_text, read_marks, write_reports

ASKED = [Question("4.1", 2.0, "parameters"), Question("4.6", 5.0, None)]
BY_HAND = {"4.6": 3.0}


def record(student):
    results = {"4.1": {"status": "right", "message": "4.1: right.", "mistake": None, "points": 2.0}}
    return Record(f"{student}.ipynb", student, 0.0, "", 7, results, {"4.6": "Because."}, [])


def again(tmp_path, rows, records, roster):
    """The rows of a second run, which finds the first run's table."""
    out = tmp_path / "grades.csv"
    out.write_text(csv_text(rows, ASKED), encoding="utf-8")
    return class_rows(records, roster, {}, marks=read_marks(out, ASKED))


@pytest.mark.parametrize("before, after", [("Alice", "alice"), ("alice", "ALICE"), ("ÉVA", "éva"), ("=a", "=A"),
                                           ("'bob", "'bob"), ("Ann, B", "ann, b")])  # fmt: skip
def test_points_by_hand_are_found_under_the_name_in_any_case(tmp_path, before, after):
    first = class_rows([record(before)], [], {}, marks={before: BY_HAND})
    (row,) = again(tmp_path, first, [record(before)], [after])
    assert (row.student, row.marks, row.total) == (after, BY_HAND, 5.0)


def test_who_is_in_neither_roster_nor_folder_any_more_keeps_the_points_by_hand(tmp_path):
    records = [record("alice"), record("bob"), record("carol")]
    first = class_rows(records, ["alice", "bob", "carol"], {}, marks={"bob": BY_HAND})
    rows = again(tmp_path, first, records[:1], ["alice"])  # carol, who has no such points, may go
    assert [(row.student, row.marks) for row in rows] == [("alice", {}), ("bob", BY_HAND)]
    assert "handed in nothing" in rows[1].notes[0] and rows[1].total == 3
    assert again(tmp_path, rows, records[:1], [])[-1].marks == BY_HAND  # and the time after, without a roster
    assert again(tmp_path, rows, records, [])[1].total == 5  # and when bob is there again


def test_two_lines_of_one_student_are_for_the_teacher_to_settle(tmp_path):
    rows = [Row("bob", record("bob"), marks=BY_HAND), Row("Bob", None, marks={"4.6": 1.0})]
    with pytest.raises(ValueError, match="two lines of bob"):
        again(tmp_path, rows, [record("bob")], [])


def test_points_by_hand_of_one_who_handed_in_nothing_are_in_all_reports(tmp_path):
    rows = [Row("alice", record("alice")), Row("bob", None, None, ["missing"], BY_HAND)]
    overview = write_reports(rows, ASKED, nbformat.v4.new_notebook(), tmp_path / "grades.csv", "Homework 4")
    assert "2 graded of 2" in overview.read_text(encoding="utf-8")
    assert "bob,,3.0,3,7" in (tmp_path / "grades.csv").read_text(encoding="utf-8")


def test_a_time_is_found_under_the_name_in_any_case():
    deadline = datetime(2026, 1, 2, tzinfo=UTC)
    on_time = deadline.timestamp() - 60
    handed = replace(record("alice"), time=deadline.timestamp() + 3600)  # the file's own time: copied an hour too late
    for name in ("Alice", "ALICE.ipynb"):
        (row,) = class_rows([handed], ["Alice"], {name: on_time}, deadline)
        assert row.late is None
    (row,) = class_rows([handed], ["Alice"], {}, deadline)
    assert row.late is not None
