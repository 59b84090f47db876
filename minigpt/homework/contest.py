"""A contest: texts to write as well as one can. What counts is how far they are ahead of a dull rule.

    known   handed out with its answers; here check() scores, as often as the learner likes
    asked   handed out without answers
    held    not handed out

A function is graded on what was held. A list of texts, such as a trained model writes elsewhere, is graded on what was
asked. The learner's texts and the rule's answer the same questions, so the interval is that of their differences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ..metrics import bootstrap
from .check import is_open, run, sentence, unanswered
from .exercise import Result
from .words import error_line, shown

Examples = list[tuple[tuple, tuple[str, ...]]]  # the arguments of a function, and the texts that are right


@dataclass(frozen=True)
class Contest:
    """A function to write whose answers are scored and not compared, or a list of the texts that it would return."""

    id: str
    title: str
    arguments: tuple[str, ...]
    examples: Callable[[torch.Generator], dict[str, Examples]]  # by part: "known", "asked", "held"
    score: Callable[[str, tuple[str, ...]], float]  # of what was said, 0 … 1, given all that is right
    rule: Callable[..., str]  # the dull rule, whose share of the points is 0
    steps: tuple[tuple[float, float], ...]  # (ahead by at least this, this share of the points), rising
    mistakes: tuple[Callable[..., str], ...] = ()  # rules that look like an answer; their docstrings say what they are

    def draw(self, generator: torch.Generator) -> dict[str, Any]:
        """What is handed out: known questions with their answers, and others without."""
        parts = self.examples(generator)
        return {"known": [(*inputs, right) for inputs, right in parts["known"]],
                "asked": [inputs for inputs, _ in parts["asked"]]}  # fmt: skip

    def graded(self, seed: int, writes: bool) -> Examples:
        """The examples that give points: for a function that writes, others than for texts that are written."""
        return self.examples(torch.Generator().manual_seed(seed))["held" if writes else "asked"]

    def rehearse(self, answer: Any, seed: int) -> Result:
        """Score an answer on the questions whose answers are handed out; of a list, what was said to these."""
        known = self.examples(torch.Generator().manual_seed(seed))["known"]
        kind = "questions with known answers; grading asks others"
        if callable(answer):
            return rate(self, known, [run(answer, inputs) for inputs, _ in known], kind, tell=True)
        return self.not_a_list(answer, seed) or rate(self, known, list(answer)[: len(known)], kind, tell=True)

    def judge(self, answer: Any, seed: int) -> Result:
        """Score a list of texts that was handed in, by what was said to the questions without answers."""
        asked = self.graded(seed, writes=False)
        kind = "questions, answered by a list of texts"
        return self.not_a_list(answer, seed) or rate(self, asked, list(answer)[-len(asked) :], kind)

    def not_a_list(self, answer: Any, seed: int) -> Result | None:
        """What is said to an answer that is neither a function nor a list of as many texts as were to be written."""
        many = [len(part) for part in self.draw(torch.Generator().manual_seed(seed)).values()]
        if is_open(answer):
            return unanswered(self)
        if count(answer) == sum(many):
            return None
        wanted = f"a function, or a list of {many[0]} + {many[1]} texts, for the known and the asked"
        gave = f"a list of {len(answer)}" if count(answer) else shown(answer)
        return Result("wrong", f"{self.id} {self.title}: not yet.\n  You gave {gave}. Give {wanted}.")


def count(answer: Any) -> int:
    """How many texts were given; 0 if it is no list."""
    return len(answer) if isinstance(answer, list | tuple) else 0


def rate(contest: Contest, examples: Examples, said: list, kind: str = "questions", tell: bool = False) -> Result:
    """The points of what was said to these examples. An error, or what is no text, scores 0, as does silence.

    kind: what the examples are called. tell: whether an answer that scored 0 may be shown beside the right one.
    """
    title = f"{contest.id} {contest.title}"
    if all(is_open(s) or isinstance(s, NotImplementedError) for s in said):
        return unanswered(contest)
    dull = [contest.score(contest.rule(*inputs), right) for inputs, right in examples]
    mine = [contest.score(s, right) if isinstance(s, str) else 0.0
            for s, (_, right) in zip(said, examples, strict=True)]  # fmt: skip
    mean, mean_dull = sum(mine) / len(mine), sum(dull) / len(dull)
    ahead, low, high = bootstrap([a - b for a, b in zip(mine, dull, strict=True)])
    share = max((share for gain, share in contest.steps if ahead >= gain), default=0.0)
    done = "right" if share == 1 else "wrong"
    lines = [f"{title}: {'done' if done == 'right' else 'not yet'}. {share:.0%} of the points.",
             f"  {len(examples)} {kind}. The mean score is {mean:.3f}, that of the dull rule {mean_dull:.3f}.",
             f"  Ahead by {ahead:+.3f} (95 % interval {low:+.3f} … {high:+.3f}).",
             f"  Points: {', '.join(f'{part:.0%} from {gain:+.2f}' for gain, part in contest.steps)}."]  # fmt: skip
    lines += [no_text(contest, examples, said)] if any(not isinstance(s, str) for s in said) else []
    mistake = name_rule(contest, examples, said)
    lines += [f"  {mistake}"] if mistake else []
    lost = next((i for i, s in enumerate(mine) if s == 0 and isinstance(said[i], str)), None)
    if tell and lost is not None:
        inputs, right = examples[lost]
        lines += [f"  {sum(s == 0 for s in mine)} score 0. The first: {shown(inputs[0])}",
                  f"    yours: {shown(said[lost])}", f"    right: {' / '.join(right)}"]  # fmt: skip
    return Result(done, "\n".join(lines), mistake, share)


def no_text(contest: Contest, examples: Examples, said: list) -> str:
    """What is said of the first answer that is no text."""
    i = next(i for i, s in enumerate(said) if not isinstance(s, str))
    what = f"raised {error_line(said[i])}" if isinstance(said[i], BaseException) else f"gave {shown(said[i])}, no text"
    many = sum(not isinstance(s, str) for s in said)
    return f"  {many} answers are no text and score 0. The first: to {shown(examples[i][0][0])} your answer {what}"


def name_rule(contest: Contest, examples: Examples, said: list) -> str | None:
    """What is told of a rule that says the very same everywhere, if there is one."""
    for mistake in contest.mistakes:
        if all(s == mistake(*inputs) for s, (inputs, _) in zip(said, examples, strict=True)):
            return sentence(mistake)
    return None
