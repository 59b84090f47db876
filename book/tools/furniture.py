"""The two generated cells of a notebook: the header card and the list of references.

Both come from the notebook's own metadata, for example

    {"minigpt": {"number": "4.1", "objectives": ["compute attention by hand"], "builds_on": ["3.1"],
                 "data": ["andersen"], "references": ["vaswani2017attention"]}}

and from book/measurements.json, _toc.yml and book/references.bib. A test compares stored and generated.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import install_cell
import nbformat
import yaml
from pybtex.database import Entry, Person, parse_file
from pybtex.richtext import Text

from minigpt.checkpoint import load_checkpoint
from minigpt.corpora import CORPORA

ROOT = Path(__file__).resolve().parents[2]
MEASUREMENTS = ROOT / "book" / "measurements.json"
BIBLIOGRAPHY = ROOT / "book" / "references.bib"
MOST_AUTHORS = 4  # a longer list of authors is cut to the first, and "et al."


def chapter_pages() -> dict[str, Path]:
    """The numbered pages in the order of _toc.yml: {"4.1": Path(".../4-1-self-attention.ipynb"), …}."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = {}
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            for section in chapter.get("sections", []):
                stem = ROOT / section["file"]
                number = ".".join(stem.name.split("-")[:2])
                notebook = stem.with_name(stem.name + ".ipynb")
                pages[number] = notebook if notebook.exists() else stem.with_name(stem.name + ".md")
    return pages


def notebooks() -> list[Path]:
    """The notebooks of _toc.yml: those without a number, such as the tool kit, and then the numbered pages."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    plain = [ROOT / f"{chapter['file']}.ipynb" for part in toc["parts"] for chapter in part["chapters"]]
    return [path for path in plain + list(chapter_pages().values()) if path.suffix == ".ipynb" and path.exists()]


def read(path: Path):
    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)


def title(page: Path) -> str:
    """The first heading of a page, for example "4.1 Self-attention"."""
    if page.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in read(page).cells if cell.cell_type == "markdown")
    else:
        text = page.read_text(encoding="utf-8")
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    if not heading:
        raise ValueError(f"{page} has no title: begin it with a line like '# 4.1 Self-attention'.")
    return heading[1].strip()


def find_cell(notebook, tag: str):
    """The one Markdown cell with this tag."""
    found = [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]
    if len(found) != 1 or found[0].cell_type != "markdown":
        raise ValueError(f"A chapter has exactly one Markdown cell tagged '{tag}', not {len(found)}.")
    return found[0]


def link(page: Path, start: Path, text: str) -> str:
    relative = os.path.relpath(page, start.parent).replace(os.sep, "/")
    return f"[{text}]({relative})"


def load_measurements() -> dict[str, dict]:
    return json.loads(MEASUREMENTS.read_text(encoding="utf-8")) if MEASUREMENTS.exists() else {}


def in_words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"


def card(path: Path, notebook) -> str:
    """The header card: what the page teaches, needs, costs and reads."""
    about = notebook.metadata["minigpt"]
    pages = chapter_pages()
    before = [link(pages[number], path, title(pages[number])) for number in about["builds_on"]]
    for name in about["data"]:
        if name not in CORPORA:
            raise ValueError(f"There is no corpus '{name}', which the metadata names.")
    page = ROOT / "book" / "data.md"
    data = [f"{link(page, path, name)} ({CORPORA[name].about})" for name in about["data"]]
    measured = load_measurements().get(path.relative_to(ROOT).as_posix())
    if measured:
        time = in_words(measured["seconds"])
        memory = f"{measured['peak_mb'] / 1000:.1f} GB of memory"
        cost = f"{time} and {memory} on {measured['cores']} CPU cores"
    else:
        cost = "not measured yet"
    lines = ["**After this page you can**", "", *[f"- {objective}" for objective in about["objectives"]], ""]
    lines += [f"**Builds on** {', '.join(before) or 'nothing: start here'}", ""]
    lines += [f"**To run it** {cost} (GPU: not measured)", ""]
    lines += [f"**Data** {', '.join(data) or 'none'}"]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def plain(latex: str) -> str:
    return Text.from_latex(latex).render_as("text")


def name(person: Person) -> str:
    """Last name and initials: "Chang, M.-W."."""
    given = " ".join(plain(part) for part in person.first_names + person.middle_names)
    initials = re.sub(r"(\w)\w*\.?", r"\1.", given)
    last = plain(" ".join(person.prelast_names + person.last_names))
    return f"{last}, {initials}" if initials else last


def reference(entry: Entry) -> str:
    """One reference as a line of Markdown: authors (year). [Title](url). *Where.*"""
    people = [name(person) for person in entry.persons["author"] if person.last_names != ["others"]]
    if len(people) > MOST_AUTHORS or len(people) < len(entry.persons["author"]):
        authors = f"{people[0]} et al."
    else:
        authors = " & ".join([", ".join(people[:-1]), people[-1]] if people[1:] else people)
    fields = entry.fields
    where = next(fields[key] for key in ("booktitle", "journal", "howpublished") if key in fields)
    return f"{authors} ({fields['year']}). [{plain(fields['title'])}]({fields['url']}). *{plain(where)}*."


def references(path: Path, notebook) -> str:
    """The list of references, in the order of the first author's name."""
    entries = parse_file(str(BIBLIOGRAPHY), bib_format="bibtex").entries
    keys = notebook.metadata["minigpt"]["references"]
    for key in keys:
        if key not in entries:
            raise ValueError(f"book/references.bib has no entry '{key}', which the metadata names.")
    return "\n".join(["## References", "", *sorted(f"- {reference(entries[key])}" for key in keys)])


def data_table() -> str:
    """The table of book/data.md, from the corpora that minigpt knows."""
    lines = ["| name | what it is | by | licence | download |", "|---|---|---|---|--:|"]
    for corpus in CORPORA.values():
        size = f"{corpus.wheel.size / 1e6:.1f} MB" if corpus.wheel else "none"
        named = f"**{corpus.name}**" if corpus.core else corpus.name
        lines.append(f"| {named} | {corpus.about} | {corpus.attribution} | {corpus.licence} | {size} |")
    return "\n".join(lines)


def models_table() -> str:
    """The table of book/models.md, from the weights, configurations and logs in chapters/models."""
    titles = ("name", "a", "on", "parameters", "steps", "tokens/s", "validation loss", "size")
    lines = [f"| {' | '.join(titles)} |", "|---|---|---|--:|--:|--:|--:|--:|"]
    for config in sorted((ROOT / "chapters" / "models").glob("*/config.json")):  # some folders hold a log alone
        log = config.with_name("log.jsonl")
        model, _ = load_checkpoint(log.parent)
        told = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        loss = [line["val_loss"] for line in told if "val_loss" in line][-1]  # of these weights: the last look
        size = sum(file.stat().st_size for file in log.parent.glob("model*.safetensors"))
        speed = told[-1]["tokens_per_second"]
        command = ["make", "-n", f"model-{log.parent.name}"]  # says what it would run, and runs nothing
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        learned = re.search(r"-m minigpt (?:train|finetune) (.+?) -", said)[1].split()[-1]
        lines.append(
            f"| {log.parent.name} | {type(model).__name__} | {learned} | {model.num_parameters():,} | "
            f"{told[-1]['step']:,} | {speed:,} | {loss:.3f} | {size / 1e6:.1f} MB |"
        )
    return "\n".join(lines)


TABLES = {"data.md": data_table, "models.md": models_table}  # the pages of book/ whose table is generated


def with_table(page: Path) -> str:
    """The text of one of these pages with its table written anew."""
    table = re.compile(r"^\| name \|.*?(?=\n\n)", re.DOTALL | re.MULTILINE)
    return table.sub(lambda _: TABLES[page.name](), page.read_text(encoding="utf-8"), count=1)


def refresh(path: Path, notebook) -> None:
    """Write both cells anew, and the hidden one that installs the book where it has to be fetched."""
    if "minigpt" not in notebook.metadata:
        raise ValueError("The notebook has no 'minigpt' metadata: see CONTRIBUTING.md, 'A page'.")
    find_cell(notebook, "card").source = card(path, notebook)
    find_cell(notebook, "references").source = references(path, notebook)
    install_cell.place(notebook, install_cell.repository(), path.parent.relative_to(ROOT).as_posix())
