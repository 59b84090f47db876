"""The built book: no page is missing, no internal link leads nowhere, no page loads from outside."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import furniture
import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
MOST_BYTES = 4_000_000  # a page with its figures
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "audio": "src", "video": "src"}

if not (HTML / "index.html").exists():
    pytest.fail("There is no built book: run `make book` first.", pytrace=False)


@cache
def soup(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(page: Path) -> set[str]:
    return {tag.get(name) for tag in soup(page).find_all(True) for name in ("id", "name") if tag.get(name)}


def pages() -> list[Path]:
    return [page for page in sorted(HTML.rglob("*.html")) if "_static" not in page.relative_to(HTML).parts]


def addresses(page: Path):
    """Every address of a page: what it links to, and what the browser loads by itself."""
    for link in soup(page).find_all("a", href=True):
        yield "link", link["href"]
    for link in soup(page).find_all("link", href=True):
        if not {"canonical", "author", "search"} & set(link.get("rel", [])):
            yield "load", link["href"]
    for tag, attribute in LOADS.items():
        for element in soup(page).find_all(tag, **{attribute: True}):
            yield "load", element[attribute]


def test_every_page_of_the_toc_is_built():
    for page in furniture.chapter_pages().values():
        assert (HTML / page.relative_to(ROOT)).with_suffix(".html").exists()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(HTML).as_posix())
def test_addresses(page):
    for kind, address in addresses(page):
        if urlsplit(address).scheme or address.startswith("//"):
            assert kind == "link" or address.startswith("data:"), f"loads {address} from outside the book"
            continue
        path, fragment = urldefrag(address)
        target = (page.parent / unquote(urlsplit(path).path)).resolve() if path else page
        assert target.exists(), f"{kind} leads nowhere: {address}"
        if fragment and target.suffix == ".html":
            assert unquote(fragment) in anchors(target), f"no such place: {address}"


def test_no_script_or_style_names_an_outside_address():
    """Files that pages load must not load others from the network."""
    for page in pages():
        for script in soup(page).find_all(["script", "style"]):
            assert not re.search(r"""(?:import|url)\s*\(?\s*["']?https?://""", script.get_text()), page


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(HTML).as_posix())
def test_every_picture_has_words(page):
    for picture in soup(page).find_all("img"):
        alt = picture.get("alt")
        assert alt is not None, picture
        assert not re.search(r"\.(png|svg|jpe?g)$|^_images/", alt), f"the alternative text is a file name: {alt}"


@pytest.mark.parametrize("page", furniture.chapter_pages().values(), ids=lambda page: page.stem)
def test_a_page_is_light(page):
    built = (HTML / page.relative_to(ROOT)).with_suffix(".html")
    pictures = {(built.parent / img["src"]).resolve() for img in soup(built).find_all("img") if "://" not in img["src"]}
    own = built.stat().st_size + sum(p.stat().st_size for p in pictures if p.is_file())
    assert own < MOST_BYTES


def test_mathematics_is_served_from_the_book():
    scripts = [tag["src"] for tag in soup(HTML / "book" / "notation.html").find_all("script", src=True)]
    assert any(src.endswith("vendor/mathjax/tex-chtml.js") or "vendor/mathjax/tex-chtml.js?" in src for src in scripts)
    assert (HTML / "_static/vendor/mathjax/tex-chtml.js").exists()
    assert list((HTML / "_static/vendor/mathjax/output/chtml/fonts/woff-v2").glob("*.woff"))


def test_the_sidebar_shows_every_number_and_title():
    sidebar = soup(HTML / "book" / "index.html").find("nav", class_="bd-links").get_text("\n")
    for number, page in furniture.chapter_pages().items():
        assert furniture.title(page) in sidebar, number
