"""Make the slides: a deck for every chapter page, from those cells of its notebook that have a slide type.

    python book/tools/slides.py                 all decks, and a page that lists them, into _build/slides
    python book/tools/slides.py PATH …          these pages only

The slide types are JupyterLab's: {"slideshow": {"slide_type": …}} in a cell's metadata.

    slide       begins a slide. Code: its outputs, under the last heading of the page; the code itself is folded
                away where it is long or has made a picture. Markdown: its first section with a heading, or all of it
    -           stands on the same slide as the cell before
    fragment    the same, at the next press of a key
    notes       goes to the speaker's notes (press S): up to a heading to the slide before, from there to the next

A cell without a slide type is left out.
"""

import re
import shutil
import sys
from html import escape
from importlib.metadata import distribution
from pathlib import Path

import nbformat.v4 as nb
from furniture import ROOT, chapter_pages, read, title
from nbconvert.exporters import SlidesExporter

TOOLS = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from living_figures import write_figures  # noqa: E402
from offline_mathjax import write_mathjax  # noqa: E402

OUT = ROOT / "_build" / "slides"
HEADING = re.compile(r"^#{2,3} .+$", re.MULTILINE)
MOST_LINES = 12  # longer code is folded away
RICH = {"text/html", "image/png", "image/svg+xml", "image/jpeg"}
REVEAL = ["dist/reveal.js", "plugin/notes/notes.js", "LICENSE"]


LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)(?:[^)#]*/)?([^)#/]+)\.(?:ipynb|md)(?:#[^)]*)?\)")


def linked(text: str) -> str:
    """Markdown whose links to other chapter pages lead to their decks; any other link within the book is its text."""
    decks = {page.stem for page in chapter_pages().values()}
    return LINK.sub(lambda found: f"[{found[1]}]({found[2]}.html)" if found[2] in decks else found[1], text)


def sections(text: str) -> list[str]:
    """Markdown, cut before each of its headings; what stands before the first is a section too."""
    starts = [0, *(found.start() for found in HEADING.finditer(text)), len(text)]
    return [text[a:b].strip() for a, b in zip(starts, starts[1:], strict=False)]


def is_rich(cell) -> bool:
    return any(RICH & set(output.get("data", {})) for output in cell.outputs)


def shown(cell):
    """A code cell as its slide shows it."""
    alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    folded = is_rich(cell) or len(cell.source.splitlines()) > MOST_LINES
    return nb.new_code_cell(cell.source, outputs=cell.outputs, metadata={"folded": folded, "alt": alt})


def deck(notebook):
    """The notebook of slides: its cells in order, each marked for nbconvert, every slide under its heading."""
    made, heading = [], ""
    said, ahead = [], []  # prose for the notes of this slide, and of the next

    def add(cell, kind):
        cell.metadata["slideshow"] = {"slide_type": kind}
        made.append(cell)

    def finish():
        if said and made:
            add(nb.new_markdown_cell("\n\n".join(said)), "notes")

    def begin(cell):
        nonlocal said, ahead
        finish()
        said, ahead = ahead, []
        add(cell, "slide")

    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type")
        if cell.cell_type == "code":
            if kind == "slide":
                begin(nb.new_markdown_cell(heading))
                add(shown(cell), "-")
            elif kind in ("-", "fragment"):
                add(shown(cell), kind)
            continue
        parts = sections(linked(cell.source))
        on_slide = next((i for i, part in enumerate(parts) if HEADING.match(part)), 0) if kind == "slide" else None
        for i, part in enumerate(parts):
            if found := HEADING.match(part):
                heading = found[0]
            if i == on_slide:
                begin(nb.new_markdown_cell(part if HEADING.match(part) else f"{heading}\n\n{part}".strip()))
            elif kind in ("slide", "notes") and found:
                said, ahead = said + ahead, [part]
            elif kind in ("slide", "notes") and part:
                (ahead or said).append(part)
            elif kind in ("-", "fragment"):
                add(nb.new_markdown_cell(part), kind)
    said += ahead
    finish()
    return nb.new_notebook(cells=made, metadata={**notebook.metadata, "title": title_of(notebook)})


def title_of(notebook) -> str:
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.MULTILINE)[1]


def to_html(notebook) -> str:
    """The page of one deck."""
    exporter = SlidesExporter(extra_template_basedirs=[str(TOOLS)], template_name="deck", anchor_link_text="")
    return exporter.from_notebook_node(deck(notebook))[0]


def write_assets(folder: Path) -> None:
    """What the decks load, beside them: reveal.js, MathJax, the living figures, and our own style and script."""
    write_figures(folder)
    write_mathjax(folder / "vendor" / "mathjax")
    reveal = Path(distribution("sphinx-revealjs").locate_file("sphinx_revealjs/_static/revealjs"))
    (folder / "vendor" / "reveal").mkdir(parents=True, exist_ok=True)
    for part in REVEAL:
        shutil.copy(reveal / part, folder / "vendor" / "reveal")
    style = (reveal / "dist" / "reveal.css").read_text(encoding="utf-8")
    style = style.replace(".reveal .controls", ".reveal > .controls")  # figures have controls of their own
    (folder / "vendor" / "reveal" / "reveal.css").write_text(style, encoding="utf-8")
    for part in ("slides.css", "slides.js"):
        shutil.copy(TOOLS / "deck" / part, folder)


def write_list(folder: Path) -> None:
    """The page that leads to the decks."""
    made = [page for page in chapter_pages().values() if (folder / f"{page.stem}.html").exists()]
    rows = "\n".join(f'<li><a href="{page.stem}.html">{escape(title(page))}</a></li>' for page in made)
    (folder / "index.html").write_text(
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Slides</title>\n'
        "<style>body { font: 1.1rem/1.7 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; }</style>\n"
        f"<h1>Slides</h1>\n<ul>\n{rows}\n</ul>\n"
        "<p>Arrow keys move on, S opens the speaker's notes, F fills the screen, ? lists the rest.</p></html>\n",
        encoding="utf-8",
    )


def make_slides(pages: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_assets(folder)
    for page in pages:
        (folder / f"{page.stem}.html").write_text(to_html(read(page)), encoding="utf-8", newline="\n")
    write_list(folder)


if __name__ == "__main__":
    pages = [Path(path).resolve() for path in sys.argv[1:]] or list(chapter_pages().values())
    make_slides(pages, OUT)
    print(f"{len(pages)} decks. Open them in a browser:  file://{OUT / 'index.html'}")
