"""Resuming: a run that was interrupted, killed or saved by an older version goes on as if it had never stopped."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from test_train import RUN, TINY, new_model, same, text_data

from minigpt.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from minigpt.model import GPT, Encoder, TaskHead
from minigpt.objectives import clm_loss, mlm_loss
from minigpt.optim import make_optimizer
from minigpt.resume import load_training_state, training_tensors
from minigpt.train import train


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path):
    train_data, val_data = text_data()
    whole = new_model()
    log = train(whole, train_data, val_data, RUN, out=tmp_path / "whole")
    first = new_model()

    class PressesCtrlC:
        def sample(self, batch_size, generator):
            self.calls = getattr(self, "calls", 0) + 1
            if self.calls == 5:
                os.kill(os.getpid(), signal.SIGINT)
            return train_data.sample(batch_size, generator)

    part = train(first, PressesCtrlC(), val_data, RUN, out=tmp_path / "part")
    assert part[-1]["stopped"] == "interrupted" and part[-1]["step"] == 5
    assert (tmp_path / "part" / "latest").read_text() == "step-5"
    second = new_model(seed=9)  # other weights: everything must come from the checkpoint
    again = train(second, train_data, val_data, RUN, out=tmp_path / "part", resume=True)
    assert same(whole, second)
    drop = ("tokens_per_second", "stopped")
    assert [{k: v for k, v in a.items() if k not in drop} for a in again] == [
        {k: v for k, v in a.items() if k not in drop} for a in log
    ]
    on_disk = [json.loads(line) for line in (tmp_path / "part" / "log.jsonl").read_text().splitlines()]
    assert on_disk == again


SCRIPT = """
import sys, torch
sys.path[:0] = [{tests!r}]
torch.set_num_threads(1)
from test_train import RUN, new_model, text_data, train
from dataclasses import replace
config = replace(RUN, steps=60, save_every=1, eval_every=20)
train(new_model(), *text_data(), config, out={out!r}, resume=(sys.argv[1] == "resume"))
"""


def run_script(tmp_path, out, mode, kill_after=None):
    """Run a training in a process of its own; SIGKILL it when it has saved and `kill_after` seconds have gone by."""
    code = SCRIPT.format(tests=os.path.dirname(__file__), out=str(tmp_path / out))
    process = subprocess.Popen([sys.executable, "-c", code, mode], stderr=subprocess.DEVNULL)
    if kill_after is not None:
        while not (tmp_path / out / "latest").exists() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(kill_after)
        process.kill()
    return process.wait()


def killed_run_equals_whole(tmp_path, kills, seed):
    """Kill a run at random moments, resume it each time, and compare the end with a run left in peace."""
    moments = random.Random(seed)
    run_script(tmp_path, "killed", "start", kill_after=moments.uniform(0, 0.4))
    for _ in range(kills - 1):
        load_checkpoint(tmp_path / "killed")  # whatever the moment, the newest checkpoint is whole
        run_script(tmp_path, "killed", "resume", kill_after=2.0 + moments.uniform(0, 1.0))
    assert run_script(tmp_path, "killed", "resume") == 0
    torch.set_num_threads(1)
    assert run_script(tmp_path, "whole", "start") == 0
    assert same(load_checkpoint(tmp_path / "killed")[0], load_checkpoint(tmp_path / "whole")[0])
    lines = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("killed", "whole")]
    assert [json.loads(a)["step"] for a in lines[0]] == [json.loads(b)["step"] for b in lines[1]]
    assert [json.loads(a).get("loss") for a in lines[0]] == [json.loads(b).get("loss") for b in lines[1]]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_and_resumed_is_bit_equal(tmp_path):
    killed_run_equals_whole(tmp_path, kills=3, seed=0)


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("seed", range(10))
def test_fifty_kills(tmp_path, seed):
    killed_run_equals_whole(tmp_path, kills=5, seed=seed)


class Masked:
    """Texts with every second token hidden, for an encoder."""

    def sample(self, batch_size, generator):
        ids, _ = text_data()[0].sample(batch_size, generator)
        return ids, torch.ones_like(ids, dtype=torch.bool), ids


def first_token_loss(model, batch):
    return clm_loss(lambda ids: model(ids, torch.ones_like(ids, dtype=torch.bool)), (batch[0], batch[1][:, 0]))


@pytest.mark.parametrize("make, data, loss_fn, without", [
    (lambda: Encoder(replace(TINY, n_segment=2)), Masked(), mlm_loss, "wse.weight"),
    (lambda: TaskHead(GPT(replace(TINY, tied=False)), 256, "mean"), text_data()[0], first_token_loss,
     "stack.lm_head.weight"),
])  # fmt: skip
def test_parameters_without_a_part_in_the_loss_do_not_hinder_resuming(tmp_path, make, data, loss_fn, without):
    models = []
    for out, plan in (("whole", [12]), ("parts", [6, 12])):
        for i, steps in enumerate(plan):
            torch.manual_seed(0)
            models.append(make())
            config = replace(RUN, steps=steps, schedule="constant")
            train(models[-1], data, None, config, loss_fn=loss_fn, out=tmp_path / out, resume=i > 0)
    assert same(models[0], models[2]) and not same(models[0], models[1])
    saved = safetensors.torch.load_file(tmp_path / "whole" / "step-12" / "optimizer.safetensors")
    prefix = "stack." if without.startswith("stack.") else ""
    assert f"step.{prefix}wte.weight" in saved and f"step.{without}" not in saved


def test_half_of_a_parameters_moments_is_an_error(tmp_path):
    model, optimizer = new_model(), None
    optimizer = make_optimizer(model, RUN)
    clm_loss(model, text_data()[0].sample(2, torch.Generator())).backward()
    optimizer.step()
    tensors = training_tensors(model, optimizer, torch.Generator())
    for missing in ("step.wte.weight", "exp_avg_sq.wte.weight", "rng.sampler"):
        some = {name: t for name, t in tensors.items() if name != missing}
        save_checkpoint(tmp_path, 1, model, None, RUN, {"step": 1}, some)
        with pytest.raises(CheckpointError, match=f"lacks what resuming needs.*{missing}"):
            load_training_state(tmp_path, model, make_optimizer(model, RUN), torch.Generator(), RUN)


def test_resumed_processes_throw_dice_of_their_own(tmp_path):
    model = new_model()
    optimizer = make_optimizer(model, RUN)
    for step in (1, 2):
        save_checkpoint(tmp_path / f"{step}", step, model, None, RUN, {"step": step},
                        training_tensors(model, optimizer, torch.Generator().manual_seed(5)))  # fmt: skip

    def dice(step, rank):
        sampler = torch.Generator()
        load_training_state(tmp_path / f"{step}", model, optimizer, sampler, RUN, rank)
        assert torch.equal(sampler.get_state(), torch.Generator().manual_seed(5).get_state())  # all draw the same texts
        return torch.rand(4).tolist()

    thrown = [dice(step, rank) for step in (1, 2) for rank in (0, 1, 2)]
    assert thrown[0] == thrown[3]  # process 0 has those of the checkpoint, and both were saved at the same moment
    assert len({tuple(t) for t in thrown}) == 5
    assert thrown == [dice(step, rank) for step in (1, 2) for rank in (0, 1, 2)]


def test_a_run_from_before_a_field_was_there_goes_on(tmp_path):
    train_data, _ = text_data()
    train(new_model(), train_data, None, RUN, out=tmp_path)
    for path in tmp_path.glob("step-*/config.json"):
        values = json.loads(path.read_text())
        for name in ("n_kv_head", "n_segment"):
            del values["model"][name]
        path.write_text(json.dumps(values))
    log = train(new_model(seed=1), train_data, None, replace(RUN, steps=13), out=tmp_path, resume=True)
    assert log[-1]["step"] == 13 and load_checkpoint(tmp_path)[0].config == TINY
