"""The softmax figure in a browser: its sliders by keyboard, its numbers against torch, a narrow page, dark mode."""

import pytest
import torch

from minigpt.figures import Softmax


@pytest.fixture
def address(page_of):
    return page_of(Softmax())


def numbers(shown, name):
    texts = shown.locator(f"td.{name}").all_inner_texts()
    return torch.tensor([float(text.replace("−", "-")) for text in texts], dtype=torch.float64)


def check(shown, logits, temperature):
    p = (torch.tensor(logits, dtype=torch.float64) / temperature).softmax(0)
    torch.testing.assert_close(numbers(shown, "share"), p, atol=6e-4, rtol=0)
    torch.testing.assert_close(numbers(shown, "bits"), -p.log2(), atol=6e-3, rtol=0)
    entropy = float(-(p * p.log2()).sum())
    assert f"the entropy: {entropy:.2f} bits" in shown.locator(".words").inner_text()


def test_the_sliders_move_the_numbers(visit, address):
    page = visit(address)
    page.evaluate("document.addEventListener('keydown', () => (window.leaked = true))")
    shown = page.locator(".softmax")
    check(shown, [3, 2, 1, -1], 1)
    shown.get_by_label("logit of sofa").fill("3.5")
    check(shown, [3, 3.5, 1, -1], 1)
    assert shown.locator(".words").inner_text().startswith("“sofa” gets")
    heat = shown.get_by_label("temperature", exact=False).first
    heat.fill("0.5")
    check(shown, [3, 3.5, 1, -1], 0.5)
    heat.focus()
    page.keyboard.press("ArrowRight")
    check(shown, [3, 3.5, 1, -1], 0.55)
    assert not page.evaluate("window.leaked")
    shown.get_by_role("button", name="Reset").click()
    check(shown, [3, 2, 1, -1], 1)


def test_reset_goes_back_to_where_the_figure_began(visit, page_of):
    page = visit(page_of(Softmax(["a", "b"], [1.0, 0.0], temperature=0.5)))
    shown = page.locator(".softmax")
    shown.get_by_label("temperature", exact=False).first.fill("2")
    shown.get_by_label("logit of b").fill("3")
    check(shown, [1, 3], 2)
    shown.get_by_role("button", name="Reset").click()
    check(shown, [1, 0], 0.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_overflow(visit, address, scheme):
    page = visit(address, width=390, scheme=scheme)
    page.get_by_label("logit of mat").fill("-6")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
