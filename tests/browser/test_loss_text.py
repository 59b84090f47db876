"""The loss in the text, in a browser: the reader, the comparison and the place; it says what Python says."""

import pytest
import torch

from minigpt.figures import LossText

NAMES = ["␣the", "a", "⏎", "ing", "ox", "y", "z"]
IDS = [0, 3, 2, 5, 6, 1, 4, 3]


def guesses(seed):
    return (2 * torch.randn(len(IDS), len(NAMES), generator=torch.Generator().manual_seed(seed))).softmax(-1)


@pytest.fixture
def figure():
    return LossText(IDS, NAMES, {"pairs": guesses(0), "GPT": guesses(1)}, n_bytes=14, before="Once")


@pytest.fixture
def shown(visit, page_of, figure):
    return visit(page_of(figure)).locator(".loss-text")


def test_every_place_of_every_reader(shown, figure):
    place = shown.get_by_label("token", exact=True)
    for r, (name, guessed) in enumerate(figure.readers):
        shown.get_by_label("read by").select_option(name)
        figure.reader = r
        assert shown.locator(".whole").inner_text() == figure.words()
        place.focus()
        place.press("Home")
        for t, (bits, rank, entropy, best, shares) in enumerate(guessed):
            assert shown.locator(".words").inner_text() == (
                f"“{figure.tokens[t]}” cost {bits:.2f} bits, rank {rank} of {len(NAMES)}. "
                f"{name[0].upper() + name[1:]} was as unsure here as among {2**entropy:.1f} equal choices."
            )
            rows = shown.locator(".guess tbody tr:visible")
            came = [figure.tokens[t]] if rank > 5 else []
            assert [row.split()[0] for row in rows.all_inner_texts()] == best + came
            assert rows.locator(".share").all_inner_texts()[:5] == [f"{round(p, 3):.3f}" for p in shares]
            assert shown.locator(".guess .came:visible th").inner_text() == f"{figure.tokens[t]} ✓"
            place.press("ArrowRight")


def test_a_comparison_shows_what_was_saved(shown, figure):
    shown.get_by_label("read by").select_option("GPT")
    shown.get_by_label("compared with").select_option("pairs")
    cells = shown.locator(".token")
    for t, (a, b) in enumerate(zip(figure.bits(1), figure.bits(0), strict=True)):
        said = cells.nth(t).locator("small").inner_text()
        assert float(said.replace("−", "-")) == pytest.approx(a - b, abs=0.051)
        assert ("saved" in cells.nth(t).get_attribute("class")) == (a < b)
    assert "pairs paid" in shown.locator(".words").inner_text()


def test_the_dearest_tokens_and_the_pointer(shown, figure):
    bits = figure.bits(0)
    order = sorted(range(len(IDS)), key=lambda t: -bits[t])
    for t in order[:3]:
        shown.get_by_role("button", name="next dearest").press("Enter")
        assert f"cost {bits[t]:.2f} bits" in shown.locator(".words").inner_text()
    shown.locator(".token").nth(5).hover()
    assert f"cost {bits[5]:.2f} bits" in shown.locator(".words").inner_text()
    assert "now" in shown.locator(".token").nth(5).get_attribute("class")
    shown.get_by_text("Every token as a table").click()
    rows = shown.locator("details tbody tr")
    rows.nth(len(IDS) - 1).wait_for()  # the table is filled when it opens
    assert rows.count() == len(IDS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_does_not_overflow(visit, page_of, figure, scheme):
    page = visit(page_of(figure), width=390, scheme=scheme)
    page.locator(".loss-text").get_by_label("compared with").select_option("GPT")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
