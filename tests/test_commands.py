"""The commands that use a model: chat and evaluate, with models of any kind and with mistakes of every kind."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from minigpt.chat import ask
from minigpt.checkpoint import save_checkpoint
from minigpt.commands import evaluate, use
from minigpt.config import GPTConfig
from minigpt.evaluate import bits_per_byte
from minigpt.generate import generate, stream
from minigpt.lora import add_lora
from minigpt.metrics import bleu
from minigpt.model import GPT, Encoder, Seq2Seq
from minigpt.tasks import Example, Task
from minigpt.tokenizer import SPECIAL_TOKENS, BPETokenizer

WORDS = BPETokenizer.train("Hello there, hello you. " * 9, 270, SPECIAL_TOKENS)
CONFIG = GPTConfig(vocab_size=270, block_size=64, n_layer=1, n_head=2, n_embd=16)


def make(kind=GPT, **changes):
    torch.manual_seed(0)
    return kind(replace(CONFIG, **changes)).eval()


@pytest.fixture
def folder(tmp_path):
    return save_checkpoint(tmp_path / "run", 1, make(), WORDS)


@pytest.fixture
def parrot(monkeypatch):
    """Replies "ok 1", "ok 2", … and notes which prompts it was given."""
    prompts = []

    def stream(model, tokenizer, ids, max_new_tokens, **sampling):
        prompts.append(tokenizer.decode(ids))
        assert len(ids) + max_new_tokens <= model.config.block_size
        yield from ("ok", f" {len(prompts)}")

    monkeypatch.setattr(use, "stream", stream)
    return prompts


# chat


def test_chat_keeps_the_history_and_forgets_on_demand(minigpt, tmp_path, parrot):
    save_checkpoint(tmp_path, 1, make(block_size=256), WORDS)
    code, out = minigpt("chat", tmp_path, "--system", "Be brief.", said="Hi\n\nWho?\n/reset\nHi\n/exit\nnever\n")
    assert code is None and out == "ok 1\nok 2\n(forgotten)\nok 3\n"
    begin = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert parrot[0] == parrot[2] == begin
    assert parrot[1] == begin + "ok 1<|im_end|>\n<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"


def test_chat_forgets_the_oldest_turn_when_the_context_is_full(minigpt, tmp_path, parrot):
    save_checkpoint(tmp_path, 1, make(block_size=128), WORDS)
    code, out = minigpt("chat", tmp_path, "--system", "S", said="One\nTwo\nThree\nFour\n" + "long " * 99 + "\nFive\n")
    assert code is None and "context is full: the oldest 2 messages are forgotten" in out
    assert "too long for a context with room for 64 tokens" in out and out.endswith("ok 5\n")
    assert "One" in parrot[0] and "One" not in parrot[-1] and "long" not in parrot[-1]
    assert parrot[-1].endswith("<|im_start|>user\nFive<|im_end|>\n<|im_start|>assistant\n")
    assert all(prompt.startswith("<|im_start|>system\nS<|im_end|>\n<|im_start|>user") for prompt in parrot)


def test_chat_says_what_the_model_says_and_no_mark(minigpt, folder):
    model, _ = use.load_any(folder)
    ids = use.encode_prompt(WORDS, ask("Hi"))
    stop = [WORDS.special_tokens[t] for t in ("<|im_start|>", "<|im_end|>", "<|endoftext|>")]
    want = "".join(stream(model, WORDS, ids, 9, temperature=0, stop=stop))
    code, out = minigpt("chat", folder, "--temperature", 0, "--max-new-tokens", 9, said="Hi\n")
    assert (code, out) == (None, want + "\n")


def test_streams_end_without_the_token_that_ended_them():
    model, ids = make(), WORDS.encode("Hello")
    told = list(generate(model, ids, 20, temperature=1.0, generator=torch.Generator().manual_seed(0)))
    dice = torch.Generator().manual_seed(0)
    pieces = stream(model, WORDS, "Hello", 20, stop=[told[5]], generator=dice)
    assert "".join(pieces) == WORDS.decode(told[: told.index(told[5])])


def test_ctrl_c_ends_politely(minigpt, folder, monkeypatch):
    def interrupted(*args, **sampling):
        yield "so far"
        raise KeyboardInterrupt

    monkeypatch.setattr(use, "stream", interrupted)
    assert minigpt("chat", folder, said="Hi\nHi\n") == (None, "so far")


def test_models_that_cannot_chat_are_named(minigpt, tmp_path):
    save_checkpoint(tmp_path / "a", 1, make(vocab_size=256), BPETokenizer.train("x", 256))
    assert "knows no conversations" in minigpt("chat", tmp_path / "a")[0]
    save_checkpoint(tmp_path / "b", 1, make(Encoder), WORDS)
    for command in ("chat", "generate", "evaluate"):
        assert "of kind Encoder" in minigpt(command, tmp_path / "b")[0]
    code, _ = minigpt("chat", tmp_path / "a" / "step-1", "--device", "warp")
    assert "cannot be used here" in code


def test_a_pipe_with_odd_bytes_is_a_conversation_too(folder):
    command = [sys.executable, "-m", "minigpt", "chat", str(folder), "--max-new-tokens", "3"]
    done = subprocess.run(command, input=b"caf\xe9\n\xff\xfe\n/exit\n", capture_output=True)
    assert done.returncode == 0 and b"Traceback" not in done.stderr, done.stderr
    assert done.stdout.count(b"\n") >= 2


def test_a_lora_is_merged(tmp_path):
    model = make()
    add_lora(model, rank=2)
    for p in model.parameters():
        p.data += 0.1
    save_checkpoint(tmp_path, 1, model, WORDS)
    merged, _ = use.load_any(tmp_path)
    ids = torch.tensor([[1, 2, 3]])
    assert not hasattr(merged, "lora")
    torch.testing.assert_close(merged(ids), model.eval()(ids), atol=1e-5, rtol=1e-5)


# evaluate


def test_evaluate_a_text(minigpt, folder, tmp_path):
    text = "Hello there, hello you.\nça va? " * 20
    (tmp_path / "mine.txt").write_text(text, encoding="utf-8")
    out = tmp_path / "results.json"
    code, told = minigpt("evaluate", folder, "--text", tmp_path / "mine.txt", "--stride", 5, "--out", out)
    results = json.loads(out.read_text(encoding="utf-8"))
    assert code is None and f"{results['loss']:.4f}" in told and "bits_per_byte" in told
    ids = WORDS.encode("".join(text))
    assert results["tokens"] - len(ids) in (0, 1)  # the text is read whole, after one mark
    assert results["perplexity"] == pytest.approx(math.exp(results["loss"]))
    assert results["bits_per_byte"] == pytest.approx(bits_per_byte(results["loss"], results["tokens"] - 1, text))
    assert results["stride"] == 5 and not list(tmp_path.glob("*.partial"))
    minigpt("evaluate", folder, "--text", tmp_path / "mine.txt", "--limit", 40, "--out", out)
    assert json.loads(out.read_text(encoding="utf-8"))["tokens"] <= 42


EXAMPLES = [Example(s, t, ask(s, t), (t, "hello"), context=s) for s, t in [("Hello", "there"), ("you", "hello, you")]]


@pytest.mark.parametrize(
    "task, wanted",
    [
        ("describe", {"exact_match", "rouge1", "rouge2", "rougeL"}),
        ("topics", {"exact_match"}),
        ("zh-en", {"bleu", "chrf"}),
        ("en-es", {"bleu", "chrf"}),
        ("qa", {"exact_match", "f1"}),
        ("closed-book", {"exact_match", "f1"}),
        ("python", {"parses"}),
        ("chitchat", {"distinct_1", "distinct_2", "self_repetition"}),
    ],
)
def test_evaluate_a_task(minigpt, folder, tmp_path, monkeypatch, task, wanted):
    monkeypatch.setattr(evaluate, "load_task", lambda name, max_length: Task(name, [], [], EXAMPLES, ()))
    out = tmp_path / "results.json"
    assert minigpt("evaluate", folder, "--task", task, "--max-new-tokens", 4, "--out", out)[0] is None
    results = json.loads(out.read_text(encoding="utf-8"))
    assert set(results) == wanted | {"model", "task", "examples", "loss", "answers"}
    assert [a["source"] for a in results["answers"]] == ["Hello", "you"]


def test_evaluate_passes_max_length_on(minigpt, folder, monkeypatch):
    asked = []
    monkeypatch.setattr(
        evaluate, "load_task", lambda *given: asked.append(given) or Task(given[0], [], [], EXAMPLES, ())
    )
    minigpt("evaluate", folder, "--task", "describe", "--max-length", 7, "--max-new-tokens", 2)
    assert asked == [("describe", 7)]


def test_answers_are_what_greedy_generation_says():
    model, stop = make(), [WORDS.special_tokens[t] for t in ("<|im_start|>", "<|im_end|>", "<|endoftext|>")]
    said = evaluate.answers(model, WORDS, EXAMPLES, 6, batch_size=2)
    for example, answer in zip(EXAMPLES, said, strict=True):
        ids = use.encode_prompt(WORDS, example.messages[:-1])
        assert answer == "".join(stream(model, WORDS, ids, 6, temperature=0, stop=stop)).strip("\n")
    long = Example("x", "y", ask("Hello " * 500, "y"), ("y",))
    assert isinstance(evaluate.answers(model, WORDS, [long], 6, batch_size=2)[0], str)


def test_scores_of_a_task_are_the_metrics_own():
    scores = evaluate.task_scores("qa", ["There!", "no"], EXAMPLES)
    assert scores["exact_match"]["mean"] == 0.5 and scores["f1"]["mean"] == 0.5
    zh = evaluate.task_scores("zh-en", ["there", "hello, me"], EXAMPLES)
    want = bleu(hypotheses=["there", "hello, me"], references=[e.references for e in EXAMPLES])
    assert zh["bleu"] == pytest.approx(want)
    code = [replace(EXAMPLES[0], source=f"def f{i}():\n") for i in range(3)]  # a body needs its head
    said = ["    return 1", "    return 1", "return 1"]
    assert evaluate.task_scores("python", said, code)["parses"]["mean"] == pytest.approx(2 / 3)


def test_a_translator_is_asked_through_its_encoder(minigpt, tmp_path, monkeypatch):
    model = make(Seq2Seq)
    save_checkpoint(tmp_path / "run", 1, model, WORDS)
    monkeypatch.setattr(evaluate, "load_task", lambda name, max_length: Task(name, [], [], EXAMPLES, ()))
    code, out = minigpt("evaluate", tmp_path / "run", "--task", "en-es", "--max-new-tokens", 5)
    assert code is None and "bleu" in out
    for p in model.parameters():
        p.data *= 4  # a fresh model hardly looks at its source
    long = Example("there hello, you " * 4, "x", ask("x", "x"))
    stop = {WORDS.special_tokens[t] for t in ("<|im_start|>", "<|im_end|>", "<|endoftext|>")}
    for example in EXAMPLES:  # beside a long neighbour, each gets the answer that it gets alone
        source = torch.tensor([WORDS.encode(example.source)])
        ids = [WORDS.special_tokens["<|endoftext|>"]]
        for _ in range(12):
            scores = model(source, torch.ones_like(source, dtype=torch.bool), torch.tensor([ids]))[0, -1]
            ids.append(int(scores.argmax()))
            if ids[-1] in stop:
                break
        want = WORDS.decode([i for i in ids if i not in stop]).strip("\n")
        assert len(want) > 2 and evaluate.answers(model, WORDS, [example, long], 12, 2)[0] == want
    assert "reads tasks, not texts" in minigpt("evaluate", tmp_path / "run")[0]


def test_mistakes_get_one_sentence(minigpt, folder, tmp_path):
    for args, sentence in [
        (["--stride", 65], "1 … 64"),
        (["--limit", 0], "at least 1"),
        (["--task", "juggling"], "no task 'juggling'"),
        (["--out", tmp_path / "no" / "r.json"], "does not exist"),
        (["--text", tmp_path / "none.txt"], "cannot be read"),
        (["atlantis"], "no corpus 'atlantis'"),
    ]:
        code, _ = minigpt("evaluate", folder, *args)
        assert isinstance(code, str) and code.startswith("minigpt: ") and "\n" not in code, (args, code)
        assert sentence in code, (args, code)
    assert not (tmp_path / "no").exists()
