"""The training-curve scrubber: a run's loss between landmarks, and what the model wrote on the way down."""

from collections.abc import Mapping, Sequence
from html import escape
from math import log

import traitlets

from minigpt.figures.figure import Figure, drawing

ON_THE_LINE = 0.05  # nats: as near as this, a loss stands on a landmark
AROUND = 2  # where nothing was validated, the mean of this many batches before and after the step counts, too
STRETCH = 10  # steps: on the axis, as many as these at the start take as much room as later a doubling of the step


def read_samples(lines: Sequence[Mapping]) -> list[list]:
    """[step, text, loss, what was measured] for every line of train()'s log that has a sample; loss to two decimals.

    The loss is the validation loss where the line has one, else the mean over the training batches around the step.
    """
    batches = {line["step"]: line["loss"] for line in lines if "loss" in line}
    samples = []
    for line in lines:
        if "sample" in line:
            step = line["step"]
            near = [batches[s] for s in range(step - AROUND, step + AROUND + 1) if s in batches]
            if "val_loss" in line:
                samples.append([step, line["sample"], round(line["val_loss"], 2), "validation loss"])
            elif near:
                samples.append([step, line["sample"], round(sum(near) / len(near), 2), "training loss"])
    return samples


def place(loss: float, landmarks: Sequence[tuple[str, float]]) -> str:
    """Where on the staircase a loss stands; landmarks: (name, height), the highest first."""
    on = [f"on the line of {name} ({height:.2f})" for name, height in landmarks if abs(loss - height) <= ON_THE_LINE]
    if on:
        return on[0]
    above = [mark for mark in landmarks if mark[1] > loss]
    below = [mark for mark in landmarks if mark[1] <= loss]
    if above and below:
        return f"between {above[-1][0]} ({above[-1][1]:.2f}) and {below[0][0]} ({below[0][1]:.2f})"
    side, (name, height) = ("below", above[-1]) if above else ("above", below[0])
    return f"{abs(height - loss):.2f} {side} {name} ({height:.2f})"


class TrainingCurve(Figure):
    """The loss curve of a run with horizontal landmarks; a slider over the steps at which the model wrote a sample.

    log: what train() returns, with samples (sample_every). landmarks: names and heights of losses to compare with, in
    nats per token. prompt: what the samples go on from. at: which sample is shown, from 0.
    """

    module = "training_curve"
    training = traitlets.List().tag(sync=True)  # [step, loss of its batch]
    validation = traitlets.List().tag(sync=True)  # [step, loss]
    landmarks = traitlets.List().tag(sync=True)  # [name, height], the highest first
    samples = traitlets.List().tag(sync=True)  # [step, text, loss, what was measured]
    prompt = traitlets.Unicode("").tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)

    def __init__(self, log: Sequence[Mapping], landmarks: Mapping[str, float], prompt: str = "", **state):
        training = [[line["step"], round(line["loss"], 3)] for line in log if "loss" in line]
        validation = [[line["step"], round(line["val_loss"], 3)] for line in log if "val_loss" in line]
        samples = read_samples(log)
        if not training or not samples:
            raise ValueError("the log must hold losses and samples: pass what train() returned, with sample_every set")
        if not landmarks:
            raise ValueError('landmarks must name at least one loss to compare with, such as {"ln V": 4.16}')
        heights = sorted(([name, round(float(height), 2)] for name, height in landmarks.items()), key=lambda m: -m[1])
        super().__init__(
            training=training, validation=validation, landmarks=heights, samples=samples, prompt=prompt, **state
        )

    @traitlets.validate("at")
    def _exists(self, proposal):
        if not 0 <= proposal["value"] < len(self.samples):
            raise ValueError(f"at is {proposal['value']}, but it must lie between 0 and {len(self.samples) - 1}.")
        return proposal["value"]

    def words(self) -> str:
        step, _, loss, measured = self.samples[self.at]
        return f"Step {step:,}: {measured} {loss:.2f} nats per token, {place(loss, self.landmarks)}."

    def still(self) -> str:
        """The curves and landmarks, and the samples that stand nearest to each landmark, and the last one."""
        wide, high, left, bottom = 640, 280, 34, 250
        last = self.training[-1][0]
        heights = [loss for _, loss in self.training + self.validation + self.landmarks]
        low, top = min(heights) - 0.1, max(heights) + 0.15

        def x(step):
            return left + (wide - left - 10) * log(1 + step / STRETCH) / log(1 + last / STRETCH)

        def y(loss):
            return 10 + (bottom - 10) * (top - loss) / (top - low)

        line = "L".join(f"{x(step):.1f} {y(loss):.1f}" for step, loss in self.training)
        marks = [f'<path d="M{line}" fill="none" stroke="#888" stroke-width="1.2"/>']
        for name, height in self.landmarks:
            marks.append(
                f'<path d="M{left} {y(height):.1f}H{wide - 10}" stroke="currentColor" stroke-dasharray="5 4"/>'
                f'<text x="{wide - 10}" y="{y(height) - 4:.1f}" text-anchor="end">{escape(name)} {height:.2f}</text>'
            )
        marks += [f'<circle cx="{x(s):.1f}" cy="{y(loss):.1f}" r="4" fill="#0072B2"/>' for s, loss in self.validation]
        for step in sorted({0, STRETCH, 10 * STRETCH, last}):
            if step <= last:
                marks.append(f'<text x="{x(step):.1f}" y="{high - 10}" text-anchor="middle">{step:,}</text>')
        nearest = [
            min(range(len(self.samples)), key=lambda i: abs(self.samples[i][2] - height))
            for _, height in self.landmarks
        ]
        told = "".join(
            f"<p>step {step:,}, {measured} {loss:.2f}</p><pre>{escape(self.prompt + text)}</pre>"
            for step, text, loss, measured in (self.samples[i] for i in sorted({*nearest, len(self.samples) - 1}))
        )
        title = "The loss of a training run against the step, with landmarks; dots: validation"
        return drawing(marks, wide, high, title, 12) + told
