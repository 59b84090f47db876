"""What is on this machine, what is missing, and how to get it."""

import importlib.metadata
import os
import platform
import shutil

import torch

from .corpora import CORPORA, cache_folder, state
from .device import cpu_has_bfloat16

NEEDED = {  # package: what for
    "torch": "everything",
    "numpy": "everything",
    "safetensors": "checkpoints",
    "regex": "the BPE tokenizer",
    "matplotlib": "still pictures",
    "anywidget": "living figures",
    "ipywidgets": "living figures",
    "jupyterlab": "make lab",
    "jupyter-book": "make book",
    "nbval": "testing notebooks",
    "transformers": "page 5.1, bench",
    "gguf": "SmolLM2",
    "accelerate": "SmolLM2",
    "sacrebleu": "BLEU and chrF",
    "rouge-score": "ROUGE",
}


def doctor() -> None:
    """Print versions, device, memory and data, each missing thing with its remedy."""
    print(f"Python      {platform.python_version()} on {platform.system()} {platform.machine()}")
    fast = ", bfloat16 in hardware" if cpu_has_bfloat16() else ""
    print(f"CPU         {os.cpu_count()} cores, {torch.get_num_threads()} used by torch{fast}")
    print(f"memory      {memory()}")
    if torch.cuda.is_available():
        p = torch.cuda.get_device_properties(0)
        print(f"GPU         {p.name}, {p.total_memory / 2**30:.0f} GiB")
    elif torch.backends.mps.is_available():
        print("GPU         Apple's, through MPS")
    else:
        print("GPU         none that torch can use: everything in the book runs without one")
    missing = []
    for name, use in NEEDED.items():
        try:
            print(f"{name:<11} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            print(f"{name:<11} missing (for {use})")
    if missing:
        print("            get what is missing: python -m pip install -r requirements.txt")
    states = {name: state(corpus) for name, corpus in CORPORA.items()}
    absent = [name for name, s in states.items() if s in ("not fetched", "damaged") and CORPORA[name].core]
    here = sum(s in ("ready", "built in") for s in states.values())
    print(f"data        {here} of {len(states)} corpora in {cache_folder()}")
    if absent:
        print(f"            missing: {', '.join(absent)}; get them: python -m minigpt data fetch")
    free = shutil.disk_usage(os.getcwd()).free / 2**30
    print(f"disk        {free:.0f} GiB free here")


def memory() -> str:
    """The machine's memory, where the system tells."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, AttributeError, OSError):
        return "unknown on this system"
