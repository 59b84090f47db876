"""A deck of slides in a browser: opened from a file, moved on by keyboard, with living figures, and nothing cut off."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "book" / "tools"))
import furniture  # noqa: E402
import slides  # noqa: E402


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """The folder of two decks."""
    folder = tmp_path_factory.mktemp("slides")
    pages = furniture.chapter_pages()
    slides.make_slides([pages["2.1"], pages["4.1"]], folder)
    return folder


def open_deck(visit, decks, name):
    page = visit(next(decks.glob(f"{name}-*.html")).as_uri(), 1280)
    page.wait_for_selector("html.is-ready")
    return page


def number(page) -> int:
    return page.evaluate("Reveal.getSlidePastCount()")


def test_the_keyboard_moves_on_and_back(visit, decks):
    page = open_deck(visit, decks, "2-1")
    assert page.evaluate("Reveal.getTotalSlides()") >= 8 and number(page) == 0
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert number(page) == 2 and page.locator("section.present h2").first.inner_text() == "Play"
    page.keyboard.press("ArrowLeft")
    assert number(page) == 1 and page.locator("section.present details").count() == 1


def test_a_figure_lives_and_keeps_its_own_keys(visit, decks):
    page = open_deck(visit, decks, "2-1")
    page.evaluate("Reveal.slide(2)")
    figure = page.locator("section.present .minigpt-live")
    knob = figure.locator("input[type=range]").first
    before, box = figure.inner_text(), knob.bounding_box()
    frame = figure.bounding_box()
    assert frame["x"] <= box["x"] and box["y"] + box["height"] <= frame["y"] + frame["height"]  # not reveal's controls
    knob.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert number(page) == 2 and figure.inner_text() != before
    figure.get_by_role("button", name="Draw 200").click()
    assert "–" not in figure.locator("tbody tr").first.inner_text()


def test_mathematics_is_set(visit, decks):
    page = open_deck(visit, decks, "4-1")
    page.keyboard.press("ArrowRight")
    assert page.locator("section.present mjx-container").count() >= 1
    assert "$" not in page.locator("section.present section.present").inner_text()


@pytest.mark.parametrize("name", ["2-1", "4-1"])
def test_slides_fit_the_screen_or_scroll(visit, decks, name):
    page = open_deck(visit, decks, name)
    for i in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate(f"Reveal.slide({i})")
        high, room, style, wide = page.evaluate(
            "(() => { const s = Reveal.getCurrentSlide(); const style = getComputedStyle(s);"
            " return [s.scrollHeight, s.clientHeight, style.overflowY, s.scrollWidth - s.clientWidth]; })()"
        )
        assert high <= room or style == "auto"
        assert wide <= 0, f"slide {i + 1} is too wide"


def test_the_speakers_notes_open(visit, decks):
    page = open_deck(visit, decks, "2-1")
    page.evaluate("Reveal.slide(2)")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = popup.value
    notes.wait_for_function("document.querySelector('.speaker-controls-notes .value')?.innerText.length > 20")
    assert "Draw 200" in notes.locator(".speaker-controls-notes .value").inner_text()
