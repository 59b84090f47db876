"""Scaling: compute as PyTorch counts it, laws as NumPy fits them, and runs that spend what they were given."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from minigpt import scaling
from minigpt.config import GPTConfig
from minigpt.evaluate import evaluate_loss
from minigpt.model import GPT
from minigpt.scaling import BATCH, CONTEXT, Run, as_bytes, flops_per_token, make_model, weights

LOG = Path(__file__).parents[1] / "chapters" / "models" / "scaling" / "runs.jsonl"
KINDS = [Run("", 1), Run("", 1, width=48), Run("", 1, model="bag", window=3), Run("", 1, model="gru", width=24)]


@pytest.mark.parametrize("run", KINDS, ids=lambda run: f"{run.model}-{run.width}")
def test_compute_is_what_pytorch_counts(run):
    model, ids = make_model(run), torch.randint(256, (2, CONTEXT))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(ids).sum().backward()
    counted = counter.get_total_flops() / ids.numel()
    if run.model == "gru":  # PyTorch has no formula for its GRU: count the same network as a sum of its matrix products
        C = run.width
        counted = 6 * (3 * C * C + 3 * C * C + 256 * C)
    assert flops_per_token(model) == counted


def test_a_tied_table_multiplies_and_a_table_of_positions_does_not():
    config = {"vocab_size": 50, "block_size": CONTEXT, "n_layer": 1, "n_head": 1, "n_embd": 8}
    block = 12 * 8 * 8
    assert weights(GPT(GPTConfig(**config))) == weights(GPT(GPTConfig(**config, tied=False))) == block + 50 * 8


@pytest.mark.parametrize("window", [1, 3, 64])
def test_a_bag_is_the_mean_of_the_last_bytes_in_any_order(window):
    bag, ids = make_model(Run("", 1, model="bag", window=window)), torch.randint(256, (1, 70))
    x = bag.wte(ids)[0]
    for t in (0, 1, 5, 69):
        mean = x[max(0, t - window + 1) : t + 1].sum(0) / window
        y = bag.ln(mean)
        torch.testing.assert_close(bag(ids)[0, t], bag.lm_head(bag.ln_f(y + bag.mlp(y))), atol=1e-5, rtol=1e-4)
    if window == 3:
        shuffled = ids.clone()
        shuffled[0, 3:6] = ids[0, [5, 3, 4]]
        torch.testing.assert_close(bag(shuffled)[0, 5], bag(ids)[0, 5])


@pytest.mark.parametrize("run", KINDS, ids=lambda run: f"{run.model}-{run.width}")
def test_no_model_sees_the_future(run):
    model, ids = make_model(run), torch.randint(256, (1, 20))
    other = ids.clone()
    other[0, 12:] = torch.randint(256, (8,))
    torch.testing.assert_close(model(ids)[:, :12], model(other)[:, :12])


@given(
    exponent=st.floats(-2, 2).filter(lambda a: abs(a) > 0.01),
    factor=st.floats(1e-3, 1e3),
    x=st.lists(st.floats(1, 1e6), min_size=3, max_size=9, unique=True).filter(lambda x: max(x) > 2 * min(x)),
)
def test_an_exact_power_law_is_found(exponent, factor, x):
    found = scaling.power_law(x, factor * np.array(x) ** exponent)
    assert found == pytest.approx((exponent, factor), rel=1e-4, abs=1e-5)


def test_a_noisy_power_law_is_numpys_line():
    x, dice = np.geomspace(10, 1e5, 7), np.random.default_rng(0)
    y = 3 * x**-0.2 * np.exp(0.1 * dice.standard_normal(7))
    slope, height = np.polynomial.Polynomial.fit(np.log10(x), np.log10(y), 1).convert().coef[::-1]
    assert scaling.power_law(x, y) == pytest.approx((slope, 10**height))


@settings(deadline=None, max_examples=30)
@given(floor=st.floats(0, 3), factor=st.floats(0.5, 20), exponent=st.floats(-1.5, -0.1))
def test_an_exact_law_with_a_floor_is_found(floor, factor, exponent):
    x = np.geomspace(1, 1e4, 12)
    y = floor + factor * x**exponent
    f, a, e = scaling.law_with_floor(x, y)
    np.testing.assert_allclose(f + a * x**e, y, atol=0.02 * factor)
    assert abs(e - exponent) < 0.03 and f >= 0


def test_a_floor_is_never_below_nothing():
    x = np.array([1.0, 2, 3, 4, 5])
    assert scaling.law_with_floor(x, 10 - 2 * x)[0] == 0


def test_the_valley_of_an_exact_parabola():
    sizes = np.array([1e3, 2e3, 5e3, 1e4, 8e4])
    assert scaling.valley(sizes, 2 + 0.1 * np.log(sizes / 7e3) ** 2) == pytest.approx((7e3, 2))
    for curve in (np.log(sizes), -np.log(sizes), 3 - 0.1 * np.log(sizes / 7e3) ** 2):
        with pytest.raises(ValueError, match="no valley: add smaller or larger models"):
            scaling.valley(sizes, curve)


def walls(noise, dice, seeds=1):
    """Three valleys whose best size grows like compute to the power 0.5."""
    found = {}
    for budget in (1e10, 1e11, 1e12):
        sizes = np.repeat(0.1 * budget**0.5 * np.geomspace(0.2, 6, 6), seeds)
        curve = 20 * budget**-0.08 + 0.15 * np.log(sizes / (0.1 * budget**0.5)) ** 2
        found[budget] = (sizes, curve + noise * dice.standard_normal(len(sizes)))
    return found


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    dice, held, trials = np.random.default_rng(1), 0, 60
    for trial in range(trials):
        drawn = scaling.redraw_valleys(walls(0.03, dice, seeds=2), 200, seed=trial)
        slopes = np.polyfit(np.log([1e10, 1e11, 1e12]), np.log(drawn[:, :, 0]).T, 1)[0]
        low, high = scaling.interval(slopes, 0.9)
        held += low <= 0.5 <= high
    assert 0.75 * trials <= held <= trials  # 54 expected; fewer than 45 would be a chance of 1 in 1,000


def test_without_noise_the_interval_is_a_point_and_more_noise_widens_it():
    widths = []
    for noise in (0, 0.01, 0.05):
        drawn = scaling.redraw_valleys(walls(noise, np.random.default_rng(2)), 200)
        low, high = scaling.interval(np.log(drawn[:, 0, 0]))
        widths.append(high - low)
    assert widths[0] < 1e-9 < widths[1] < widths[2]


def test_too_few_sizes_are_told_so():
    with pytest.raises(ValueError, match="3 sizes leave a parabola no error"):
        scaling.redraw_valleys({1e10: ([1, 2, 3, 3], [2.0, 1, 2, 2.1])})


def test_a_run_spends_its_budget_and_is_scored_in_bits(monkeypatch):
    monkeypatch.setattr(scaling, "TESTED", 640)
    text = as_bytes("the cat sat on the mat. " * 200)
    run = scaling.spend(2e7, sweep="compute", width=8)
    row = scaling.measure(run, text, text)
    assert row["flops"] == row["tokens"] * flops_per_token(make_model(run)) == pytest.approx(2e7, rel=0.2)
    assert row["tokens"] == run.steps * BATCH * CONTEXT and row["weights"] < row["parameters"]
    untrained = evaluate_loss(make_model(run), scaling.TokenDataset(text[:641], CONTEXT)) / np.log(2)
    assert untrained == pytest.approx(8, abs=0.1) and 0 < row["bits"] < untrained
    assert scaling.measure(run, text, text)["bits"] == row["bits"]


def test_only_the_first_bytes_are_read_where_a_run_says_so(monkeypatch):
    monkeypatch.setattr(scaling, "TESTED", 640)
    easy, other = as_bytes("ab" * 400), as_bytes("xyz" * 4000)
    text = torch.cat([easy, other])
    few = scaling.measure(Run("data", 20, width=8, unique=len(easy), looks=4), text, easy)
    whole = scaling.measure(Run("data", 20, width=8, looks=4), text, easy)
    assert few["bits"] < whole["bits"]


def test_the_command_goes_on_where_it_stopped(monkeypatch, tmp_path, capsys):
    runs = [Run("compute", steps, width=8) for steps in (1, 2, 3)]
    monkeypatch.setattr(scaling, "TESTED", 640)
    monkeypatch.setattr(scaling, "grid", lambda: runs)
    monkeypatch.setattr(scaling, "load_split", lambda name: ("the cat sat. " * 100, "the cat sat. " * 100))
    log = tmp_path / "new" / "runs.jsonl"
    monkeypatch.setattr(scaling, "grid", lambda: runs[:2])
    scaling.main(log)
    before = log.read_text()
    monkeypatch.setattr(scaling, "grid", lambda: runs)
    scaling.main(log)
    assert log.read_text().startswith(before)
    assert [row["steps"] for row in scaling.read_runs(log)] == [1, 2, 3]
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_books_log_is_the_grids():
    fields = asdict(Run("", 1)).keys()
    logged = [json.dumps({key: row[key] for key in fields}) for row in scaling.read_runs(LOG)]
    assert sorted(logged) == sorted(json.dumps(asdict(run)) for run in scaling.grid())
    for row in scaling.read_runs(LOG):
        assert row["budget"] == 0 or row["flops"] == pytest.approx(row["budget"], rel=0.03)
