"""The API reference: everything public is on it, in words, and nothing that does not exist."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import api_reference  # noqa: E402

PAGE = api_reference.page()
MODULES = api_reference.modules()


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_has_words_and_a_place(name):
    module = MODULES[name]
    assert ast.get_docstring(module), f"minigpt.{name} has no docstring"
    assert f"(minigpt.{name})=\n## minigpt.{name}\n\n" in PAGE
    for node in api_reference.public(module.body):
        assert ast.get_docstring(node), f"minigpt.{name}.{node.name} has no docstring"
        assert PAGE.count(f"(minigpt.{name}.{node.name})=\n### {node.name}\n") == 1


def test_everything_named_exists():
    labels = re.findall(r"^\((minigpt\.[\w.]+)\)=\n(##+) ", PAGE, re.MULTILINE)
    assert len(labels) > 150 and len(set(labels)) == len(labels)
    for label, level in labels:
        if level == "##":
            module = importlib.import_module(label)
        else:
            assert label.startswith(f"{module.__name__}.")
            assert hasattr(module, label.rpartition(".")[2]), label
    for owner, method in re.findall(r"^```python\n(\w+)\.(\w+)", PAGE, re.MULTILINE):
        assert any(hasattr(getattr(sys.modules[f"minigpt.{name}"], owner, None), method) for name in MODULES)


def test_no_module_is_forgotten():
    files = {".".join(path.relative_to(ROOT / "minigpt").with_suffix("").parts)
             for path in (ROOT / "minigpt").rglob("*.py")}  # fmt: skip
    left_out = {name for name in files if name not in MODULES and not name.endswith("__init__")}
    known = r"__main__|bench|doctor|commands\.\w+|homework\.(exercises|assignments)\.\w+"
    assert all(re.fullmatch(known, name) for name in left_out)


def test_a_function_and_a_field_as_they_stand_on_the_page():
    assert "| `block_size: int = 128` | the longest context, in tokens |\n" in PAGE
    assert "```python\ncausal_mask(T: int, S: int | None = None, device=None) -> Tensor\n```" in PAGE
    source = "def f(self, a, b: torch.Tensor = None, *, c=1, **d) -> np.ndarray: 'x * [y] f(a_b, 1) y_z <|e|> `a*b`'"
    function = ast.parse(source).body[0]
    assert api_reference.signature("f", function, True) == (
        "```python\nf(a, b: Tensor = None, *, c=1, **d) -> ndarray\n```"
    )
    assert api_reference.prose(function) == r"x \* \[y\] `f(a_b, 1)` `y_z` \<\|e\|> `a*b`"


def test_the_page_is_in_the_book():
    assert "file: book/api\n" in (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert (ROOT / "book" / "api.md").read_text(encoding="utf-8").startswith("# API reference\n")
