"""The training-curve scrubber in a browser: by keyboard, by buttons and by dragging on the picture."""

import pytest

from minigpt.figures import TrainingCurve

LOG = [
    {"step": 0, "val_loss": 4.17, "sample": "xq"},
    *(
        {"step": s, "loss": 4.2 - s / 100, **({"sample": f"text {s}"} if s % 20 == 0 else {})}
        for s in range(1, 200)
    ),
    {"step": 200, "loss": 2.2, "val_loss": 2.3, "sample": "the end"},
]  # fmt: skip
LANDMARKS = {"uniform": 4.16, "unigram": 3.3, "bigram": 2.5}


@pytest.fixture
def address(page_of):
    return page_of(TrainingCurve(LOG, LANDMARKS, "ROMEO:\n"))


def test_every_step_says_what_python_says(visit, address):
    shown, figure = visit(address).locator(".training-curve"), TrainingCurve(LOG, LANDMARKS, "ROMEO:\n")
    slider = shown.get_by_label("step of training")
    slider.focus()
    for at, (_, text, _, _) in enumerate(figure.samples):
        figure.at = at
        assert shown.locator(".words").inner_text() == figure.words()
        assert shown.locator(".text").inner_text() == f"ROMEO:\n{text}"
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "step 200"


def test_buttons_and_table(visit, address):
    shown = visit(address).locator(".training-curve")
    assert not shown.get_by_role("button", name="sample before").is_visible()
    shown.get_by_role("button", name="next sample").press("Enter")
    assert shown.locator("output").inner_text() == "20"
    shown.locator("summary").click()
    assert shown.locator("tbody tr").count() == 11
    assert shown.locator("tr.now").inner_text().split("\t") == [
        "20", "4.00", "training loss", "between uniform (4.16) and unigram (3.30)", "text 20",
    ]  # fmt: skip


def test_the_picture_is_dragged(visit, address):
    page = visit(address)
    picture = page.locator(".training-curve svg")
    box, ring = picture.bounding_box(), page.locator(".training-curve circle.shown")
    before = float(ring.get_attribute("cx"))
    page.mouse.move(box["x"] + 40, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 100)
    page.mouse.up()
    assert page.locator(".training-curve output").inner_text() == "200"
    assert float(ring.get_attribute("cx")) > before + 300
    page.mouse.move(box["x"] + 40, box["y"] + 100)  # not pressed: nothing moves
    assert page.locator(".training-curve output").inner_text() == "200"


def test_a_narrow_page(visit, address):
    page = visit(address, width=390, scheme="dark")
    page.get_by_label("step of training").fill("5")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".training-curve svg text").first.evaluate("t => getComputedStyle(t).fontSize") == "12px"
    assert page.locator(".training-curve svg").get_attribute("viewBox").split()[2] == str(
        round(page.locator(".training-curve svg").bounding_box()["width"])
    )
