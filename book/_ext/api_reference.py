"""Sphinx extension: the API reference, book/api.md, is written from minigpt's sources whenever the book is built.

The sources are read, not imported: a signature stands on the page as it stands in the code, a field with the comment
beside it. Every module, function and class has a label, its full name: [](minigpt.attention.attention) leads there.
"""

import ast
import re
from inspect import cleandoc
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "minigpt"
PAGE = "book/api"
WIDEST = 76  # a longer signature has a line for each parameter
# As a reader's data walks through the package; modules that are not named here follow in alphabetical order.
ORDER = """config tokenizer corpora texts synthetic tasks data shards prepare attention model objectives masking optim
quantize checkpoint train resume device generate decoding evaluate metrics lora chat ngram hf llama plots""".split()
# The command line explains itself; exercises are data.
LEFT_OUT = re.compile(r"__main__|commands\.|homework\.(exercises|assignments)\.|bench|doctor")


def modules() -> dict[str, ast.Module]:
    """The public modules by name, {"config": …, "figures.quiz": …}, in reading order."""
    paths = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    names = [name for name in paths if not LEFT_OUT.match(name) and not name.endswith("__init__")]
    names.sort(key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return {name: ast.parse(paths[name].read_text(encoding="utf-8")) for name in names}


def public(body: list) -> list:
    """The functions and classes without a leading underscore."""
    kinds = ast.FunctionDef | ast.ClassDef
    return [node for node in body if isinstance(node, kinds) and not node.name.startswith("_")]


def escape(text: str) -> str:
    """Markdown in which every sign stands for itself; `code`, calls() and names_like_this are code."""
    parts = re.split(r"(`[^`]+`|\b[\w.]+\([^()\n]*\)|\b[A-Za-z]\w*_\w+)", text)
    parts[::2] = [re.sub(r"([\\$<*_\[\]|#^~])", r"\\\1", part) for part in parts[::2]]
    parts[::2] = [re.sub(r"\\\*([\w ]+)\\\*", r"*\1*", part) for part in parts[::2]]  # *so* is stressed
    parts[1::2] = [f"`{part.strip('`')}`" for part in parts[1::2]]
    return "".join(parts)


def prose(node) -> str:
    """A docstring as Markdown; indented examples are code."""
    blocks = re.split(r"\n\s*\n", cleandoc(ast.get_docstring(node) or ""))
    for i, block in enumerate(blocks):
        if all(line.startswith("    ") for line in block.splitlines()):
            blocks[i] = f"```text\n{cleandoc(block)}\n```"
            continue
        lines = [line.strip() if re.match(r"\s*(\d+\.|-) ", line) else line for line in block.splitlines()]
        blocks[i] = escape("\n".join(lines))
    return "\n\n".join(blocks)


def signature(name: str, function: ast.FunctionDef, drop_first: bool) -> str:
    """As it stands in the source, without self, and without the packages that types come from."""
    given, taken = function.args, []
    defaults = [None] * (len(given.args) - len(given.defaults)) + given.defaults
    for star, parameter, default in [
        *[("", *pair) for pair in zip(given.args, defaults, strict=True)][drop_first:],
        *([("*", given.vararg or ast.arg(""), None)] if given.vararg or given.kwonlyargs else []),
        *[("", *pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)],
        *([("**", given.kwarg, None)] if given.kwarg else []),
    ]:
        equals = " = " if parameter.annotation else "="
        taken.append(star + ast.unparse(parameter) + (equals + ast.unparse(default) if default else ""))
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    text = f"{name}({', '.join(taken)}){returns}"
    if len(text) > WIDEST:
        text = f"{name}(\n    " + ",\n    ".join(taken) + f",\n){returns}"
    return "```python\n" + re.sub(r"\b(torch|np|nn)\.(?=[A-Za-z])", "", text) + "\n```"


def fields(node: ast.ClassDef, lines: list[str]) -> str:
    """The fields of a dataclass as a table: each as it stands in the source, and the comment beside it."""
    rows = []
    for field in node.body:
        if isinstance(field, ast.AnnAssign):
            comment = lines[field.end_lineno - 1][field.end_col_offset :].partition("#")[2].strip()
            code = ast.unparse(field).replace("|", "\\|")
            rows.append(f"| `{code}` | {escape(comment)} |")
    return "\n".join(["| field | meaning |", "|---|---|", *rows]) if rows else ""


def describe(module: str, node) -> list[str]:
    """A function or a class with its methods."""
    parts = [f"(minigpt.{module}.{node.name})=\n### {node.name}"]
    if isinstance(node, ast.FunctionDef):
        return [*parts, signature(node.name, node, drop_first=False), prose(node)]
    lines = (PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8").splitlines()
    methods = [method for method in node.body if isinstance(method, ast.FunctionDef)]
    parts += [signature(node.name, method, drop_first=True) for method in methods if method.name == "__init__"]
    parts += [prose(node), fields(node, lines)]
    for method in public(methods):
        marks = {ast.unparse(mark) for mark in method.decorator_list}
        name = f"{node.name}.{method.name}"
        if ast.get_docstring(method) or method.name == "forward":
            called = signature(name, method, drop_first="staticmethod" not in marks)
            parts += [f"```python\n{name}\n```" if "property" in marks else called, prose(method)]
    return parts


def page() -> str:
    """All of it, as Markdown."""
    parts = []
    for name, module in modules().items():
        parts += [f"(minigpt.{name})=\n## minigpt.{name}", prose(module)]
        parts += [part for node in public(module.body) for part in describe(name, node)]
    return "\n\n".join(part for part in parts if part) + "\n"


def setup(app):
    def fill(app, docname, source):
        if docname == PAGE:
            source[0] += "\n" + page()

    app.connect("source-read", fill)
    app.connect("env-get-outdated", lambda *_: [PAGE])  # the sources may have changed
    return {"parallel_read_safe": True, "parallel_write_safe": True}
