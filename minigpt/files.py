"""Files that are never left half written: a crash or a full disk leaves the old one or the new one, whole."""

import os
from contextlib import suppress
from pathlib import Path


def write_file(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk. For files of a folder that gets its name only when it is whole."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is at any moment the old one or the new one, whole. OSError if it cannot be written."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        write_file(partial, data)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk too, where the system can be asked for that (not on Windows)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
