"""The pages for teachers speak of what is there: sections, exercises, numbers, files, homeworks."""

import math
import re
from pathlib import Path

import furniture
import pytest

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"


def parts(name: str) -> dict[str, str]:
    """The sections of a teachers' page by the number of the chapter page that they are about."""
    text = (BOOK / name).read_text(encoding="utf-8")
    found = re.split(r"^## (\d\.\d) .*$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.mark.parametrize("number", furniture.chapter_pages())
def test_a_plan_names_what_its_page_has(number):
    plan, page = parts("lesson-plans.md")[number], furniture.chapter_pages()[number]
    notebook = "\n".join(cell.source for cell in furniture.read(page).cells)
    named = re.findall("“(.+?)”", plan)
    assert len(named) >= 3 and not [name for name in named if name not in notebook]
    exercises = set(re.findall(r"\b\d\.\d\.\d\b", plan))
    assert exercises and exercises <= set(re.findall(r"^### (\d\.\d\.\d) ", notebook, re.MULTILINE))
    for step in ("Vote", "Play", "Paper", "Live", "Break it", "Exit ticket", "Pairs", "Failure"):
        assert plan.count(f"**{step}**") == 1, step
    assert plan.count("\n- *") >= 3, "three misconceptions"


def test_every_page_has_a_worksheet_and_its_answers_are_right():
    sheets = parts("worksheets.md")
    assert list(sheets) == list(furniture.chapter_pages())
    assert all(sheet.count(":::{dropdown} Answers") == 1 for sheet in sheets.values())

    def said(number, *values):
        answers = sheets[number].split("{dropdown} Answers")[1]
        for value in values:
            assert value in answers, f"worksheet {number} should say {value}"

    after_n = [b for a, b in zip("banana bandana", "anana bandana", strict=False) if a == "n"]
    assert sorted(after_n) == ["a", "a", "a", "d"]
    said("1.1", f"{-math.log2(3 / 4):.2f}", f"{(0 + 2 * 2 / 14) / 6:.3f}", f"{(5 + 7) / 8}")
    said("1.2", "1.2 \\cdot 10^8", f"{6 * 2000 * 10_000 * 10 // (6 * 2000):,}")
    ends = [round(36 * share) for share in (0.5, 0.8, 1)]
    said("2.1", ", ".join(map(str, ends)), f"Number {6 * 2 + 1}", f"{6 * 4 + 3}", f"{math.sqrt(200 * 0.3 * 0.7):.1f}")
    said("2.1", ", ".join(f"{p * p / 0.38:.2f}" for p in (0.5, 0.3, 0.2)))
    said("2.2", f"{5 / 8}", f"{2 * 3 / 9:.2f}", f"{(2 * 3 / 9 + 4 / 5 + 0) / 3:.2f}")
    order = (2, 4, 1, 3)
    rank = {word: order.index(word) for word in order}
    said("2.3", ", ".join("".join(str(int(rank[j] < rank[i])) for j in (1, 2, 3, 4)) for i in (1, 2, 3, 4)))
    said("2.3", ", ".join(str(rank[word] + 1) for word in (1, 2, 3, 4)))
    said("3.1", "(1.1, 2.4)", "(2.1, 3.4)")
    said("3.2", f"{7 / 4}", f"{7 / 4 * math.log(2):.2f} nats", f"{math.log(50):.1f}")
    said("3.3", f"{10 / 13:.2f}", f"{4 / 11:.2f}")
    weights = [math.exp(s) / (2 * math.e + math.e**2) for s in (1, 1, 2)]
    said("4.1", f"{weights[0]:.2f}", f"{weights[2]:.2f}", f"{weights[0] + weights[2]:.2f}")
    said("4.2", f"{math.sqrt(0.75):.2f}", f"{1.5 / math.sqrt(0.75):.2f}", f"{0.5 / math.sqrt(0.75):.2f}", "244", "128")
    kept = [math.exp(z) / sum(map(math.exp, (4, 6, 2))) for z in (4, 6, 2)]
    said("5.1", ", ".join(f"{p:.2f}" for p in kept), f"{kept[1] / sum(kept[:2]):.2f}", f"{kept[0] / sum(kept[:2]):.2f}")
    said("6.1", f"{6 + 7 + 8}", f"{6 + 1 + 1}", f"{(2 + 1 + 3) / 12}")
    said("6.2", "5 of 6, 3 of 5, 1 of 4, 0 of 3", f"{-4.8 / 6:.1f}", f"{-3.6 / 3:.1f}")
    said("6.3", "0.18", f"{6 / 7:.2f}", "0.15")


def test_the_concept_test_cannot_be_guessed_by_position():
    text = (BOOK / "concept-test.md").read_text(encoding="utf-8")
    key = re.findall(r"^\| \d+ \| ([A-D]) \|", text, re.MULTILINE)
    assert len(key) == len(furniture.chapter_pages())
    assert set(key) == set("ABCD") and max(key.count(letter) for letter in "ABCD") < 6
