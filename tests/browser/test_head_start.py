"""The head-start figure in a browser: its sliders, the measure, the compute that was spent before, a narrow page."""

import numpy as np
import pytest

from minigpt.figures import HeadStart

SIZES, STEPS = [50, 200, 1000], [0, 10, 20]
RISE = np.array([[[0.1, 0.4, 0.5], [0.1, 0.5, 0.6], [0.1, 0.6, 0.7]],
                 [[0.1, 0.2, 0.3], [0.1, 0.3, 0.4], [0.1, 0.5, 0.6]]])  # fmt: skip
CURVES = np.stack([RISE - 0.02, RISE + 0.02], axis=2)  # two seeds
CHANCES = np.zeros((2, 3, 3, 2)) + [0.25, 0.75]
CHANCES[0] = [0.9, 0.1]
RULES = [{"name": "Word counts", "accuracy": [0.3, 0.5, 0.7], "F1": [0.2, 0.4, 0.6]},
         {"name": "Always “History”", "accuracy": [0.2] * 3, "F1": [0.1] * 3}]  # fmt: skip
LONG = {"steps": [0, 20, 60], "accuracy": [0.1, 0.6, 0.7], "F1": [0.0, 0.5, 0.6]}
ARTICLES = [{"title": "An ode", "text": "An ode is a poem.", "topic": "Arts", "chances": CHANCES},
            {"title": "A war", "text": "A war was fought.", "topic": "History", "chances": CHANCES}]  # fmt: skip


@pytest.fixture
def address(page_of):
    measures = {"accuracy": CURVES, "F1": CURVES / 2}
    more = dict(rules=RULES, long=LONG, cost=[8_000_000, 1000], topics=["Arts", "History"], articles=ARTICLES)
    return page_of(HeadStart(SIZES, STEPS, measures, **more))


def said(shown):
    return shown.locator(".words").inner_text().replace("\u00a0", " ")


def test_the_sliders_choose_labels_and_step(visit, address):
    shown = visit(address).locator(".head-start")
    assert said(shown).startswith("50 labels, step 20: accuracy 50 % pre-trained, 30 % from nothing, a gap of 20")
    assert shown.locator(".value").all_inner_texts() == ["20 points", "20 points", "10 points"]
    labels, step = shown.get_by_label("labels", exact=True), shown.get_by_label("step", exact=True)
    labels.focus()
    labels.press("End")
    assert "1,000 labels, step 20: accuracy 70 %" in said(shown) and "Word counts: 70 %" in said(shown)
    assert shown.locator(".gap.here").inner_text().startswith("1,000 labels")
    step.focus()
    step.press("ArrowLeft")
    assert "1,000 labels, step 10: accuracy 60 %" in said(shown)
    shown.get_by_label("measure").select_option("F1")
    assert "F1 30 % pre-trained, 25 % from nothing, a gap of 5 points" in said(shown)


def test_counting_pre_trainings_compute_moves_its_curve_to_the_right(visit, address):
    shown = visit(address).locator(".head-start")
    place = "node => [...node.querySelectorAll('.dot')].map(dot => parseFloat(dot.style.left))"
    assert shown.locator(".marks").evaluate(place) == [100, 100]
    shown.get_by_label("count pre-training's compute").check()
    trained, nothing = shown.locator(".marks").evaluate(place)
    assert 90 < trained < 100 and 0 < nothing < 20
    assert said(shown).endswith("Tokens of training so far: 8,020,000 against 20,000.")
    assert shown.locator("path.long").count() == 0
    shown.get_by_label("labels", exact=True).fill("2")
    assert shown.locator("path.long").count() == 1, "the longer run had the most labels"


def test_an_article_and_both_answers(visit, address):
    shown = visit(address).locator(".head-start")
    rows = shown.locator(".answers tbody tr")
    assert shown.locator(".answers .true th").inner_text() == "Arts"
    shares = [text.replace("\u00a0", " ") for text in rows.first.locator("td").all_inner_texts()]
    assert shares == ["90 %", "25 %"]
    shown.get_by_label("article").select_option("A war")
    assert shown.locator("blockquote").inner_text() == "A war was fought."
    assert shown.locator(".answers .true th").inner_text() == "History"
    shown.get_by_text("All curves as a table").click()
    table = shown.locator("details tbody tr")
    table.nth(8).wait_for()
    assert table.count() == 9
    last = table.last.inner_text().replace("\u00a0", " ")
    assert last.split("\t")[2:] == ["70 % (68 % to 72 %)", "60 % (58 % to 62 %)"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_overflow(visit, address, scheme):
    page = visit(address, width=390, scheme=scheme)
    page.get_by_label("count pre-training's compute").check()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
