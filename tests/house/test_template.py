"""What every numbered page offers: a question first, a living figure, four exercises, a quiz, its sources."""

import re

import furniture
import pytest
from pybtex.database import parse_file

WORDS = range(1_200, 3_001)  # to read in 25 minutes: up to the exercises, and the summary; not what is folded away
OBJECTIVES = range(3, 6)
KINDS = {"Predict", "Code", "Explain"}
EXERCISE = r"^### (\d\.\d\.\d) (\w+): .+ \((?:easy|medium|hard), \d+ minutes\)$"
ALGEBRA = r"d_k|\\top|\\mathrm\{softmax\}|\\nabla|\bW_|Q K|QK"  # begins in part 4; parts 1 and 2 manage without
FOLDED = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.DOTALL)
PAGES = {number: path for number, path in furniture.chapter_pages().items() if path.suffix == ".ipynb"}

pytestmark = pytest.mark.parametrize("number", PAGES)


def prose(number: str) -> str:
    """The Markdown of a page, without the two generated cells."""
    cells = [cell for cell in furniture.read(PAGES[number]).cells if cell.cell_type == "markdown"]
    return "\n\n".join(c.source for c in cells if not {"card", "references"} & set(c.metadata.get("tags", [])))


def code(number: str) -> list:
    return [cell for cell in furniture.read(PAGES[number]).cells if cell.cell_type == "code"]


def section(text: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    found = re.search(rf"^## {heading}.*?$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section '{heading}'"
    return found[1]


def test_it_has_three_to_five_objectives(number):
    assert len(furniture.read(PAGES[number]).metadata["minigpt"]["objectives"]) in OBJECTIVES


def test_it_asks_before_it_tells(number):
    text = prose(number)
    answer = [title for title, _ in FOLDED.findall(section(text, "Predict first"))]
    assert answer == ["Answer"]
    assert text.index("## Predict first") < text.index("## Exercises")


def test_it_has_a_living_figure_of_its_own(number):
    outputs = [output for cell in code(number) for output in cell.outputs]
    shown = re.findall(r'data-figure="(\w+)"', "".join(o.get("data", {}).get("text/html", "") for o in outputs))
    assert set(shown) - {"quiz"}, "no living figure beside the quiz"
    assert shown.count("quiz") == 1


def test_it_has_four_exercises_each_checked_hinted_and_solved(number):
    text = prose(number)
    titles = re.findall(EXERCISE, text, re.MULTILINE)
    found = re.split(EXERCISE, text.partition("## Quiz")[0], flags=re.MULTILINE)[1:]
    assert [id for id, *_ in titles] == [f"{number}.{k}" for k in range(1, 5)]
    assert {kind for _, kind in titles} == KINDS
    checked = [re.search(r'^check\("([\d.]+)"', cell.source, re.MULTILINE) for cell in code(number)]
    assert [match[1] for match in checked if match] == found[::3]
    for id, body in zip(found[::3], found[2::3], strict=True):
        folds = FOLDED.findall(body)
        assert [title for title, _ in folds] == ["Hint 1", "Hint 2", "Hint 3", "Solution"], id
        assert all(len(text.split()) >= 3 for _, text in folds), id


def test_it_ends_with_quiz_summary_shapes_errors_and_sources(number):
    text = prose(number)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[-4:] == ["Exercises", "Quiz", "Summary", "Common errors, by symptom"]
    assert "Shape ledger" in section(text, "Summary")
    assert len(re.findall(r"^\| [^-]", section(text, "Common errors"), re.MULTILINE)) > 4  # the head, and four rows
    assert sum(cell.source == f'Quiz("{number}")' for cell in code(number)) == 1


def test_its_core_can_be_read_in_one_sitting(number):
    text = FOLDED.sub("", prose(number))
    core = text.partition("## Exercises")[0] + section(text, "Summary")
    assert len(core.split()) in WORDS


def test_every_work_that_it_links_to_stands_in_its_references(number):
    entries = parse_file(str(furniture.BIBLIOGRAPHY), bib_format="bibtex").entries
    listed = {entries[key].fields["url"] for key in furniture.read(PAGES[number]).metadata["minigpt"]["references"]}
    linked = set(re.findall(r"\]\((https?://(?:arxiv|doi|aclanthology|www\.jmlr|cdn\.openai)\S+?)\)", prose(number)))
    assert linked <= listed, f"add to the page's references: {sorted(linked - listed)}"


def test_the_algebra_waits(number):
    if number[0] in "12":
        found = re.search(ALGEBRA, FOLDED.sub("", prose(number)))
        assert not found, f"{found[0]!r}: probabilities and curves only, or folded as deeper"
