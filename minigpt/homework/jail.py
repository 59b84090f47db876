"""The walls around a student's code: a process of its own, with limits, another user and next to nothing in sight.

This module runs in the worker process that `sandbox` starts. serve() has imported PyTorch once. For each job it
forks a guard, which alone reads the job (so no submission finds another's in its memory) and forks the child:

    serve() ── guard ── [first process of a PID namespace] ── child: limits, chroot, setuid, then the student's code

Everything stronger than limits needs root on Linux; `walls` says what holds here. See book/for-teachers.
"""

import ctypes
import json
import os
import pwd
import re
import resource
import secrets
import select
import shutil
import signal
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

from .worker import Limits, put, read_job, to_line, work

MB = 2**20
LONGEST_REPLY = 64 * MB
# From <linux/sched.h>, <linux/mount.h> and <linux/prctl.h>.
NEWNS, NEWUTS, NEWIPC, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
PDEATHSIG, DUMPABLE, NO_NEW_PRIVS = 1, 4, 38
KEYCTL, JOIN_SESSION_KEYRING = {"x86_64": 250, "aarch64": 219}, 1  # a call that has no name in the C library


@dataclass(frozen=True)
class Walls:
    """What holds on this system, and in which folder the child's world is built."""

    jail: Path  # the child's root, or, without namespaces, the folder of its home
    root: bool  # it runs as another user
    namespaces: bool  # it sees only Python and its packages, no network and no process but its own


# ---- the system's calls --------------------------------------------------------------------------


def call(name: str, *args) -> None:
    """A function of the C library that returns 0 when all is well. OSError if not."""
    libc = ctypes.CDLL(None, use_errno=True)
    args = [os.fsencode(a) if isinstance(a, str | Path) else ctypes.c_ulong(a) if a is not None else a for a in args]
    if getattr(libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def bind(source: Path, jail: Path, flags: int = RDONLY | NOSUID | NODEV) -> None:
    """Show a file or folder of this system inside the jail, at the same place, read-only."""
    target = jail / source.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    call("mount", source, target, None, BIND | REC, None)
    for place in mounts(target):  # what is mounted inside a folder has flags of its own
        call("mount", None, place, None, BIND | REMOUNT | flags, None)


def mounts(folder: Path) -> list[Path]:
    """Where something is mounted: the folder, if it is, and in it."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    places = [Path(re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), line.split(" ")[4])) for line in lines]
    return [place for place in places if place.is_relative_to(folder)]


def build_jail(jail: Path, shown: list[Path], hidden: Path) -> None:
    """In namespaces of our own: a root folder that holds the system's programs, `shown`, and nothing else. If `hidden`
    lies in one of these, it is empty but for those of `shown` that lie in it."""
    call("unshare", NEWNS | NEWNET | NEWUTS)
    call("mount", None, "/", None, REC | PRIVATE, None)  # what we mount from here on, nobody else sees
    call("mount", "tmpfs", jail, "tmpfs", NOSUID | NODEV, "mode=755,size=1m")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr"):
        if (place := Path("/") / name).is_symlink():
            (jail / name).symlink_to(os.readlink(place))
        elif place.is_dir():
            bind(place, jail)
    more = {Path("/etc/ld.so.cache"), Path("/etc/localtime").resolve()}
    for path in sorted({p.resolve() for p in shown} | more | {hidden}):  # a folder before what lies in it
        in_sight = (jail / path.relative_to("/")).exists()
        if path == hidden and in_sight:
            call("mount", "tmpfs", jail / path.relative_to("/"), "tmpfs", NOSUID | NODEV, "mode=755,size=1m")
        elif path != hidden and path.exists() and not in_sight:
            bind(path, jail)
    for name in ("null", "zero", "random", "urandom"):
        bind(Path("/dev") / name, jail, NOSUID)
    for folder in sys.path:  # an installed minigpt has the homework's solutions in it
        if (inside := jail / Path(folder).relative_to("/") / "minigpt" / "homework" / "grading.py").exists():
            call("mount", "tmpfs", inside.parents[1], "tmpfs", RDONLY, "size=0")
    for name in ("proc", "home"):
        (jail / name).mkdir(exist_ok=True)
    call("mount", None, jail, None, REMOUNT | RDONLY | NOSUID | NODEV, None)


def build_walls(jail: Path, shown: list[Path], hidden: Path) -> Walls:
    """As much as this system allows."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root and sys.platform == "linux":
        try:
            build_jail(jail, shown, hidden)
            return Walls(jail, True, True)
        except (OSError, AttributeError):  # a container without CAP_SYS_ADMIN, for example
            pass
    return Walls(jail, root, False)


# ---- the child -----------------------------------------------------------------------------------


def limit(limits: Limits, walls: Walls) -> None:
    """Set the limits that bind this process and all that it starts."""
    def at_most(kind, value):
        hard = resource.getrlimit(kind)[1]
        value = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(kind, (value, value))

    at_most(resource.RLIMIT_CPU, limits.total + 1)
    at_most(resource.RLIMIT_FSIZE, limits.file_size * MB)
    at_most(resource.RLIMIT_CORE, 0)
    at_most(resource.RLIMIT_NOFILE, 64)
    if sys.platform == "linux":  # macOS does not keep to a limit of addresses
        now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        at_most(resource.RLIMIT_AS, now + limits.memory * MB)
    if walls.root:  # of any other user it would count the processes of the teacher's desktop too
        at_most(resource.RLIMIT_NPROC, limits.processes)


def free_user() -> int:
    """A user id that nobody on this system has, and no process."""
    taken = {user.pw_uid for user in pwd.getpwall()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            taken.add(process.stat().st_uid)
        except FileNotFoundError:  # it has ended
            pass
    return secrets.choice([uid for uid in range(52_000, 60_000) if uid not in taken])


def enter(walls: Walls, limits: Limits, uid: int) -> None:
    """From here on this process is the student's: its own session, folder, user and limits."""
    os.setsid()
    home = Path("/home") if walls.namespaces else walls.jail / "home"
    if walls.namespaces:
        os.chroot(walls.jail)
    os.chdir(home)
    os.environ.update(HOME=str(home), TMPDIR=str(home))
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out, this process goes first
        if number := KEYCTL.get(os.uname().machine):  # or it had the keys of the teacher's session
            ctypes.CDLL(None).syscall(number, JOIN_SESSION_KEYRING, None)
    limit(limits, walls)
    if walls.root:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if sys.platform == "linux":
        call("prctl", NO_NEW_PRIVS, 1, 0, 0, 0)  # no setuid program gives anything back
        call("prctl", DUMPABLE, 0, 0, 0, 0)


def child(job: dict, out: int, walls: Walls, limits: Limits, uid: int) -> None:
    """Run the student's code; write a line for each step to the file `out`. Never returns."""
    enter(walls, limits, uid)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.closerange(3, out)  # nothing of the grader's stays open
    os.closerange(out + 1, 4096)
    try:
        work(job, lambda reply: put(to_line(reply), out))
    except BaseException:  # no memory for the reply, or a reply that the student's code has spoilt
        os._exit(71)
    os._exit(0)


def first_process(job: dict, out: int, walls: Walls, limits: Limits, uid: int) -> None:
    """Process 1 of a PID namespace: fork the child and wait for it. When this process ends, all others do."""
    call("prctl", PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    call("mount", "proc", walls.jail / "proc", "proc", NOSUID | NODEV, "hidepid=2")
    size = f"mode=700,uid={uid},gid={uid},size={4 * limits.file_size}m,nr_inodes=1000"
    call("mount", "tmpfs", walls.jail / "home", "tmpfs", NOSUID | NODEV, size)
    pid = os.fork()
    if pid == 0:
        child(job, out, walls, limits, uid)
    os.close(out)
    while (ended := os.wait())[0] != pid:
        pass
    code = os.waitstatus_to_exitcode(ended[1])
    os._exit(code if code >= 0 else 128 - code)


# ---- the guard -----------------------------------------------------------------------------------


def fork_child(job: dict, out: int, walls: Walls, limits: Limits, uid: int) -> int:
    """Start the child, inside namespaces if there are any; return the process to wait for."""
    if walls.namespaces:
        call("unshare", NEWPID | NEWNS | NEWIPC)
    else:
        home = walls.jail / "home"
        home.mkdir(mode=0o700)
        if walls.root:
            os.chown(home, uid, uid)
    pid = os.fork()
    if pid == 0:
        try:
            (first_process if walls.namespaces else child)(job, out, walls, limits, uid)
        except BaseException:  # an error of ours
            traceback.print_exc()
        os._exit(70)
    return pid


def end(pid: int, walls: Walls, uid: int, ending: bool) -> int:
    """Kill the child and all it has started; return its exit status, signals as 128 + number."""
    for _ in range(20):  # one that has closed its results ends by itself
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended or not ending:
            break
        time.sleep(0.05)
    if not ended:
        os.kill(pid, signal.SIGKILL)
    if not walls.namespaces:
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        if walls.root:  # those that left the group have the user still, and as that user all can be named at once
            if (killer := os.fork()) == 0:
                os.setuid(uid)
                os.kill(-1, signal.SIGKILL)
                os._exit(0)
            os.waitpid(killer, 0)
        shutil.rmtree(walls.jail / "home", ignore_errors=True)
    if not ended:
        status = os.waitpid(pid, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def words_for(status: int) -> str:
    """Why a child is gone, for the report."""
    if status in (70, 71):
        return "the grader could not start it" if status == 70 else "what it returned could not be sent"
    if status in (128 + signal.SIGKILL, 128 + signal.SIGXCPU):
        return "it was ended by the system: it used more processor time or memory than it may"
    if status > 128:
        return f"it crashed ({signal.Signals(status - 128).name})"
    return f"it ended the whole process (exit status {status})"


def guard(job: dict, walls: Walls, limits: Limits) -> None:
    """Run one job; pass each line that the child writes on to standard output, marked R, and then E and the reason."""
    uid = free_user() if walls.root else -1
    results, out = os.pipe()
    pid = fork_child(job, out, walls, limits, uid)
    os.close(out)
    replies, buffer, reason, began = 0, b"", "", time.monotonic()
    until = began + limits.seconds
    while replies < len(job["steps"]) and not reason:
        left = min(until, began + limits.total) - time.monotonic()
        if left <= 0 or not select.select([results], [], [], left)[0]:
            reason = f"it ran longer than the {limits.seconds:g} seconds that a step may take"
            if time.monotonic() - began >= limits.total:
                reason = f"the submission ran longer than {limits.total:g} seconds in all"
            break
        data = os.read(results, MB)
        if not data:
            reason = "?"  # it ended: its exit status says why
            break
        buffer += data
        while b"\n" in buffer and replies < len(job["steps"]):
            line, _, buffer = buffer.partition(b"\n")
            put(b"R" + line + b"\n")
            replies, until = replies + 1, time.monotonic() + limits.seconds
        if len(buffer) > LONGEST_REPLY:
            reason = "it sent more than an answer can hold"
    status = end(pid, walls, uid, reason == "?")
    put(b"E" + (words_for(status) if reason == "?" else reason).encode() + b"\n")


def serve(settings: dict) -> None:
    """Build the walls, say what holds, then run jobs until standard input ends: a new guard for each."""
    walls = build_walls(Path(settings["jail"]), [Path(p) for p in settings["shown"]], Path(settings["hidden"]))
    put(b"W" + json.dumps({"root": walls.root, "namespaces": walls.namespaces}).encode() + b"\n")
    while True:
        pid = os.fork()
        if pid == 0:
            try:
                job = read_job()
                if job is None:
                    os._exit(3)
                guard(job, walls, Limits(**job["limits"]))
                os._exit(0)
            finally:
                os._exit(1)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3:
            return
