"""A browser for the built book. A request that leaves the machine is stopped and fails the test; so does any error."""

import os
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import sync_playwright

HTML = Path(__file__).parents[2] / "_build" / "html"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip

# Two frames on: by then a figure that asks for its own width (ResizeObserver) has been told it, and is drawn.
DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"


@pytest.fixture(scope="session")
def browser():
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium or not Path(chromium).exists():
        pytest.fail("There is no Chromium: `make test` installs one, or set CHROMIUM to its path.", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def book():
    """The folder of the built book."""
    if not (HTML / "index.html").exists():
        pytest.fail("There is no built book in _build/html: `make test` and `make book` build it.", pytrace=False)
    return HTML


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site(book):
    """The address of the built book, served on this machine's loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=book))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page_of(book, tmp_path):
    """page_of(figure, …): the address of a page with these figures and nothing else, in the built book's style."""

    def page_of(*figures):
        style, script = ((book / "_static" / name).as_uri() for name in ("figures.css", "living-figures.js"))
        page = tmp_path / "page.html"
        page.write_text(
            f'<!doctype html><html lang="en"><meta charset="utf-8"><link rel="stylesheet" href="{style}">'
            f'<body style="font-family: sans-serif">{"".join(figure.to_html() for figure in figures)}'
            f'<script src="{script}"></script>',
            encoding="utf-8",
        )
        return page.as_uri()

    return page_of


@pytest.fixture
def visit(browser):
    """visit(address, width=1280, scheme="light") opens a page, complete with its equations and figures."""
    contexts, problems = [], []

    def visit(address, width=1280, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce", **options
        )
        contexts.append(context)

        def guard(route):
            url = urlsplit(route.request.url)
            if url.scheme in ("file", "blob", "data") or url.hostname in ("127.0.0.1", "localhost"):
                return route.continue_()
            problems.append(f"a request left the machine: {route.request.url}")
            return route.abort()

        context.route("**/*", guard)
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and problems.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"error: {error}"))
        page.goto(address)
        if options.get("java_script_enabled", True):
            page.wait_for_function("!document.querySelector('.minigpt-figure:not(.is-live)')")
            page.evaluate("window.MathJax?.startup?.promise?.then(() => null)")
            page.evaluate(DRAWN)
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)
