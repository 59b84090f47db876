"""The BPE player in a browser: its chips are our tokenizer's, whatever is typed."""

import pytest

from minigpt.figures import BPEPlayer, count_pairs
from minigpt.tokenizer import BPETokenizer

CORPUS = "It's the café's 12 cats: the little mermaid, l'élève, 中文中文 🙂🙂! \n\n  the end   of\tthe tales. " * 3
TEXTS = [
    "the little mermaid's café",
    "é 中 🙂 and e\u0301",
    "aaaaa   bbb \n\n\t x\u00a0y\u2003z\u0085 they'll I'VE",
    "half a char: 中文 文 中, 3.14 ½ ² \ufeff\u200b\u00ad",
    "",
]


def player(**state):
    return BPEPlayer(count_pairs(BPETokenizer.train(CORPUS, 256 + 50), CORPUS), TEXTS[0], **state)


@pytest.fixture
def address(page_of):
    return page_of(player())


def test_the_chips_are_our_tokenizers(visit, address):
    shown, figure = visit(address).locator(".bpe-player"), player()
    for text in TEXTS:
        shown.get_by_label("the text", exact=True).fill(text)
        figure.text = text
        for at in (0, 1, 7, 30, 50):
            shown.get_by_label("merges applied").fill(str(at))
            figure.at = at
            assert shown.locator(".chip").all_text_contents() == figure.chips(at)
            assert shown.locator(".words").inner_text() == figure.words()


def test_buttons_step_and_jump(visit, address):
    shown, figure = visit(address).locator(".bpe-player"), player()
    at = lambda: int(shown.locator("output").inner_text().split()[0])  # noqa: E731
    shown.get_by_role("button", name="one merge on").press("Enter")
    assert at() == 1
    joined = shown.locator(".chip.fresh").all_text_contents()
    assert shown.locator(".counts tr").count() == 6
    assert joined == [c for c in figure.chips(1) if c not in figure.chips(0)]
    turns = [k for k in range(1, 51) if figure.chips(k) != figure.chips(k - 1)]
    shown.get_by_label("merges applied").fill("0")
    for k in turns:
        shown.get_by_role("button", name="on to the next change").click()
        assert at() == k
    assert not shown.get_by_role("button", name="on to the next change").is_visible()
    shown.get_by_role("button", name="back to the last change").click()
    assert at() == turns[-1] - 1
    assert shown.locator(".chip.left").count() == shown.locator(".chip.right").count() > 0
    shown.get_by_role("button", name="one merge back").click()
    assert at() == turns[-1] - 2


def test_the_table_and_a_narrow_page(visit, address):
    page = visit(address, width=390, scheme="dark")
    shown = page.locator(".bpe-player")
    shown.get_by_label("merges applied").fill("3")
    shown.locator("summary").click()
    rows = shown.locator("details tbody tr")
    rows.nth(49).wait_for()  # the table is filled when it opens
    assert rows.count() == 50 and rows.nth(2).get_attribute("class") == "now"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
