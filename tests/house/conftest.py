"""The tools of book/tools are scripts, not a package: let the tests import them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "tools"))
