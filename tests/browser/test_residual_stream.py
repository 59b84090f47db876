"""The residual stream in a browser: another token by mouse and by keyboard, and every number follows."""

import pytest

from minigpt.figures import ResidualStream

FIGURE = {
    "tokens": ["a", "b", "c"],
    "stream": [[1.0, 2.0, 4.0], [1.5, 3.0, 6.0], [2.0, 2.5, 8.0]],
    "writes": [[1.5, 2.5], [2.0, 3.5], [0.5, 6.0]],
    "cosines": [[0.25, 0.5], [-0.5, 0.0], [1.0, -0.25]],
    "lens": [
        [[["a", 1.0], ["b", 0.0]], [["b", 0.5], ["c", 0.25]]],
        [[["b", 0.9], ["c", 0.1]], [["x", 0.75], ["c", 0.25]]],
        [[["c", 1.0], ["a", 0.0]], [["c", 0.63], ["a", 0.02]]],
    ],
    "position": 0,
}


@pytest.fixture
def address(page_of):
    return page_of(ResidualStream(**FIGURE))


def state(shown) -> dict:
    shown.locator("summary").evaluate("summary => (summary.parentNode.open = true)")
    return {
        "words": shown.locator(".words").inner_text(),
        "writes": shown.locator(".labels .length").all_inner_texts(),
        "guesses": shown.locator(".guess").all_inner_texts(),
        "table": [row.locator("td").all_inner_texts() for row in shown.locator("tbody tr").all()],
        "river": shown.locator(".bed").get_attribute("d"),
    }


def test_mouse_and_keyboard_choose_the_token(visit, address):
    shown = visit(address).locator(".residual-stream")
    first = state(shown)
    assert first["words"] == ResidualStream(**FIGURE).words()
    assert first["writes"] == ["1.5", "2.5"] and first["guesses"] == ["a", "b", "b", "c"]
    assert first["table"] == [["", "", "1.0", "a 100 %"], ["1.5", "0.25", "2.0", ""], ["2.5", "0.50", "4.0", "b 50 %"]]
    shown.locator(".chip").nth(1).click()
    second = state(shown)
    assert second["words"] == ResidualStream(**FIGURE | {"position": 1}).words()
    assert second["table"][1] == ["2.0", "−0.50", "3.0", ""] and second["river"] != first["river"]
    shown.locator(".chip input:checked").focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.locator(".chip input").nth(2).is_checked()
    assert state(shown)["words"] == ResidualStream(**FIGURE | {"position": 2}).words()


def test_the_token_that_follows_is_marked(visit, address):
    shown = visit(address).locator(".residual-stream")
    assert shown.locator(".guess.true").all_inner_texts() == ["b", "b"]
    shown.locator(".chip").nth(2).click()
    assert shown.locator(".guess.true").count() == 0  # nothing follows the last token


def test_tributaries_are_as_wide_as_their_writes(visit, address):
    shown = visit(address).locator(".residual-stream")
    widths = [
        float(shown.locator(f".river .{part}").get_attribute("stroke-width")) for part in ("attention", "feed-forward")
    ]
    assert widths[1] / widths[0] == pytest.approx(2.5 / 1.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_is_drawn_again_when_the_width_changes(visit, address, scheme):
    page = visit(address, 390, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    before = page.locator(".bed").get_attribute("d")
    page.set_viewport_size({"width": 900, "height": 900})
    page.wait_for_function("d => document.querySelector('.bed').getAttribute('d') !== d", arg=before)
