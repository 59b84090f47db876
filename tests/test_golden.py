"""One text that must not change: what the book's own model writes greedily, in float32.

If a change of the model's code is meant to change it, or the committed checkpoint was trained again (make models), look
at the difference and renew the file:  python tests/test_golden.py
"""

from pathlib import Path

import torch

from minigpt.checkpoint import load_checkpoint
from minigpt.generate import stream

HERE = Path(__file__).resolve().parent
GOLDEN = HERE / "golden" / "andersen.txt"


def write() -> str:
    model, tokenizer = load_checkpoint(HERE.parent / "chapters" / "models" / "andersen")
    assert model.wte.weight.dtype == torch.float32
    prompt = "Once upon a time"
    return prompt + "".join(stream(model, tokenizer, prompt, 60, temperature=0)) + "\n"


def test_the_books_model_writes_its_golden_text():
    assert write() == GOLDEN.read_text(encoding="utf-8")


if __name__ == "__main__":
    GOLDEN.write_text(write(), encoding="utf-8", newline="\n")
    print(GOLDEN.read_text(encoding="utf-8"))
