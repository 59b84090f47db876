"""The command line, from a first run to every mistake a user can make: one sentence, exit status 1, nothing lost."""

import json
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from minigpt import __main__ as cli
from minigpt import train as training
from minigpt.chat import ask
from minigpt.checkpoint import load_checkpoint, save_checkpoint
from minigpt.config import GPTConfig, TrainConfig
from minigpt.model import GPT, Encoder, Seq2Seq, TaskHead, XLNet
from minigpt.resume import read_log
from minigpt.tasks import TOPICS, Example, Task
from minigpt.tokenizer import SPECIAL_TOKENS, BPETokenizer

SHAPE = "--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --vocab-size 300"
SMALL = f"{SHAPE} --batch-size 2 --eval-every 0 --steps 4".split()


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
    assert minigpt("train", "--out", trained, "--resume")[0] is None  # its own number of steps, not the default's 1,000
    assert (trained / "latest").read_text() == "step-4"
    assert "other values of lr" in minigpt("train", "--out", trained, "--resume", "--lr", 0.1, "--steps", 6)[0]
    code, out = minigpt("train", *SMALL, "--out", trained, "--resume", "--steps", 6, "--keep", 1)
    assert code is None and "validation loss" in out and (trained / "latest").read_text() == "step-6"
    assert not (trained / "step-4").exists()  # keep may change
    assert minigpt("export", trained, tmp_path / "gpt2")[0] is None
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "gpt2")
    ids = torch.tensor([tokenizer.encode("copy")])
    torch.testing.assert_close(theirs(ids).logits, load_checkpoint(trained)[0](ids), atol=1e-4, rtol=0)
    assert minigpt("generate", tmp_path / "gpt2", "copy", "--seed", 1)[0] is None  # reads Hugging Face's folder too


@pytest.mark.parametrize(("objective", "kind"), [("mlm", "Encoder"), ("plm", "XLNet")])
def test_train_other_objectives(minigpt, tmp_path, objective, kind):
    run = tmp_path / "run"
    code, out = minigpt("train", *SMALL, "--objective", objective, "--style", "modern", "--out", run)
    assert code is None and "validation loss" in out and "bits per byte" not in out
    assert type(load_checkpoint(run)[0]).__name__ == kind
    again = ["train", "--out", run, "--resume", "--steps", 5]
    assert f"was trained with objective {objective}" in minigpt(*again)[0]
    if objective == "plm":
        assert "predict 0.1666" in minigpt(*again, "--objective", objective, "--predict", 1)[0]
    assert minigpt(*again, "--objective", objective)[0] is None
    assert (run / "latest").read_text() == "step-5"
    code, _ = minigpt("generate", run)
    assert kind in code  # it does not write from left to right


def test_train_plm_scores_the_part_that_predict_says(minigpt, tmp_path):
    losses = []
    for predict in (0.1, 1):
        code, _ = minigpt("train", *SMALL, "--objective", "plm", "--predict", predict, "--out", tmp_path / f"{predict}")
        assert code is None
        losses.append(read_log(tmp_path / f"{predict}" / "log.jsonl", 1)[-1]["loss"])
    assert losses[0] != losses[1]
    code, _ = minigpt("train", *SMALL, "--objective", "plm", "--predict", 0, "--out", tmp_path / "none")
    assert "predict=0.0 must be above 0" in code


def test_train_from_a_prepared_folder(minigpt, tmp_path):
    (tmp_path / "books").mkdir()
    for n in range(4):
        (tmp_path / "books" / f"{n}.txt").write_text(f"This is book number {n}. " * 60, encoding="utf-8")
    folder = tmp_path / "prepared"
    options = ["--out", folder, "--vocab-size", 270, "--val-fraction", 0.3]
    code, _ = minigpt("data", "prepare", tmp_path / "books", *options)
    assert code is None
    code, out = minigpt("train", folder, *SMALL, "--out", tmp_path / "run")
    assert code is None and "validation loss" in out
    assert minigpt("train", folder, "--out", tmp_path / "run", "--resume", "--steps", 6)[0] is None
    assert "learns from a task" in minigpt("train", folder, "--objective", "chat", "--out", tmp_path / "other")[0]


@pytest.fixture
def tiny_tasks(monkeypatch):
    """load_task() without a corpus: every task has the same few examples."""

    def load(name, max_length=None):
        source, target, context = "what is it", "a cat", "it is a cat, and a small one"
        label = TOPICS[2] if name == "topics" else target
        example = Example(source, label, ask(source, label), (label,), context=context, start=6)
        return Task(name, [example] * 30, [example] * 4, [example] * 4, ("synthetic",))

    monkeypatch.setattr("minigpt.commands.train.load_task", load)


def test_train_a_translator(minigpt, tiny_tasks, tmp_path):
    arguments = ["--objective", "seq2seq", "--label-smoothing", 0.1, *SMALL, "--vocab-size", 270]
    code, out = minigpt("train", "en-es", *arguments, "--steps", 60, "--lr", 1e-2, "--out", tmp_path / "run")
    model, words = load_checkpoint(tmp_path / "run")
    assert code is None and type(model).__name__ == "Seq2Seq"
    assert float(out.split("validation loss ")[1].split()[0]) < 0.5  # measured without smoothing, which cannot reach 0


@pytest.mark.parametrize(("task", "options"), [
    ("chitchat", []), ("qa", ["--lora-rank", 2]), ("topics", ["--head"]), ("qa", ["--head", "--lora-rank", 2]),
])  # fmt: skip
def test_finetune(minigpt, tiny_tasks, trained, tmp_path, task, options):
    run = tmp_path / "tuned"
    settings = ["--block-size", 64, "--vocab-size", 300, "--n-layer", 1, "--n-embd", 16, "--n-head", 2]
    assert minigpt("train", *settings, "--steps", 1, "--eval-every", 0, "--out", tmp_path / "base")[0] is None
    arguments = [tmp_path / "base", task, *options, "--batch-size", 4, "--out", run]
    code, out = minigpt("finetune", *arguments, "--steps", 12, "--eval-every", 4, "--lr", 1e-2, "--warmup", 1)
    assert code is None, code
    losses = [line["val_loss"] for line in read_log(run / "log.jsonl", 99) if "val_loss" in line]
    assert losses[-1] < losses[0]
    model, _ = load_checkpoint(run)
    assert isinstance(model, TaskHead) == ("--head" in options)
    assert (run / "adapter.safetensors").is_file() == hasattr(model, "lora") == ("--lora-rank" in options)
    assert minigpt("finetune", *arguments, "--resume", "--steps", 13)[0] is None
    assert (run / "latest").read_text() == "step-13"


def test_a_head_needs_a_class_or_a_span(minigpt, tiny_tasks, trained, tmp_path):
    code, _ = minigpt("finetune", trained, "chitchat", "--head", "--out", tmp_path / "tuned")
    assert "only topics (a class) and qa (a span) have a head" in code


@pytest.mark.parametrize("kind, head, sentence", [
    (Encoder, [], "of kind Encoder: only a GPT learns to write (an Encoder takes a --head)"),
    (XLNet, [], "of kind XLNet: only a GPT"),
    (XLNet, ["--head"], "of kind XLNet: only a GPT or an Encoder takes a head"),
    (Seq2Seq, [], "of kind Seq2Seq: only a GPT"),
    (Seq2Seq, ["--head"], "of kind Seq2Seq: only a GPT or an Encoder"),
    (TaskHead, [], "of kind TaskHead: only a GPT"),
    (TaskHead, ["--head"], "of kind TaskHead: only a GPT or"),
    (Encoder, ["--head"], None),
    (GPT, ["--head"], None),
])  # fmt: skip
def test_finetune_takes_the_kinds_that_it_can_train(minigpt, tiny_tasks, tmp_path, kind, head, sentence):
    config = GPTConfig(vocab_size=280, block_size=64, n_layer=1, n_head=2, n_embd=16)
    model = TaskHead(GPT(config), 2, "each") if kind is TaskHead else kind(config)
    words = BPETokenizer.train("it is a cat, and a small one. " * 9, 280, SPECIAL_TOKENS)
    save_checkpoint(tmp_path / "base", 1, model, words)
    options = ["--steps", 2, "--batch-size", 2, "--eval-every", 0, "--out", tmp_path / "tuned"]
    code, _ = minigpt("finetune", tmp_path / "base", "topics", *head, *options)
    assert code is None if sentence is None else sentence in code, code
    assert (tmp_path / "tuned").exists() == (sentence is None)


def test_a_finished_run_without_its_log_says_so(minigpt, trained):
    (trained / "log.jsonl").unlink()
    again = ["train", *SMALL, "--out", trained, "--resume"]
    assert "has all of its 4 steps: nothing is left to train, raise --steps" in minigpt(*again)[0]
    assert minigpt(*again, "--steps", 5)[0] is None


def test_resuming_what_cannot_be_resumed_writes_nothing(minigpt, tmp_path):
    config = GPTConfig(vocab_size=280, block_size=16, n_layer=1, n_head=2, n_embd=16)
    words = BPETokenizer.train("it is a cat, and a small one. " * 9, 280, SPECIAL_TOKENS)
    folder = save_checkpoint(tmp_path, 1, GPT(config), words, TrainConfig())  # as shipped: nothing to resume with
    before = sorted(path.name for path in folder.iterdir())
    assert "state.json is missing" in minigpt("train", "--out", folder, "--resume")[0]
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_run_that_was_better_before_its_end_says_where(minigpt, tiny_tasks, tmp_path, monkeypatch):
    losses = iter([3.0, 1.25, 2.0, 2.5])
    monkeypatch.setattr(training, "evaluate_loss", lambda *args, **options: next(losses))
    run = ["train", *SMALL, "--steps", 3, "--eval-every", 1]
    code, out = minigpt(*run, "--patience", 2, "--keep", 1, "--out", tmp_path / "kept")
    assert code is None and f"it was better at step 1, 1.2500: use {tmp_path / 'kept' / 'step-1'}" in out
    load_checkpoint(tmp_path / "kept" / "step-1")
    losses = iter([3.0, 1.25, 2.0, 2.5])
    code, out = minigpt(*run, "--out", tmp_path / "lost")
    assert code is None and "it was better at step 1, 1.2500: which was not saved: --patience saves the best" in out
    losses = iter([3.0, 2.0, 1.0, 1.0])
    assert "it was better" not in minigpt(*run, "--out", tmp_path / "last")[1]


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


def test_mistakes_get_one_sentence(minigpt, tiny_tasks, trained, tmp_path):
    (tmp_path / "latin.txt").write_bytes("ça va".encode("latin-1") * 100)
    (tmp_path / "short.txt").write_text("hello")
    for args, sentence in [
        (["generate", tmp_path / "nowhere"], "does not exist"),
        (["generate", trained, "--temperature", "-1"], "temperature"),
        (["generate", trained, "copy", "--max-new-tokens", "-3"], "max_new_tokens=-3 must not be negative"),
        (["generate", trained, "copy", "--seed", "-1"], "seed=-1 must lie"),
        (["generate", trained, "copy", "--top-k", "0"], "top_k=0"),
        (["train", *SMALL, "--seed", str(10**20), "--out", tmp_path / "new"], "between 0 and 2**63"),
        (["train", "en-es", *SMALL, "--objective", "seq2seq", "--label-smoothing", "2", "--vocab-size", "270",
          "--out", tmp_path / "new"], "label_smoothing=2.0 must lie in [0, 1)"),
        (["finetune", trained, "qa", "--examples", "-5", "--out", tmp_path / "new"], "examples=-5 must not"),
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
        code, out = minigpt(*args)
        assert isinstance(code, str) and code.startswith("minigpt: ") and "\n" not in code, (args, code)
        assert args[0] != "generate" or not out  # nothing is printed before all is judged
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
