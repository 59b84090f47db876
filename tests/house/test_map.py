"""The map of the book: whoever has the document finds the page, because section, file and title carry one number."""

import re
from pathlib import Path

import furniture
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

# The sections of the document, in its order, with the titles that the book gives them.
PARTS = {
    "1": "Background",
    "2": "Core concepts",
    "3": "Algorithms",
    "4": "Mathematics",
    "5": "Practice",
    "6": "Applications",
}
SECTIONS = {
    "1.1": "AI and NLP",
    "1.2": "The rise of LLMs",
    "2.1": "GPT",
    "2.2": "The core idea",
    "2.3": "GPT, BERT, XLNet",
    "3.1": "The Transformer",
    "3.2": "Pre-training",
    "3.3": "Fine-tuning",
    "4.1": "Self-attention",
    "4.2": "The Transformer block",
    "5.1": "Hugging Face Transformers",
    "6.1": "Text generation",
    "6.2": "Machine translation",
    "6.3": "Question answering",
}
FINISHED = {"1.1", "1.2", "2.1", "2.2", "2.3", "3.1", "3.2", "3.3", "4.1", "4.2", "5.1", "6.1", "6.2", "6.3"}


def toc_chapters() -> list[dict]:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    (book,) = [part["chapters"] for part in toc["parts"] if part["caption"] == "The book"]
    return book


def test_the_parts_of_the_toc_are_the_parts_of_the_document():
    titles = [furniture.title(ROOT / (chapter["file"] + ".md")) for chapter in toc_chapters()]
    assert titles == [f"{number} {name}" for number, name in PARTS.items()]


def test_the_pages_of_the_toc_are_the_sections_of_the_document():
    assert list(furniture.chapter_pages()) == list(SECTIONS)


def test_each_section_stands_under_its_own_part():
    for part in toc_chapters():
        number = Path(part["file"]).parent.name[0]
        for section in part["sections"]:
            folder, name = section["file"].split("/")[1:]
            assert folder[0] == name[0] == number, section["file"]


@pytest.mark.parametrize("number", SECTIONS)
def test_title_and_file_carry_the_number(number):
    page = furniture.chapter_pages()[number]
    assert page.exists(), f"_toc.yml names {page}, which does not exist"
    assert furniture.title(page) == f"{number} {SECTIONS[number]}"
    assert page.name.startswith(number.replace(".", "-") + "-")
    if page.suffix == ".ipynb":
        assert furniture.read(page).metadata["minigpt"]["number"] == number


def test_every_file_of_the_chapters_is_in_the_toc():
    stems = {page.stem for page in furniture.chapter_pages().values()}
    files = [path for path in (ROOT / "chapters").rglob("*") if path.is_file()]
    # The book's trained models; the homework's sources, whose solutions a reader of the book is not to see.
    files = [path for path in files if not {ROOT / "chapters" / f for f in ("models", "homework")} & set(path.parents)]
    strangers = [f for f in files if ".ipynb_checkpoints" not in f.parts and f.stem not in stems | {"index"}]
    assert not strangers, "a notebook's run left files behind, or a page is missing from _toc.yml"
    assert len(files) == len({path.with_suffix("") for path in files}), "a page exists as .md and as .ipynb"


def test_pages_that_are_coming_say_so_and_no_other_does():
    for number, page in furniture.chapter_pages().items():
        coming = ":::{admonition} This page is coming" in page.read_text(encoding="utf-8")
        assert coming == (page.suffix == ".md") == (number not in FINISHED), number
        index = (page.parent / "index.md").read_text(encoding="utf-8")
        (row,) = re.findall(rf"^\| \[{re.escape(number)} .*$", index, re.MULTILINE)
        assert row.startswith(f"| [{number} {SECTIONS[number]}]({page.name})")
        assert row.endswith("(coming) |") == coming, row


def test_a_promise_is_two_sentences():
    for number, page in furniture.chapter_pages().items():
        if number not in FINISHED:
            (promise,) = re.findall(r":class: note\n(.*?)\n:::", page.read_text(encoding="utf-8"), re.DOTALL)
            assert len(re.findall(r"[.!?](?=\s|$)", promise)) == 2, promise
