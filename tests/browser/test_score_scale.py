"""The figure of √d_k in a browser: the slider and the switch move all three panels and the words."""

import pytest

from minigpt.figures import ScoreScale, read_scores

READ = read_scores(n=200)


@pytest.fixture
def address(page_of):
    return page_of(ScoreScale(**READ))


def heights(shown, panel):
    bars = shown.locator(".panel").nth(panel).locator(".bar")
    return bars.evaluate_all("bars => bars.map((bar) => Number(bar.getAttribute('height')))")


def check(shown, index, way):
    one, d = READ[way][index], READ["sizes"][index]
    words = shown.locator(".words").inner_text()
    assert words.startswith(f"d = {d}, {'divided' if way == 'scaled' else 'not divided'}")
    for number in (one["std"], one["weights"][0], one["slope"]):
        assert f"{number:.2f}" in words
    assert heights(shown, 0) == pytest.approx([110 * x / max(one["bins"]) for x in one["bins"]])
    assert heights(shown, 1) == pytest.approx([110 * x for x in one["weights"]])
    most = 1.1 * max(x["slope"] for x in READ["plain"] + READ["scaled"])
    assert float(shown.locator("circle").get_attribute("cy")) == pytest.approx(110 * (1 - one["slope"] / most))
    assert shown.locator("tr.now th").text_content() == str(d)
    return words


def test_slider_and_switch_move_the_panels(visit, address):
    page = visit(address)
    shown = page.locator(".score-scale")
    assert "√1 = 1" in check(shown, 0, "plain")
    slider = shown.get_by_label("width d of queries and keys")
    slider.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "gains little" in check(shown, 2, "plain")  # d = 4
    page.keyboard.press("End")
    assert "Divided, it would be" in check(shown, 10, "plain")
    assert "lie outside the picture" in shown.inner_text()
    shown.get_by_label("divide by √d").check()
    check(shown, 10, "scaled")
    assert "Fewer than 1 score in 1,000" in shown.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_overflow(visit, address, scheme):
    page = visit(address, width=390, scheme=scheme)
    page.get_by_text("Every width as a table").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
