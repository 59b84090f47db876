"""The evidence view: where a head points in the passage, what a GPT writes with it, and what from memory."""

import codecs
from collections.abc import Sequence
from html import escape

import traitlets

from minigpt.answers import Span, Written
from minigpt.figures.figure import Figure


def read_view(name: str, tokenizer, span: Span | None = None, written: Written | None = None, edited: str = "") -> dict:
    """One view of a question in Evidence: what the head and the GPT made of one version of the passage.

    span and written: what answers.point() and answers.write() returned, or neither where there is no passage. edited:
    the words of the passage that were changed, to be marked.
    """
    view = {"name": name, "edited": edited, "tokens": [], "start": [], "end": [], "span": []}
    view |= {"pointed": "", "sure": 0.0}
    if span is not None:
        view |= {
            "tokens": _pieces(tokenizer, span.tokens),
            "start": [round(p, 4) for p in span.start.tolist()],
            "end": [round(p, 4) for p in span.end.tolist()],
            "span": [span.first, span.last],
            "pointed": span.text,
            "sure": round(span.probability, 4),
        }
    return view | {"written": None if written is None else read_written(tokenizer, written)}


def read_written(tokenizer, written: Written) -> dict:
    """A GPT's answer for Evidence: {"text", "probability", "pieces": [[token, its probability], …]}."""
    pieces = zip(_pieces(tokenizer, written.tokens), written.chances, strict=True)
    return {
        "text": written.text,
        "probability": round(written.probability, 4),
        "pieces": [[token, round(p, 4)] for token, p in pieces],
    }


def _pieces(tokenizer, ids: Sequence[int]) -> list[str]:
    """The tokens as text. A letter that several tokens make up stands at the last of them; the others are empty."""
    special = {i: "■" for i in tokenizer.special_tokens.values()}
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return [special.get(i) or decoder.decode(tokenizer.decode_bytes([i])).replace(" ", "␣") for i in ids]


class Evidence(Figure):
    """Questions with their evidence: start and end probabilities under each word of the passage, the span, the answers.

    questions: for each {"question", "truth", "note", "memory": a read_written(…) without any passage, "views": a list
    of read_view(…)}. question, view: which of them is shown. Raises ValueError where these do not fit together.
    """

    module = "evidence"
    questions = traitlets.List().tag(sync=True)
    question = traitlets.Int(0).tag(sync=True)
    view = traitlets.Int(0).tag(sync=True)

    def __init__(self, questions: Sequence[dict], **state):
        if not questions or not all(one["views"] for one in questions):
            raise ValueError("Evidence needs at least one question, and for each at least one view from read_view().")
        if len({len(one["views"]) for one in questions}) > 1:
            raise ValueError("Every question must have the same views: the passage as it is, edited, hidden.")
        for view in (view for one in questions for view in one["views"]):
            if not len(view["tokens"]) == len(view["start"]) == len(view["end"]):
                raise ValueError(f"{view['name']!r} must have a start and an end probability for each token.")
        super().__init__(questions=list(questions), **state)

    @traitlets.validate("question", "view")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        last = len(self.questions if name == "question" else self.questions[0]["views"]) - 1
        if not 0 <= value <= last:
            raise ValueError(f"{name} is {value}, but it must lie between 0 and {last}.")
        return value

    def now(self) -> tuple[dict, dict]:
        """The question and its view that are shown."""
        one = self.questions[self.question]
        return one, one["views"][self.view]

    def words(self) -> str:
        one, view = self.now()
        said = f"“{one['question']}” ({one['note']}), {view['name']}. "
        if view["tokens"]:
            said += f"The head points at “{view['pointed']}” (probability {view['sure']:.2f}). "
        else:
            said += "The head has nothing to point at. "
        if view["written"]:
            said += f"GPT, reading, writes “{view['written']['text']}” ({view['written']['probability']:.2f}). "
        memory = one["memory"]
        return said + f"GPT from memory writes “{memory['text']}” ({memory['probability']:.2f}). {one['truth']}"

    def still(self) -> str:
        """The passage with its span between brackets, and the likeliest tokens for start and end."""
        one, view = self.now()
        if not view["tokens"]:
            return f"<p><strong>{escape(one['question'])}</strong></p>"
        shown = [escape(token.replace("␣", " ")) for token in view["tokens"]]
        first, last = view["span"]
        shown[first], shown[last] = "<mark>⟦" + shown[first], shown[last] + "⟧</mark>"
        best = sorted(range(len(shown)), key=lambda i: -max(view["start"][i], view["end"][i]))[:6]
        rows = "".join(
            f"<tr><td>{escape(view['tokens'][i])}</td><td>{view['start'][i]:.2f}</td><td>{view['end'][i]:.2f}</td></tr>"
            for i in sorted(best)
        )
        head = "".join(f"<th>{name}</th>" for name in ("token", "start", "end"))
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<p><strong>{escape(one['question'])}</strong></p><p>{''.join(shown)}</p>{table}"
