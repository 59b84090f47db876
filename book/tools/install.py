"""Install the book into the Python that runs this, beside what is there: for Colab, whose notebooks call it.

    python book/tools/install.py [CORPUS …]

An installed torch is kept, whatever its version and its CUDA: pip is told to leave it as it is, and says so if that is
impossible. The pins of requirements.txt are for an environment of one's own; here the ranges of pyproject.toml do.
"""

import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def torch_as_it_is() -> str:
    """A line of pip's constraints that keeps the torch that is here; "" if there is none."""
    try:
        return f"torch=={version('torch')}\n"
    except PackageNotFoundError:
        return ""


def main(corpora: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text(torch_as_it_is(), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(constraints)]
        subprocess.run([*pip, "-e", f"{ROOT}[pages]"], check=True)
    subprocess.run([sys.executable, "-m", "minigpt", "data", "fetch", *corpora], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
