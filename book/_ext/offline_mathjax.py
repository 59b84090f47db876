"""Serve MathJax from the book itself, so that equations need no network and work from file:// too.

The package sphinx-mathjax-offline carries MathJax 3. Of its 24 MB a page needs the loader, the fonts and
the TeX extensions that the loader fetches when a formula first uses one of them (\\color, for instance).
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path

PARTS = ["tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"]


def write_mathjax(target):
    # The package's folder is named with hyphens, so no import statement finds it.
    source = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline/static/mathjax"))
    for part in PARTS:
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            shutil.copy(source / part, target / part)


def copy_mathjax(app, exception):
    if not exception and app.builder.format == "html":
        write_mathjax(Path(app.outdir, "_static", "vendor", "mathjax"))


def setup(app):
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
