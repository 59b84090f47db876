"""The decoding pipeline in a browser: its knobs move, and every number is next_token_probs'."""

import re

import pytest
import torch

from minigpt.figures import DecodingPipeline, read_decoding

LOGITS = 3 * torch.randn(500, generator=torch.Generator().manual_seed(1))
KNOBS = {"penalty": "repetition penalty", "temperature": "temperature", "top_k": "top-k", "top_p": "top-p"}


@pytest.fixture
def figure():
    return DecodingPipeline(**read_decoding(LOGITS, str, "a prompt", [int(LOGITS.argmax()), 3]))


@pytest.fixture
def address(page_of, figure):
    return page_of(figure)


def column(shown, stage):
    texts = [row.locator(".bar").nth(stage).inner_text() for row in shown.locator("tbody tr").all()]
    return torch.tensor([0.0 if text == "✕" else float(text) for text in texts], dtype=torch.float64)


def expected(figure):
    p = figure.probabilities()
    return torch.cat([p[:12], p[12:].sum()[None]])


def test_every_knob_gives_the_numbers_of_next_token_probs(visit, address, figure):
    shown = visit(address).locator(".decoding")
    torch.testing.assert_close(column(shown, 0), expected(figure), atol=6e-4, rtol=0)
    for knobs in (
        {"temperature": 0.5}, {"temperature": 2.0}, {"penalty": 1.6}, {"top_k": 4}, {"top_p": 0.8}, {"temperature": 0},
        {"penalty": 1.3, "temperature": 1.8, "top_k": 40, "top_p": 0.7},
    ):  # fmt: skip
        shown.get_by_role("button", name="Reset").click()
        for name, label in KNOBS.items():
            setattr(figure, name, knobs.get(name, {"top_k": 0}.get(name, 1.0)))
            if name in knobs:
                shown.get_by_label(label, exact=True).and_(shown.locator("input[type=range]")).fill(str(knobs[name]))
        torch.testing.assert_close(column(shown, 5), expected(figure), atol=6e-4, rtol=0)
        p = figure.probabilities()
        p = p[p > 0]
        words = shown.locator(".words").inner_text()
        assert words.startswith(f"{len(p)} of 500 tokens"), knobs
        bits = float(re.search(r"Entropy: ([\d.]+) bits", words)[1])
        assert bits == pytest.approx(abs(float((p * p.log2()).sum())), abs=0.011)


def test_stages_draws_and_keyboard(visit, address, figure):
    shown = visit(address).locator(".decoding")
    top_k = shown.get_by_label("top-k", exact=True).and_(shown.locator("input[type=range]"))
    top_k.focus()
    for _ in range(3):
        top_k.press("ArrowRight")
    assert shown.locator(".bar.dropped").count() == 10 * 3  # all rows but three, in the last three stages
    before, after = column(shown, 3), column(shown, 5)
    assert before.sum() < 1 and after.sum() == pytest.approx(1, abs=2e-3)
    torch.testing.assert_close(after, before / before.sum(), atol=2e-3, rtol=0)
    shown.get_by_role("button", name="Draw 200").click()
    counts = [int(text) for text in shown.locator("tbody .count").all_inner_texts()]
    assert sum(counts) == sum(counts[:3]) == 200
    deviation = torch.tensor(counts[:3]) / 200 - after[:3]
    assert deviation.abs().max() < 0.15
    top_k.press("ArrowRight")  # another distribution: the draws are forgotten
    assert set(shown.locator("tbody .count").all_inner_texts()) == {"–"}
    shown.locator(".chip").nth(1).click()
    assert shown.locator("thead th.now").inner_text() == "repetition penalty"


def test_a_narrow_page_shows_one_stage_and_does_not_overflow(visit, address):
    page = visit(address, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".decoding thead th:visible").all_inner_texts() == ["renormalised", "drawn"]
    page.locator(".chip").nth(2).click()
    assert page.locator(".decoding thead th:visible").all_inner_texts() == ["temperature", "drawn"]
