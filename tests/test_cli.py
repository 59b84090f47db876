"""The command line, from a first run to every mistake a user can make: one sentence, exit status 1, nothing lost."""

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from minigpt import __main__ as cli
from minigpt.checkpoint import load_checkpoint

SHAPE = "--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --vocab-size 300"
SMALL = f"{SHAPE} --batch-size 2 --eval-every 0 --steps 4".split()


@pytest.fixture
def minigpt(monkeypatch, capsys):
    """Run a command in this process; return (exit message or None, what it printed)."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["minigpt", *map(str, args)])
        try:
            cli.main()
            code = None
        except SystemExit as e:
            code = e.code
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def trained(minigpt, tmp_path):
    code, _ = minigpt("train", *SMALL, "--out", tmp_path / "run")
    assert code is None
    return tmp_path / "run"


def test_train_generate_resume_export(minigpt, trained, tmp_path):
    model, tokenizer = load_checkpoint(trained)
    assert model.config.n_embd == 16 and tokenizer.vocab_size == 300
    one, two, three = (minigpt("generate", trained, "copy", "--seed", s, "--max-new-tokens", 20)[1] for s in (1, 1, 2))
    assert one == two != three and one.startswith("copy")
    code, out = minigpt("train", *SMALL, "--out", trained, "--resume", "--steps", 6)
    assert code is None and "validation loss" in out and (trained / "latest").read_text() == "step-6"
    assert minigpt("export", trained, tmp_path / "gpt2")[0] is None
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "gpt2")
    ids = torch.tensor([tokenizer.encode("copy")])
    torch.testing.assert_close(theirs(ids).logits, load_checkpoint(trained)[0](ids), atol=1e-4, rtol=0)
    assert minigpt("generate", tmp_path / "gpt2", "copy", "--seed", 1)[0] is None  # reads Hugging Face's folder too


@pytest.mark.parametrize("tokenizer", ["char", "bpe"])
def test_a_text_of_ones_own(minigpt, tmp_path, tokenizer):
    (tmp_path / "mine.txt").write_text("".join(f"Ça va? Oui, {n} fois ça va. " for n in range(300)), encoding="utf-8")
    code, out = minigpt("train", "--text", tmp_path / "mine.txt", "--tokenizer", tokenizer, *SMALL, "--vocab-size", 270,
                        "--out", tmp_path / "run")  # fmt: skip
    assert code is None and "bits per byte" in out


def test_every_command_has_help_and_doctor_reports(minigpt):
    for command in cli.COMMANDS:
        code, out = minigpt(command, "--help")
        assert code == 0 and "usage" in out
    code, out = minigpt("doctor")
    assert code is None and "torch" in out and "disk" in out
    code, out = minigpt("data", "list")
    assert code is None and "andersen" in out and "CC BY" in out


def test_mistakes_get_one_sentence(minigpt, trained, tmp_path):
    (tmp_path / "latin.txt").write_bytes("ça va".encode("latin-1") * 100)
    (tmp_path / "short.txt").write_text("hello")
    for args, sentence in [
        (["generate", tmp_path / "nowhere"], "does not exist"),
        (["generate", trained, "--temperature", "-1"], "temperature"),
        (["export", tmp_path, tmp_path / "out"], "holds no checkpoint"),
        (["train", *SMALL, "--out", trained], "already holds a run"),
        (["train", *SMALL, "--out", tmp_path / "new", "--resume"], "does not exist"),
        (["train", *SMALL, "--n-head", "3", "--out", tmp_path / "new"], "n_head=4 or n_embd=18|n_head=2 or n_embd=18"),
        (["train", *SMALL, "--vocab-size", "100", "--out", tmp_path / "new"], "256"),
        (["train", "--text", tmp_path / "none.txt", "--out", tmp_path / "new"], "cannot be read"),
        (["train", "--text", tmp_path / "latin.txt", "--out", tmp_path / "new"], "not UTF-8"),
        (["train", "--text", tmp_path / "short.txt", "--tokenizer", "char", "--out", tmp_path / "new"], "too few"),
        (["train", "atlantis", "--out", tmp_path / "new"], "no corpus 'atlantis'"),
        (["train", *SMALL, "--device", "warp", "--out", tmp_path / "new"], "cannot be used here"),
        (["train", *SMALL, "--batch-size", str(10**13), "--out", tmp_path / "new"], "out of memory"),
    ]:
        code, _ = minigpt(*args)
        assert isinstance(code, str) and code.startswith("minigpt: ") and "\n" not in code, (args, code)
        assert any(s in code for s in sentence.split("|")), (args, code)
    assert not (tmp_path / "new" / "latest").exists() and not (tmp_path / "out").exists()
    load_checkpoint(trained)


def test_missing_data_names_the_remedy(minigpt, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path))
    code, _ = minigpt("train", "andersen", *SMALL, "--out", tmp_path / "run")
    assert "data fetch" in code and not (tmp_path / "run").exists()


def test_a_mistake_in_a_process_has_status_1_and_no_traceback():
    command = [sys.executable, "-m", "minigpt", "generate", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    sentence = "minigpt: nowhere does not exist: name a folder that minigpt has saved, or train one first"
    assert done.stderr.strip() == sentence


def test_log_is_one_json_object_a_line(trained):
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4]
    assert {"loss", "lr", "grad_norm", "tokens_per_second"} <= set(lines[-1]) and "val_loss" in lines[-1]
