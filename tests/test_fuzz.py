"""Damaged, swapped and hostile files: every loader says in one sentence what is wrong, runs nothing, changes nothing.

Each case damages a good folder in a way drawn from a seed. A loader may accept a file that still makes sense; what it
may not do is fail otherwise than documented, run code that a file carries, or touch a file.
"""

import json
import pickle
import random
import shutil
import struct
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from minigpt import __main__ as cli
from minigpt.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from minigpt.commands.material import split_file
from minigpt.config import GPTConfig, TrainConfig
from minigpt.generate import generate
from minigpt.hf import load_gpt2
from minigpt.llama import load_llama
from minigpt.lora import add_lora, load_lora, save_lora
from minigpt.model import GPT, Encoder
from minigpt.shards import open_shard, write_shard
from minigpt.tokenizer import SPECIAL_TOKENS, BPETokenizer, CharTokenizer, load_tokenizer

DOCUMENTED = (ValueError, OSError, MemoryError)  # CheckpointError is a ValueError
WORDS = BPETokenizer.train("to be or not to be " * 5, 268, SPECIAL_TOKENS)
OTHER = CharTokenizer.train("another alphabet 0123")
CONFIG = GPTConfig(vocab_size=268, block_size=8, n_layer=2, n_head=2, n_embd=8)
ODD = (None, True, -1, 0, 3, 2.5, 10**12, 10**30, float("inf"), float("nan"), "x", "\0", "../x", [], [[]], {}, {"a": 1})
DEEP = b"[" * 100_000 + b"]" * 100_000


def model():
    torch.manual_seed(0)
    return GPT(CONFIG).eval()


def checkpoint(folder):
    save_checkpoint(folder, 1, model(), WORDS, TrainConfig())
    return lambda: load_checkpoint(folder)


def with_lora(folder):
    adapted = model()
    add_lora(adapted, rank=2)
    save_checkpoint(folder, 1, adapted, WORDS, TrainConfig())
    return lambda: load_checkpoint(folder)


def gpt2(folder):
    torch.manual_seed(0)
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=268, n_positions=8, n_layer=2, n_head=2, n_embd=8))
    theirs.save_pretrained(folder, max_shard_size="3KB")
    WORDS.save(folder)
    return lambda: load_gpt2(folder)


def llama(folder):
    torch.manual_seed(0)
    theirs = LlamaForCausalLM(LlamaConfig(vocab_size=60, hidden_size=8, intermediate_size=12, num_hidden_layers=2,
                                          num_attention_heads=2, num_key_value_heads=1))  # fmt: skip
    theirs.save_pretrained(folder)
    return lambda: load_llama(folder)


def adapter(folder):
    folder.mkdir()
    adapted = model()
    add_lora(adapted, rank=2)
    save_lora(adapted, folder / "adapter.safetensors")
    return lambda: load_lora(model(), folder / "adapter.safetensors")


def bpe(folder):
    folder.mkdir()
    WORDS.save(folder)
    return lambda: load_tokenizer(folder)


def characters(folder):
    folder.mkdir()
    OTHER.save(folder)
    return lambda: load_tokenizer(folder)


def two_files(folder):
    folder.mkdir()
    data = WORDS.to_json()["model"]
    (folder / "vocab.json").write_text(json.dumps(data["vocab"]), encoding="utf-8")
    merges = "\n".join(["#version: 0.2", *(" ".join(pair) for pair in data["merges"])])
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    return lambda: load_tokenizer(folder)


def shard(folder):
    folder.mkdir()
    write_shard(folder / "train.bin", [WORDS.encode("to be or not to be")], WORDS)
    return lambda: open_shard(folder / "train.bin", WORDS)


KINDS = (checkpoint, with_lora, gpt2, llama, adapter, bpe, characters, two_files, shard)


class Payload:
    """A pickle whose loading makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def places(value, path=()):
    """The path to every part of a JSON value."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from places(part, (*path, key))


def odd_json(data: bytes, dice: random.Random) -> bytes:
    """One part of a JSON value replaced by something odd, left out, or nested a hundred thousand deep."""
    value = json.loads(data)
    where = list(places(value))
    # Most places of a tokenizer are tokens, and most faults elsewhere: take the shallow ones as often.
    path = dice.choice(dice.choice([where, [p for p in where if len(p) < 3]]))
    if not path:
        return dice.choice([DEEP, b"null", b"[]", b"{}", b"1", b'"x"', b""])
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    if dice.random() < 0.2:
        del parent[path[-1]]
    else:
        parent[path[-1]] = dice.choice(ODD)
    return json.dumps(value).encode()


def odd_tensors(data: bytes, dice: random.Random) -> bytes:
    """A safetensors file with an odd header, or a header that lies about its length."""
    (length,) = struct.unpack("<Q", data[:8])
    header, body = data[8 : 8 + length], data[8 + length :]
    if dice.random() < 0.3:
        lie = dice.choice([0, 1, length - 1, length + 1, 2**31, 2**40, 2**63, 2**64 - 1])
        return struct.pack("<Q", lie) + header + body
    header = odd_json(header, dice)
    return struct.pack("<Q", len(header)) + header + body


def damage(data: bytes, name: str, others: list[bytes], payload: bytes, dice: random.Random) -> bytes:
    """Another content for a file."""
    way = dice.random()
    if way < 0.5 and name.endswith(".json"):
        return odd_json(data, dice)
    if way < 0.5 and name.endswith(".safetensors"):
        return odd_tensors(data, dice)
    if way < 0.65:
        return data[: dice.randrange(len(data) + 1)]  # truncated
    if way < 0.75:
        return dice.choice([*others, DEEP, b""])  # swapped
    if way < 0.85:
        return payload  # renamed
    if way < 0.95:
        at = dice.randrange(len(data))
        return data[:at] + dice.randbytes(dice.randrange(1, 9)) + data[at + dice.randrange(9) :]
    return dice.randbytes(dice.randrange(200))


def contents(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_damaged_files_are_named_and_nothing_else_happens(make, tmp_path):
    load = make(tmp_path / "it")
    load()
    good, planted = contents(tmp_path / "it"), tmp_path / "ran"
    payload = pickle.dumps(Payload(planted))
    refused = 0
    for seed in range(150):
        dice = random.Random(seed)
        path = dice.choice(sorted(good))
        path.write_bytes(damage(good[path], path.name, list(good.values()), payload, dice))
        if dice.random() < 0.1:
            path.unlink()
        before = contents(tmp_path / "it")
        try:
            load()
        except DOCUMENTED as e:
            refused += 1
            assert len(str(e)) > 20 and "Traceback" not in str(e), (seed, e)
        except BaseException as e:
            raise AssertionError(f"seed {seed}, {path.name}: {type(e).__name__}: {e}") from e
        assert contents(tmp_path / "it") == before and not planted.exists(), seed
        path.write_bytes(good[path])
    load()
    assert refused > 50  # the damage is real


def test_the_payload_would_run_if_anything_unpickled_it(tmp_path):
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran"))).close()
    assert (tmp_path / "ran").exists()


def test_pickles_are_refused_by_name(tmp_path):
    """Old folders hold pytorch_model.bin: it is named, not opened."""
    load = gpt2(tmp_path / "it")
    for path in (tmp_path / "it").glob("model*"):
        path.unlink()
    (tmp_path / "it" / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(CheckpointError, match="a pickle, which could run code"):
        load()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["../outside", "/etc", "step-1/../../outside", "..", ".", "", "step-1\0", "\udcff"])
def test_latest_names_a_folder_of_its_run_only(tmp_path, name):
    checkpoint(tmp_path / "outside")
    checkpoint(tmp_path / "run")
    (tmp_path / "run" / "latest").write_bytes(name.encode("utf-8", errors="surrogateescape"))
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path / "run")


@pytest.mark.parametrize("trick", ["../secret.safetensors", "/secret.safetensors", 5, None, ["model"]])
def test_an_index_names_files_of_its_folder_only(tmp_path, trick):
    load = gpt2(tmp_path / "it")
    index = tmp_path / "it" / "model.safetensors.index.json"
    values = json.loads(index.read_text(encoding="utf-8"))
    values["weight_map"]["transformer.wte.weight"] = trick
    index.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CheckpointError, match="outside its folder|does not say which files"):
        load()


@pytest.mark.parametrize("name", ["n_layer", "n_embd", "n_head", "vocab_size", "block_size", "n_inner", "n_segment"])
@pytest.mark.parametrize("value", [10**9, 10**9 + 2, 10**18, 10**30])
def test_absurd_sizes_take_no_memory(tmp_path, name, value):
    load = checkpoint(tmp_path)
    path = tmp_path / "step-1" / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    values["model"][name] = value
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CheckpointError):
        load()


def test_weights_that_are_no_numbers_are_named():
    broken = model()
    broken.ln_f.weight.data[0] = float("nan")
    for temperature in (0.0, 1.0):
        with pytest.raises(FloatingPointError, match="NaN.*earlier checkpoint"):
            next(generate(broken, [1, 2], 3, temperature=temperature))


def test_the_files_of_another_model_are_named(tmp_path):
    checkpoint(tmp_path / "run")
    save_checkpoint(tmp_path / "encoder", 1, Encoder(CONFIG), WORDS)
    shutil.copy(tmp_path / "encoder" / "step-1" / "config.json", tmp_path / "run" / "step-1" / "config.json")
    kind = type(load_checkpoint(tmp_path / "run")[0])
    assert kind is Encoder  # the same weights under another name: the commands that write text refuse it
    BPETokenizer.train("abc" * 9, 290, ["<" + str(i) + ">" for i in range(33)]).save(tmp_path / "run" / "step-1")
    with pytest.raises(CheckpointError, match="not of one training"):
        load_checkpoint(tmp_path / "run")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300))
def test_tokenizers_take_any_bytes_that_are_text_and_name_the_others(tmp_path, data):
    (tmp_path / "odd.txt").write_bytes(data)
    try:
        train, val = split_file(tmp_path / "odd.txt")
    except ValueError as e:
        assert "not UTF-8" in str(e)
        return
    text = "".join(train + val)
    assert text.encode() == data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert WORDS.decode(WORDS.encode(text)) == text


ODD_OPTIONS = (
    "--steps", "--lr", "--batch-size", "--n-layer", "--n-head", "--n-embd", "--block-size", "--dropout", "--vocab-size",
    "--temperature", "--top-k", "--top-p", "--max-new-tokens", "--seed", "--stride", "--limit", "--device", "--style",
    "--tokenizer", "--text", "--task", "--out", "--no-such-thing", "--resume", "--help",
)  # fmt: skip
ODD_WORDS = ("", " ", "-1", "0", "1e9999", "nan", "inf", "9" * 20, "x", "½", "中", "--", "-", "../..", "a\nb")


def test_the_command_line_answers_any_words(tmp_path, monkeypatch, capsys):
    """A sentence or the usage, never a traceback. Only commands that end at once: nothing here may train."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINIGPT_DATA", str(tmp_path / "nothing"))
    checkpoint(tmp_path / "run")
    before = contents(tmp_path)
    for seed in range(120):
        dice = random.Random(seed)
        command = dice.choice(["generate", "chat", "evaluate", "export", "data", "trian", ""])
        args = [command, *dice.choices([*ODD_OPTIONS, *ODD_WORDS, "run"], k=dice.randrange(5))]
        if "--max-new-tokens" in args or "--out" in args or command == "export":
            args = [arg for arg in args if arg not in ("run", "--out")]  # nothing to write, nothing without an end
        monkeypatch.setattr(sys, "argv", ["minigpt", *args])
        monkeypatch.setattr(sys, "stdin", open(tmp_path / "run" / "latest", encoding="utf-8"))  # noqa: SIM115
        try:
            cli.main()
        except SystemExit as e:
            assert e.code in (0, 1, 2) or isinstance(e.code, str) and e.code.startswith("minigpt: "), (args, e.code)
        except BaseException as e:
            raise AssertionError(f"seed {seed}, {args}: {type(e).__name__}: {e}") from e
        sys.stdin.close()
        assert contents(tmp_path) == before, args
    capsys.readouterr()
