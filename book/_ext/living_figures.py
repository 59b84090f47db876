"""Sphinx extension: brings `minigpt`'s living figures, and the book's own style and repairs, to the built pages.

A notebook's figure is already in its stored output. In a .md page the directive

    ```{living-figure} AttentionSteps
    ```

puts the same HTML; what follows the name is passed on: `{living-figure} Quiz 4.1`.
"""

import json
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
FIGURES = ROOT / "minigpt" / "figures"


class LivingFigure(SphinxDirective):
    required_arguments = 1
    optional_arguments = 1

    def run(self):
        sys.path.insert(0, str(ROOT))  # the book builds without minigpt installed
        from minigpt import figures

        for source in FIGURES.glob("*.py"):
            self.env.note_dependency(str(source))  # a page is built again when its figure changes
        name, *arguments = self.arguments
        try:
            html = getattr(figures, name)(*arguments).to_html()
        except (AttributeError, FileNotFoundError, ValueError) as problem:
            raise self.error(f"living-figure {' '.join(self.arguments)}: {problem}") from None
        finally:
            sys.path.remove(str(ROOT))
        return [nodes.raw("", html, format="html")]


def write_figures(static):
    """One classic script that holds the text of every figure's module and starts them, from file:// too; one style."""
    static.mkdir(parents=True, exist_ok=True)
    sources = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FIGURES.glob("*.js"))}
    boot = (Path(__file__).parent / "boot.js").read_text(encoding="utf-8")
    bundle = f"{{\nconst sources = {json.dumps(sources, ensure_ascii=False)};\n{boot}}}\n"
    (static / "living-figures.js").write_text(bundle, encoding="utf-8")
    styles = sorted(FIGURES.glob("*.css"), key=lambda path: (path.stem != "common", path.stem))
    style = "\n".join(path.read_text(encoding="utf-8") for path in styles)
    (static / "figures.css").write_text(style, encoding="utf-8")


def write_bundle(app):
    write_figures(Path(app.outdir) / "_static")


def add_to_page(app, pagename, templatename, context, doctree):
    if '<div class="minigpt-figure"' in context.get("body", ""):
        app.add_css_file("figures.css")
        app.add_js_file("living-figures.js", loading_method="defer")


def drop_font_preloads(app, error):
    """The theme preloads its icons' fonts with `crossorigin`, which fails, with an error each, on file://."""
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(re.sub(r'<link rel="preload" as="font"[^>]*>\n?', "", text), encoding="utf-8")


def setup(app):
    app.add_directive("living-figure", LivingFigure)
    app.connect("builder-inited", write_bundle)
    app.connect("html-page-context", add_to_page)
    app.connect("build-finished", drop_font_preloads)
    app.add_css_file("book.css")
    app.add_js_file("book.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
