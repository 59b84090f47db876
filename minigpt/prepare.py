"""From text files of any size to a folder of token ids: what `python -m minigpt data prepare` does.

The texts are read piece by piece, and the ids are those of each whole document. manifest.json notes how far we are:
killed at any moment, the same call goes on and ends with the same bytes. There is one shard for training and one for
validation, however large: a memory map needs no small files, and a row without seams needs no rule for crossing them.
"""

import codecs
import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import regex
from tqdm.auto import tqdm

from .corpora import CORPORA
from .shards import SPLITS, check_vocabulary, read_manifest, two_bytes, write_header, write_json
from .texts import split_documents
from .tokenizer import END_OF_TEXT, SPECIAL_TOKENS, BPETokenizer, load_tokenizer

CHUNK = 2**18  # bytes of text that are read, and turned into ids, at a time
SAVE_EVERY = 32  # pieces of about CHUNK bytes between two notes of how far we are
SAMPLE, SLICE = 2**23, 2**16  # bytes that a BPE is trained on at most, in slices spread evenly over the training text

BEFORE_MANIFEST = "tokenizer.json", "tokenizer.json.partial", "manifest.json.partial"  # what a new folder may hold

# Where a text may be cut so that the ids of the parts are the ids of the whole: before white space that follows
# something else, and after a letter that no letter follows. No alternative of GPT-2's pre-token pattern goes on past
# such a place, none looks past it (the only one that looks ahead, \s+(?!\S), then ends earlier and looks at what is
# still there), and none looks back. (?r) searches from the end.
CUT = regex.compile(r"(?r)(?<=\S)(?=\s)|(?<=\p{L})(?=\P{L})")


@dataclass(frozen=True)
class Document:
    """Bytes `start` to `stop` of a file, or of a text in memory."""

    name: str
    source: Path | bytes
    start: int
    stop: int
    split: str = "train"  # or "val"

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start

    def open(self):
        """The bytes as a file that stands at `start`."""
        file = io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")
        file.seek(self.start)
        return file


def prepare(
    inputs: Sequence,
    folder,
    tokenizer=None,
    vocab_size: int = 8192,
    val_fraction: float = 0.1,
    suffixes: Sequence[str] = (".txt", ".md"),
    errors: str = "strict",
) -> Path:
    """Tokenize text files into a folder that open_shards() opens, in memory that does not grow with the text.

    inputs: text files, folders (everything in them whose name ends in one of `suffixes`), or names of corpora. A file
    is a document; after each comes <|endoftext|>, if the tokenizer has it. Without a tokenizer, a byte-level BPE of
    `vocab_size` tokens is trained first, on at most 8 MB in slices spread evenly over the training text. Of each
    input about `val_fraction` of all bytes are for validation: whole documents, always the same; only of an input
    that is a single document, its tail. errors="replace" reads bytes that are not UTF-8 as �.

    Interrupted at any moment, the same call goes on where it stopped and ends with the same bytes. Raises ValueError
    if the folder holds something else or was begun with other texts, another tokenizer or other options (nothing is
    then changed), if a file is not UTF-8, or if there are more than 65,536 ids; OSError if the disk is full.
    """
    folder = Path(folder)
    if not 0 < val_fraction <= 0.5:
        raise ValueError(f"val_fraction={val_fraction} must lie above 0, up to 0.5: 0.1 keeps a tenth for validation.")
    if not inputs:
        raise ValueError("There is nothing to prepare: name text files, folders or corpora.")
    groups = [_find(name, val_fraction, tuple(suffixes)) for name in inputs]
    documents = [document for group in groups for document in group]
    total = sum(document.size for document in documents)
    known = read_manifest(folder)
    if known is None and folder.exists() and {file.name for file in folder.iterdir()} - set(BEFORE_MANIFEST):
        raise ValueError(f"{folder} holds other things: choose a new folder.")
    with tqdm(total=total, unit="B", unit_scale=True, desc="checking") as bar:
        texts = [
            {"name": Path(name).name, "documents": len(group), "sha256": _digest(group, errors, bar)}
            for name, group in zip(inputs, groups, strict=True)
        ]
    trained = tokenizer is None
    if trained:
        tokenizer = load_tokenizer(folder) if known else _train_tokenizer(documents, vocab_size)
    check_vocabulary(tokenizer)
    plan = {
        "format": "minigpt prepared",
        "version": 1,
        "texts": texts,
        "tokenizer": tokenizer.fingerprint(),
        "vocab_size": vocab_size if trained else None,
        "val_fraction": val_fraction,
        "errors": errors,
        "chunk": CHUNK,
    }
    try:
        if known is None:
            folder.mkdir(parents=True, exist_ok=True)
            _save_tokenizer(tokenizer, folder)
            known = plan | {"pieces": 0, "train": 0, "val": 0, "finished": False}
            write_json(folder / "manifest.json", known)
        if changed := [name for name in plan if plan[name] != known.get(name)]:
            raise ValueError(
                f"{folder} was begun with other {' and '.join(changed)}, and was left as it is: give the same command "
                f"as then, or another folder."
            )
        if not known["finished"]:
            with tqdm(total=total, unit="B", unit_scale=True, desc="tokenizing") as bar:
                _write(_pieces(documents, errors, bar), folder, tokenizer, known)
    except OSError as error:
        raise OSError(
            f"{folder} is not finished ({error}): mend that, perhaps free some space, and the same command goes on."
        ) from error
    return folder


def _find(name, val_fraction: float, suffixes: tuple[str, ...]) -> list[Document]:
    """The documents of one input, each for training or validation."""
    path = Path(name)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.name.endswith(suffixes) and file.is_file())
        documents = [Document(file.relative_to(path).as_posix(), file, 0, file.stat().st_size) for file in files]
    elif path.is_file():
        documents = [Document(path.name, path, 0, path.stat().st_size)]
    elif str(name) in CORPORA:
        texts = zip(SPLITS, split_documents(str(name), val_fraction), strict=True)
        encoded = [(split, text.encode()) for split, group in texts for text in group]
        return [Document(f"{name} {i}", data, 0, len(data), split) for i, (split, data) in enumerate(encoded)]
    else:
        raise FileNotFoundError(f"{name} is no file, no folder and no corpus: name one, or see `data list`.")
    documents = [document for document in documents if document.size]
    if not documents:
        raise ValueError(f"{name} holds no text: name a file, or a folder with {' or '.join(suffixes)} files in it.")
    return _cut_tail(documents[0], val_fraction) if len(documents) == 1 else _draw(documents, val_fraction)


def _cut_tail(document: Document, val_fraction: float) -> list[Document]:
    """A document's beginning for training, and its tail, from the beginning of a line on, for validation."""
    cut = round(document.size * (1 - val_fraction))
    with document.open() as file:
        file.seek(cut)
        line = file.readline(CHUNK)
    if line.endswith(b"\n") and cut + len(line) < document.stop:
        cut += len(line)
    else:  # no line ends here: from the beginning of a character on
        cut += next((i for i, byte in enumerate(line) if byte & 0b1100_0000 != 0b1000_0000), 0)
    parts = [replace(document, stop=cut), replace(document, start=cut, split="val")]
    return [part for part in parts if part.size]


def _draw(documents: list[Document], val_fraction: float) -> list[Document]:
    """Documents in their order, some of them now for validation: in the order of their names' hashes, each that brings
    validation closer to `val_fraction` of all bytes; the smallest if none does."""
    wanted, taken, drawn = val_fraction * sum(document.size for document in documents), 0, set()
    for document in sorted(documents, key=lambda document: hashlib.sha256(document.name.encode()).digest()):
        if taken + document.size - wanted < abs(wanted - taken):
            drawn.add(document.name)
            taken += document.size
    drawn = drawn or {min(documents, key=lambda document: document.size).name}
    return [replace(document, split="val") if document.name in drawn else document for document in documents]


def _texts(document: Document, errors: str, bar: tqdm) -> Iterator[str]:
    """The text of a document, as it is read. A byte order mark is dropped, and line ends become \\n."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8-sig")(errors), translate=True)
    with document.open() as file:
        while True:
            data = file.read(min(CHUNK, document.stop - file.tell()))
            try:
                yield decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                byte = file.tell() - len(error.object) + error.start
                raise ValueError(
                    f"{document.name} is not UTF-8 text (byte {byte:,}): save it as UTF-8, or use --errors replace."
                ) from None
            if not data:
                return
            bar.update(len(data))


def _digest(documents: list[Document], errors: str, bar: tqdm) -> str:
    """A SHA-256 over what documents are called, what they are for and what they say."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"\0{document.name}\0{document.split}\0".encode())
        for text in _texts(document, errors, bar):
            digest.update(text.encode())
    return digest.hexdigest()


def _train_tokenizer(documents: list[Document], vocab_size: int) -> BPETokenizer:
    """A byte-level BPE from at most SAMPLE bytes: the training documents in a row, of which every `every` bytes the
    first SLICE are read."""
    documents = [document for document in documents if document.split == "train"]
    every = max(SLICE, -(-sum(document.size for document in documents) * SLICE // SAMPLE))
    texts, passed = [], 0
    for document in documents:
        with document.open() as file:
            for place in range(passed // every * every, passed + document.size, every):
                first, last = max(place, passed), min(place + SLICE, passed + document.size)
                if first < last:
                    file.seek(document.start + first - passed)
                    texts.append(file.read(last - first).decode("utf-8", errors="ignore").replace("\r\n", "\n"))
        passed += document.size
    return BPETokenizer.train("".join(texts), vocab_size, SPECIAL_TOKENS)


def _save_tokenizer(tokenizer, folder: Path) -> None:
    path = folder / "tokenizer.json"
    if path.is_file() and load_tokenizer(path).fingerprint() != tokenizer.fingerprint():
        raise ValueError(f"{path} is another tokenizer: choose a new folder, or use that one with --tokenizer.")
    tokenizer.save(path)


def _pieces(documents: list[Document], errors: str, bar: tqdm) -> Iterator[tuple[str, str, bool]]:
    """(split, text, whether its document ends here): all documents, cut so that each piece can be encoded by itself.

    A text without a place to cut, such as a single word of a megabyte, stays in one piece.
    """
    for document in documents:
        rest = ""
        for text in _texts(document, errors, bar):
            rest += text
            if cut := CUT.search(rest):
                yield document.split, rest[: cut.start()], False
                rest = rest[cut.start() :]
        yield document.split, rest, True


def _write(pieces: Iterator[tuple[str, str, bool]], folder: Path, tokenizer, known: dict) -> None:
    """Go on from where manifest.json says we are, to the end."""
    end = [tokenizer.special_tokens[END_OF_TEXT]] if END_OF_TEXT in tokenizer.special_tokens else []
    with ExitStack() as stack:
        files = {split: stack.enter_context((folder / f"{split}.bin").open("ab", buffering=0)) for split in SPLITS}
        for split, file in files.items():
            if file.tell() < 2 * known[split]:
                raise ValueError(f"{file.name} is shorter than manifest.json says: prepare the text in a new folder.")
            file.truncate(2 * known[split])  # what was written after the last note is written again
        # The pieces that are done are read and cut again, which is quick, so that the same ones follow.
        for split, text, ends in islice(pieces, known["pieces"], None):
            data = memoryview(two_bytes(tokenizer.encode(text) + end * ends, tokenizer))
            known["pieces"] += 1
            known[split] += len(data) // 2
            while data:  # a disk that is almost full takes only a part
                data = data[files[split].write(data) :]
            if known["pieces"] % SAVE_EVERY == 0:
                _note(files, folder, known)
        _note(files, folder, known)
    for split in SPLITS:
        write_header(folder / f"{split}.bin", known[split], tokenizer)
    write_json(folder / "manifest.json", known | {"finished": True})


def _note(files: dict, folder: Path, known: dict) -> None:
    """Write down how far we are, once the ids up to here are on the disk."""
    for file in files.values():
        os.fsync(file.fileno())
    write_json(folder / "manifest.json", known)
