"""The scaling explorer in a browser: the slider, budgets left out, and the same words and numbers as in Python."""

import numpy as np
import pytest

from minigpt.figures import ScalingExplorer, read_wall


def rows():
    dice = np.random.default_rng(0)
    for budget, best in ((1e10, 7000), (3e10, 12_000), (1e11, 26_000)):
        for size in best * np.geomspace(0.3, 3.5, 6):
            bits = 4 * (budget / 1e10) ** -0.05 + 0.2 * np.log(size / best) ** 2 + 0.02 * dice.standard_normal()
            yield {"budget": budget, "weights": round(size), "tokens": round(budget / 6 / size), "bits": bits}


@pytest.fixture(scope="module")
def figure():
    mine = {"budget": 3e10, "weights": 15_000, "tokens": 333_333, "bits": 3.8}
    return ScalingExplorer(**read_wall(list(rows()), [mine]))


@pytest.fixture
def address(page_of, figure):
    return page_of(figure)


def test_words_follow_the_slider_and_equal_pythons(visit, address, figure):
    shown = visit(address).locator(".scaling-explorer")
    slider = shown.get_by_label("budget of compute")
    slider.focus()
    for stop in range(5):
        assert shown.locator(".words").inner_text() == ScalingExplorer(**figure.state() | {"stop": stop}).words()
        assert shown.locator(".run.now").count() == (6, 7, 6, 0, 0)[stop]
        assert shown.locator(".best").count() == (stop < 3)
        assert ("not measured" in shown.locator("output").inner_text()) == (stop >= 3)
        shown.page.keyboard.press("ArrowRight")


def test_leaving_a_budget_out_changes_the_law(visit, address, figure):
    shown = visit(address).locator(".scaling-explorer")
    before = shown.locator(".law").get_attribute("d")
    shown.get_by_label("10¹¹", exact=True).uncheck()
    assert shown.locator(".law").get_attribute("d") != before
    assert shown.locator(".left-out").count() == 1 and shown.locator(".point").count() == 2
    assert shown.locator(".words").inner_text() == ScalingExplorer(**figure.state() | {"kept": [1, 1, 0]}).words()
    assert shown.get_by_label("10¹⁰", exact=True).is_disabled(), "a line needs two points"
    shown.get_by_label("10¹¹", exact=True).check()
    assert shown.locator(".law").get_attribute("d") == before


def test_the_law_of_the_bits_and_the_tables(visit, address, figure):
    shown = visit(address).locator(".scaling-explorer")
    assert shown.locator(".bar").count() == 3
    shown.get_by_label("its bits", exact=True).check()
    assert shown.locator(".bar").count() == 0 and "bits per byte (log paper)" in shown.locator("svg").last.inner_html()
    shown.get_by_label("budget of compute").fill("1")
    shown.get_by_text("The numbers as tables").click()
    runs = shown.locator("tbody").first.locator("tr")
    assert runs.count() == 7 and "15 k\t333 k\t3.80\tyours" in runs.all_inner_texts()
    laws = shown.locator("tbody").last.locator("tr").all_inner_texts()
    size, bits = (figure.laws["111"][name]["line"][4] for name in ("size", "bits"))
    assert laws[4].split("\t")[0] == "10¹³" and laws[4].split("\t")[3] == f"{bits[0]:.2f}" and size[1] < size[2]


def test_a_narrow_dark_page(visit, address):
    page = visit(address, width=390, scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    heights = page.locator(".scaling-explorer svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().y)")
    assert heights[1] > heights[0] + 100, "one picture under the other"
