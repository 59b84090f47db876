"""The house itself: the Makefile says what it offers, the data page what is used, the bibliography what is cited."""

import json
import re
import subprocess
import sys
from pathlib import Path

import furniture
import lab
import pytest
from pybtex.database import parse_file

from minigpt.config import TrainConfig
from minigpt.corpora import CORPORA

ROOT = Path(__file__).resolve().parents[2]
PROMISED = "book test test-fast test-long lab serve data data-all execute mutants clean help".split()


def test_make_help_names_every_promised_target():
    offered = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(PROMISED) <= set(offered)
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(f"make {target} " in shown for target in offered)


def test_an_older_python_is_told_so(tmp_path):
    old = tmp_path / "python-of-old"
    pretend = "import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])"
    version = 'if [ "$1" = -V ]; then echo "Python 3.9.2"; exit; fi'
    old.write_text(f"#!/bin/sh\n{version}\nexec {sys.executable} -c '{pretend}' \"$2\"\n")
    old.chmod(0o755)
    command = ["make", "-f", str(ROOT / "Makefile"), "book", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode != 0
    assert "needs Python 3.11 or newer" in answer.stdout and "Python 3.9.2" in answer.stdout
    assert not (tmp_path / "venv").exists()


def test_a_missing_python_is_told_so(tmp_path):
    command = ["make", "book", "PYTHON=no-such-python", f"VENV={tmp_path / 'venv'}"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode != 0 and "install Python 3.11 or newer" in answer.stdout


@pytest.mark.parametrize("name", furniture.TABLES)
def test_generated_tables_are_fresh(name):
    page = ROOT / "book" / name
    assert furniture.with_table(page) == page.read_text(encoding="utf-8"), "run `make furniture`"
    assert furniture.TABLES[name]() in page.read_text(encoding="utf-8")


def test_the_books_models_are_small_and_can_be_trained_again():
    folders = [path.parent for path in (ROOT / "chapters" / "models").glob("*/config.json")]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = set(re.search(r"^MODELS := (.+)$", makefile, re.M)[1].split())
    assert listed == {folder.name for folder in folders}
    kept = [f for f in (ROOT / "chapters" / "models").rglob("*") if f.suffix in (".safetensors", ".jsonl")]
    assert all(f.stat().st_size <= 6e6 for f in kept) and sum(f.stat().st_size for f in kept) <= 25 * 2**20
    for folder in folders:
        readme = " ".join((folder / "README.md").read_text(encoding="utf-8").split())
        assert f"make model-{folder.name}`" in readme, folder
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        command = ["make", "-n", f"model-{folder.name}"]
        asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert log[-1]["step"] == config["train"]["steps"] or "stopped" in log[-1]
        for option in ("steps", "lr", "batch_size"):  # what the Makefile says is what was done
            default = TrainConfig() if "minigpt train" in asked.stdout else None
            value = config["train"][option]
            told = re.search(rf"--{option.replace('_', '-')} (\S+)", asked.stdout)
            if told:
                assert float(told[1]) == value, (folder.name, option)
            elif default:
                assert getattr(default, option) == value, (folder.name, option)


def test_the_licence_names_every_text_that_keeps_its_own():
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    for corpus in CORPORA.values():
        if corpus.licence.startswith("CC"):
            assert corpus.licence in licence, corpus.name


def test_every_entry_of_the_bibliography_can_be_printed_and_followed():
    entries = parse_file(str(furniture.BIBLIOGRAPHY), bib_format="bibtex").entries
    assert len(entries) > 40
    for key, entry in entries.items():
        assert re.match(r"[a-z]+\d{4}[a-z0-9]+$", key) and entry.fields["year"] in key, key
        assert entry.fields["url"].startswith("http"), key
        assert re.match(r"- .+ \(\d{4}\)\. \[.+\]\(http.+\)\. \*.+\*\.$", "- " + furniture.reference(entry)), key


def test_a_learners_own_copy_is_never_overwritten(tmp_path):
    source, target = tmp_path / "chapters", tmp_path / "lab"
    (source / "1").mkdir(parents=True)
    (source / "1" / "a.ipynb").write_text("ours")
    assert lab.copy_chapters(source, target) == 1
    (target / "1" / "a.ipynb").write_text("the learner's")
    (source / "1" / "b.ipynb").write_text("new")
    assert lab.copy_chapters(source, target) == 1
    assert (target / "1" / "a.ipynb").read_text() == "the learner's"
    assert (target / "1" / "b.ipynb").read_text() == "new"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_files_at_the_root_lead_somewhere(name):
    for target in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), f"{name} links to {target}"


def test_execute_refuses_a_notebook_that_is_no_page(tmp_path):
    command = [sys.executable, str(ROOT / "book" / "tools" / "execute.py"), str(tmp_path / "stranger.ipynb")]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 1 and "no notebook of _toc.yml" in answer.stderr
