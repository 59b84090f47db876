"""Several processes under torchrun, two with gloo on the CPU: they train what one would, and end with a sentence."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minigpt.chat import LabelDataset
from minigpt.checkpoint import load_checkpoint
from minigpt.config import GPTConfig, TrainConfig
from minigpt.masking import MaskedDataset
from minigpt.model import GPT, Encoder, TaskHead
from minigpt.objectives import classification_loss, mlm_loss
from minigpt.resume import read_log
from minigpt.train import train

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
CONFIG = GPTConfig(vocab_size=256, block_size=16, n_layer=2, n_head=2, n_embd=32)
RUN = TrainConfig(steps=4, batch_size=2, accumulate=3, warmup=1, lr=1e-2, eval_every=2, device="cpu", dtype="float32")


def masked_text() -> MaskedDataset:
    tokens = torch.arange(400) % 40  # masking makes every window's number of targets another one
    return MaskedDataset(tokens, 16, mask_id=255, vocab_size=256, rate=0.3)


def train_part(out, steps: int, resume: bool, batch_size: int) -> Encoder:
    torch.manual_seed(0)
    model = Encoder(CONFIG)
    config = replace(RUN, steps=steps, batch_size=batch_size, save_every=2, schedule="constant")
    train(model, masked_text(), masked_text(), config, loss_fn=mlm_loss, out=out, resume=resume)
    return model


def two_processes(out: Path) -> None:
    """What torchrun runs below: two steps, counting how often gradients travel."""
    import minigpt.train as module

    travelled = []

    class Counting(module.DistributedDataParallel):
        def __init__(self, model, **options):
            super().__init__(model, **options)
            self.register_comm_hook(None, self.count)

        @staticmethod
        def count(state, bucket):  # waits here: a callback would run in gloo's thread, also while the group is ended
            travelled.append(bucket.is_last())
            torch.distributed.all_reduce(bucket.buffer().div_(2))
            done = torch.futures.Future()
            done.set_result(bucket.buffer())
            return done

    module.DistributedDataParallel = Counting
    train_part(out, steps=2, resume=False, batch_size=2)
    if os.environ["RANK"] == "0":
        (out / "travelled").write_text(str(sum(travelled)))


def test_two_processes_train_what_one_does_with_both_batches(tmp_path):
    command = [*TORCHRUN, __file__, str(tmp_path / "two")]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "two" / "travelled").read_text() == "2"  # once a step, though each accumulates three batches
    train_part(tmp_path / "one", steps=2, resume=False, batch_size=4)
    one, two = (read_log(tmp_path / name / "log.jsonl", 99) for name in ("one", "two"))
    assert len(one) == len(two) == 3  # written once, not once by each process
    for a, b in zip(one, two, strict=True):
        assert a.keys() == b.keys()
        for key in {"loss", "val_loss", "grad_norm"} & a.keys():
            assert a[key] == pytest.approx(b[key], rel=1e-4), (a, b)
    weights = [load_checkpoint(tmp_path / name)[0].state_dict() for name in ("one", "two")]
    assert list(weights[0]) == list(weights[1])  # no name has "module." before it
    for name in weights[0]:
        torch.testing.assert_close(weights[0][name], weights[1][name], atol=2e-4, rtol=0)
    # One process goes on where two stopped.
    config = json.loads((tmp_path / "two" / "step-2" / "config.json").read_text())
    config["train"]["batch_size"] = 4  # the same windows in each step
    (tmp_path / "two" / "step-2" / "config.json").write_text(json.dumps(config))
    ends = [train_part(tmp_path / name, steps=4, resume=True, batch_size=4) for name in ("one", "two")]
    for a, b in zip(*(model.state_dict().values() for model in ends), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_a_killed_process_ends_the_run_with_a_sentence_and_a_checkpoint(tmp_path):
    run = tmp_path / "run"
    arguments = f"--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --vocab-size 300 --batch-size 2 --steps 100000 \
        --eval-every 0 --sample-every 0 --save-every 20 --device cpu --out {run}".split()
    command = [*TORCHRUN, "-m", "minigpt", "train", *arguments]
    torchrun = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 120
        while not (run / "latest").exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert (run / "latest").exists(), "no checkpoint in two minutes"
        listed = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
        workers = [int(pid) for pid, parent in re.findall(r"(\d+) +(\d+)", listed) if int(parent) == torchrun.pid]
        assert len(workers) == 2
        os.kill(max(workers), signal.SIGKILL)
        _, told = torchrun.communicate(timeout=120)
    finally:
        torchrun.kill()
    assert torchrun.returncode != 0
    assert "another process of this run has ended" in told and "--resume" in told, told[-2000:]
    model, tokenizer = load_checkpoint(run)
    assert tokenizer.vocab_size == model.config.vocab_size


def test_a_head_on_an_untied_model_trains_in_two_processes(tmp_path):
    command = [*TORCHRUN, __file__, str(tmp_path / "head"), "head"]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line["step"] for line in read_log(tmp_path / "head" / "log.jsonl", 9)] == [1, 2, 3]


def train_a_head(out: Path) -> None:
    """What torchrun runs above: the output head of the stack has no part in this loss."""
    rows = LabelDataset([(list(range(i, i + 8)), i % 2) for i in range(40)], 16)
    head = TaskHead(GPT(replace(CONFIG, tied=False)), 2, "mean")
    config = replace(RUN, steps=3, accumulate=1, eval_every=0)
    train(head, rows, None, config, loss_fn=classification_loss, out=out)


if __name__ == "__main__":
    (train_a_head if sys.argv[2:] == ["head"] else two_processes)(Path(sys.argv[1]))
