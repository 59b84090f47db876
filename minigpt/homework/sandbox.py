"""Run a student's code in a worker process, and get back what it returns: values only, judged elsewhere.

    with Sandbox() as sandbox:
        replies = sandbox.run(steps)

The worker is a fresh Python with an empty environment and with a copy of minigpt that lacks the homework's
solutions. It is started once and forks a child for each submission (see `jail`), so PyTorch is imported once.
A child that hangs, crashes or exits costs the step it was at; the others are asked again in another child.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .worker import Limits, encode, to_line

PACKAGE = Path(__file__).resolve().parents[1]
PRELOAD = ("torch", "numpy", "torch._dynamo")  # the last takes a second, and the first optimizer made imports it
KEPT = ("worker.py", "jail.py")  # of homework/, in the copy that the worker sees
STUB = '''"""Stands in for the checks while a submission is graded."""

GIVEN = {}


def check(*_, **__):
    """Judges nothing: the grader does, in another process."""


def tally(*_, **__):
    """Nor does this."""


def given(exercise_id, student=""):
    """What the student was given."""
    return GIVEN[exercise_id]
'''


@dataclass(frozen=True)
class Lost:
    """In place of a reply: the step ended its process, or never ended."""

    reason: str


class Sandbox:
    """A worker that runs submissions, one after the other. ValueError where their code could not be held at all."""

    def __init__(self, limits: Limits | None = None, trust: bool = False, preload: tuple = PRELOAD):
        self.holds_back = sys.platform != "win32"
        if not (self.holds_back or trust):
            raise ValueError("on Windows nothing holds a student's code back: grade in a container (book/for-teachers "
                             "has the recipe), or add --trust if you would run all of it yourself")  # fmt: skip
        self.limits, self.walls, self.process = limits or Limits(), {}, None
        self.preload = preload if sys.platform == "linux" else ()  # elsewhere a process with PyTorch must not fork
        self.folder = Path(tempfile.mkdtemp(prefix="minigpt-grade-")).resolve()
        self.folder.chmod(0o755)  # the child may be another user
        (self.folder / "jail").mkdir()
        prune(self.folder / "book")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start the worker and hear which walls hold."""
        packages = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages") and Path(p).is_dir()]
        book = str(self.folder / "book")
        shown = [book, *packages, sys.base_prefix, str(Path(sys.executable).resolve().parent)]
        installed = PACKAGE.parent in [Path(p).resolve() for p in ("/", *shown)]
        hidden = str(PACKAGE if installed else PACKAGE.parent)  # the book, with its solutions
        code = f"import sys\nsys.path[:0] = {[book]}\nsys.path += {packages}\n"
        code += "".join(f"import {name}\n" for name in self.preload)
        if self.holds_back:
            settings = {"jail": str(self.folder / "jail"), "shown": shown, "hidden": hidden}
            code += f"from minigpt.homework.jail import serve\nserve({settings})\n"
        else:
            code += "from minigpt.homework.worker import serve_one\nserve_one()\n"
        # -I -S: no PYTHONPATH, no user's packages, no .pth files that lead to another copy of minigpt
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", code], cwd=self.folder, env=environment(), start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        line = self.process.stdout.readline()
        if line[:1] != b"W":
            raise OSError("the worker that runs submissions did not start: its error stands above")
        self.walls = json.loads(line[1:])

    def describe(self) -> str:
        """What holds on this system, and what does not, in words."""
        limits, more = self.limits, "See book/for-teachers for what to do."
        holds = f"{limits.seconds:g} s an answer, {limits.memory} MB of memory (Linux), {limits.file_size} MB a file"
        if not self.holds_back:
            return "NOTHING holds a submission's code back here: it can do whatever you can."
        if not self.walls["root"]:
            return (f"Held: {holds}. NOT held, because grading runs as an ordinary user: a submission can read your "
                    f"files, use the network and start processes. {more}")  # fmt: skip
        holds += f", {limits.processes} processes, a user of its own"
        if not self.walls["namespaces"]:
            return (f"Held: {holds}. NOT held, because this system allows no namespaces: a submission can use the "
                    f"network and read what any user can read. {more}")  # fmt: skip
        return f"Held: {holds}, no network, no file but Python and its packages, no process but its own."

    def stop(self) -> None:
        """End the worker, and with it all children."""
        if self.process:
            self.process.kill() if self.process.poll() is None and not self.holds_back else None
            self.process.stdin.close()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, 9)
                self.process.wait()
            self.process.stdout.close()
            self.process = None

    def run(self, steps: list[dict], given: dict | None = None) -> list[dict | Lost]:
        """The reply to each step (see `worker.work`), or why there is none.

        After a step that ended its child, the cells before it run again in a new one, and then the steps after it.
        """
        replies: list = [None] * len(steps)
        until = time.monotonic() + self.limits.total
        while None in replies:
            left = replace(self.limits, total=until - time.monotonic())
            if left.total <= 0:
                late = Lost(f"the submission ran longer than {self.limits.total:g} seconds in all")
                return [late if reply is None else reply for reply in replies]
            todo = [i for i, s in enumerate(steps) if replies[i] is None or ("cell" in s and type(replies[i]) is dict)]
            got, reason = self.attempt([steps[i] for i in todo], given or {}, left)
            for i, reply in zip(todo, got, strict=False):
                replies[i] = reply
            if len(got) < len(todo):
                replies[todo[len(got)]] = Lost(reason)
        return replies

    def attempt(self, steps: list[dict], given: dict, limits: Limits) -> tuple[list[dict], str]:
        """Take the steps in one child: the replies up to where it ended, and why it ended there."""
        if self.process is None:
            self.start()
        process, replies, reason = self.process, [], ""
        extra = 30 if self.holds_back else 0  # the guard in the worker is to be sooner than this one
        timer = threading.Timer(limits.total + extra, process.kill)
        timer.start()
        try:
            job = to_line({"steps": steps, "given": encode(given), "limits": asdict(limits)})
            process.stdin.write(struct.pack("<Q", len(job)) + job)
            process.stdin.flush()
            for line in process.stdout:
                if line[:1] == b"E":
                    return replies, reason or line[1:].decode().strip()
                reply = read_reply(line[1:], len(replies), steps)
                if reply is None and not reason:
                    reason = "it wrote what is no answer where answers are sent"
                    del replies[answered_again(line[1:], replies) :]
                elif not reason:
                    replies.append(reply)
        except BrokenPipeError:
            pass
        finally:
            timer.cancel()
        self.stop()  # it has ended, and it should not have; without walls there is a worker for each job
        return replies, reason or "it ended the whole process, or ran too long"


def read_reply(line: bytes, number: int, steps: list[dict]) -> dict | None:
    """One line of the child's, which its student may have written too: a reply to this step, or None."""
    try:
        reply = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(reply, dict) or type(reply.get("step")) is not int or number >= len(steps):
        return None
    kinds = ("error",) if "cell" in steps[number] else ("value", "outcomes")
    good = reply["step"] == number and len(reply) == 2 and any(kind in reply for kind in kinds)
    return reply if good and isinstance(reply.get("outcomes", []), list) else None


def answered_again(line: bytes, replies: list[dict]) -> int:
    """The step that this line answers although it has an answer, which then was a false one; else the next step."""
    try:
        return json.loads(line)["step"] if json.loads(line)["step"] in range(len(replies)) else len(replies)
    except (ValueError, RecursionError, TypeError, KeyError):
        return len(replies)


def environment() -> dict[str, str]:
    """The worker's environment: nothing of the teacher's but what the system needs to start a program."""
    env = dict(PATH="/usr/bin:/bin", LANG="C.UTF-8", USER="student", LOGNAME="student", MPLBACKEND="Agg")
    env |= dict(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    return env | {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def prune(folder: Path) -> None:
    """Copy minigpt there, without the homework (of which the worker's own modules stay) and without the commands."""
    left_out = shutil.ignore_patterns("homework", "commands", "__main__.py", "__pycache__")
    shutil.copytree(PACKAGE, folder / "minigpt", ignore=left_out)
    homework = folder / "minigpt" / "homework"
    homework.mkdir()
    for name in KEPT:
        shutil.copy(PACKAGE / "homework" / name, homework / name)
    (homework / "check.py").write_text(STUB, encoding="utf-8")
    (homework / "__init__.py").write_text("from .check import check, given, tally\n", encoding="utf-8")
