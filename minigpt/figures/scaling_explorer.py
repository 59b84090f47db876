"""The isoFLOP wall: a valley for every budget of compute, the line through the lowest points, and how sure it is."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import traitlets

from minigpt.figures.figure import Figure, drawing
from minigpt.scaling import bottoms, interval, power_law, redraw_valleys, valley

BEYOND = (10, 100)  # times the largest budget: where the line is read without a run


def read_wall(rows: Sequence[dict], mine: Sequence[dict] = ()) -> dict:
    """What ScalingExplorer shows of a log of runs (see minigpt.scaling): its arguments.

    rows: the runs of sweep "compute"; `mine` are runs of the same kind, marked in the picture and fitted with the rest.
    Returns {"stops", "runs", "valleys", "laws"}: the budgets and those beyond them; a run [stop, N, tokens, bits,
    whether it is mine]; for each budget's valley [best N, its 90 % interval (two numbers), bits there, the parabola's
    coefficients in log₁₀ N, from where to where it was fitted]; and for every choice of two budgets or more, as a word
    like "1101", the laws of the best size and of its bits: {"exponent": [fitted, low, high], "line": [[fitted, low,
    high] at each stop]}, with 90 % intervals.
    """
    every = [*rows, *mine]
    measured = bottoms(every)
    budgets = list(measured)
    lowest = np.array([valley(*measured[b]) for b in budgets])  # (budgets, 2): size and bits
    drawn = redraw_valleys(measured)  # (draws, budgets, 2)
    stops = budgets + [budgets[-1] * times for times in BEYOND]
    laws = {}
    for kept in product((0, 1), repeat=len(budgets)):
        if sum(kept) >= 2:
            on = np.flatnonzero(kept)
            x = np.array(budgets)[on]
            name = "".join(map(str, kept))
            laws[name] = {
                what: law(x, lowest[on, i], drawn[:, on, i], stops) for i, what in enumerate(("size", "bits"))
            }
    return {
        "stops": stops,
        "runs": [
            [budgets.index(r["budget"]), r["weights"], r["tokens"], r["bits"], int(any(r is m for m in mine))]
            for r in every
        ],
        "valleys": [
            [
                *short(best, *interval(drawn[:, i, 0]), bits),
                np.polyfit(np.log10(measured[b][0]), measured[b][1], 2).tolist(),
                [int(measured[b][0][0]), int(measured[b][0][-1])],
            ]
            for i, (b, (best, bits)) in enumerate(zip(budgets, lowest, strict=True))
        ],
        "laws": laws,
    }


def law(x: np.ndarray, y: np.ndarray, drawn: np.ndarray, stops: Sequence[float]) -> dict:
    """A power law through y (budgets,), with intervals from drawn (draws, budgets)."""
    exponent, factor = power_law(x, y)
    slopes, heights = np.polyfit(np.log(x), np.log(drawn).T, 1)  # (draws,) each
    lines = np.exp(heights[:, None] + slopes[:, None] * np.log(stops))  # (draws, stops)
    ends = [interval(column) for column in lines.T]
    return {
        "exponent": short(exponent, *interval(slopes)),
        "line": [short(factor * stop**exponent, *end) for stop, end in zip(stops, ends, strict=True)],
    }


def short(*numbers: float) -> list[float]:
    """Numbers with five digits, so that the page stays small."""
    return [float(f"{number:.5g}") for number in numbers]


def count(x: float) -> str:
    """A number of weights or bytes in few letters: 950, 9.7 k, 430 k, 1.5 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if x >= 0.9995 * size:
            return f"{x / size:.3g} {unit}"
    return f"{x:.3g}"


def power_of_ten(x: float) -> str:
    """A budget in print: 10¹⁰, 3·10¹⁰."""
    exponent = int(np.floor(np.log10(x * 1.0001)))
    digits = str(exponent).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{'' if round(x / 10**exponent) == 1 else f'{x / 10**exponent:.0f}·'}10{digits}"


class ScalingExplorer(Figure):
    """Valleys of loss against size, one for each budget; the law through their lowest points; budgets can be left out.

    The arguments are those that `read_wall()` returns. stop: which budget is shown; the last ones lie beyond all runs.
    kept: for each budget, whether the law uses it. axis: "size" or "bits", what the law is about.
    """

    module = "scaling_explorer"
    stops = traitlets.List().tag(sync=True)
    runs = traitlets.List().tag(sync=True)
    valleys = traitlets.List().tag(sync=True)
    laws = traitlets.Dict().tag(sync=True)
    stop = traitlets.Int(0).tag(sync=True)
    kept = traitlets.List(traitlets.Int()).tag(sync=True)
    axis = traitlets.Enum(("size", "bits"), "size").tag(sync=True)

    def __init__(self, stops, runs, valleys, laws, kept=None, **state):
        kept = [1] * len(valleys) if kept is None else list(kept)
        super().__init__(stops=stops, runs=runs, valleys=valleys, laws=laws, kept=kept, **state)

    @traitlets.validate("stop", "kept")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        if name == "stop" and not 0 <= value < len(self.stops):
            raise ValueError(f"stop is {value}, but it must lie between 0 and {len(self.stops) - 1}.")
        if name == "kept" and "".join(map(str, value)) not in self.laws:
            raise ValueError(
                f"kept is {value}: it needs a 0 or 1 for each of {len(self.valleys)} budgets, two 1 at least."
            )
        return value

    def law(self) -> dict:
        return self.laws["".join(map(str, self.kept))]

    def words(self) -> str:
        with_budget = f"With {power_of_ten(self.stops[self.stop])} FLOPs"
        slope, low, high = self.law()["size"]["exponent"]
        if self.stop < len(self.valleys):
            best, least, most, bits, *_ = self.valleys[self.stop]
            own = [run for run in self.runs if run[0] == self.stop]
            largest = max(run[1] for run in own)
            needs = [run[3] for run in own if run[1] == largest]
            said = (
                f"{with_budget}, {len(own)} runs: the valley is lowest at {count(best)} weights (90 %: {count(least)} "
                f"to {count(most)}) with {bits:.2f} bits per byte; the largest model, {count(largest)}, needs "
                f"{sum(needs) / len(needs):.2f}."
            )
        else:
            size, least, most = self.law()["size"]["line"][self.stop]
            bits = self.law()["bits"]["line"][self.stop][0]
            said = (
                f"{with_budget} nothing was run. If the lines went on: {count(size)} weights (90 %: {count(least)} to "
                f"{count(most)}), {bits:.2f} bits per byte."
            )
        return (
            f"{said} Through {sum(self.kept)} budgets, the best size grows like compute to the power {slope:.2f} "
            f"(90 %: {low:.2f} to {high:.2f})."
        )

    def still(self) -> str:
        """All valleys in one picture, their lowest points marked."""
        sizes, bits = np.log10([run[1] for run in self.runs]), np.array([run[3] for run in self.runs])
        wide, high, left = 440, 270, 40

        def x(size):
            return left + (wide - left - 12) * (size - sizes.min()) / np.ptp(sizes)

        def y(loss):
            return 24 + (high - 66) * (bits.max() - loss) / np.ptp(bits)

        marks = [f'<text x="{wide / 2}" y="{high - 4}" text-anchor="middle">weights N, on log paper</text>']
        marks.append('<text x="4" y="12">bits per byte</text>')
        marks += [f'<text x="4" y="{y(b) + 4:.0f}">{b:.1f}</text>' for b in (bits.max(), bits.min())]
        for size, anchor in ((sizes.min(), "start"), (sizes.max(), "end")):
            marks.append(f'<text x="{x(size):.0f}" y="{high - 22}" text-anchor="{anchor}">{count(10**size)}</text>')
        for stop, (best, _, _, low, curve, ends) in enumerate(self.valleys):
            grid = np.linspace(*np.log10(ends), 24)
            line = [(x(size), y(np.polyval(curve, size))) for size in grid]
            points = " ".join(f"{u:.0f},{v:.0f}" for u, v in line)
            marks.append(f'<polyline points="{points}" fill="none" stroke="#0072B2" stroke-opacity="0.6"/>')
            ring = 'r="6" fill="none" stroke="#D55E00" stroke-width="2"'
            marks.append(f'<circle cx="{x(np.log10(best)):.0f}" cy="{y(low):.0f}" {ring}/>')
            place = f'x="{line[-1][0]:.0f}" y="{line[-1][1] - 6:.0f}" text-anchor="end" font-size="11"'
            marks.append(f"<text {place}>{power_of_ten(self.stops[stop])}</text>")
        for run, size in zip(self.runs, sizes, strict=True):
            marks.append(f'<circle cx="{x(size):.0f}" cy="{y(run[3]):.0f}" r="{5 if run[4] else 2.5}" fill="#0072B2"/>')
        return drawing(marks, wide, high, "Valleys of bits per byte against model size, one for each budget of compute")
