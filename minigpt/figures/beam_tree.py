"""Beam search as a tree: at every step the kept texts are extended, the best stay, and finished ones leave."""

from collections.abc import Sequence
from html import escape

import torch
import traitlets

from minigpt.figures.figure import Figure, drawing
from minigpt.model import Seq2Seq

DROPPED, KEPT, FINISHED = range(3)
END = "■"  # how the token that ends a text is shown
MAX_STEPS, MAX_ROWS = 24, 16  # a larger tree would not fit a page


@torch.no_grad()
def read_beams(
    model: Seq2Seq, words, source: Sequence[int], begin: int, beams: int, max_new_tokens: int = MAX_STEPS
) -> dict:
    """One search of BeamTree: what decoding.beam_search(…, beams=beams) looks at, step by step.

    source: the token ids of the text to translate; `begin` is the token that starts a translation and ends it.
    Returns {"beams", "steps"}: a step is a list of candidates, best first, each [place of its parent in the step
    before, token, log p of the text so far, fate]. The candidates are those that beam_search() considers, 2 · beams of
    them, and the search ends when beam_search() with length_penalty=1 does.
    """
    if beams < 1 or 2 * beams > MAX_ROWS:
        raise ValueError(f"beams={beams} must lie between 1 and {MAX_ROWS // 2}, or the tree would not fit a page")
    source = torch.tensor([list(source)])
    real = torch.ones_like(source, dtype=torch.bool)
    running, steps, finished = [(0.0, -1, [begin])], [], []
    for length in range(1, max_new_tokens + 1):
        ids = torch.tensor([text for _, _, text in running])
        logits = model.eval()(source.expand(len(ids), -1), real.expand(len(ids), -1), ids)[:, -1]  # (beams, V)
        logp = logits.float().log_softmax(-1)
        total = (torch.tensor([score for score, _, _ in running])[:, None] + logp).flatten()  # (beams · V,)
        step, going_on = [], []
        best = total.topk(min(2 * beams, len(total)))
        for place, (score, i) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            beam, token = divmod(i, logp.size(1))
            _, parent, text = running[beam]
            fate = DROPPED
            if token != begin and length < max_new_tokens and len(going_on) < beams:
                fate = KEPT
                going_on.append((score, place, [*text, token]))
            elif place < beams and (token == begin or length == max_new_tokens):
                fate = FINISHED
                finished.append(score / length)
            name = END if token == begin else words.token(token)
            step.append([parent, name, round(score, 4), fate])
        steps.append(step)
        running, finished = going_on, sorted(finished, reverse=True)[:beams]
        if not running or (len(finished) == beams and running[0][0] / length <= finished[-1]):
            break
    return {"beams": beams, "steps": steps}


class BeamTree(Figure):
    """Beam search, to be walked through; a slider for the length penalty ranks the finished texts again.

    source: the text that is translated. searches: what read_beams() returned, for several widths. search: which of them
    is shown. step: how many steps are shown, from 1. penalty: a finished text of n tokens scores log p / n ** penalty.
    """

    module = "beam_tree"
    source = traitlets.Unicode().tag(sync=True)
    searches = traitlets.List().tag(sync=True)
    search = traitlets.Int(0).tag(sync=True)
    step = traitlets.Int(1).tag(sync=True)
    penalty = traitlets.Float(1.0, min=0.0, max=2.0).tag(sync=True)

    def __init__(self, source: str, searches: Sequence[dict], **state):
        if not searches:
            raise ValueError("there is nothing to show: give at least one search, as read_beams() returns it")
        for search in searches:
            before = 1
            for step in search["steps"]:
                if any(fate not in (DROPPED, KEPT, FINISHED) or not -1 <= at < before for at, _, _, fate in step):
                    raise ValueError("a candidate has no parent in the step before, or no known fate: use read_beams()")
                before = len(step)
        super().__init__(source=source, searches=list(searches), **state)

    @traitlets.validate("search", "step")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        longest = max(len(search["steps"]) for search in self.searches)
        low, high = (0, len(self.searches) - 1) if name == "search" else (1, longest)
        if not low <= value <= high:
            raise ValueError(f"{name} is {value}, but it must lie between {low} and {high}.")
        return value

    def steps(self) -> list:
        return self.searches[self.search]["steps"]

    def text(self, t: int, place: int) -> str:
        """The text of a candidate of step t, without its end token."""
        pieces = []
        while t >= 0:
            place, piece, _, _ = self.steps()[t][place]
            pieces.insert(0, "" if piece == END else piece)
            t -= 1
        return "".join(pieces).replace("␣", " ").strip()

    def finished(self) -> list[tuple[float, str, int, float]]:
        """(score, text, tokens, log p) of every text that the whole search finished, best first."""
        found = [
            (logp / (t + 1) ** self.penalty, self.text(t, place), t + 1, logp)
            for t, step in enumerate(self.steps())
            for place, (_, _, logp, fate) in enumerate(step)
            if fate == FINISHED
        ]
        return sorted(found, key=lambda one: -one[0])

    def words(self) -> str:
        found = self.finished()
        width = self.searches[self.search]["beams"]
        said = f"Beam search for “{self.source}” with width {width}: {len(self.steps())} steps, "
        if not found:
            return said + "no finished text."
        score, text, tokens, logp = found[0]
        return said + (
            f"{len(found)} finished texts. With length penalty {self.penalty:g} the best is “{text}” "
            f"({tokens} tokens, log p {logp:.2f}, score {score:.2f})."
        )

    def still(self) -> str:
        """The tree: a column per step, a row per candidate, best on top; ✕ was dropped, a frame has finished."""
        wide, high, marks = 92, 24, []
        for t, step in enumerate(self.steps()):
            for place, (parent, token, _, fate) in enumerate(step):
                x, y = wide * t + 16, high * place + 12
                if fate == DROPPED:
                    mark, style = "✕ ", 'fill-opacity="0.6"'
                else:
                    mark, style = "", 'font-weight="600"'
                    y0 = high * max(0, parent) + 12
                    marks.append(f'<path d="M{x - 14} {y0} L{x - 2} {y}" stroke="#0072B2" stroke-width="2"/>')
                if fate == FINISHED:
                    frame = 'fill="none" stroke="#1a7f37" stroke-width="2"'
                    marks.append(f'<rect x="{x - 1}" y="{y - 10}" width="{wide - 20}" height="20" rx="4" {frame}/>')
                marks.append(f'<text x="{x + 4}" y="{y + 4}" {style}>{mark}{escape(token)}</text>')
        width, height = wide * len(self.steps()) + 4, high * max(len(step) for step in self.steps())
        words = "Tree of beam search, a column per step"
        return drawing(marks, width, height, words, 12, "monospace")
