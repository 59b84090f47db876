"""The training-curve scrubber: what it says of a log, what it shows without JavaScript, and bad input is told so."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigpt.figures import TrainingCurve
from minigpt.figures.training_curve import place

LANDMARKS = {"bigram": 2.5, "uniform": 4.16, "unigram": 3.3}
LOG = [
    {"step": 0, "val_loss": 4.1712, "sample": "<x>"},
    *({"step": s, "loss": 4.2 - 0.1 * s, "lr": 0.1} for s in range(1, 10)),
    {"step": 10, "loss": 3.0, "lr": 0.1, "sample": "the"},
    {"step": 11, "loss": 2.9, "lr": 0.1},
    {"step": 12, "loss": 2.0, "lr": 0.1, "val_loss": 2.3, "sample": "thee"},
]
STAIRS = [["uniform", 4.16], ["unigram", 3.3], ["bigram", 2.5]]


def test_the_loss_at_a_sample_is_the_validation_loss_or_the_mean_of_the_batches_around():
    samples = TrainingCurve(LOG, LANDMARKS).samples
    assert samples[0] == [0, "<x>", 4.17, "validation loss"]
    assert samples[1] == [10, "the", round((3.4 + 3.3 + 3.0 + 2.9 + 2.0) / 5, 2), "training loss"]
    assert samples[2] == [12, "thee", 2.3, "validation loss"]


@pytest.mark.parametrize(
    "loss, want",
    [
        (5.0, "0.84 above uniform (4.16)"),
        (4.17, "on the line of uniform (4.16)"),
        (3.5, "between uniform (4.16) and unigram (3.30)"),
        (3.26, "on the line of unigram (3.30)"),
        (2.92, "between unigram (3.30) and bigram (2.50)"),
        (2.0, "0.50 below bigram (2.50)"),
    ],
)
def test_the_place_on_the_staircase(loss, want):
    assert place(loss, STAIRS) == want


@given(st.floats(0, 10), st.lists(st.floats(0.5, 9), min_size=1, max_size=5, unique=True))
def test_every_loss_has_a_place_that_is_true(loss, heights):
    stairs = [(f"m{i}", height) for i, height in enumerate(sorted(heights, reverse=True))]
    said = place(loss, stairs)
    named = [dict(stairs)[name] for name in re.findall(r"m\d", said)]
    if "between" in said:
        assert named[0] > loss >= named[1] and not [h for h in heights if named[1] < h < loss or loss < h < named[0]]
    elif "on the line" in said:
        assert abs(named[0] - loss) <= 0.05
    else:
        assert named[0] == (min(heights) if "below" in said else max(heights))


def test_words_and_page():
    figure = TrainingCurve(LOG, LANDMARKS, "A:\n", at=2)
    assert figure.words() == "Step 12: validation loss 2.30 nats per token, 0.20 below bigram (2.50)."
    html = figure.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state["landmarks"] == STAIRS and state["validation"] == [[0, 4.171], [12, 2.3]] and state["at"] == 2
    assert [step for step, _ in state["training"]] == list(range(1, 13))
    still = html.split("<script")[0]
    assert "<pre>A:\n&lt;x&gt;</pre>" in still and "<pre>A:\nthee</pre>" in still and 'role="img"' in still


def test_bad_input_is_told_so():
    with pytest.raises(ValueError, match="with sample_every set"):
        TrainingCurve([{"step": 1, "loss": 2.0}], LANDMARKS)
    with pytest.raises(ValueError, match="at least one loss to compare with"):
        TrainingCurve(LOG, {})
    with pytest.raises(ValueError, match="at is 3, but it must lie between 0 and 2"):
        TrainingCurve(LOG, LANDMARKS, at=3)
