"""Make lab/, the learner's own copy of chapters/ and of the tool kit. What is already there is never overwritten."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy_chapters(source: Path, target: Path) -> int:
    """Copy the files of `source` that `target` does not have yet; return how many."""
    files = [file.relative_to(source) for file in source.rglob("*.*") if file.is_file()]
    files = [file for file in files if file.parts[0] != "homework"]  # it has its solutions in it: see `make homework`
    missing = [file for file in files if not (target / file).exists()]
    for file in missing:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / file, target / file)
    return len(missing)


if __name__ == "__main__":
    count = copy_chapters(ROOT / "chapters", ROOT / "lab")
    if not (ROOT / "lab" / "toolkit.ipynb").exists():
        shutil.copy(ROOT / "book" / "toolkit.ipynb", ROOT / "lab" / "toolkit.ipynb")
        count += 1
    print(f"{count} files copied to lab/. To begin a page anew, delete its file there and run this again.")
