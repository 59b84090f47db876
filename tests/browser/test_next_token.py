"""Drawing the next token in a browser: bars equal the package's sampler, draws follow them, the edge is told."""

import re

import pytest
import torch

from minigpt.figures import NextToken, grow_tree

V = 60
TABLE = 2 * torch.randn(V, V, generator=torch.Generator().manual_seed(0))  # a bigram model
NAMES = [f"␣t{i}" for i in range(V)]


@pytest.fixture
def figure():
    prompts = [([NAMES[first]], grow_tree(lambda ids: TABLE[ids[-1]], [first], 12, 4)) for first in (3, 7)]
    return NextToken(NAMES, prompts)


@pytest.fixture
def address(page_of, figure):
    return page_of(figure)


def agrees(shown, figure):
    """The ten bars, and what is left, are the sampler's."""
    p = figure.probabilities()
    best = [NAMES.index(name) for name in shown.locator(".bars tbody th button").all_inner_texts()]
    texts = shown.locator(".bars tbody tr .p").all_inner_texts()
    assert len(best) == 10 and len(texts) == 11
    torch.testing.assert_close(p[best], p.sort(descending=True).values[:10], atol=0, rtol=0)
    expected = torch.cat([p[best], (1 - p[best].sum())[None]])
    torch.testing.assert_close(torch.tensor([float(x) for x in texts]).double(), expected, atol=6e-4, rtol=0)
    assert re.match(r"[\d.]+ ± [\d.]+$", shown.locator(".bars .expected").first.inner_text())


def drawn(shown):
    return [int(x) for x in shown.locator(".bars tbody .drawn").all_inner_texts()]


def test_the_bars_follow_temperature_top_k_and_prompt(visit, address, figure):
    shown = visit(address).locator(".next-token")
    agrees(shown, figure)
    for temperature, place, top_k in ((0.5, 7, 0), (2.0, 7, 0), (1.0, 2, 3), (3.0, 0, 1), (0.7, 4, 10)):
        shown.get_by_label("temperature").fill(str(temperature))
        shown.get_by_label("keep the best").fill(str(place))
        figure.temperature, figure.top_k = temperature, top_k
        agrees(shown, figure)
    shown.get_by_label("prompt").select_option(index=1)
    figure.prompt = 1
    agrees(shown, figure)


def test_200_draws_are_counted_against_the_same_bars(visit, address, figure):
    shown = visit(address).locator(".next-token")
    many = shown.get_by_role("button", name="Draw 200")
    many.click()
    before = shown.locator(".bars .p").all_inner_texts()
    first = drawn(shown)
    assert sum(first) == 200
    many.click()
    assert shown.locator(".bars .p").all_inner_texts() == before
    assert sum(drawn(shown)) == 200 and drawn(shown) != first
    total = torch.tensor(drawn(shown))
    for _ in range(14):
        many.click()
        total += torch.tensor(drawn(shown))
    n, p = 15 * 200, figure.probabilities().sort(descending=True).values[:10]
    p = torch.cat([p, (1 - p.sum())[None]])
    assert ((total - n * p).abs() < 6 * (n * p * (1 - p)).sqrt() + 1).all()
    assert "draws from the same bars" in shown.locator(".words").inner_text()
    shown.get_by_label("temperature").fill("2")
    assert set(shown.locator(".bars .drawn").all_inner_texts()) >= {"–"}  # other bars: the counts are gone


def test_one_draw_is_where_the_random_point_falls_and_it_is_appended(visit, address, figure):
    page = visit(address)
    shown = page.locator(".next-token")
    ends = figure.probabilities().cumsum(0)
    for u in (0.02, 0.4, 0.97):
        page.evaluate(f"Math.random = () => {u}")
        shown.get_by_role("button", name="Draw one").click()
        token = int((ends <= u).sum())
        assert shown.locator(".text .drawn").all_inner_texts() == [NAMES[token]]
        assert f"{NAMES[token]} was appended" in shown.locator(".words").inner_text()
        shown.get_by_role("button", name="Start again").click()
        assert shown.locator(".text .drawn").count() == 0


def test_the_keyboard_writes_to_the_edge_and_back(visit, address, figure):
    page = visit(address)
    page.evaluate("document.addEventListener('keydown', () => (window.leaked = true))")
    shown = page.locator(".next-token")
    shown.get_by_label("keep the best").fill("0")  # always the likeliest: four steps are stored
    for step in range(1, 6):
        shown.get_by_role("button", name="Draw one").focus()
        page.keyboard.press("Enter")
        assert shown.locator(".text .drawn").count() == step
        if shown.locator(".bars").is_hidden():
            break
    assert step >= 5 and "not stored" in shown.locator(".words").inner_text()
    shown.get_by_role("button", name="Take one back").focus()
    page.keyboard.press("Enter")
    assert shown.locator(".bars").is_visible() and shown.locator(".text .drawn").count() == step - 1
    assert page.evaluate("window.leaked") is None


def test_a_name_appends_its_token_unless_it_cannot_be_drawn(visit, address, figure):
    shown = visit(address).locator(".next-token")
    shown.get_by_label("keep the best").fill("1")  # two are kept
    names = shown.locator(".bars tbody th button")
    assert names.nth(2).get_attribute("aria-disabled") == "true"
    names.nth(2).dispatch_event("click")
    assert shown.locator(".text .drawn").count() == 0
    second = names.nth(1).inner_text()
    names.nth(1).click()
    assert shown.locator(".text .drawn").all_inner_texts() == [second]


def test_the_long_table_and_a_phone(visit, address):
    page = visit(address, width=390)
    shown = page.locator(".next-token")
    shown.locator("summary").click()
    shown.locator("details tbody tr").nth(49).wait_for()  # the table is filled when it opens
    assert shown.locator("details tbody tr").count() == 50
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.locator("button", has_text="Take one back").is_disabled()
