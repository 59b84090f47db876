"""A file is the old one or the new one, whole, whatever happens while it is written."""

import errno
import os

import pytest

from minigpt import files
from minigpt.files import write_whole


def test_it_is_written_and_replaced(tmp_path):
    for data in (b"one", b"another", b""):
        write_whole(tmp_path / "a.json", data)
        assert (tmp_path / "a.json").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_whole(tmp_path / "a.json", b"good")

    def half(path, data):
        path.write_bytes(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files, "write_file", half)
    with pytest.raises(OSError, match="space"):
        write_whole(tmp_path / "a.json", b"something new and longer")
    assert (tmp_path / "a.json").read_bytes() == b"good"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
