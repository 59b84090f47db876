"""A quiz: multiple-choice questions with a reason for every option, kept as TOML in minigpt/homework/quizzes/.

[[questions]]
question = "What does `q @ k.T` hold?"

[[questions.options]]
text = "one score per pair of tokens"
correct = true
reason = "Row t, column s is the dot product of query t with key s."
"""

import re
import tomllib
from html import escape
from pathlib import Path

import traitlets

from minigpt.figures.figure import Figure

QUIZZES = Path(__file__).parents[1] / "homework" / "quizzes"


def load_quiz(number: str, folder: Path = QUIZZES) -> list[dict]:
    """Read and check the quiz of a section, e.g. `load_quiz("4.1")` reads 4-1.toml.

    Returns a list of {"question": str, "options": [{"text": str, "correct": bool, "reason": str}, …]}.
    Raises FileNotFoundError if there is no such quiz, ValueError if a question is not well made.
    """
    path = Path(folder) / f"{number.replace('.', '-')}.toml"
    if not path.exists():
        there = ", ".join(sorted(file.stem.replace("-", ".") for file in Path(folder).glob("*.toml"))) or "none yet"
        raise FileNotFoundError(f"There is no quiz {number}: {path.name} is missing. Quizzes there are: {there}.")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name} is not valid TOML: {error}.") from None
    questions = document.get("questions")
    if not questions or set(document) != {"questions"}:
        raise ValueError(f"{path.name} must hold [[questions]] and nothing else at its top level.")
    return [_checked(question, f"{path.name}, question {i}") for i, question in enumerate(questions, start=1)]


def _checked(question: dict, where: str) -> dict:
    if set(question) != {"question", "options"} or not question["question"].strip():
        raise ValueError(f"{where} needs the keys question and options, and no others; it has {sorted(question)}.")
    options = []
    for option in question["options"]:
        if not {"text", "reason"} <= set(option) <= {"text", "reason", "correct"}:
            raise ValueError(f"{where}: an option has text, reason and, if it is right, correct; not {sorted(option)}.")
        if not option["text"].strip() or not option["reason"].strip():
            raise ValueError(f"{where}: every option needs a text and a reason, also {option['text']!r}.")
        options.append({"text": option["text"], "correct": option.get("correct") is True, "reason": option["reason"]})
    if len(options) < 3:
        raise ValueError(f"{where} has {len(options)} options: give at least three.")
    if len({option["text"].strip() for option in options}) < len(options):
        raise ValueError(f"{where} offers the same option twice.")
    if sum(option["correct"] for option in options) != 1:
        raise ValueError(f"{where} must mark exactly one option with correct = true.")
    return {"question": question["question"], "options": options}


class Quiz(Figure):
    """The quiz of a section: `Quiz("4.1")`. `chosen` is the reader's option for each question, −1 for none yet."""

    module = "quiz"
    questions = traitlets.List(traitlets.Dict()).tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, number: str, folder: Path = QUIZZES):
        questions = load_quiz(number, folder)
        super().__init__(questions=questions, chosen=[-1] * len(questions))

    def words(self) -> str:
        count = len(self.questions)
        return f"{count} question{'s' * (count > 1)} with the reasons for and against every option."

    def still(self) -> str:
        return "".join(_still(question) for question in self.questions)


def _still(question: dict) -> str:
    options = "".join(f"<li>{_text(option['text'])}</li>" for option in question["options"])
    verdicts = [("Right. " if option["correct"] else "Wrong. ") + option["reason"] for option in question["options"]]
    reasons = "".join(f"<li>{_text(verdict)}</li>" for verdict in verdicts)
    return (
        f'<p><strong>{_text(question["question"])}</strong></p><ol type="a">{options}</ol>'
        f'<details><summary>Answer and reasons</summary><ol type="a">{reasons}</ol></details>'
    )


def _text(text: str) -> str:
    """Plain text with `code` spans, as HTML."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
