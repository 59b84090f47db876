"""The Python side of the figures: what they accept and refuse, what they hand to a page, what a quiz must hold."""

import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minigpt.figures import AttentionSteps, Quiz, attention_steps_example, load_quiz

TOKENS = ["a", "b", "c"]


def matrices(T=3, D=4, E=2):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(T, D, generator=generator), torch.randn(T, D, generator=generator), torch.randn(T, E)


def state_in(html: str) -> dict:
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])


@pytest.mark.parametrize("convert", [torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.requires_grad_])
def test_tensors_arrays_and_lists_give_the_same_figure(convert):
    q, k, v = matrices()
    expected = AttentionSteps(TOKENS, q.clone(), k.clone(), v.clone()).state()
    assert AttentionSteps(TOKENS, convert(q), convert(k), convert(v)).state() == expected


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_weights_are_those_of_torch(causal, scaled):
    q, k, v = (x.double() for x in matrices())
    figure = AttentionSteps(TOKENS, q, k, v, causal=causal, scaled=scaled)
    one = torch.eye(3, dtype=torch.float64)  # values that make the output the weights themselves
    expected = F.scaled_dot_product_attention(q, k, one, is_causal=causal, scale=None if scaled else 1.0)
    torch.testing.assert_close(figure.weights(), expected, atol=1e-5, rtol=0)


def test_the_example_teaches_what_it_says():
    tokens = attention_steps_example()["tokens"]
    weights = AttentionSteps().weights()
    assert tokens[weights[tokens.index("it")].argmax()] == "cat"
    assert tokens[weights[tokens.index("because")].argmax()] == "sat"
    assert "“it” looks mostly at “cat”" in AttentionSteps().words()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": torch.zeros(2, 4)}, "q has 2 rows for 3 tokens"),
        ({"v": torch.zeros(4, 2)}, "v has 4 rows for 3 tokens"),
        ({"k": torch.zeros(3, 5)}, "a dot product needs equally many"),
        ({"k": torch.zeros(3, 4, 1)}, r"k must be a matrix, .*\(3, 4, 1\)"),
        ({"k": [[1, 2], [3]]}, "rows of equal length"),
        ({"v": [["x"], ["y"], ["z"]]}, "v must be a matrix of numbers"),
        ({"q": np.full((3, 4), np.nan)}, "q holds a NaN"),
        ({"q": None}, "add q too"),
        ({"query": 3}, "numbered 0 to 2"),
        ({"q": torch.zeros(3, 7), "k": torch.zeros(3, 7)}, "at most 12 tokens with 6 numbers"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, message):
    q, k, v = matrices()
    with pytest.raises(ValueError, match=message):
        AttentionSteps(**({"tokens": TOKENS, "q": q, "k": k, "v": v} | change))


def test_a_kernel_cannot_break_a_living_figure():
    figure = AttentionSteps()
    before = figure.k
    with pytest.raises(ValueError, match="k has 2 rows for 6 tokens"):
        figure.k = torch.zeros(2, 4)
    assert figure.k == before
    q, k, v = matrices()
    with figure.hold_trait_notifications():
        figure.tokens, figure.q, figure.k, figure.v, figure.query = TOKENS, q, k, v, 0
    assert figure.words().startswith("“a” looks mostly at")


def test_a_page_gets_state_and_a_still_picture_without_a_widget():
    figure = AttentionSteps(["</script>", "<b>", "&"], *matrices(), causal=True)
    data, _ = figure._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == f"AttentionSteps: {figure.words()}"  # no address: nbval can compare it
    html = data["text/html"]
    assert state_in(html) == figure.state()
    assert set(figure.state()) == {"tokens", "q", "k", "v", "query", "causal", "scaled", "step", "matrix"}
    assert html.count("<script") == html.count("</script") == 1 and "<b>" not in html
    assert "&lt;b&gt;</text>" in html and figure.model_id not in html


def test_stored_outputs_stay_small():
    q, k, v = matrices(12, 6, 6)
    assert len(AttentionSteps([str(i) for i in range(12)], q, k, v).to_html()) < 60_000


GOOD = """
[[questions]]
question = "What does `q @ k.T` hold?"
[[questions.options]]
text = "scores"
correct = true
reason = "One for each pair."
[[questions.options]]
text = "weights"
reason = "Those come after the `softmax`."
[[questions.options]]
text = "a < b"
reason = "No."
"""


def write(folder, text, number="4.1"):
    (folder / f"{number.replace('.', '-')}.toml").write_text(text, encoding="utf-8")
    return folder


def test_a_quiz_is_read(tmp_path):
    (question,) = load_quiz("4.1", write(tmp_path, GOOD))
    assert question["question"] == "What does `q @ k.T` hold?"
    assert [option["correct"] for option in question["options"]] == [True, False, False]
    quiz = Quiz("4.1", tmp_path)
    html = quiz.to_html()
    assert state_in(html) == {"questions": [question], "chosen": [-1]}
    assert "<code>q @ k.T</code>" in html and "a &lt; b" in html and "<details>" in html


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("correct = true", "correct = false", "exactly one"),
        ('text = "weights"', 'text = "weights"\ncorrect = true', "exactly one"),
        ('reason = "No."', "", "has text, reason"),
        ('reason = "No."', 'reason = " "', "needs a text and a reason"),
        ('text = "weights"', 'text = "scores"', "same option twice"),
        ('[[questions.options]]\ntext = "a < b"\nreason = "No."', "", "at least three"),
        ('question = "What does `q @ k.T` hold?"', "", "needs the keys question and options"),
        ('question = "What', 'titel = "x"\nquestion = "What', "no others"),
        ("[[questions]]", "author = 'x'\n[[questions]]", "nothing else"),
        ("[[questions]]", "[[questions", "not valid TOML"),
        ("correct = true", 'correct = "yes"', "exactly one"),
    ],
)
def test_a_badly_made_quiz_is_refused(tmp_path, old, new, message):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(ValueError, match=message) as error:
        load_quiz("4.1", write(tmp_path, text))
    assert "4-1.toml" in str(error.value)


def test_a_missing_quiz_names_those_there_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="Quizzes there are: 4.1"):
        load_quiz("9.9", write(tmp_path, GOOD))


def test_every_quiz_of_the_book_is_well_made():
    from minigpt.figures.quiz import QUIZZES

    for path in QUIZZES.glob("*.toml"):
        assert load_quiz(path.stem)
