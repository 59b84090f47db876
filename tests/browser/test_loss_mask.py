"""The loss-mask strip in a browser: the mask switched, another example and model, the keyboard, a narrow page."""

import pytest

from minigpt.figures import LossMask

QUESTION = {"title": "a question", "ids": [5, 6, 7, 8], "tokens": list("abcd"), "labels": list("bcde"),
            "scored": [False, False, True, True], "losses": [[4.0, 2.0, 1.0, 3.0], [4.0, 2.0, 0.5, 0.5]]}  # fmt: skip
CHAT = {"title": "a chat", "ids": [1] * 90, "tokens": ["x"] * 90, "labels": ["y"] * 90,
        "scored": [t in (40, 80) for t in range(90)], "losses": [[1.0] * 90, [2.0] * 90]}  # fmt: skip


@pytest.fixture
def address(page_of):
    return page_of(LossMask([QUESTION, CHAT], ["before", "after"], position=2))


def test_the_mask_decides_what_is_scored(visit, address):
    shown = visit(address).locator(".loss-mask")
    words, labels = shown.locator(".words"), shown.locator(".label")
    assert labels.all_inner_texts() == ["−100", "−100", "d", "e"] and shown.locator(".ignored").count() == 2
    assert words.inner_text().startswith("2 of 4 labels are scored, mean loss 2.00 nats.")
    shown.get_by_label("loss mask").uncheck()
    assert labels.all_inner_texts() == list("bcde") and shown.locator(".ignored").count() == 0
    assert words.inner_text().startswith("All 4 labels are scored, mean loss 2.50 nats. The answer's 2 bring 40 %")


def test_models_examples_and_keyboard(visit, address):
    shown = visit(address).locator(".loss-mask")
    words = shown.locator(".words")
    shown.get_by_label("model").select_option("after")
    assert "mean loss 0.50 nats" in words.inner_text()
    assert "Place 2: the input is c, its label is d" in words.inner_text()
    place = shown.get_by_label("place")
    place.focus()
    place.press("ArrowLeft")
    assert "Place 1: the input is b, its label is −100" in words.inner_text()
    assert shown.locator(".here .input").inner_text().startswith("b")
    shown.get_by_label("example").select_option("a chat")
    assert words.inner_text().startswith("2 of 90 labels") and "Place 40" in words.inner_text()
    shown.locator(".column").nth(80).click()
    assert "Place 80" in words.inner_text()
    shown.get_by_text("The strip as a table").click()
    rows = shown.locator("tbody tr")
    rows.nth(89).wait_for(state="attached")  # the table is filled when it opens
    assert rows.count() == 90


def test_a_narrow_page_does_not_overflow(visit, address):
    page = visit(address, width=390)
    page.locator(".loss-mask").get_by_label("example").select_option("a chat")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    place = page.locator(".loss-mask").get_by_label("place")
    for key in ("End", "Home"):  # the column that is looked at is in view
        place.press(key)
        strip, here = (page.locator(name).bounding_box() for name in (".loss-mask .strip", ".loss-mask .here"))
        assert strip["y"] - 1 <= here["y"] and here["y"] + here["height"] <= strip["y"] + strip["height"] + 1
