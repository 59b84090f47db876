"""The mask painter in a browser: every mask and way against torch's autograd, painting by mouse and by keyboard."""

import math
from functools import partial

import pytest
import torch

from minigpt.figures import MaskPainter

T, C = 6, 4
X, *W = (
    torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).round(decimals=6)
    for seed, shape in enumerate([(T, C), (C, 3), (C, 3), (C, 2)])
)
ROW, COLUMN = torch.arange(T)[:, None], torch.arange(T)
MASKS = {
    "causal": COLUMN <= ROW,
    "strictly lower": COLUMN < ROW,
    "padding": (COLUMN <= ROW) & (COLUMN < 4),
    "prefix": (COLUMN <= ROW) | (COLUMN < 3),
    "window": (COLUMN <= ROW) & (ROW - COLUMN < 3),
    "full": torch.ones(T, T, dtype=torch.bool),
}
WAYS = {
    "before the softmax, as −∞": lambda s, m: s.masked_fill(~m, -math.inf).softmax(-1).masked_fill(~m, 0),
    "after the softmax, times 0": lambda s, m: s.softmax(-1) * m,
    "after it, and renormalised": lambda s, m: torch.nn.functional.normalize(s.softmax(-1) * m, p=1, dim=-1),
}


def attend(x, weigh, mask):
    q, k, v = (x @ w for w in W)
    return weigh(q @ k.T / math.sqrt(3), mask) @ v


def slopes(weigh, mask):
    jacobian = torch.autograd.functional.jacobian(partial(attend, weigh=weigh, mask=mask), X)  # (T, 2, T, C)
    return jacobian.abs().amax(dim=(1, 3))


def check(shown, way, mask):
    """The table of all slopes, the leak and the words say what autograd says of this mask."""
    expected = slopes(WAYS[way], mask)
    texts = shown.locator("details td").all_text_contents()
    found = torch.tensor([float(text) for text in texts], dtype=torch.float64).view(T, T)
    torch.testing.assert_close(found, expected, atol=6e-6, rtol=0)
    leak = float(expected.triu(1).max())
    assert shown.locator(".leak").inner_text() == f"{leak:.2f}"
    words = shown.locator(".words").inner_text()
    assert words.startswith("No leak" if leak < 1e-12 else f"Leak {leak:.2f}")
    assert shown.locator(".leaks").count() == int((expected.triu(1) > 1e-12).sum())
    return words


@pytest.fixture
def shown(visit, page_of):
    return visit(page_of(MaskPainter(X, *W))).locator(".mask-painter")


def cell(shown, t, s):
    return shown.locator(".board tbody tr").nth(t).locator(".cell").nth(s)


@pytest.mark.parametrize("way", WAYS)
def test_every_mask_leaks_as_much_as_autograd_says(shown, way):
    shown.get_by_label(way).check(force=True)
    for name, mask in MASKS.items():
        shown.get_by_role("button", name=name, exact=True).click()
        words = check(shown, way, mask)
        if not way.startswith("before") and name != "full":
            assert ("equals" in words) == way.endswith("renormalised"), words
        if name == "strictly lower":
            assert "“0” may look at nothing" in words


def test_a_weight_of_zero_leaks_through_the_denominator(shown):
    shown.get_by_label("after the softmax, times 0").check(force=True)
    words = check(shown, "after the softmax, times 0", MASKS["causal"])
    assert "whose weight is 0: it stands in the denominator" in words and "15 of them with weight 0" in words


def test_the_mask_is_painted_by_mouse(shown):
    cell(shown, 0, 2).click()
    mask = MASKS["causal"].clone()
    mask[0, 2] = True
    assert "the mask lets it see" in check(shown, "before the softmax, as −∞", mask)
    mouse, start, end = shown.page.mouse, cell(shown, 5, 0).bounding_box(), cell(shown, 5, 4).bounding_box()
    mouse.move(start["x"] + 10, start["y"] + 10)
    mouse.down()
    mouse.move(end["x"] + 10, end["y"] + 10, steps=20)
    mouse.up()
    mouse.move(end["x"] + 10, end["y"] - 60, steps=5)  # no longer painting
    mask[5, :5] = False
    check(shown, "before the softmax, as −∞", mask)


def test_the_mask_is_painted_by_keyboard(shown):
    page = shown.page
    page.evaluate("document.addEventListener('keydown', () => (window.leaked = true))")
    cell(shown, 0, 0).focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    mask = MASKS["causal"].clone()
    mask[1, 2] = True
    check(shown, "before the softmax, as −∞", mask)
    assert cell(shown, 1, 2).get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")
    check(shown, "before the softmax, as −∞", MASKS["causal"])
    assert shown.locator(".cell[tabindex='0']").count() == 1
    assert not page.evaluate("window.leaked")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_overflow(visit, page_of, scheme):
    page = visit(page_of(MaskPainter(torch.eye(8), torch.eye(8))), width=390, scheme=scheme)
    page.get_by_role("button", name="full").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
