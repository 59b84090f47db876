"""The head gallery in a browser: a head is chosen, switched off, sorted, filtered; what is shown are its numbers."""

import pytest
import torch

from minigpt.figures import HeadGallery
from minigpt.figures.head_gallery import DIGITS

TABLE = {
    "previous": [[0.05, 0.25], [0.03, 0.3]], "first": [[0.5, 0.1], [0.02, 0.03]], "entropy": [[1.5, 3.0], [4.0, 2.0]],
    "induction": [[float("nan"), 0.01], [0.02, 0.03]], "brightest": [[0.7, 0.3], [0.1, 0.5]],
    "change": [[-0.004, 0.02], [0.05, 0.01]], "error": [[0.004, 0.002], [0.003, 0.001]],
}  # fmt: skip
EVEN = {"previous": 0.03, "first": 0.03, "induction": 0.03, "entropy": 5.6, "brightest": 0.03}


def figure(T=4, **state):
    maps = torch.rand(2, 2, T, T, generator=torch.Generator().manual_seed(0)).tril()
    maps = maps / maps.sum(-1, keepdim=True)
    scores = {kind: torch.tensor(TABLE[kind]) for kind in DIGITS}
    tokens = [f"token{i}" for i in range(T)]
    return HeadGallery(tokens, maps, scores, EVEN, loss=4.5, measured=4096, **state)


@pytest.fixture
def gallery(visit, page_of):
    return visit(page_of(figure())).locator(".head-gallery")


def check(shown, **state):
    """The words, the large map and the chosen tile."""
    now = figure(**state)
    assert shown.locator(".words").inner_text() == now.words()
    cells = [int(text) for text in shown.locator(".map tbody td:not(.ahead)").all_inner_texts()]
    weights = [100 * weight for row in now.weights[now.head] for weight in row]
    assert cells == [round(weight) for weight in weights]
    assert shown.locator(".tile:has(:checked) strong").inner_text() == f"layer {now.head // 2}, head {now.head % 2}"
    assert shown.locator(".tile.off").count() == now.off


def heads(shown):
    places = shown.locator(".tile strong").all_inner_texts()
    return [place.replace("layer ", "").replace(", head ", ".") for place in places]


def test_a_head_is_chosen_by_mouse_and_keyboard(gallery):
    check(gallery)
    gallery.locator(".tile").nth(3).click()
    check(gallery, head=3)
    gallery.page.keyboard.press("ArrowLeft")
    check(gallery, head=2)
    assert gallery.locator(".name").all_inner_texts() == ["first", "previous", "none", "previous"]


def test_the_cost_is_shown_once_the_switch_has_been_moved(gallery):
    assert set(gallery.locator(".cost").all_inner_texts()) == {"off: ?"} and gallery.locator("circle").count() == 0
    gallery.get_by_label("switch this head off").focus()
    gallery.page.keyboard.press("Space")
    check(gallery, off=True)
    assert "No clear change." in gallery.locator(".words").inner_text()
    gallery.locator(".tile").nth(2).click()  # the switch goes along: one head is off at a time
    check(gallery, off=True, head=2)
    assert gallery.locator(".cost").all_inner_texts() == ["off: −0.004", "off: ?", "off: +0.050", "off: ?"]
    assert gallery.locator("circle").count() == 2
    gallery.get_by_label("switch this head off").uncheck()
    check(gallery, head=2)
    gallery.get_by_role("button", name="Switch off each in turn").click()
    assert gallery.locator(".cost").nth(3).inner_text() == "off: +0.010" and gallery.locator("circle").count() == 4
    gallery.locator("circle").nth(3).click()
    check(gallery, head=3)


def test_sorted_by_brightness_and_by_cost_the_order_differs(gallery):
    orders = gallery.locator(".choice").first.locator("label")
    orders.filter(has_text="brightest cell").click()
    assert heads(gallery) == ["0.0", "1.1", "0.1", "1.0"]
    assert gallery.locator("circle").count() == 0
    orders.filter(has_text="cost when off").click()
    assert heads(gallery) == ["1.0", "0.1", "1.1", "0.0"]
    assert gallery.locator("circle").count() == 4
    orders.filter(has_text="entropy").click()
    assert heads(gallery) == ["1.0", "0.1", "1.1", "0.0"]
    orders.filter(has_text="layer").click()
    assert heads(gallery) == ["0.0", "0.1", "1.0", "1.1"]


def test_filtered_by_name_the_chosen_head_is_one_of_those_shown(gallery):
    filters = gallery.locator(".choice").nth(1).locator("label")
    assert filters.all_inner_texts() == ["all (4)", "previous (2)", "first (1)", "none (1)"]
    filters.nth(1).click()
    assert heads(gallery) == ["0.1", "1.1"]
    check(gallery, head=1, only="previous")
    filters.nth(3).click()
    assert heads(gallery) == ["1.0"]
    filters.nth(0).click()
    assert len(heads(gallery)) == 4
    check(gallery, head=2)


def test_the_table_holds_every_number(gallery):
    gallery.locator("summary").click()
    gallery.get_by_role("button", name="Switch off each in turn").click()
    rows = [row.split("\t") for row in gallery.locator(".numbers tbody tr").all_inner_texts()]
    assert rows[0] == ["layer 0, head 0", "first", "5.0 %", "50.0 %", "–", "1.50", "0.70", "−0.004 ± 0.004"]
    assert rows[4] == ["spread evenly", "–", "3.0 %", "3.0 %", "3.0 %", "5.60", "0.03", "–"]


def test_a_layer_is_a_row_in_the_books_theme_too(gallery):
    gallery.page.add_style_tag(content="legend { float: left; width: 100%; }")  # as the theme has it
    places = gallery.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.offsetTop)")
    assert places[0] == places[1] < places[2] == places[3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(visit, page_of, scheme):
    page = visit(page_of(figure(24)), 390, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
