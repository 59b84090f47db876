"""The figures in a browser: driven by keyboard and by mouse, they show the numbers that torch computes."""

import pytest
import torch

from minigpt.attention import attention, causal_mask
from minigpt.figures import AttentionSteps, Quiz

QUIZ = """
[[questions]]
question = "What does `q @ k.T` hold?"
options = [
  { text = "scores", correct = true, reason = "One for each pair of tokens." },
  { text = "weights", reason = "Those come after the `softmax`." },
  { text = "values", reason = "Those are not in the product." },
]
"""


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quizzes")
    (folder / "9-9.toml").write_text(QUIZ, encoding="utf-8")
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(5, D, generator=generator) for D in (3, 3, 2))
    return [AttentionSteps(), AttentionSteps(list("abcde"), q, k, v, causal=True, step=2), Quiz("9.9", folder)]


@pytest.fixture
def address(page_of, figures):
    """A page with three figures and nothing else."""
    return page_of(*figures)


def numbers(locator) -> torch.Tensor:
    """What a set of cells shows; a masked score is −∞."""
    texts = locator.evaluate_all("cells => cells.map(cell => cell.value ?? cell.textContent)")
    return torch.tensor([float(text.replace("−", "-").replace("∞", "inf")) for text in texts], dtype=torch.float64)


def expected(figure, query=None, scale=True, causal=False):
    """Scores, masked scores, weights and output by torch, from the numbers in the figure."""
    q, k, v = (torch.tensor(x, dtype=torch.float64) for x in (figure.q, figure.k, figure.v))
    mask = causal_mask(len(q)) if causal else torch.ones(len(q), len(q), dtype=torch.bool)
    size = q.size(-1) ** 0.5
    output, weights = attention(q if scale else q * size, k, v, mask)
    scores = q @ k.T
    masked = (scores / size if scale else scores).masked_fill(~mask, -torch.inf)
    return scores, masked, weights, output


def close(shown, computed, digits=2):
    torch.testing.assert_close(shown, computed.flatten(), atol=0.5 * 10**-digits + 1e-9, rtol=0)


def check(shown, figure, query, **how):
    for name, computed in zip(("scores", "masked", "weights"), expected(figure, **how)[:3], strict=True):
        close(numbers(shown.locator(f".one-query .{name}")), computed[query])
    close(numbers(shown.locator(".one-query .result .number")), expected(figure, **how)[3][query])


def test_numbers_equal_torchs_for_every_query_and_switch(visit, address, figures):
    shown, figure = visit(address).locator(".attention-steps").first, figures[0]
    for query in range(6):
        shown.locator(".chip").nth(query).click()
        check(shown, figure, query)
    shown.get_by_text("causal mask").click()
    check(shown, figure, 5, causal=True)
    shown.locator(".chip").nth(2).click()
    check(shown, figure, 2, causal=True)
    shown.get_by_text("scale by").click()
    check(shown, figure, 2, causal=True, scale=False)


def test_the_matrix_form_shows_the_same_numbers(visit, address, figures):
    shown, figure = visit(address).locator(".attention-steps").nth(1), figures[1]
    shown.get_by_text("all queries").click()
    shown.locator(".code button").last.click()
    scores, masked, weights, output = expected(figure, causal=True)
    tables = shown.locator(".all-queries table")
    captions = tables.locator("caption").all_inner_texts()
    for caption, computed, digits in (
        ("Q", figure.q, 1), ("Kᵀ", torch.tensor(figure.k).T.tolist(), 1), ("scores", scores, 1),
        ("÷ √d, masked", masked, 1), ("weights", weights, 2), ("V", figure.v, 1), ("output", output, 1),
    ):  # fmt: skip
        computed = torch.as_tensor(computed, dtype=torch.float64)
        close(numbers(tables.nth(captions.index(caption)).locator(".number")), computed, digits)
    shown.get_by_label("K, e, number 2").fill("1.25")
    k = [list(row) for row in figure.k]
    k[4][1] = 1.25
    edited = AttentionSteps(figure.tokens, figure.q, k, figure.v)
    close(numbers(tables.nth(captions.index("weights")).locator(".number")), expected(edited, causal=True)[2])
    shown.locator(".all-queries tbody tr").nth(1).click()
    assert shown.locator(".chip input").nth(1).is_checked()


def test_the_keyboard_alone_edits_chooses_and_walks(visit, address, figures):
    page = visit(address)
    page.evaluate("document.addEventListener('keydown', () => (window.leaked = true))")
    shown, figure = page.locator(".attention-steps").first, AttentionSteps()
    shown.get_by_label("key of the, number 1").focus()
    for key in ("PageDown", "ArrowRight", "ArrowUp", "ArrowUp"):  # cat's second number, 0.0 → 0.2
        page.keyboard.press(key)
    k = [list(row) for row in figure.k]
    k[1][1] = 0.2
    figure.k = k
    check(shown, figure, 4)
    page.keyboard.type("-1.5")
    k[1][1] = -1.5
    figure.k = [list(row) for row in k]
    check(shown, figure, 4)
    page.keyboard.press("Tab")  # one stop per matrix: on to the value
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("value of cat")
    page.keyboard.press("PageDown")
    page.keyboard.press("Shift+Tab")  # and back to the key of the row reached
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("key of sat")
    shown.locator(".chip input:checked").focus()
    page.keyboard.press("ArrowRight")
    check(shown, figure, 5)
    shown.get_by_role("button", name="Back").focus()
    page.keyboard.press("Enter")
    assert "weights that sum to 1" in shown.locator(".words").inner_text()
    assert not page.evaluate("window.leaked"), "JupyterLab would have taken the keys"


def test_what_is_no_number_is_marked_and_then_forgotten(visit, address, figures):
    page = visit(address)
    shown = page.locator(".attention-steps").first
    cell = shown.get_by_label("query of it, number 1")
    cell.fill("many")
    assert cell.get_attribute("aria-invalid") == "true"
    check(shown, AttentionSteps(), 4)
    cell.blur()
    assert cell.input_value() == "2.5" and cell.get_attribute("aria-invalid") is None


def test_figures_on_one_page_do_not_disturb_each_other(visit, address, figures):
    page = visit(address)
    first, second = page.locator(".attention-steps").nth(0), page.locator(".attention-steps").nth(1)
    before = second.inner_text()
    first.locator(".chip").nth(0).click()
    first.get_by_role("button", name="From the start").click()
    assert second.inner_text() == before
    check(second, figures[1], 4, causal=True)


def test_steps_hide_what_is_not_computed_yet_and_light_their_symbol(visit, address):
    page = visit(address)
    shown = page.locator(".attention-steps").first
    for step in range(1, 7):
        shown.locator(".code button").nth(step - 1).click()
        for name, known in {"scores": 2, "scaled": 3, "masked": 4, "weights": 5}.items():
            assert shown.locator(f".one-query .{name}").first.is_visible() == (step >= known)
        assert shown.locator(".code [aria-current=step]").count() == 1
    shown.get_by_role("columnheader", name="weight").hover()
    colour = "symbol => getComputedStyle(symbol).backgroundColor"
    assert shown.locator(".equation [data-part=q]").evaluate(colour) == "rgba(0, 0, 0, 0)"
    assert shown.locator(".equation [data-part=softmax]").evaluate(colour) != "rgba(0, 0, 0, 0)"


def test_a_kernel_can_drive_a_figure_and_end_it(visit, address, figures):
    page = visit(address)
    page.evaluate(
        """async (state) => {
            const listeners = {};
            const model = {
                get: (name) => state[name], save_changes() {},
                set(name, value) {
                    state[name] = value;
                    (listeners[`change:${name}`] ?? []).forEach((listener) => listener());
                },
                on: (name, listener) => (listeners[name] ??= new Set()).add(listener),
                off: (name, listener) => listeners[name].delete(listener),
            };
            const el = document.body.appendChild(document.createElement("section"));
            const module = await import(URL.createObjectURL(new Blob([state.source], { type: "text/javascript" })));
            Object.assign(window, { model, listeners, end: module.default.render({ model, el }) });
        }""",
        figures[0].state() | {"source": AttentionSteps._esm},
    )
    shown, figure = page.locator("section .attention-steps"), AttentionSteps()
    figure.q = (torch.tensor(figure.q) * -1).tolist()
    page.evaluate("q => model.set('q', q)", figure.q)
    page.evaluate("model.set('query', 1)")
    check(shown, figure, 1)
    page.evaluate("end()")
    assert shown.count() == 0
    assert page.evaluate("Object.values(listeners).every((set) => set.size === 0)")


def test_a_quiz_gives_the_reason_of_every_choice(visit, address):
    quiz = visit(address).locator("form.quiz")
    quiz.get_by_label("weights").click()
    assert quiz.locator(".verdict").inner_text() == "✗ Not this one. Those come after the softmax."
    assert quiz.locator("details").is_hidden() and quiz.locator(".score").inner_text() == "0 of 1 right"
    quiz.get_by_label("scores").click()
    assert quiz.locator(".verdict").inner_text() == "✓ Right. One for each pair of tokens."
    assert quiz.locator("details").is_visible() and quiz.locator(".score").inner_text() == "1 of 1 right"


def test_without_javascript_and_in_print_the_still_picture_stands(visit, address):
    still = visit(address, java_script_enabled=False).locator(".minigpt-still")
    assert still.first.locator("svg").is_visible() and "“it” looks mostly at “cat” (0.70)" in still.first.inner_text()
    page = visit(address)
    assert page.locator(".minigpt-still").first.is_hidden()
    page.emulate_media(media="print")
    assert page.locator(".minigpt-still").first.is_visible() and page.locator(".minigpt-live").first.is_hidden()


def test_a_figure_fits_a_phone(visit, address):
    page = visit(address, 390)
    for step in range(6):
        page.locator(".attention-steps").nth(0).locator(".code button").nth(step).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for figure in page.locator(".attention-steps").all():
        figure.get_by_text("all queries").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
