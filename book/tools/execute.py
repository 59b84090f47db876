"""Run the book's notebooks again, in place, and store their outputs, their time and their memory.

    python book/tools/execute.py                 all notebooks of the table of contents
    python book/tools/execute.py PATH …          these only
    python book/tools/execute.py --furniture     only write header cards and references anew, run nothing

A notebook that fails is left as it was. Time and peak memory go to book/measurements.json.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
from furniture import MEASUREMENTS, ROOT, TABLES, load_measurements, notebooks, read, refresh, with_table
from install_cell import is_install
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from minigpt.files import write_whole

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PROGRESS_BAR = re.compile(r"\d+%\||\d+\w+ \[\d\d:\d\d")  # tqdm with a known total, and without
CELL_TIMEOUT = 600  # seconds; far above any cell of the book


class PeakMemory(threading.Thread):
    """Watches the resident memory of a process and its children, twenty times a second."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.process, self.bytes, self.done = psutil.Process(pid), 0, threading.Event()

    def run(self):
        while not self.done.wait(0.05):
            try:
                family = [self.process, *self.process.children(recursive=True)]
                self.bytes = max(self.bytes, sum(process.memory_info().rss for process in family))
            except psutil.NoSuchProcess:
                continue  # a child ended between the two calls


def code_hash(notebook) -> str:
    """A fingerprint of the code cells, so that a test can tell whether the stored outputs belong to them."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not is_install(cell)]
    code = "\0".join(cell.source for cell in cells)
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def run(path: Path, notebook) -> dict:
    """Execute every cell in a fresh kernel; return what it took."""
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # what the kernel says of itself is not the page's
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.perf_counter()
    with client.setup_kernel():
        memory = PeakMemory(client.km.provisioner.pid)
        memory.start()
        client.reset_execution_trackers()
        for index, cell in enumerate(notebook.cells):
            if is_install(cell):  # there is nothing to install here
                continue
            client.execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
        memory.done.set()
        memory.join()
    return {
        "seconds": round(time.perf_counter() - start),
        "peak_mb": round(memory.bytes / 1e6),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "code": code_hash(notebook),
    }


def without_progress(text: str) -> str:
    """Text of stderr without progress bars; a warning beside them stays."""
    lines = re.split(r"[\r\n]", text)
    return "\n".join(line for line in lines if line.strip() and not PROGRESS_BAR.search(line))


def clean(notebook) -> None:
    """Remove what a reader cannot use: widgets without a kernel, progress bars, the machine's versions."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata.language_info = {"name": "python", "pygments_lexer": "ipython3"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            if output.get("name") == "stderr":
                output.text = without_progress(output.text)
                if not output.text:
                    continue
            if WIDGET_VIEW in output.get("data", {}):
                del output.data[WIDGET_VIEW]
                if set(output.data) <= {"text/plain"}:
                    continue  # ipywidgets alone: "interactive(…)" says nothing to a reader
            kept.append(output)
        cell.outputs = kept


def write(path: Path, text: str) -> None:
    """Write a text whole, so that an interruption leaves the old one."""
    write_whole(path, text.encode())


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the book's notebooks again, in place.")
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--furniture", action="store_true", help="write cards and references, run nothing")
    arguments = parser.parse_args()
    for name in TABLES:
        write(ROOT / "book" / name, with_table(ROOT / "book" / name))
    for path in [path.resolve() for path in arguments.paths] or notebooks():
        if path not in notebooks():
            print(f"{path} is no notebook of _toc.yml; a page has to be in it.", file=sys.stderr)
            return 1
        name = path.relative_to(ROOT).as_posix()
        try:
            notebook = read(path)
            refresh(path, notebook)  # before running: a mistake in the metadata should cost no minutes
            if not arguments.furniture:
                print(f"{name} …", flush=True)
                measured = run(path, notebook)
                print(f"    {measured['seconds']} s, {measured['peak_mb']} MB at its peak", flush=True)
                clean(notebook)
                measurements = load_measurements() | {name: measured}
                write(MEASUREMENTS, json.dumps(dict(sorted(measurements.items())), indent=2) + "\n")
                refresh(path, notebook)
        except (CellExecutionError, ValueError) as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        write(path, nbformat.writes(notebook) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
