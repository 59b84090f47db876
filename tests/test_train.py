"""Training: it learns, it accumulates, it stops, and says what went wrong."""

import math
from contextlib import nullcontext
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from minigpt.checkpoint import CheckpointError, load_checkpoint
from minigpt.commands.shrink import thin
from minigpt.config import GPTConfig, TrainConfig
from minigpt.data import TokenDataset
from minigpt.device import Group, pick_device, pick_dtype
from minigpt.evaluate import bits_per_byte, evaluate_loss, perplexity
from minigpt.model import GPT
from minigpt.objectives import clm_loss
from minigpt.optim import learning_rate, make_optimizer
from minigpt.resume import read_log
from minigpt.tokenizer import BPETokenizer
from minigpt.train import add_gradients, record, train

TINY = GPTConfig(vocab_size=256, block_size=16, n_layer=2, n_head=2, n_embd=32, dropout=0.1)
RUN = TrainConfig(steps=12, batch_size=4, warmup=2, eval_every=4, save_every=3, device="cpu", dtype="float32")
ONE = replace(RUN, steps=1, eval_every=0)


def text_data(block_size=16):
    tokens = torch.tensor(list(b"the cat sat on the mat; the dog sat on the log. " * 20))
    return TokenDataset(tokens[:800], block_size), TokenDataset(tokens[800:], block_size)


def new_model(config=TINY, seed=0):
    torch.manual_seed(seed)
    return GPT(config)


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_learns_a_periodic_text():
    model, (train_data, val_data) = new_model(replace(TINY, dropout=0.0)), text_data()
    log = train(model, train_data, val_data, replace(RUN, steps=250, eval_every=50, warmup=20, lr=5e-3))
    losses = [line["val_loss"] for line in log if "val_loss" in line]
    assert losses[0] == pytest.approx(math.log(256), abs=0.2)
    assert losses[-1] < 0.35  # all that is left to guess: where in the text a window starts
    assert evaluate_loss(model, val_data) == pytest.approx(losses[-1], abs=1e-5)
    assert not model.training


def test_evaluation_counts_every_token_once():
    model, (_, val_data) = new_model().eval(), text_data()
    tokens = val_data.tokens
    total = n = 0
    for start in range(0, len(tokens) - 1, 16):
        window = tokens[start : start + 17][None].long()
        k = window.size(1) - 1
        total, n = total + clm_loss(model, (window[:, :-1], window[:, 1:])).item() * k, n + k
    assert n == len(tokens) - 1
    for batch_size in (1, 3, 64):  # the answer does not depend on how the windows are grouped
        assert evaluate_loss(model, val_data, batch_size=batch_size) == pytest.approx(total / n, abs=1e-5)


def test_units_of_loss():
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert bits_per_byte(math.log(2), tokens=6, text="é中") == pytest.approx(6 / 5)  # 2 + 3 bytes


def test_accumulation_is_one_larger_batch():
    batch = text_data()[0].sample(8, torch.Generator().manual_seed(0))
    halves = [tuple(t[:4] for t in batch), tuple(t[4:] for t in batch)]
    one, two = (new_model(replace(TINY, dropout=0.0)) for _ in range(2))
    losses = [add_gradients(model, batches, clm_loss, Group(), nullcontext())
              for model, batches in ((one, [batch]), (two, halves))]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    for p, q in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)

    class Fixed:
        def __init__(self, batches):
            self.batches = iter(batches)

        def sample(self, batch_size, generator):
            return next(self.batches)

    quiet = replace(TINY, dropout=0.0)
    a = train(new_model(quiet), Fixed([batch]), None, replace(ONE, batch_size=8))
    b = train(new_model(quiet), Fixed(halves), None, replace(ONE, accumulate=2))
    assert a[-1]["loss"] == pytest.approx(b[-1]["loss"], abs=1e-5)
    assert a[-1]["grad_norm"] == pytest.approx(b[-1]["grad_norm"], rel=1e-4)


def test_gradients_are_emptied_after_each_step():
    batch = text_data()[0].sample(4, torch.Generator().manual_seed(0))

    class Same:
        def sample(self, batch_size, generator):
            return batch

    still = replace(ONE, steps=3, lr=1e-12, warmup=0)  # the weights stay, so each step finds the same gradient
    norms = [line["grad_norm"] for line in train(new_model(replace(TINY, dropout=0.0)), Same(), None, still)]
    assert norms == pytest.approx([norms[0]] * 3, rel=1e-4)


def test_clipping_bounds_the_gradient_and_logs_the_true_norm(tmp_path):
    logs = [train(new_model(), text_data()[0], None, replace(ONE, clip=c), out=tmp_path / f"{c}") for c in (0, 1e-3)]
    assert logs[0][-1]["grad_norm"] == pytest.approx(logs[1][-1]["grad_norm"]) and logs[0][-1]["grad_norm"] > 1e-2
    moments = safetensors.torch.load_file(tmp_path / "0.001" / "step-1" / "optimizer.safetensors")
    mean = torch.cat([t.flatten() for name, t in moments.items() if name.startswith("exp_avg.")])
    assert mean.norm().item() == pytest.approx((1 - RUN.beta1) * 1e-3, rel=1e-3)  # AdamW's after one step


def test_the_schedules_rate_is_what_moves_the_weights():
    model = new_model()
    before = [p.detach().clone() for p in model.parameters()]
    (line,) = train(model, text_data()[0], None, replace(ONE, warmup=10, lr=1e-2, weight_decay=0.0))
    moved = max(float((p - q).detach().abs().max()) for p, q in zip(model.parameters(), before, strict=True))
    assert moved == pytest.approx(line["lr"], rel=1e-2) and line["lr"] == pytest.approx(1e-3)  # Adam's first step


def test_bfloat16_is_what_the_layers_compute_in():
    model, seen = new_model(), set()
    model.h[0].mlp.c_fc.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    train(model, text_data()[0], None, replace(ONE, dtype="bfloat16"))
    assert seen == {torch.bfloat16} and {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_compiled_model_trains_the_same_and_is_saved(monkeypatch, tmp_path):
    compiled, compile_ = [], torch.compile
    monkeypatch.setattr(torch, "compile", lambda m: compiled.append(m) or compile_(m, backend="eager"))
    quiet = replace(TINY, dropout=0.0)
    logs = [train(new_model(quiet), text_data()[0], None, replace(ONE, compile=c), out=tmp_path / f"{c}")
            for c in (False, True)]  # fmt: skip
    assert logs[0][-1]["loss"] == pytest.approx(logs[1][-1]["loss"], rel=1e-4) and len(compiled) == 1
    plain, other = (load_checkpoint(tmp_path / name)[0] for name in ("False", "True"))
    for p, q in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-4, rtol=1e-3)


def test_a_sample_with_a_separator_of_lines_stays_one_line(tmp_path):
    line = {"step": 0, "sample": "one\u2028two\u0085three\nfour"}
    record(line, [], tmp_path)
    record({"step": 10, "loss": 1.0}, [], tmp_path)
    assert read_log(tmp_path / "log.jsonl", 10) == [line, {"step": 10, "loss": 1.0}]
    plain = '{"step": 0, "sample": "one\u2028two"}\n{"step": 1, "loss": 2.0}\n{"step": 10, "loss": 1.0}\n'
    (tmp_path / "log.jsonl").write_text(plain, encoding="utf-8")  # as an older log has it
    assert [entry["step"] for entry in read_log(tmp_path / "log.jsonl", 10)] == [0, 1, 10]
    assert thin(plain).count("\n") == 2 and "one\u2028two" in thin(plain)


def test_resuming_needs_a_folder():
    with pytest.raises(ValueError, match="needs `out`"):
        train(new_model(), text_data()[0], None, ONE, resume=True)


def test_decay_groups():
    model = new_model()
    decay, keep = make_optimizer(model, RUN).param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    decayed, kept = ({names[id(p)] for p in g["params"]} for g in (decay, keep))
    assert decay["weight_decay"] == 0.1 and keep["weight_decay"] == 0.0
    assert decayed | kept == set(names.values()) and not decayed & kept
    assert all(n.endswith("bias") or ".ln_" in n or n.startswith("ln_f") for n in kept)
    assert {"wte.weight", "h.0.attn.c_attn.weight", "h.1.mlp.c_proj.weight"} <= decayed


def test_schedules():
    rates = {
        name: [learning_rate(s, TrainConfig(steps=100, warmup=10, lr=1.0, schedule=name, decay=0.4, final_lr=0.1))
               for s in range(100)]
        for name in ("constant", "cosine", "wsd")
    }
    for rate in rates.values():
        assert rate[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert set(rates["constant"][10:]) == {1.0}
    assert rates["wsd"][10:61] == [1.0] * 51  # 40 of 100 steps are left: the fall begins
    assert rates["wsd"][80] == pytest.approx(0.1 + 0.9 * 0.5)
    assert rates["cosine"][55] == pytest.approx(0.55)  # half-way between 1 and 0.1
    for name in ("cosine", "wsd"):
        assert rates[name][10:] == sorted(rates[name][10:], reverse=True) and 0.1 <= rates[name][-1] < 0.13


@pytest.mark.parametrize("steps, warmup, decay", [(60, 50, 0.4), (10, 9, 1.0), (4, 50, 0.4), (5, 5, 0.5), (7, 0, 1.0)])
def test_a_fall_waits_for_the_warmup(steps, warmup, decay):
    config = TrainConfig(steps=steps, warmup=warmup, decay=decay, lr=1.0)
    rate = [learning_rate(s, config) for s in range(steps)]
    top = max(0, min(warmup, steps) - 1)
    assert rate[: top + 1] == sorted(rate[: top + 1]) and rate[top:] == sorted(rate[top:], reverse=True)
    assert len(rate) <= warmup or rate[warmup] == 1.0  # what follows the warmup begins where it ended


def test_early_stop_keeps_the_best(tmp_path):
    train_data, val_data = text_data()
    noise = TokenDataset(torch.randint(256, (800,), generator=torch.Generator().manual_seed(0)), 16)
    config = replace(RUN, steps=400, eval_every=10, save_every=0, patience=3, lr=1e-2, keep=1)
    log = train(new_model(replace(TINY, dropout=0.0)), train_data, noise, config, out=tmp_path)
    assert "no better for 3 looks" in log[-1]["stopped"] and log[-1]["step"] < 400
    looks = {line["step"]: line["val_loss"] for line in log if "val_loss" in line}
    best = min(looks, key=looks.get)
    kept = {f.name for f in tmp_path.glob("step-*")}
    assert kept == {f"step-{log[-1]['step']}"} | ({f"step-{best}"} if best else set())


def test_samples_along_the_way():
    train_data, _ = text_data()
    tokenizer = BPETokenizer.train("x", 256)
    config = replace(RUN, steps=4, sample_every=2, sample_prompt="the", sample_tokens=5)
    log = train(new_model(), train_data, None, config, tokenizer=tokenizer)
    samples = [line for line in log if "sample" in line]
    assert [line["step"] for line in samples] == [0, 2, 4]


def test_old_checkpoints_are_pruned(tmp_path):
    train_data, _ = text_data()
    train(new_model(), train_data, None, RUN, out=tmp_path)
    assert sorted(f.name for f in tmp_path.glob("step-*")) == ["step-12", "step-9"]


def test_a_loss_that_is_no_number_is_named(tmp_path):
    train_data, _ = text_data()

    def explodes(model, batch):
        explodes.calls = getattr(explodes, "calls", 0) + 1
        return clm_loss(model, batch) * (math.nan if explodes.calls == 5 else 1)

    with pytest.raises(FloatingPointError, match=r"nan at step 4: lower lr.*last good checkpoint.*step-3"):
        train(new_model(), train_data, None, RUN, loss_fn=explodes, out=tmp_path)
    assert all(torch.isfinite(p).all() for p in load_checkpoint(tmp_path)[0].parameters())


def test_a_gradient_that_is_no_number_never_reaches_the_weights(tmp_path):
    train_data, _ = text_data()

    def no_derivative(model, batch):
        no_derivative.calls = getattr(no_derivative, "calls", 0) + 1
        zero = 0 * model.wte.weight.sum()
        return clm_loss(model, batch) + (zero.sqrt() if no_derivative.calls == 5 else 0)  # a number: the loss, + 0

    with pytest.raises(FloatingPointError, match=r"gradient became nan at step 4, though.*lower lr.*good.*step-3"):
        model = new_model()
        train(model, train_data, None, RUN, loss_fn=no_derivative, out=tmp_path)
    for kept in (model, load_checkpoint(tmp_path)[0]):
        assert all(torch.isfinite(p).all() for p in kept.parameters())


def test_speed_is_that_of_training_alone(monkeypatch):
    import minigpt.train as module

    clock = [0.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    train_data, val_data = text_data()

    def takes(seconds):
        def loss(model, batch):
            clock[0] += seconds
            return clm_loss(model, batch)

        return loss

    config = replace(RUN, eval_every=1)  # 4 · 16 tokens a step
    log = train(new_model(), train_data, val_data, config, loss_fn=takes(2), val_loss_fn=takes(100))
    assert {line["tokens_per_second"] for line in log[1:]} == {32}


@pytest.mark.parametrize("seed", [-1, 2**63, 10**20])
def test_seeds_that_no_generator_takes_are_named(seed):
    with pytest.raises(ValueError, match="seed=.*between 0 and 2"):
        TrainConfig(seed=seed)


def test_a_failed_allocation_names_the_remedy():
    train_data, _ = text_data()

    def greedy(model, batch):
        return torch.empty(10**15).sum()

    with pytest.raises(MemoryError, match="use batch_size=2 and accumulate=2"):
        train(new_model(), train_data, None, RUN, loss_fn=greedy)


def test_a_second_run_does_not_overwrite_the_first(tmp_path):
    train_data, _ = text_data()
    train(new_model(), train_data, None, RUN, out=tmp_path)
    with pytest.raises(CheckpointError, match="already holds a run"):
        train(new_model(), train_data, None, RUN, out=tmp_path)
    with pytest.raises(CheckpointError, match="other values of batch_size, lr"):
        train(new_model(), train_data, None, replace(RUN, lr=1.0, batch_size=2), out=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="another model"):
        train(new_model(replace(TINY, n_layer=1)), train_data, None, RUN, out=tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="does not exist"):
        train(new_model(), train_data, None, RUN, out=tmp_path / "none", resume=True)


def test_bfloat16_where_it_pays(monkeypatch):
    cpu = torch.device("cpu")
    for hardware in (True, False):
        monkeypatch.setattr("minigpt.device.cpu_has_bfloat16", lambda hardware=hardware: hardware)
        assert pick_dtype("auto", cpu, 10**6) == "float32"
        assert pick_dtype("auto", cpu, 10**7) == ("bfloat16" if hardware else "float32")
        assert pick_dtype("float32", cpu, 10**9) == "float32"


def test_training_in_bfloat16_keeps_float32_weights_and_learns():
    train_data, val_data = text_data()
    model = new_model(replace(TINY, dropout=0.0))
    log = train(model, train_data, val_data, replace(RUN, steps=60, eval_every=0, lr=5e-3, dtype="bfloat16"))
    assert log[-1]["val_loss"] < 3.0 and all(p.dtype == torch.float32 for p in model.parameters())


def test_devices():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match="cannot be used here.*use 'auto' or 'cpu'"):
        pick_device("warp")
