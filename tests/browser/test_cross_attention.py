"""Cross-attention in a browser: step by step, by layer and head, it shows the numbers that torch computes."""

import pytest
import torch

from minigpt.figures import CrossAttention

WEIGHTS = (2 * torch.randn(2, 2, 4, 3, generator=torch.Generator().manual_seed(0))).softmax(-1)
FIGURE = {"source": ["b", "a", "d"], "target": ["d", "a", "b", "end"], "weights": WEIGHTS, "alignment": [1, 2, 0, -1]}


@pytest.fixture
def address(page_of):
    long = CrossAttention(["ungewöhnlich"] * 24, ["extraordinario"] * 20, torch.full((1, 1, 20, 24), 1 / 24))
    return page_of(CrossAttention(**FIGURE), long)


def check(shown, **state):
    """The bands, the shares beside the source, the whole map and the words, for one layer, head and step."""
    figure = CrossAttention(**FIGURE, **state)
    row = figure.map()[figure.step].tolist()
    assert shown.locator(".sources small").all_inner_texts() == [f"{w:.2f}" for w in row]
    widths = shown.locator(".bands path").evaluate_all("paths => paths.map(path => +path.getAttribute('stroke-width'))")
    assert widths == pytest.approx([0.5 + 13 * w for w in row])
    cells = [float(text) for text in shown.locator("tbody td").all_inner_texts()]
    torch.testing.assert_close(
        torch.tensor(cells), torch.tensor(100 * figure.map()).flatten().float(), atol=0.51, rtol=0
    )
    assert shown.locator(".words").inner_text() == figure.words()


def test_layers_heads_and_their_mean(visit, address):
    shown = visit(address).locator(".cross-attention").first
    check(shown, layer=1, head=2)
    for layer in (0, 1):
        shown.locator(".choice").nth(0).locator("label").nth(layer).click()
        for head in (0, 1, 2):
            shown.locator(".choice").nth(1).locator("label").nth(head).click()
            check(shown, layer=layer, head=head)


def test_the_target_is_stepped_through_by_button_keyboard_and_map(visit, address):
    shown = visit(address).locator(".cross-attention").first
    assert shown.get_by_role("button", name="Back").is_hidden() and shown.locator(".later").count() == 3
    shown.get_by_role("button", name="Next").click()
    check(shown, layer=1, head=2, step=1)
    shown.locator(".targets input:checked").focus()
    shown.page.keyboard.press("ArrowDown")
    check(shown, layer=1, head=2, step=2)
    shown.locator("tbody th").nth(3).click()
    check(shown, layer=1, head=2, step=3)
    assert shown.locator(".later").count() == 0
    shown.get_by_role("button", name="From the start").click()
    check(shown, layer=1, head=2, step=0)


def test_the_right_place_is_ringed(visit, address):
    shown = visit(address).locator(".cross-attention").first
    assert shown.locator(".sources .right").inner_text().startswith("a")
    assert shown.locator("tbody td.right").count() == 3
    shown.locator("tbody th").nth(3).click()
    assert shown.locator(".sources .right").count() == 0  # the end has no place of its own


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_with_long_words_too(visit, address, scheme):
    assert visit(address, 390, scheme).evaluate("document.documentElement.scrollWidth") <= 390
