"""The evidence view in a browser: another question, another passage, and the figure's words agree with Python's."""

import pytest

from minigpt.figures import Evidence

YEARS = {"tokens": ["Ada", "␣(", "18", "15", "–", "18", "52", ")"], "start": [0.01, 0, 0.9, 0, 0, 0.05, 0, 0],
         "end": [0, 0, 0, 0.8, 0, 0, 0.1, 0], "span": [2, 3], "pointed": "1815", "sure": 0.72}  # fmt: skip
READ = {"text": "1815", "probability": 0.81, "pieces": [["18", 0.9], ["15", 0.9], ["■", 1.0]]}
MEMORY = {"text": "1899", "probability": 0.06, "pieces": [["18", 0.3], ["99", 0.2], ["■", 1.0]]}
EDITED = YEARS | {"tokens": ["Ada", "␣(", "17", "77", "–", "18", "52", ")"], "pointed": "1777"}
HIDDEN = {"tokens": [], "start": [], "end": [], "span": [], "pointed": "", "sure": 0.0}


def question(name, note, truth):
    views = [YEARS | {"name": "as it is", "edited": "", "written": READ},
             EDITED | {"name": "edited", "edited": "1777", "written": READ | {"text": "1777"}},
             HIDDEN | {"name": "hidden", "edited": "", "written": None}]  # fmt: skip
    return {"question": name, "note": note, "truth": truth, "memory": MEMORY, "views": views}


QUESTIONS = [question("When was Ada born?", "unseen", "The data say 1815."),
             question("When was Nobody born?", "invented", "Nobody of that name lived.")]  # fmt: skip


@pytest.fixture
def address(page_of):
    return page_of(Evidence(QUESTIONS))


def test_the_passage_is_edited_and_hidden_by_keyboard(visit, address):
    shown = visit(address).locator(".evidence")
    words = shown.locator(".words")
    assert "points at “1815” with probability 0.72. GPT, reading, writes “1815”" in words.inner_text()
    assert shown.locator(".token.inside .text").all_inner_texts() == ["18", "15"]
    assert shown.locator(".token .start").all_inner_texts() == ["", "", "▸0.90", "", "", "▸0.05", "", ""]
    assert shown.locator(".token .end").all_inner_texts() == ["", "", "", "◂0.80", "", "", "◂0.10", ""]
    shown.get_by_label("as it is", exact=True).focus()
    shown.page.keyboard.press("ArrowRight")
    assert "“1777”" in words.inner_text()
    assert shown.locator(".token.changed .text").all_inner_texts() == ["17", "77"]
    shown.page.keyboard.press("ArrowRight")
    said = "The head has nothing to point at. GPT from memory writes “1899”, probability 0.06. The data say 1815."
    assert words.inner_text().endswith(said)
    assert shown.locator(".token").count() == 0 and "nothing to read" in shown.locator(".way").nth(1).inner_text()


def test_another_question_and_the_tables(visit, address):
    shown = visit(address).locator(".evidence")
    shown.get_by_label("question").select_option(index=1)
    assert shown.locator(".words").inner_text().startswith("“When was Nobody born?”, as it is.")
    shown.get_by_text("The probabilities as tables").click()
    places = shown.locator("tbody").first.locator("tr")
    assert places.locator("th").all_inner_texts() == ["Ada", "18", "15", "18", "52"]
    assert shown.locator("tbody").nth(1).locator("tr").count() == 6
    assert shown.locator(".way").nth(2).locator(".chip b").all_inner_texts() == ["18", "99", "■"]


def test_two_figures_and_a_narrow_dark_page(visit, page_of):
    page = visit(page_of(Evidence(QUESTIONS), Evidence(QUESTIONS)), width=390, scheme="dark")
    first, second = page.locator(".evidence").all()
    second.get_by_label("hidden", exact=True).check(force=True)
    assert first.get_by_label("as it is", exact=True).is_checked() and second.locator(".token").count() == 0
    assert first.locator(".token").count() == 8
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
