"""Checkpoints: what is saved comes back, and what is damaged is named and harms nothing."""

import json
import resource
import signal
import sys
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from minigpt import checkpoint
from minigpt.checkpoint import CheckpointError, load_checkpoint, prune_checkpoints, save_checkpoint
from minigpt.config import GPTConfig, to_dict
from minigpt.lora import add_lora
from minigpt.model import GPT, KINDS, TaskHead
from minigpt.tokenizer import BPETokenizer

CONFIG = GPTConfig(vocab_size=256, block_size=16, n_layer=2, n_head=2, n_embd=32)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model, tokenizer = GPT(CONFIG).eval(), BPETokenizer.train("x", 256)
    save_checkpoint(tmp_path / "run", 7, model, tokenizer)
    return tmp_path / "run", model


@pytest.mark.parametrize("tied", [True, False])
def test_round_trip(tmp_path, tied):
    tokenizer = BPETokenizer.train("the cat the cat", 260)
    model = GPT(GPTConfig(vocab_size=260, block_size=16, n_layer=2, n_head=2, n_embd=32, tied=tied)).eval()
    folder = save_checkpoint(tmp_path, 3, model, tokenizer)
    for place in (tmp_path, folder):  # the run, or one checkpoint of it
        again, words = load_checkpoint(place)
        ids = torch.randint(260, (1, 16))
        assert torch.equal(again(ids), model(ids)) and again.config == model.config
        assert words.encode("the cat") == tokenizer.encode("the cat")
    names = safetensors.torch.load_file(folder / "model.safetensors")
    assert ("lm_head.weight" in names) != tied  # tied weights are stored once
    assert json.loads((folder / "config.json").read_text())["format"] == "minigpt"
    assert (again.lm_head.weight is again.wte.weight) == tied


@pytest.mark.parametrize("kind", KINDS.values())
def test_every_kind_of_model_comes_back(tmp_path, kind):
    model = kind(CONFIG).eval()
    save_checkpoint(tmp_path, 1, model)
    again, _ = load_checkpoint(tmp_path)
    assert type(again) is kind
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert again.num_parameters() == model.num_parameters()  # what was tied is tied again


@pytest.mark.parametrize("lora", [False, True])
def test_task_heads_and_adapters_come_back(tmp_path, lora):
    model = TaskHead(GPT(CONFIG), 3, "last").eval()
    if lora:
        add_lora(model, rank=2)
        for name, p in model.named_parameters():
            if name.endswith(".B"):
                torch.nn.init.normal_(p)
    save_checkpoint(tmp_path, 1, model)
    again, _ = load_checkpoint(tmp_path)
    ids, padding = torch.randint(256, (2, 8)), torch.ones(2, 8, dtype=torch.bool)
    assert torch.equal(again(ids, padding), model(ids, padding)) and again(ids, padding).shape == (2, 3)
    trained = {n for n, p in again.named_parameters() if p.requires_grad}
    assert trained == {n for n, p in model.named_parameters() if p.requires_grad}


def test_what_has_no_format_is_refused_before_anything_is_written(tmp_path):
    class Other(GPT):
        pass

    with pytest.raises(TypeError, match="no checkpoint format"):
        save_checkpoint(tmp_path / "run", 1, Other(CONFIG))
    assert not (tmp_path / "run").exists()


def test_nothing_is_a_pickle(saved):
    run, _ = saved
    for file in run.rglob("*"):
        assert file.is_dir() or file.suffix in (".json", ".safetensors") or file.name == "latest"


def cut(folder, name, part=0.5):
    path = folder / "step-7" / name
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])


@pytest.mark.parametrize("part", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_truncated_files_are_named(saved, name, part):
    cut(saved[0], name, part)
    with pytest.raises(CheckpointError, match=f"{name}.*another checkpoint"):
        load_checkpoint(saved[0])


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_missing_files_are_named(saved, name):
    (saved[0] / "step-7" / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is missing"):
        load_checkpoint(saved[0])


def edit(folder, **changes):
    path = folder / "step-7" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"kind": "Oracle"}, "holds a 'Oracle'"),
        ({"version": 99}, "format version 99.*reads version 1"),
        ({"format": "other"}, "was not saved by minigpt"),
        ({"format": None, "model_type": "gpt2"}, "load_gpt2"),
        ({"model": to_dict(replace(CONFIG, vocab_size=300))}, "another vocabulary"),
        ({"model": to_dict(replace(CONFIG, n_layer=3))}, "missing .*h.2"),
        ({"model": to_dict(replace(CONFIG, block_size=8))}, "wpe.weight has shape"),
        ({"model": {"vocab_size": 256, "wings": 2}}, "no field wings"),
        ({"model": {"n_embd": 33, "n_head": 2}}, "n_embd=33"),
        ({"model": 5}, "not a configuration"),
    ],
)
def test_other_configurations_are_named(saved, changes, message):
    edit(saved[0], **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved[0])


def test_a_tokenizer_of_another_training_is_named(saved):
    BPETokenizer.train("the cat the cat", 260).save(saved[0] / "step-7" / "tokenizer.json")
    with pytest.raises(CheckpointError, match="has 260 tokens, the model only 256"):
        load_checkpoint(saved[0])


def test_nowhere(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        load_checkpoint(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_full_disk_leaves_the_last_good_checkpoint(saved):
    run, model = saved
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit then fails like a full disk
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="could not save .*last good checkpoint is .*step-7.*free some space"):
            save_checkpoint(run, 8, model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert sorted(f.name for f in run.iterdir()) == ["latest", "step-7"]
    load_checkpoint(run)


def test_a_step_saved_again_is_there_whatever_fails(saved, monkeypatch):
    run, model = saved
    replaced = []

    def replace_once(source, target):
        replaced.append(target.name)
        if target.name == "step-7" and len(replaced) == 2:
            raise OSError("no")
        rename(source, target)

    rename = checkpoint.os.replace
    monkeypatch.setattr(checkpoint.os, "replace", replace_once)
    with pytest.raises(OSError, match="last good checkpoint is .*step-7"):
        save_checkpoint(run, 7, GPT(CONFIG))
    assert sorted(f.name for f in run.iterdir()) == ["latest", "step-7"]
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(load_checkpoint(run)[0](ids), model(ids))
    other = GPT(CONFIG).eval()
    save_checkpoint(run, 7, other)
    assert sorted(f.name for f in run.iterdir()) == ["latest", "step-7"]
    assert torch.equal(load_checkpoint(run)[0](ids), other(ids))


def test_copies_that_a_reader_made_are_not_ours_to_count(saved):
    run, model = saved
    for name in ("step-2-copy1", "step-7-of-monday", "step-x9"):
        (run / name).mkdir()
    save_checkpoint(run, 8, model)
    prune_checkpoints(run, keep=1)
    assert sorted(f.name for f in run.iterdir()) == ["latest", "step-2-copy1", "step-7-of-monday", "step-8", "step-x9"]


def test_a_half_written_save_is_never_loaded(saved):
    run, model = saved
    (run / "step-9.partial").mkdir()  # what a crash in the middle of a save leaves
    (run / "step-9.partial" / "config.json").write_text("{")
    assert load_checkpoint(run)[0].config == CONFIG
    save_checkpoint(run, 9, model)
    save_checkpoint(run, 10, model)
    prune_checkpoints(run, keep=1, best_step=7)
    assert sorted(f.name for f in run.iterdir()) == ["latest", "step-10", "step-7"]
