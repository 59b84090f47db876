"""The slides: every page yields a deck of a fair length, made of its own cells, that loads nothing from outside."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import furniture
import nbformat.v4 as nb
import pytest
import slides
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for page in furniture.chapter_pages().values() if page.suffix == ".ipynb"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of all decks."""
    folder = tmp_path_factory.mktemp("slides")
    slides.make_slides(PAGES, folder)
    return folder


def markdown(text, kind=None):
    return nb.new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}} if kind else {})


def code(source, kind=None, **data):
    outputs = [nb.new_output("display_data", {"text/plain": "", **{k.replace("_", "/"): v for k, v in data.items()}})]
    return nb.new_code_cell(source, outputs=outputs, metadata={"slideshow": {"slide_type": kind}} if kind else {})


def kinds(notebook):
    return [(cell.metadata.slideshow.slide_type, cell.source) for cell in slides.deck(notebook).cells]


def test_a_slide_stands_under_its_heading_and_prose_becomes_notes():
    notebook = nb.new_notebook(cells=[
        markdown("# 9.9 A page", "slide"), markdown("> card", "-"), code("import this"),
        markdown("## Guess\n\nWhich?\n\n## Play\n\nTurn the knob.", "slide"), code("figure", "slide"),
        markdown("So it is.\n\n## By hand\n\nCount.", "notes"), code("1 + 1", "slide"), code("2 + 2", "fragment"),
        markdown("left out\n\n### Deeper"), code("3 + 3", "slide"),
    ])  # fmt: skip
    assert kinds(notebook) == [
        ("slide", "# 9.9 A page"), ("-", "> card"),
        ("slide", "## Guess\n\nWhich?"),
        ("slide", "## Play"), ("-", "figure"), ("notes", "## Play\n\nTurn the knob.\n\nSo it is."),
        ("slide", "## By hand"), ("-", "1 + 1"), ("fragment", "2 + 2"), ("notes", "## By hand\n\nCount."),
        ("slide", "### Deeper"), ("-", "3 + 3"),
    ]  # fmt: skip


def test_long_code_and_the_code_of_pictures_is_folded_away():
    folded = lambda cell: slides.shown(cell).metadata["folded"]  # noqa: E731
    assert not folded(code("1\n" * slides.MOST_LINES)) and folded(code("1\n" * (slides.MOST_LINES + 1)))
    assert folded(code("plot()", image_png="AAAA")) and folded(code("figure", text_html="<div>"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_yields_a_deck(page, made):
    deck = BeautifulSoup((made / f"{page.stem}.html").read_text(encoding="utf-8"), "html.parser")
    shown = deck.select(".slides > section")
    assert 8 <= len(shown) <= 25
    assert furniture.title(page) in shown[0].get_text() and furniture.title(page) in deck.title.get_text()
    text = [slide.get_text(" ") for slide in shown]
    assert any("Predict first" in part for part in text) and any("Summary" in part for part in text)
    assert all(len(part.split()) > 3 or slide.find(["img", "svg"]) for part, slide in zip(text, shown, strict=True))
    assert deck.select(".minigpt-figure") and deck.select("aside.notes")
    assert all(picture.get("alt") and "No description" not in picture["alt"] for picture in deck.select("img"))
    assert not deck.select(".output_error, .jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_deck_loads_what_lies_beside_it_and_nothing_else(page, made):
    html = (made / f"{page.stem}.html").read_text(encoding="utf-8")
    deck = BeautifulSoup(html, "html.parser")
    loaded = [tag["src"] for tag in deck.find_all(["script", "img", "iframe"], src=True)]
    loaded += [tag["href"] for tag in deck.find_all("link", href=True)]
    assert not [address for address in loaded if urlsplit(address).scheme not in ("", "data")]
    assert all((made / address).is_file() for address in loaded if not address.startswith("data:"))
    for link in deck.find_all("a", href=True):  # to other decks, or to the world
        assert urlsplit(link["href"]).scheme or link["href"].startswith("#") or (made / link["href"]).exists(), link


def test_what_the_decks_load_asks_for_nothing_more(made):
    for file in [made / name for name in ("figures.css", "slides.css", "vendor/reveal/reveal.css")]:
        assert not re.search(r"@import|url\(\s*['\"]?(?!data:)", file.read_text(encoding="utf-8")), file.name
    assert "MIT" in (made / "vendor/reveal/reveal.js").read_text(encoding="utf-8")[:300]
    links = re.findall(r'href="([^"]+)"', (made / "index.html").read_text(encoding="utf-8"))
    assert links == [f"{page.stem}.html" for page in PAGES]
