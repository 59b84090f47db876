"""Sphinx extension: a notebook's page says where it can be run.

On your own computer, always; on Colab and Binder as soon as `repository: url` in _config.yml names a public repository
on GitHub. `make furniture` then also gives each notebook the cell that it needs there: see book/tools/install_cell.py.
"""


def places(page: str, repository: str, branch: str) -> list[tuple[str, str]]:
    """(name, address) of the services that open this notebook from this repository; none if it is not on GitHub."""
    host, _, name = repository.rstrip("/").removesuffix(".git").partition("github.com/")
    if host != "https://" or name.count("/") != 1:
        return []
    return [
        ("Colab", f"https://colab.research.google.com/github/{name}/blob/{branch}/{page}.ipynb"),
        ("Binder", f"https://mybinder.org/v2/gh/{name}/{branch}?urlpath=lab/tree/{page}.ipynb"),
    ]


def add_button(app, pagename, templatename, context, doctree):
    if context.get("page_source_suffix") != ".ipynb":
        return
    options = app.config.html_theme_options
    found = places(pagename, options.get("repository_url", ""), options.get("repository_branch") or "main")
    links = [("On your computer", context["pathto"]("book/setup")), *found]
    buttons = [
        {"type": "link", "text": name, "tooltip": f"Run this page: {name}", "icon": "fas fa-play", "url": address}
        for name, address in links
    ]
    group = {"type": "group", "label": "launch-buttons", "icon": "fas fa-rocket", "tooltip": "Run this page"}
    context["header_buttons"].insert(0, group | {"buttons": buttons})


def setup(app):
    app.connect("html-page-context", add_button, priority=600)  # after the theme has begun its list
    return {"parallel_read_safe": True, "parallel_write_safe": True}
