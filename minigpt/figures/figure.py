"""What every living figure shares: one JavaScript source, two hosts.

In a notebook a figure is an anywidget: its traits are synchronised with the kernel both ways. In a built page there is
no kernel: `text/html` carries the figure's name, its state as JSON and a still picture with words, and the page's
script (book/_ext/boot.js) hands that state to the same JavaScript. Where no JavaScript runs, the still picture remains.
"""

import json
from html import escape
from pathlib import Path

import anywidget
import numpy as np
import traitlets

FOLDER = Path(__file__).parent


def _read(stem: str, kind: str) -> str:
    return (FOLDER / f"{stem}.{kind}").read_text(encoding="utf-8")


class Matrix(traitlets.TraitType):
    """A (rows, columns) matrix, given as a tensor, an array or nested lists, and kept as nested lists for JSON."""

    def validate(self, obj, value):
        value = value.detach().cpu() if hasattr(value, "detach") else value
        try:
            array = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name} must be a matrix of numbers with rows of equal length.") from None
        if array.ndim != 2 or array.size == 0:
            raise ValueError(f"{self.name} must be a matrix, one row per token, but its shape is {array.shape}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{self.name} holds a NaN or an infinity: a figure can only draw finite numbers.")
        return array.round(6).tolist()


def drawing(marks: list[str], width: int, height: int, words: str, size=13, family="sans-serif") -> str:
    """These marks as an SVG of `width` × `height` pixels at most; `words` say what it shows, `size` is the text's."""
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" style="max-width:100%;height:auto" fill="currentColor" '
        f'font-size="{size}" font-family="{family}" role="img" aria-label="{escape(words)}">{"".join(marks)}</svg>'
    )


class Figure(anywidget.AnyWidget):
    """A living figure. A subclass names its `module`, declares its state as synchronised traits, and describes itself.

    `module` is the stem of a JavaScript file and of a style sheet beside this one; `common`'s are put before them.
    `words()` says in one or two sentences what the figure shows; `still()` is HTML that shows it without JavaScript.
    """

    module = ""

    def __init_subclass__(cls, **kwargs):
        if "module" in cls.__dict__:  # not in the classes that traitlets derives to add a trait
            cls._esm, cls._css = (_read("common", kind) + "\n" + _read(cls.module, kind) for kind in ("js", "css"))
        super().__init_subclass__(**kwargs)

    def words(self) -> str:
        raise NotImplementedError

    def still(self) -> str:
        raise NotImplementedError

    def state(self) -> dict:
        """The traits that the subclass declared, as the JavaScript model sees them."""
        inherited = {*anywidget.AnyWidget.class_trait_names(), "_esm", "_css", "_anywidget_id"}
        return {name: getattr(self, name) for name in self.trait_names(sync=True) if name not in inherited}

    def to_html(self) -> str:
        """The figure for a page without a kernel: still picture, words, and the state that brings it to life."""
        state = json.dumps(self.state(), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        return (
            f'<div class="minigpt-figure" data-figure="{self.module}">\n'
            f'<div class="minigpt-still">{self.still()}<p>{escape(self.words())}</p></div>\n'
            f'<script type="application/json">{state}</script>\n</div>'
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.words()}"

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        return data | {"text/plain": repr(self), "text/html": self.to_html()}, metadata
