"""What several test files need."""

import io
import sys

import pytest
import torch

from minigpt import __main__ as cli


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("there is no GPU")


@pytest.fixture
def minigpt(monkeypatch, capsys):
    """Run a command in this process, with `said` on its standard input; return (exit message or None, what it said)."""

    def run(*args, said=""):
        monkeypatch.setattr(sys, "argv", ["minigpt", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(said))
        try:
            cli.main()
            code = None
        except SystemExit as e:
            code = e.code
        return code, capsys.readouterr().out

    return run
