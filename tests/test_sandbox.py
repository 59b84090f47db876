"""The sandbox: what a student's code may not do. The order matters: the cap on processes is proven before it is used.

These tests run without PyTorch in the worker, which makes them quick; test_grading.py runs with it.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minigpt.homework import sandbox as sandbox_module
from minigpt.homework.sandbox import Lost, Sandbox, read_reply
from minigpt.homework.worker import Limits, encode

LIMITS = Limits(seconds=2, total=20, memory=256, processes=12, file_size=1)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows there is no sandbox")


@pytest.fixture(scope="module")
def box():
    with Sandbox(LIMITS, preload=()) as box:
        box.start()
        yield box


def cell(source):
    return {"cell": "cell", "source": source}


def value(name):
    return {"ask": name, "cases": None}


def call(name, *cases):
    return {"ask": name, "cases": [encode(case) for case in cases]}


def needs(wall):
    """Skip where this system has no such wall; the notice that a teacher sees says so too."""
    return pytest.mark.skipif(
        not (sys.platform == "linux" and os.geteuid() == 0), reason=f"{wall} needs root on Linux"
    )


# ---- what comes back -----------------------------------------------------------------------------


def test_values_come_back_and_errors_are_told(box):
    steps = [cell("def f(x, y=1): return [x, y]"), call("f", (2,), (3, 4)), cell("1 / 0"), cell("def"), value("f"),
             call("g", (1,)), call("f", ())]  # fmt: skip
    replies = box.run(steps)
    assert replies[1]["outcomes"] == [[2, 1], [3, 4]]
    assert replies[2]["error"] == {"error": ["ZeroDivisionError", "division by zero"]}
    assert replies[3]["error"]["error"][0] == "SyntaxError"
    assert replies[4]["value"] == {"other": "a function"} and replies[5]["value"] is None
    assert replies[6]["outcomes"][0]["error"][0] == "TypeError"


def test_given_numbers_reach_the_notebook_and_checks_do_nothing(box):
    code = "from minigpt.homework import check, given, tally\nn = given('4.1', 'x')['n']\ncheck('4.1', n)\ntally({})"
    replies = box.run([cell(code), value("n")], {"4.1": {"n": 41}})
    assert replies[0]["error"] is None and replies[1]["value"] == 41


@pytest.mark.parametrize("end", ["import os; os._exit(0)", "import os; os.abort()", "while True:\n        pass",
                                 "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])  # fmt: skip
def test_an_answer_that_ends_its_process_costs_itself_alone(box, end):
    steps = [cell("def f(x): return 2 * x"), call("f", (1,)), cell(f"def g(x):\n    {end}"), call("g", (1,)),
             cell(f"if True:\n    {end}"), cell("def h(x): return f(x) + 1"), call("h", (1,))]  # fmt: skip
    replies = box.run(steps)
    assert replies[1]["outcomes"] == [2] and replies[6]["outcomes"] == [3]
    assert isinstance(replies[3], Lost) and isinstance(replies[4], Lost)
    assert replies[2]["error"] is None


def test_an_exit_is_an_error_like_others(box):
    replies = box.run([cell("import sys\ndef f(x): sys.exit(0)"), call("f", (1,)), cell("exit(0)"), value("f")])
    assert replies[1]["outcomes"][0]["error"][0] == "SystemExit"
    assert not any(isinstance(reply, Lost) for reply in replies)


def test_a_submission_has_so_much_time_and_no_more():
    with Sandbox(Limits(seconds=1, total=2), preload=()) as box:
        began = time.monotonic()
        replies = box.run([cell("import time; time.sleep(9)")] * 6)
        assert time.monotonic() - began < 15 and all(isinstance(reply, Lost) for reply in replies)
        assert "in all" in replies[-1].reason


# ---- the channel ---------------------------------------------------------------------------------

WRITE_TO_ALL = """
import os
def f(x):
    for number in range(64):
        try: os.write(number, {line!r})
        except OSError: pass
    return 0
"""


@pytest.mark.parametrize("line", [b"garbage\n", b'{"step": 1, "outcomes": []}\n', b"[" * 100_000 + b"\n", b"\xff\n"])
def test_what_an_answer_writes_to_the_channel_gives_it_nothing(box, line):
    wrote = cell(WRITE_TO_ALL.format(line=line))
    replies = box.run([wrote, call("f", (1,)), cell("def g(x): return x"), call("g", (5,))])
    assert isinstance(replies[1], Lost) and "wrote" in replies[1].reason and replies[3]["outcomes"] == [5]


def test_printing_much_is_no_harm_and_no_answer(box):
    code = "import os\ndef f(x):\n    for _ in range(300): print('4.2: right ' * 5000); os.write(2, b'x' * 50_000)\n"
    assert box.run([cell(code), call("f", (1,))])[1]["outcomes"] == [None]


@pytest.mark.parametrize("reply", [b"", b"3", b"[]", b"{}", b'{"step": 0}', b'{"step": "0", "error": null}',
                                   b'{"step": 1, "error": null}', b'{"step": true, "error": null}'])  # fmt: skip
def test_a_reply_that_is_none_is_refused(reply):
    assert read_reply(reply, 0, [cell("")]) is None


# ---- the walls -----------------------------------------------------------------------------------

FORKS = """
import os, time
def forks(most):
    done = 0
    for _ in range(most):
        try: pid = os.fork()
        except OSError: break
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        done += 1
    return done
"""


def processes_of_students():
    """Those that run; one that has ended and waits to be buried is none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            alive = process.joinpath("stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
            if alive and 52_000 <= process.stat().st_uid < 60_000:
                found.append(process.name)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


@needs("a cap on processes")
def test_the_cap_on_processes_holds_and_then_a_fork_bomb_does_no_harm(box):
    (reply,) = box.run([cell(FORKS), call("forks", (200,))])[1:]  # at most 200 children, which sleep
    assert 1 <= reply["outcomes"][0] < LIMITS.processes, "no cap: the bomb is not tried"
    assert not processes_of_students()  # those that slept are gone too
    bomb = "import os\ndef f(x):\n    while True:\n        try: os.fork()\n        except OSError: pass\n"
    replies = box.run([cell(bomb), call("f", (1,)), cell("def g(x): return x"), call("g", (7,))])
    assert isinstance(replies[1], Lost) and replies[3]["outcomes"] == [7]
    assert not processes_of_students()


@needs("ending all of a submission's processes")
def test_a_process_left_behind_ends_with_the_submission(box):
    code = "import os, time\ndef f(x):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0: time.sleep(60)\n        os._exit(0)\n    return x\n"  # noqa: E501
    assert box.run([cell(code), call("f", (1,))])[1]["outcomes"] == [1]
    assert not processes_of_students()


def test_memory_has_an_end(box):
    code = "def f(x): return len(bytearray(100 * 10**9))\ndef g(x):\n    kept = []\n"
    code += "    while True: kept.append(bytearray(10**7))"
    replies = box.run([cell(code), call("f", (1,)), call("g", (1,))])
    for reply in replies[1:]:
        assert isinstance(reply, Lost) or reply["outcomes"][0]["error"][0] == "MemoryError"


LOOK = """
import os
def tried(function, *arguments):
    try: return repr(function(*arguments))
    except Exception as e: return "refused: " + type(e).__name__
"""


def looked(box, expression):
    return box.run([cell(LOOK), cell(f"seen = {expression}"), value("seen")])[2]["value"]


def test_files_have_an_end(box):
    assert "OSError" in looked(box, "tried(lambda: open('x', 'wb').write(bytes(3 * 2**20)))")


def test_only_its_own_folder_can_be_written_and_it_is_empty(box):
    assert looked(box, "[os.listdir(), os.getcwd() == os.environ['HOME'] == os.environ['TMPDIR']]") == [[], True]
    assert looked(box, "tried(lambda: open('mine', 'w').write('1'))") == "1"
    assert looked(box, "os.listdir()") == []  # nothing stays for the next


@needs("hiding files")
def test_nothing_of_the_graders_is_in_sight(box, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("4.2")
    homework = sandbox_module.PACKAGE / "homework"
    solutions = homework / "assignments" / "homework_4.py"
    for place in (secret, solutions, homework / "grading.py", "/etc/passwd", "/root/.bashrc"):
        assert looked(box, f"tried(open, {str(place)!r})").startswith("refused: ")
    for module in ("assignments.homework_4", "exercises.page_4_1", "grading"):
        assert looked(box, f"tried(__import__, {'minigpt.homework.' + module!r})") == "refused: ModuleNotFoundError"
    assert looked(box, "tried(__import__, 'minigpt.config')").startswith("<module 'minigpt'")
    for place in ("/x", "/tmp/x", str(tmp_path / "x"), str(homework / "x"), sys.prefix + "/x"):
        assert looked(box, f"tried(open, {place!r}, 'w')").startswith("refused: ")
    assert looked(box, f"tried(os.remove, {os.path.realpath(sys.executable)!r})").startswith("refused: ")
    assert secret.read_text() == "4.2" and homework.exists()


SHARE = """
import ctypes
shmget = ctypes.CDLL(None, use_errno=True).shmget
made = shmget(4242, 4096, {flags})
"""


@needs("memory of its own")
def test_one_submission_leaves_nothing_in_shared_memory_for_another(box):
    create = SHARE.format(flags="0o1666")
    found = [box.run([cell(code), value("made")])[1]["value"] for code in (create, SHARE.format(flags="0"), create)]
    assert found[0] >= 0 and found[1] == -1 and found[2] >= 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the calls' numbers are those of x86-64")
@needs("keys of its own")
def test_keys_are_neither_the_teachers_nor_the_next_submissions():
    libc = ctypes.CDLL(None)
    if libc.syscall(250, 1, None) < 0:
        pytest.skip("this system has no keys")
    add = "import ctypes\nkey = ctypes.CDLL(None).syscall(248, b'user', b'{}', b'4.2', 3, ctypes.c_long(-3))"
    find = "import ctypes\nkey = ctypes.CDLL(None).syscall(250, 10, ctypes.c_long(-3), b'user', b'{}', 0)"
    assert libc.syscall(248, b"user", b"teacher", b"secret", 6, ctypes.c_long(-3)) > 0
    with Sandbox(LIMITS, preload=()) as box:
        codes = (find.format("teacher"), add.format("student"), find.format("student"))
        found = [box.run([cell(code), value("key")])[1]["value"] for code in codes]
    assert found[0] == -1 and found[1] > 0 and found[2] == -1


@needs("hiding files")
def test_a_book_among_the_packages_is_hidden_and_what_is_mounted_there_cannot_be_written(monkeypatch, tmp_path):
    packages = tmp_path / "site-packages"
    book, disk = packages / "book", packages / "a disk"
    shutil.copytree(sandbox_module.PACKAGE, book / "minigpt", ignore=shutil.ignore_patterns("__pycache__"))
    for place in (book / "homework" / "solutions", book / "venv" / "dist-packages", disk):
        place.mkdir(parents=True)
    (book / "homework" / "solutions" / "hw4.ipynb").write_text("4.2")
    (book / "venv" / "dist-packages" / "needed.py").write_text("x = 3")
    monkeypatch.setattr(sandbox_module, "PACKAGE", book / "minigpt")
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages), str(book / "venv" / "dist-packages")])
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", disk]).returncode:
        pytest.skip("this system lets root mount nothing")
    try:
        with Sandbox(LIMITS, preload=()) as box:
            assert looked(box, f"tried(lambda: sorted(os.listdir({str(packages)!r})))") == "['a disk', 'book']"
            solved = ("homework/solutions/hw4.ipynb", "minigpt/homework/assignments/homework_4.py")
            for name in (*solved, "minigpt/config.py"):
                assert looked(box, f"tried(open, {str(book / name)!r})") == "refused: FileNotFoundError"
            assert looked(box, "tried(lambda: __import__('needed').x)") == "3"  # packages inside it are still there
            for place in (disk, book, packages):
                assert looked(box, f"tried(open, {str(place / 'x')!r}, 'w')").startswith("refused: ")
            assert box.walls["namespaces"]
    finally:
        subprocess.run(["umount", disk])


@needs("another user")
def test_it_is_nobody_and_cannot_become_anybody(box):
    uid, groups = looked(box, "[os.getuid(), os.getgroups()]")
    assert uid >= 52_000 and groups == []
    for function in ("os.setuid", "os.setgid"):
        assert looked(box, f"tried({function}, 0)") == "refused: PermissionError"
    assert looked(box, "tried(os.kill, 1, 9)") == "refused: PermissionError"
    assert looked(box, "tried(os.chroot, '.')") == "refused: PermissionError"
    status = looked(box, "open('/proc/self/status').read()")
    assert "NoNewPrivs:\t1" in status and "CapEff:\t0000000000000000" in status


@needs("cutting the network")
def test_there_is_no_network(box):
    code = "import socket\ndef f(where): socket.create_connection(where, 1)"
    with __import__("socket").create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        outcomes = box.run([cell(code), call("f", (["127.0.0.1", port],), (["1.1.1.1", 53],))])[1]["outcomes"]
    assert [outcome["error"][0] for outcome in outcomes] == ["OSError", "OSError"]


def test_the_environment_holds_nothing_of_the_teachers(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    with Sandbox(LIMITS, preload=()) as box:
        names = looked(box, "list(os.environ)")
    allowed = "PATH LANG USER LOGNAME MPLBACKEND OMP_NUM_THREADS MKL_NUM_THREADS HOME TMPDIR LC_CTYPE".split()
    assert set(names) <= set(allowed)


def test_what_holds_is_said(box):
    assert ("no network" in box.describe()) == box.walls["namespaces"]


def test_windows_is_refused_unless_trusted(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ValueError, match="container"):
        Sandbox(LIMITS)


def test_without_walls_the_same_answers_come_back(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with Sandbox(Limits(seconds=1, total=4), trust=True, preload=()) as box:
        steps = [cell("def f(x): return 2 * x"), call("f", (1,)), cell("import os; os._exit(0)"), call("f", (2,))]
        replies = box.run(steps)
        assert replies[1]["outcomes"] == [2] and isinstance(replies[2], Lost) and replies[3]["outcomes"] == [4]
        assert "NOTHING" in box.describe()


@needs("another user")
def test_without_namespaces_the_rest_still_holds(monkeypatch):
    """As in a container that does not let root make namespaces."""
    def prune(folder, whole=sandbox_module.prune):
        whole(folder)
        jail = folder / "minigpt" / "homework" / "jail.py"
        first = 'call("unshare", NEWNS |'
        jail.write_text(jail.read_text().replace(first, f'raise OSError("no")\n    {first}'))

    monkeypatch.setattr(sandbox_module, "prune", prune)
    with Sandbox(LIMITS, preload=()) as box:
        replies = box.run([cell(FORKS), call("forks", (200,)), value("forks")])
        assert replies[1]["outcomes"][0] < LIMITS.processes and not box.walls["namespaces"]
        assert looked(box, "os.getuid()") >= 52_000
        assert "NOT held" in box.describe()
        assert not processes_of_students()
