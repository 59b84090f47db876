"""What a head start is worth: the same model pre-trained and from nothing, at several numbers of labels."""

from collections.abc import Sequence
from html import escape

import numpy as np
import traitlets

from minigpt.figures.figure import Figure, drawing

STARTS = ("pre-trained", "from nothing")


class HeadStart(Figure):
    """Two learning curves with the seeds' range, the gap at every number of labels, and both models' answers.

    labels: n numbers of labels. steps: k steps at which the models were looked at, 0 first. curves: {measure: (2, n,
    seeds, k)}, shares, pre-trained first. rules: [{"name", measure: n shares}, …], two at most, what needs no training.
    long: {"steps", measure: shares}, one run from nothing with the most labels that goes on. cost: (tokens of
    pre-training, tokens of a step). articles: [{"title", "text", "topic", "chances": (2, n, k, topics)}, …], the
    probabilities of one seed. size, step, article: which of them is shown; counted: whether the horizontal axis counts
    pre-training's tokens. Raises ValueError where these do not fit together.
    """

    module = "head_start"
    labels = traitlets.List(traitlets.Int()).tag(sync=True)
    steps = traitlets.List(traitlets.Int()).tag(sync=True)
    curves = traitlets.Dict().tag(sync=True)
    rules = traitlets.List().tag(sync=True)
    long = traitlets.Dict().tag(sync=True)
    cost = traitlets.List(traitlets.Int()).tag(sync=True)
    topics = traitlets.List(traitlets.Unicode()).tag(sync=True)
    articles = traitlets.List().tag(sync=True)
    size = traitlets.Int(0).tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    article = traitlets.Int(0).tag(sync=True)
    measure = traitlets.Unicode().tag(sync=True)
    counted = traitlets.Bool(False).tag(sync=True)

    def __init__(
        self,
        labels: Sequence[int],
        steps: Sequence[int],
        curves: dict,
        *,
        rules: Sequence[dict],
        long: dict,
        cost: Sequence[int],
        topics: Sequence[str],
        articles: Sequence[dict],
        **state,
    ):
        n, k = len(labels), len(steps)
        if not curves or not articles or k < 2 or steps[0]:
            raise ValueError("HeadStart needs a curve, an article, and two looks or more, the first of them at step 0.")
        tables = {name: np.asarray(table, dtype=float) for name, table in curves.items()}
        for name, table in tables.items():
            if table.ndim != 4 or (*table.shape[:2], table.shape[3]) != (2, n, k):
                raise ValueError(f"{name} must have the shape (2, {n}, seeds, {k}), not {table.shape}.")
            if len(rules) > 2 or any(len(rule[name]) != n for rule in rules) or len(long[name]) != len(long["steps"]):
                raise ValueError(f"{name} needs a value for each number of labels in a rule, and for each long step.")
            if not ((0 <= table) & (table <= 1)).all():
                raise ValueError(f"{name} must hold shares between 0 and 1.")
        for one in articles:
            shape = np.shape(one["chances"])
            if shape != (2, n, k, len(topics)) or one["topic"] not in topics:
                raise ValueError(f"{one['title']!r} needs one of the topics, and chances (2, {n}, {k}, {len(topics)}).")
        super().__init__(
            labels=list(labels),
            steps=list(steps),
            curves={name: table.round(4).tolist() for name, table in tables.items()},
            rules=list(rules),
            long=dict(long),
            cost=list(cost),
            topics=list(topics),
            articles=[one | {"chances": np.round(one["chances"], 3).tolist()} for one in articles],
            **({"size": 0, "step": k - 1, "measure": next(iter(tables))} | state),
        )

    @traitlets.validate("size", "step", "article")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        last = len({"size": self.labels, "step": self.steps, "article": self.articles}[name]) - 1
        if not 0 <= value <= last:
            raise ValueError(f"{name} is {value}, but it must lie between 0 and {last}.")
        return value

    @traitlets.validate("measure")
    def _measured(self, proposal):
        if proposal["value"] not in self.curves:
            raise ValueError(f"measure must be one of {', '.join(self.curves)}, not {proposal['value']!r}.")
        return proposal["value"]

    def means(self) -> list[float]:
        """The mean of the seeds, pre-trained and from nothing, at the place now shown."""
        return [float(np.mean([run[self.step] for run in start[self.size]])) for start in self.curves[self.measure]]

    def words(self) -> str:
        a, b = self.means()
        gap = f"{100 * (a - b):.0f}".replace("-", "−")
        cheap = "; ".join(f"{rule['name']}: {rule[self.measure][self.size]:.0%}" for rule in self.rules)
        return (
            f"{self.labels[self.size]:,} labels, step {self.steps[self.step]}: {self.measure} {a:.0%} pre-trained, "
            f"{b:.0%} from nothing, a gap of {gap} points. {cheap}."
        ).replace("%", "\u00a0%")

    def still(self) -> str:
        """Both curves at the last step over the numbers of labels, the seeds' range as whiskers, and the rules."""
        left, top, width, height = 60, 14, 420, 190
        tables = np.asarray(self.curves[self.measure])[..., -1]  # (2, n, seeds)
        most = max(tables.max(), *(max(rule[self.measure]) for rule in self.rules), 0.1)
        places = [left + 40 + i * (width - left - 60) / max(1, len(self.labels) - 1) for i in range(len(self.labels))]

        def y(share):
            return top + height * (1 - share / most)

        def row(shares, style):
            points = " ".join(f"{x:.1f},{y(share):.1f}" for x, share in zip(places, shares, strict=True))
            return f'<polyline points="{points}" fill="none" {style}/>'

        styles = {"dotted": 'stroke="#777" stroke-dasharray="1 4" stroke-width="2"', "thin": 'stroke="#777"'}
        ruled = list(zip(self.rules, styles, strict=False))
        marks = [row(rule[self.measure], styles[style]) for rule, style in ruled]
        for table, colour, dash in zip(tables, ("#009E73", "#D55E00"), ("none", "6 3"), strict=True):
            marks.append(row(table.mean(1), f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"'))
            marks += [
                f'<path d="M{x:.1f} {y(low):.1f} V{y(high):.1f}" stroke="{colour}" stroke-width="1.5"/>'
                for x, low, high in zip(places, table.min(1), table.max(1), strict=True)
            ]
        texts = [(x, top + height + 20, f"{n:,}") for x, n in zip(places, self.labels, strict=True)]
        texts += [(left - 20, y(share) + 4, f"{share:.0%}") for share in np.arange(0, most, 0.2)]
        named = "; ".join(f"{style}: {rule['name']}" for rule, style in ruled)
        texts += [(width / 2, top + height + 40, "labels (green: pre-trained; orange, dashed: from nothing)")]
        texts += [(width / 2, top + height + 60, named)]
        marks += [f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle">{escape(said)}</text>' for x, at, said in texts]
        words = f"{self.measure} after {self.steps[-1]} steps against the number of labels"
        return drawing(marks, width, top + height + 68, words)
