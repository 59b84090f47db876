"""The command that grades, where a class or a teacher's words are not as they should be; test_grading.py grades."""

import csv
import io
import json
import os
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from minigpt.commands.grade import find_source
from minigpt.homework import grading
from minigpt.homework.assignment import solution_copy
from minigpt.homework.grading import find_submissions, read_source, read_submission

ROOT = Path(__file__).resolve().parents[1]
SOURCE = nbformat.read(ROOT / "chapters" / "homework" / "hw4.ipynb", as_version=4)
ALICE = nbformat.writes(solution_copy(SOURCE))
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows there is no sandbox")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "alice.ipynb").write_text(ALICE, encoding="utf-8")
    return folder


def test_links_devices_and_folders_stop_nobody(folder):
    (folder / "hanging.ipynb").symlink_to(folder / "nothing")
    (folder / "endless.ipynb").symlink_to("/dev/zero")
    (folder / "alices.ipynb").symlink_to(folder / "alice.ipynb")
    os.mkfifo(folder / "pipe.ipynb")
    with open(folder / "large.ipynb", "wb") as file:
        file.truncate(grading.LARGEST_FILE + 1)
    (folder / "folder.ipynb").mkdir()
    (folder / "loop").symlink_to(folder)
    files = find_submissions(folder)
    found = {path.stem: read_submission(path, folder, SOURCE) for path in files}
    assert set(found) == {"alice", "alices", "endless", "hanging", "large", "pipe"}
    assert {name for name, submission in found.items() if not submission.unreadable} == {"alice"}
    assert all("link" in submission.unreadable for name, submission in found.items() if name != "alice")
    assert find_source(files, None).name == "hw4.ipynb"


def test_a_grade_is_kept_as_long_as_what_it_depends_on_is_the_same(folder, tmp_path, monkeypatch):
    homework = tmp_path / "homework"
    shutil.copytree(grading.FOLDER, homework)
    monkeypatch.setattr(grading, "FOLDER", homework)

    def digest():
        return read_submission(folder / "alice.ipynb", folder, SOURCE).digest

    first = digest()
    for name, same in (("assignments/homework_5.py", True), ("report.py", True), ("assignments/homework_4.py", False),
                       ("assignments/homework_4_block.py", False), ("check.py", False),
                       ("words.py", False)):  # fmt: skip
        old = homework.joinpath(name).read_bytes()
        homework.joinpath(name).write_bytes(old + b"\n# changed\n")
        assert (digest() == first) == same, name
        homework.joinpath(name).write_bytes(old)
    assert digest() == first


def test_a_seed_that_is_asked_for_is_the_one_that_is_used_and_named(minigpt, folder, tmp_path):
    out = tmp_path / "grades.csv"

    def run(*words):
        code, said = minigpt("grade", folder, "--out", out, "--jobs", 1, *words)
        assert code is None
        (line,) = csv.DictReader(io.StringIO(out.read_text(encoding="utf-8")))
        (record,) = [json.loads(p.read_text(encoding="utf-8")) for p in (tmp_path / "grades" / "records").iterdir()]
        assert line["total"] == "20" and line["seed"] == str(record["seed"])
        return record["seed"], said

    seed, said = run()
    assert f"seed {seed}." in said
    again, said = run()
    assert again == seed and f"seed {seed}." in said  # nothing was graded, and no other seed is named
    assert run("--seed", 5)[0] == 5 and run()[0] == 5
    (folder / "alice.ipynb").write_text("{", encoding="utf-8")
    code, said = minigpt("grade", folder, "--out", out, "--homework", 4, "--jobs", 1)
    assert code is None and "1 students. The class" in said  # nothing was drawn


@pytest.mark.parametrize("name", ["grades", "grades.", "grades.xlsx", ".csv"])
def test_out_is_a_table_or_nothing_is_begun(minigpt, folder, tmp_path, name):
    code, said = minigpt("grade", folder, "--out", tmp_path / name)
    assert "--out names a CSV, such as grades.csv" in code and not said
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\xff", '{"nbformat": 99}',
                                     '{"cells": 3, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
                                     '{"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
                                     '{"cells": [{}], "nbformat": 4, "nbformat_minor": 5}'])  # fmt: skip
def test_a_source_that_is_no_notebook_is_told_in_a_sentence(minigpt, folder, tmp_path, content):
    source = tmp_path / "hw.ipynb"
    source.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match="hw.ipynb is no notebook with an assignment"):
        read_source(source)
    out = ["--out", tmp_path / "grades.csv"]
    assert "hw.ipynb is no notebook" in minigpt("grade", folder, "--source", source, *out)[0]
    assert "No such file" in minigpt("grade", folder, "--source", tmp_path / "none.ipynb", *out)[0]
