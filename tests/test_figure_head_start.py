"""The head-start figure: what it says against sums by hand, what it hands to a page, what it refuses."""

import json
import re

import numpy as np
import pytest

from minigpt.figures import HeadStart

TOPICS = ["Arts", "History", "People"]
ACCURACY = np.array([[[[0.1, 0.5], [0.1, 0.7]], [[0.2, 0.8], [0.2, 0.8]]],
                     [[[0.1, 0.3], [0.1, 0.3]], [[0.2, 0.7], [0.2, 0.78]]]])  # fmt: skip
CHANCES = np.full((2, 2, 2, 3), 1 / 3)
PARTS = dict(
    rules=[{"name": "Word counts", "accuracy": [0.4, 0.9], "macro-F1": [0.3, 0.8]}],
    long={"steps": [0, 20], "accuracy": [0.1, 0.9], "macro-F1": [0.1, 0.8]},
    cost=[8000, 10],
    topics=TOPICS,
    articles=[{"title": "Ode <1>", "text": "An ode is …", "topic": "Arts", "chances": CHANCES}],
)


def figure(**changes):
    curves = {"accuracy": ACCURACY, "macro-F1": ACCURACY / 2}
    return HeadStart([50, 1000], [0, 10], **({"curves": curves} | PARTS | changes))


def test_the_words_are_the_means_of_the_seeds():
    assert figure().means() == pytest.approx([0.6, 0.3])
    said = figure().words().replace("\u00a0", " ")
    assert said.startswith("50 labels, step 10: accuracy 60 % pre-trained, 30 % from nothing, a gap of 30 points.")
    assert said.endswith("Word counts: 40 %.")
    said = figure(size=1, measure="macro-F1").words().replace("\u00a0", " ")
    assert said.startswith("1,000 labels, step 10: macro-F1 40 % pre-trained, 37 % from nothing, a gap of 3 points.")


def test_the_still_picture_has_a_line_for_each_curve_and_rule_and_a_whisker_for_each_size():
    still = figure().still()
    assert still.count("<polyline") == 3 and still.count("<path") == 4
    assert "1,000" in still and 'role="img"' in still
    heights = [float(y) for y in re.search(r'points="[\d.]+,([\d.]+) [\d.]+,([\d.]+)"', still).groups()]
    assert heights[0] > heights[1], "a larger share stands higher"


def test_the_page_gets_a_state_that_json_can_hold():
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', figure().to_html(), re.DOTALL)[1])
    assert np.allclose(state["curves"]["accuracy"], ACCURACY) and state["articles"][0]["title"] == "Ode <1>"
    assert (state["size"], state["step"], state["measure"], state["counted"]) == (0, 1, "accuracy", False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"curves": {}}, "needs a curve"),
        ({"curves": {"accuracy": ACCURACY[:, :1]}}, r"accuracy must have the shape \(2, 2, seeds, 2\)"),
        ({"curves": {"accuracy": 2 * ACCURACY}}, "shares between 0 and 1"),
        ({"rules": [PARTS["rules"][0] | {"accuracy": [0.4]}]}, "a value for each number of labels"),
        ({"long": PARTS["long"] | {"accuracy": [0.4]}}, "for each long step"),
        ({"articles": [PARTS["articles"][0] | {"topic": "Sports"}]}, "one of the topics"),
        ({"articles": [PARTS["articles"][0] | {"chances": CHANCES[:1]}]}, r"chances \(2, 2, 2, 3\)"),
        ({"size": 2}, "size is 2"),
        ({"measure": "luck"}, "measure must be one of accuracy, macro-F1"),
    ],
)
def test_bad_input_is_told_so(change, message):
    with pytest.raises(ValueError, match=message):
        figure(**change)


def test_steps_begin_at_0():
    with pytest.raises(ValueError, match="the first of them at step 0"):
        HeadStart([50, 1000], [10, 20], {"accuracy": ACCURACY}, **PARTS)
