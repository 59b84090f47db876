"""The scaling explorer: its laws are NumPy's, what is left out changes them, and bad input is told so."""

import json
import re

import numpy as np
import pytest

from minigpt.figures import ScalingExplorer, read_wall
from minigpt.figures.scaling_explorer import count, power_of_ten


def wall(exponent=0.5, noise=0.02, bend=0.0):
    """Rows of three budgets whose best size grows like compute to the power `exponent`; the last one bends away."""
    dice, rows = np.random.default_rng(0), []
    for i, budget in enumerate((1e10, 1e11, 1e12)):
        best = 7000 * (budget / 1e10) ** exponent * (1 + bend * (i == 2))
        for size in best * np.geomspace(0.3, 3.5, 6):
            bits = 4 * (budget / 1e10) ** -0.05 + 0.2 * np.log(size / best) ** 2 + noise * dice.standard_normal()
            rows.append({"budget": budget, "weights": round(size), "tokens": round(budget / 6 / size), "bits": bits})
    return rows


def test_without_noise_the_law_is_found_exactly():
    figure = ScalingExplorer(**read_wall(wall(noise=0)))
    for i, budget in enumerate((1e10, 1e11, 1e12)):
        best, low, high, bits, curve, ends = figure.valleys[i]
        assert best == pytest.approx(7000 * (budget / 1e10) ** 0.5, rel=1e-3) and low == pytest.approx(high, rel=1e-3)
        assert bits == pytest.approx(4 * (budget / 1e10) ** -0.05, rel=1e-3)
        assert np.polyval(curve, np.log10(best)) == pytest.approx(bits, rel=1e-3) and ends[0] < best < ends[1]
    for law in figure.laws.values():
        assert law["size"]["exponent"] == pytest.approx([0.5] * 3, abs=0.002)
        assert law["bits"]["exponent"] == pytest.approx([-0.05] * 3, abs=0.002)
    assert figure.stops == pytest.approx([1e10, 1e11, 1e12, 1e13, 1e14])
    assert figure.law()["size"]["line"][4][0] == pytest.approx(700_000, rel=0.01)


def test_every_choice_of_budgets_has_its_own_law():
    figure = ScalingExplorer(**read_wall(wall(bend=2)))
    assert set(figure.laws) == {"110", "101", "011", "111"}
    lowest = [valley[0] for valley in figure.valleys]
    for kept, law in figure.laws.items():
        on = [i for i in range(3) if kept[i] == "1"]
        slope = np.polyfit(np.log([figure.stops[i] for i in on]), np.log([lowest[i] for i in on]), 1)[0]
        fitted, low, high = law["size"]["exponent"]
        assert fitted == pytest.approx(slope, abs=1e-3) and low <= fitted <= high
    figure.kept = [1, 1, 0]
    assert figure.law() == figure.laws["110"] and "Through 2 budgets" in figure.words()


def test_the_band_widens_beyond_the_runs():
    line = read_wall(wall())["laws"]["111"]["size"]["line"]
    widths = [high / low for _, low, high in line]
    assert widths[1] < widths[2] < widths[3] < widths[4]


def test_my_run_is_marked_and_counts():
    rows = wall()
    mine = {"budget": 1e11, "weights": 20_000, "tokens": 10**6, "bits": 3.6}
    seen = read_wall(rows, [mine])
    assert [run for run in seen["runs"] if run[4]] == [[1, 20_000, 10**6, 3.6, 1]]
    assert seen["valleys"][1][0] != read_wall(rows)["valleys"][1][0]
    assert seen["valleys"][0] == read_wall(rows)["valleys"][0]


def test_words_name_the_valley_the_largest_and_what_was_never_run():
    figure = ScalingExplorer(**read_wall(wall(noise=0)), stop=0)
    assert "With 10¹⁰ FLOPs, 6 runs: the valley is lowest at 7 k weights" in figure.words()
    assert f"the largest model, 24.5 k, needs {4 + 0.2 * np.log(3.5) ** 2:.2f}" in figure.words()
    figure.stop = 4
    assert "With 10¹⁴ FLOPs nothing was run. If the lines went on: 700 k weights" in figure.words()


def test_numbers_in_print():
    shown = [count(x) for x in (7, 950, 999.6, 9_660, 32_768, 1_234_567)]
    assert shown == ["7", "950", "1 k", "9.66 k", "32.8 k", "1.23 M"]
    assert [power_of_ten(x) for x in (1e10, 3e10, 1e9, 3e11)] == ["10¹⁰", "3·10¹⁰", "10⁹", "3·10¹¹"]


def test_the_page_gets_its_state_and_a_still_picture():
    figure = ScalingExplorer(**read_wall(wall()), stop=1)
    html = figure.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == figure.state() and state["kept"] == [1, 1, 1] and state["axis"] == "size"
    assert html.count("<polyline") == 3 and 'role="img"' in html and len(html) < 40_000


def test_bad_input_is_told_so():
    seen = read_wall(wall())
    with pytest.raises(ValueError, match="stop is 5, but it must lie between 0 and 4"):
        ScalingExplorer(**seen, stop=5)
    with pytest.raises(ValueError, match="a 0 or 1 for each of 3 budgets, two 1 at least"):
        ScalingExplorer(**seen, kept=[0, 0, 1])
    with pytest.raises(ValueError, match="show no valley"):
        read_wall([row | {"bits": row["weights"] / 1e4} for row in wall()])
