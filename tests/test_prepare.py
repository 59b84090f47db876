"""data prepare: the ids of whole documents, in bounded memory, through every interruption, or one clear sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt import __main__ as cli
from minigpt import prepare as module
from minigpt.data import TokenDataset
from minigpt.prepare import CUT, Document, _draw, _find, prepare
from minigpt.shards import open_shards
from minigpt.texts import split_documents
from minigpt.tokenizer import END_OF_TEXT, PRETOKEN, BPETokenizer, CharTokenizer

TRICKY = "ab 'sltre \n\r\t.,!-19é中文，。\u0301\xa0\u2003\x1c\x85😀"  # what GPT-2's pattern tells apart, and marks
WORDS = "'s 't 're 've 'm 'll 'd | |  |\n\n|\r\n|the|1984|…|İ|ǅ|ª|²|Ⅷ|\u200b|\ufeff".replace(" ", "|").split("|")
texts = st.lists(st.sampled_from(list(TRICKY) + WORDS), max_size=60).map("".join) | st.text(max_size=40)
SAMPLE = "It's the cat's 12 hats,  and 'twas we'll\n\n\tsee…  and  the  end\n\n  中文，中文。 " * 3
BPE = BPETokenizer.train(SAMPLE, 290, (END_OF_TEXT,))


class Stub:
    """Stands in for a tokenizer: quick, and it says which text it was given."""

    def __init__(self, vocab_size=256):
        self.vocab_size, self.special_tokens = vocab_size, {}

    def encode(self, text):
        return list(text.encode())

    def fingerprint(self):
        return f"stub {self.vocab_size}"

    def save(self, path):
        Path(path).write_text("{}")


def contents(folder):
    return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir())}


@pytest.fixture
def folder(tmp_path):
    """Three documents, one of which will be for validation, and a file that is none."""
    (tmp_path / "texts" / "sub").mkdir(parents=True)
    for name, repeats in (("one.txt", 9), ("sub/two.md", 5), ("three.txt", 2)):
        (tmp_path / "texts" / name).write_text(name + SAMPLE * repeats, encoding="utf-8", newline="")
    (tmp_path / "texts" / "other.csv").write_text("a,b")
    return tmp_path / "texts"


# --- the same ids as the whole


@settings(max_examples=400, deadline=None)
@given(texts)
def test_no_pretoken_crosses_or_notices_a_cut(text):
    for cut in {match.start() for match in CUT.finditer(text, overlapped=True)}:
        assert PRETOKEN.findall(text[:cut]) + PRETOKEN.findall(text[cut:]) == PRETOKEN.findall(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts.filter(lambda t: t.strip("\ufeff")), min_size=2, max_size=4), st.integers(1, 40))
def test_ids_are_those_of_whole_documents(tmp_path_factory, documents, chunk):
    path = tmp_path_factory.mktemp("prepare")
    (path / "texts").mkdir()
    for i, text in enumerate(documents):
        (path / "texts" / f"{i}.txt").write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        train, val, tokenizer = open_shards(prepare([path / "texts"], path / "out", BPE))
    for split, ids in (("train", train), ("val", val)):
        files = [document.source for document in _find(path / "texts", 0.1, (".txt",)) if document.split == split]
        assert ids.tolist() == sum((BPE.encode(file.read_text(encoding="utf-8-sig")) + [289] for file in files), [])


def test_a_folder_of_documents(folder, tmp_path):
    train, val, tokenizer = open_shards(prepare([folder], tmp_path / "out", BPE))
    one, three, two = ((folder / name).read_text(encoding="utf-8") for name in ("one.txt", "three.txt", "sub/two.md"))
    assert train.tolist() == BPE.encode(one) + [289] + BPE.encode(two) + [289]
    assert val.tolist() == BPE.encode(three) + [289]
    assert tokenizer.fingerprint() == BPE.fingerprint()
    assert TokenDataset(train, 8).sample(2)[0].shape == (2, 8)
    assert set(contents(tmp_path / "out")) == {"manifest.json", "tokenizer.json", "train.bin", "train.json", "val.bin",
                                               "val.json"}  # fmt: skip


def test_a_single_document_gives_its_tail(tmp_path):
    (tmp_path / "a.txt").write_text("line\n" * 1000, encoding="utf-8")
    (tmp_path / "b.txt").write_text("中" * 1000, encoding="utf-8")  # no line to cut at, three bytes a character
    tokenizer = CharTokenizer.train("line\n中")
    for name, lengths in (("a.txt", (4500, 500)), ("b.txt", (900, 100))):
        train, val, _ = open_shards(prepare([tmp_path / name], tmp_path / f"{name}.out", tokenizer))
        assert (len(train), len(val)) == pytest.approx(lengths, abs=5) and len(train) + len(val) == sum(lengths)
    assert tokenizer.decode(open_shards(tmp_path / "a.txt.out")[1][:5]) == "line\n"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=30), st.floats(0.01, 0.5))
def test_validation_is_close_to_what_was_asked_for(sizes, fraction):
    drawn = _draw([Document(f"{i}", b"", 0, size) for i, size in enumerate(sizes)], fraction)
    val = [document.size for document in drawn if document.split == "val"]
    assert [document.size for document in drawn] == sizes and 0 < len(val) < len(sizes)
    assert abs(sum(val) - fraction * sum(sizes)) <= max(sizes) or val == [min(sizes)]


def test_what_windows_writes(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + b"one\r\ntwo\r" * 40)
    train, val, tokenizer = open_shards(prepare([tmp_path / "a.txt"], tmp_path / "out", BPE))
    assert tokenizer.decode(train[:-1]) + tokenizer.decode(val[:-1]) == "one\ntwo\n" * 40


def test_a_corpus_keeps_its_split_and_gets_a_tokenizer(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(module, "SAMPLE", 100_000)
    monkeypatch.setattr(sys, "argv", f"minigpt data prepare andersen --vocab-size 400 --out {tmp_path}/out".split())
    cli.main()
    train, val, tokenizer = open_shards(tmp_path / "out")
    assert f"{len(train):,} training and {len(val):,} validation tokens, 400 different" in capsys.readouterr().out
    for ids, documents in zip((train, val), split_documents("andersen"), strict=True):
        assert tokenizer.decode(ids) == "".join(text + END_OF_TEXT for text in documents)
    seen = []
    monkeypatch.setattr(BPETokenizer, "train", classmethod(lambda cls, text, *_: seen.append(text) or BPE))
    for sample in (2**18, 2**23):
        monkeypatch.setattr(module, "SAMPLE", sample)
        prepare(["andersen"], tmp_path / f"{sample}", vocab_size=400)
    documents = split_documents("andersen")[0]
    assert 200_000 < len(seen[0]) <= 2**18 + 2**16  # bounded, and from all over the training text
    assert sum(text[:300] in seen[0] for text in documents) > 5
    assert seen[1] == "".join(documents)  # all of it where that is little, and nothing else


# --- interrupted

KILLED_EVERYWHERE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[0]).parent))
from minigpt import prepare as module
module.CHUNK, module.SAVE_EVERY = 512, 4
inputs, out = sys.argv[1], Path(sys.argv[2])

def run(folder, kill_at=0):
    "In a process of its own, which is killed at its n-th touch of the disk. Whether it ended well."
    child = os.fork()
    if child == 0:
        passed = 0
        def watch(event, args):
            nonlocal passed
            if event in ("open", "os.rename", "os.truncate", "os.mkdir") and str(folder) in str(args[0]):
                passed += 1
                if passed == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(watch)
        os.fsync = lambda file: watch("open", [folder])  # a killed process needs none: what it wrote is in the cache
        try:
            module.prepare([inputs], folder, vocab_size=280)
        except BaseException as e:
            print(kill_at, repr(e), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == 0

def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}

assert run(out / "whole")
n = 1
while not run(out / f"killed-{n}", n):
    if n % 3 == 0:
        run(out / f"killed-{n}", 9)  # killed once more
    assert run(out / f"killed-{n}")
    assert contents(out / f"killed-{n}") == contents(out / "whole"), n
    n += 1
print(n)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_every_touch_of_the_disk_it_ends_with_the_same_bytes(folder, tmp_path):
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", KILLED_EVERYWHERE, folder, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 30


FULL_DISK = """
import resource, sys
from minigpt import prepare as module
module.CHUNK, module.SAVE_EVERY = 64, 3
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
sys.argv[1:] = ["data", "prepare", sys.argv[1], "--out", sys.argv[2], "--vocab-size", "280"]
from minigpt.__main__ import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_full_disk_loses_nothing(folder, tmp_path, monkeypatch):
    (folder / "long.txt").write_text(SAMPLE * 150, encoding="utf-8")
    monkeypatch.setattr(module, "CHUNK", 64)
    prepare([folder], tmp_path / "whole", vocab_size=280)
    size = (tmp_path / "whole" / "train.bin").stat().st_size
    for room in (size // 2 | 1, size - 1):  # half of an id still fits; only the very last byte does not
        out = tmp_path / f"{room}"
        command = [sys.executable, "-c", FULL_DISK, folder, out, str(room)]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "is not finished" in done.stderr and "free some space, and the same command goes on" in done.stderr
        with pytest.raises(FileNotFoundError, match="is not finished"):
            open_shards(out)
        prepare([folder], out, vocab_size=280)
        assert contents(out) == contents(tmp_path / "whole")


# --- mistakes


def test_whatever_has_changed_is_noticed_and_nothing_is_overwritten(folder, tmp_path):
    out = prepare([folder], tmp_path / "out", BPE)
    before = contents(out)
    assert contents(prepare([folder], out, BPE)) == before  # finished: once more does nothing
    other = BPETokenizer.train(SAMPLE, 280)
    for what, change in {
        "tokenizer": dict(tokenizer=other),
        "vocab_size": dict(tokenizer=None),
        "val_fraction": dict(val_fraction=0.2),
        "texts": dict(suffixes=[".txt"]),
        "errors": dict(errors="replace"),
    }.items():
        with pytest.raises(ValueError, match=f"begun with other .*{what}.*, and was left as it is"):
            prepare([folder], out, **({"tokenizer": BPE} | change))
    changed = (folder / "one.txt").read_bytes().replace(b"cat", b"dog")  # of the same length
    (folder / "one.txt").write_bytes(changed)
    with pytest.raises(ValueError, match="begun with other texts"):
        prepare([folder], out, BPE)
    assert contents(out) == before


def test_a_folder_with_other_things_is_left_alone(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "train.bin").write_text("mine")
    with pytest.raises(ValueError, match="holds other things: choose a new folder"):
        prepare([folder], tmp_path / "out", BPE)
    (tmp_path / "out" / "train.bin").unlink()
    BPETokenizer.train(SAMPLE, 280).save(tmp_path / "out")
    with pytest.raises(ValueError, match="is another tokenizer"):
        prepare([folder], tmp_path / "out", BPE)
    BPE.save(tmp_path / "out")
    assert open_shards(prepare([folder], tmp_path / "out", BPE))


def test_too_many_ids(folder, tmp_path):
    with pytest.raises(ValueError, match="16-bit ids, up to 65,535, but this vocabulary has 65,537"):
        prepare([folder], tmp_path / "out", Stub(2**16 + 1))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", [0, 5, 63, 64, 65, 200])
def test_bytes_that_are_no_utf8_are_named(tmp_path, place, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 64)
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + "é ".encode() * 300)
    data = bytearray("ab" * 200, encoding="utf-8")
    data[place] = 0xFF
    (tmp_path / "b.txt").write_bytes(data)
    with pytest.raises(ValueError, match=rf"b\.txt is not UTF-8 text \(byte {place}\).*--errors replace"):
        prepare([tmp_path / "a.txt", tmp_path / "b.txt"], tmp_path / "out", BPE)
    assert not (tmp_path / "out").exists()
    train, _, tokenizer = open_shards(prepare([tmp_path / "b.txt"], tmp_path / "out", BPE, errors="replace"))
    assert tokenizer.decode(train[:-1])[place] == "�"


def test_inputs_that_are_none(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("")
    for inputs, error, message in (
        ([], ValueError, "nothing to prepare"),
        ([tmp_path / "no.txt"], FileNotFoundError, "no file, no folder and no corpus"),
        ([tmp_path / "empty"], ValueError, "holds no text: .*.txt or .md"),
    ):
        with pytest.raises(error, match=message):
            prepare(inputs, tmp_path / "out", BPE)
    with pytest.raises(ValueError, match="val_fraction=0 must lie above 0"):
        prepare(["andersen"], tmp_path / "out", BPE, val_fraction=0)


def test_a_prepared_folder_that_is_none(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no prepared text: make it with"):
        open_shards(tmp_path)
    out = prepare([folder], tmp_path / "out", BPE)
    known = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for broken in ("{", "[]", "{}", json.dumps(known | {"version": 2}), json.dumps(known | {"train": "3"})):
        (out / "manifest.json").write_text(broken, encoding="utf-8")
        with pytest.raises(ValueError, match="manifest.json cannot be used .*in a new folder"):
            open_shards(out)
    (out / "manifest.json").write_text(json.dumps(known | {"finished": False, "train": 10**6}), encoding="utf-8")
    with pytest.raises(ValueError, match="train.bin is shorter than manifest.json says"):
        prepare([folder], out, BPE)


# --- memory

PEAK = """
import resource, sys
from minigpt.prepare import prepare
sys.path.insert(0, sys.argv[1])
from test_prepare import Stub
prepare([sys.argv[2]], sys.argv[3], Stub())
unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, to MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit)
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_memory_does_not_grow_with_the_text(tmp_path):
    line, peaks = "The quick brown fox jumps over the lazy dog, 中文 too. " * 20 + "\n", []
    for megabytes in (20, 200):
        with (tmp_path / "text.txt").open("w", encoding="utf-8", newline="\n") as file:
            for _ in range(megabytes * 10**6 // len(line.encode()) + 1):
                file.write(line)
        here = Path(__file__).parent
        command = [sys.executable, "-c", PEAK, here, tmp_path / "text.txt", tmp_path / f"out-{megabytes}"]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
        peaks.append(int(done.stdout))
        assert (tmp_path / f"out-{megabytes}" / "train.bin").stat().st_size > 1.7 * megabytes * 10**6
    assert peaks[1] <= peaks[0] + 50, peaks
