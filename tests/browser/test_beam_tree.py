"""The beam tree in a browser: walked by keyboard, widened, and ranked again by the length penalty."""

import pytest

from minigpt.figures import BeamTree

SEARCH = {"beams": 2, "steps": [
    [[-1, "␣un", -0.5, 1], [-1, "la", -1.0, 1], [-1, "b", -2.0, 0]],
    [[0, "■", -1.5, 2], [0, "o", -1.6, 1], [1, "x", -1.9, 1]],
    [[1, "■", -1.8, 2], [2, "■", -2.0, 2], [1, "x", -3.0, 0]],
]}  # fmt: skip
GREEDY = {"beams": 1, "steps": [[[-1, "␣un", -0.5, 1], [-1, "la", -1.0, 0]], [[0, "■", -1.5, 2], [0, "o", -1.6, 0]]]}


@pytest.fixture
def address(page_of):
    return page_of(BeamTree("a cat", [GREEDY, SEARCH], search=1))


def ranking(shown):
    return shown.locator("tbody").first.locator("th").all_inner_texts()


def test_steps_by_keyboard(visit, address):
    shown = visit(address).locator(".beam-tree")
    words = shown.locator(".words")
    assert words.inner_text().startswith("Step 1 of 3, width 2: of 3 candidates 2 go on, 1 dropped.")
    assert shown.locator(".node:not(.later)").count() == 3
    shown.get_by_role("button", name="Next").focus()
    shown.page.keyboard.press("Enter")
    assert "“uno”, log p −1.60" in words.inner_text() and "“un”, score −0.75" in words.inner_text()
    shown.page.keyboard.press("Enter")
    assert shown.locator(".node:not(.later)").count() == 9
    assert shown.get_by_role("button", name="From the start").is_visible()
    shown.get_by_role("button", name="Back").click()
    assert words.inner_text().startswith("Step 2 of 3")


def test_the_penalty_ranks_the_finished_again(visit, address):
    shown = visit(address).locator(".beam-tree")
    shown.get_by_role("button", name="All steps").click()
    figure = BeamTree("a cat", [SEARCH])
    for penalty in (1.0, 0.0, 2.0):
        shown.get_by_label("length penalty", exact=True).fill(str(penalty))
        figure.penalty = penalty
        assert ranking(shown) == [text for _, text, _, _ in figure.finished()]
    slider = shown.get_by_label("length penalty", exact=True)
    slider.fill("0")
    slider.press("ArrowRight")
    assert shown.locator("output").inner_text() == "0.1"


def test_another_width_and_a_narrow_page(visit, address):
    page = visit(address, width=390, scheme="dark")
    shown = page.locator(".beam-tree")
    shown.get_by_role("button", name="All steps").click()
    shown.get_by_label("1", exact=True).check()
    assert "Step 2 of 2, width 1" in shown.locator(".words").inner_text() and ranking(shown) == ["un"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
