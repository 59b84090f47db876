"""The figure of page 1.1 in a page: the reader moves along the text, changes the context, plays the game."""

import math

import pytest
import torch

from minigpt.figures import NextCharacter

VOCABULARY, TEXT, START = " abc\n", "abcab ab\nca", 4


@pytest.fixture(scope="module")
def figure():
    generator = torch.Generator().manual_seed(0)
    counting = torch.randn(2, 3, len(TEXT) - START, 5, generator=generator).softmax(-1)
    gpt = torch.randn(len(TEXT) - START, 5, generator=generator).softmax(-1)
    counted = {"kneser-ney": counting[0], "witten-bell": counting[1]}
    return NextCharacter(TEXT, START, VOCABULARY, counted, gpt, context=1)


@pytest.fixture
def address(page_of, figure):
    return page_of(figure)


def shows(shown, figure, position, context, smoothing="kneser-ney"):
    """The panels show these guesses, and the average up to here."""
    for panel, column in ((0, figure.counted[smoothing][context]), (1, figure.gpt)):
        bits, rank, best, shares = column[position]
        node = shown.locator(".panel").nth(panel)
        average = sum(guess[0] for guess in column[: position + 1]) / (position + 1)
        said = node.locator(".bits").inner_text()
        assert f"{bits:.2f} bits, rank {rank}. So far {average:.2f} bits" in said
        assert [float(text) for text in node.locator(".share").all_inner_texts()] == [round(p, 3) for p in shares]
        names = [text[0] for text in node.locator("tbody th").all_inner_texts()]
        assert names == [{" ": "␣", "\n": "⏎"}.get(char, char) for char in best]


def test_context_place_and_smoothing(visit, address, figure):
    page = visit(address)
    page.evaluate("document.addEventListener('keydown', () => (window.leaked = true))")
    shown = page.locator(".next-character")
    shows(shown, figure, 0, 1)
    context = shown.get_by_label("context of the counts")
    context.focus()
    context.press("ArrowRight")
    shows(shown, figure, 0, 2)
    shown.get_by_label("position").press("ArrowRight")
    shows(shown, figure, 1, 2)
    shown.get_by_label("smoothing").select_option("witten-bell")
    shows(shown, figure, 1, 2, "witten-bell")
    shown.locator(".passage span:not(.before)").nth(4).click()
    shows(shown, figure, 4, 2, "witten-bell")
    assert shown.locator(".words").inner_text().startswith("line break came.")
    assert not page.evaluate("window.leaked")
    shown.get_by_text("All numbers as a table").click()
    assert shown.locator("details tbody tr").count() == len(TEXT) - START


def test_the_reader_guesses_first(visit, address, figure):
    shown = visit(address).locator(".next-character")
    shown.get_by_label("guess yourself first").check()
    later = shown.locator(".passage span:not(.before)")
    assert not later.nth(0).is_visible() and not shown.locator(".panel").first.is_visible()
    assert not shown.get_by_text("All numbers as a table").is_visible()  # it would give the answers away
    entry = shown.get_by_label("your guess of the next character")
    entry.press_sequentially("cB")  # the next is b, and capitals do not matter
    assert later.nth(0).is_visible() and not later.nth(1).is_visible()
    assert "right, guess number 2" in shown.locator(".play").inner_text()
    shows(shown, figure, 0, 1)
    shown.get_by_role("button", name="space or line break").click()
    entry.press_sequentially("a")
    shown.get_by_role("button", name="give up").click()
    board = shown.locator(".board tbody tr").all_inner_texts()
    assert [row.split()[0] for row in board] == ["you", "counting", "GPT"]
    # Outcomes: second guess, first, first, given up: entropy 1.5 bits, and log₂ 5 for one character in four.
    assert board[0].split()[1:] == ["2", f"{1.5 + math.log2(5) / 4:.2f}"]
    ranks = [guess[1] for guess in figure.gpt[:4]]
    entropy = -sum(ranks.count(r) / 4 * math.log2(ranks.count(r) / 4) for r in set(ranks))
    assert board[2].split()[1:] == [str(ranks.count(1)), f"{entropy:.2f}"]
    for _ in range(10):  # more than there are characters: the game ends with the passage
        shown.get_by_role("button", name="give up").click()
    assert f"{len(TEXT) - START} characters" in shown.locator(".board").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_overflow(visit, address, scheme):
    page = visit(address, width=390, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("guess yourself first").check()
    page.get_by_role("button", name="give up").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
