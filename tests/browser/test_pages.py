"""The built pages, as a browser shows them: accessible, within a phone's width, alive over http and from a file."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

HTML = Path(__file__).parents[2] / "_build" / "html"
SHOWN = [
    "book/index.html",
    "chapters/3-algorithms/3-2-pre-training.html",
    "chapters/4-mathematics/4-1-self-attention.html",
]
PAGES = [page.relative_to(HTML).as_posix() for page in sorted(HTML.glob("[bc]*/**/*.html"))]  # book/ and chapters/
FIGURE = '<div class="minigpt-figure"'
WITH_FIGURES = [page for page in PAGES if FIGURE in (HTML / page).read_text(encoding="utf-8")]


def violations(page) -> list[str]:
    options = {"resultTypes": ["violations"], "preload": False}  # axe would fetch the style sheets again, some in vain
    found = Axe().run(page, options=options).response["violations"]
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", SHOWN)
def test_no_accessibility_violation(site, visit, name, width, scheme):
    page = visit(f"{site}/{name}", width, scheme)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert violations(page) == []


@pytest.mark.parametrize("name", [page for page in PAGES if page not in SHOWN])
def test_no_accessibility_violation_elsewhere(site, visit, name):
    assert violations(visit(f"{site}/{name}")) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_never_scrolls_sideways(site, visit, name):
    page = visit(f"{site}/{name}", 390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("name", WITH_FIGURES)
def test_figures_live_from_a_file_too(book, visit, name):
    page = visit((book / name).as_uri())
    figures = page.locator(".minigpt-figure").count()
    assert page.locator(".minigpt-figure > .minigpt-live").count() == figures > 0


def test_the_front_page_and_4_1_show_attention_step_by_step(site, visit):
    for name in (SHOWN[0], SHOWN[2]):
        figure = visit(f"{site}/{name}").locator(".attention-steps").first
        before = figure.locator(".words").inner_text()
        figure.locator(".chip input").first.check(force=True)
        assert figure.locator(".words").inner_text() != before


def test_pages_without_a_figure_do_not_load_the_figures():
    for name in set(PAGES) - set(WITH_FIGURES):
        assert not re.search("living-figures.js|figures.css", (HTML / name).read_text(encoding="utf-8")), name
