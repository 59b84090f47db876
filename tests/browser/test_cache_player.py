"""The KV cache player in a browser: stepped by keyboard, by slider, and played."""

import pytest

from minigpt.figures import CachePlayer

TOKENS = ["Once", "␣upon", "␣a", "␣time", "⏎"]
STATE = dict(tokens=TOKENS, prompt=2, without=[2000, 3100, 4200], cached=[2000, 1100, 1200])


@pytest.fixture
def address(page_of):
    return page_of(CachePlayer(**STATE, per_token=4096))


def counters(shown):
    rows = shown.locator("tbody").first.locator("tr")
    return [[cell.inner_text() for cell in rows.nth(i).locator("td").all()] for i in range(rows.count())]


def test_steps_by_keyboard(visit, address):
    shown = visit(address).locator(".cache-player")
    figure = CachePlayer(**STATE, per_token=4096)
    assert shown.locator(".words").inner_text() == figure.words()
    shown.get_by_role("button", name="Next").focus()
    shown.page.keyboard.press("Enter")
    figure.step = 2
    assert shown.locator(".words").inner_text() == figure.words()
    assert counters(shown) == [["3", "1"], ["3,100", "1,100"], ["5,100", "3,100"], ["0", "12,288"]]
    left, right = shown.locator(".side").nth(0), shown.locator(".side").nth(1)
    assert left.locator(".cell.again:not(.masked)").count() == 3 and left.locator(".cell.new:not(.masked)").count() == 3
    assert right.locator(".cell.again").count() == 0 and right.locator(".cell.new").count() == 3
    assert right.locator(".lane.stored").count() == 4 and right.locator(".lane.new").count() == 2
    assert shown.locator(".token.newest").inner_text() == "␣time"
    shown.get_by_role("button", name="Back").click()
    assert right.locator(".cell.new:not(.masked)").count() == 3 and left.locator(".cell.again").count() == 0


def test_the_slider_and_the_table_agree(visit, address):
    shown = visit(address).locator(".cache-player")
    slider = shown.get_by_label("step", exact=True)
    slider.fill("3")
    assert shown.locator("output").inner_text() == "3 of 3"
    assert not shown.get_by_role("button", name="Next").is_visible()
    slider.press("ArrowLeft")
    assert shown.locator("output").inner_text() == "2 of 3"
    shown.locator("summary").click()
    row = shown.locator("tr.now")
    assert row.inner_text().split() == ["2", "␣time", "3,100", "1,100", "12,288"]


def test_it_plays_to_the_end_and_again(visit, address):
    page = visit(address)
    shown, output = page.locator(".cache-player"), page.locator(".cache-player output")
    shown.get_by_role("button", name="Play").click()
    assert shown.locator(".words").get_attribute("aria-live") == "off"
    page.wait_for_function("document.querySelector('.cache-player output').textContent === '3 of 3'")
    shown.get_by_role("button", name="Play").wait_for()
    assert shown.locator(".words").get_attribute("aria-live") == "polite"
    shown.get_by_role("button", name="Play").click()
    assert output.inner_text() == "1 of 3"
    shown.get_by_role("button", name="Pause").click()
    assert shown.get_by_role("button", name="Play").is_visible()


def test_a_narrow_page(visit, address):
    page = visit(address, width=390, scheme="dark")
    page.get_by_label("step", exact=True).fill("3")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    first, second = (page.locator(".cache-player .side").nth(i).bounding_box() for i in (0, 1))
    assert second["y"] > first["y"] + first["height"] - 1  # one under the other
