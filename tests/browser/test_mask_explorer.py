"""The mask explorer in a browser: tokens are hidden, an order is changed by keys and by dragging, orders averaged."""

from itertools import permutations, product

import pytest

from minigpt.figures import MaskExplorer

WORDS = ["Ann", "loves", "New", "York"]


def example(title, before, shift):
    hidden = [h for h in product((False, True), repeat=4) if any(h)]
    return {
        "title": title, "before": before, "tokens": WORDS, "clm": [0.25, 0.3, 0.5, 0.9 - shift],
        "mlm": {"".join("01"[x] for x in h): [0.5 if x else None for x in h] for h in hidden},
        "plm": {"".join(map(str, o)): [(o.index(i) + 1) / 10 for i in range(4)] for o in permutations(range(4))},
    }  # fmt: skip


@pytest.fixture
def address(page_of):
    return page_of(MaskExplorer([example("one", "", 0), example("two", "Far <away>", 0.4)], position=3))


def rows(shown, panel):
    cells = shown.locator(f".panel.{panel} tbody tr")
    return ["".join(cells.nth(i).locator("td.cell").all_inner_texts()) for i in range(4)]


def test_tokens_are_hidden(visit, address):
    shown = visit(address).locator(".mask-explorer")
    assert rows(shown, "clm") == ["0000", "1000", "1100", "1110"] and rows(shown, "mlm") == ["1110"] * 4
    words = shown.locator(".words")
    assert "MLM sees Ann loves New and gives it 0.50" in words.inner_text()
    new = shown.locator(".hide").get_by_role("button", name="New")
    new.focus()
    shown.page.keyboard.press("Enter")
    assert new.get_attribute("aria-pressed") == "true" and rows(shown, "mlm") == ["1100"] * 4
    shown.locator(".hide").get_by_role("button", name="York").click()
    assert "MLM does not ask for it" in words.inner_text()
    assert shown.locator(".panel.mlm td.p").all_inner_texts() == ["not asked", "not asked", "0.50", "not asked"]


def test_an_order_by_keyboard(visit, address):
    shown = visit(address).locator(".mask-explorer")
    for button, times in (("guess Ann later", 3), ("guess loves later", 1)):  # 1234 -> 2341 -> 3241
        shown.get_by_role("button", name=button).focus()
        for _ in range(times):
            shown.page.keyboard.press("Enter")
    assert rows(shown, "plm") == ["0111", "0010", "0000", "0110"]
    assert "3 → 2 → 4 → 1" in shown.locator(".words").inner_text()
    assert "PLM sees loves New and gives it 0.30" in shown.locator(".words").inner_text()
    assert shown.locator(".strip b").all_inner_texts() == ["New", "loves", "York", "Ann"]
    focused = shown.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "guess loves later"  # it has moved, and kept the focus
    shown.get_by_role("button", name="guess Ann later").press("Enter")  # it is last already
    assert rows(shown, "plm") == ["0111", "0010", "0000", "0110"]
    shown.locator("summary").click()
    streams = shown.locator("details tbody")
    content, query = (["".join(streams.nth(n).locator("tr").nth(i).locator("td").all_inner_texts()) for i in range(4)]
                      for n in (0, 1))  # fmt: skip
    assert content == ["1111", "0110", "0010", "0111"] and query == ["0111", "0010", "0000", "0110"]


def test_an_order_by_dragging(visit, address):
    page = visit(address)
    strip = page.locator(".mask-explorer .strip")
    strip.scroll_into_view_if_needed()
    start, end = strip.locator(".handle").nth(0).bounding_box(), strip.locator(".chip").nth(1).bounding_box()
    page.mouse.move(start["x"] + 8, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] - 4, start["y"] + 8, steps=6)
    page.mouse.up()
    assert strip.locator("b").all_inner_texts()[:2] == ["loves", "Ann"]
    assert rows(page.locator(".mask-explorer"), "plm")[:2] == ["0100", "0000"]


def test_the_mean_another_guess_and_another_sentence_on_a_phone(visit, address):
    page = visit(address, width=390, scheme="dark")
    shown = page.locator(".mask-explorer")
    shown.get_by_label("mean over all 24 orders").check()
    assert rows(shown, "plm") == ["00.50.50.5", "0.500.50.5", "0.50.500.5", "0.50.50.50"]
    assert "PLM gives it 0.25 on average over all orders" in shown.locator(".words").inner_text()
    shown.get_by_role("button", name="guess York earlier").click()
    assert not shown.get_by_label("mean over all 24 orders").is_checked()
    assert shown.locator(".before").is_hidden()
    shown.get_by_label("two", exact=True).check()
    assert "“Far <away>”" in shown.locator(".before").inner_text()
    assert "CLM sees Ann loves New and gives it 0.50" in shown.locator(".words").inner_text()
    shown.get_by_label("loves", exact=True).check()
    assert shown.locator(".words").inner_text().startswith("The guess of “loves”: CLM sees Ann")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
