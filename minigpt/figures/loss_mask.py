"""The loss-mask strip: what a model reads, what it is asked for, and what each answer costs."""

from collections.abc import Sequence
from html import escape

import torch
import torch.nn.functional as F
import traitlets

from minigpt.chat import check_messages, encode_chat
from minigpt.data import IGNORE
from minigpt.figures.figure import Figure
from minigpt.model import GPT

MOST_TOKENS = 250  # a longer strip would not fit a page


@torch.no_grad()
def read_losses(title: str, messages: Sequence[dict], tokenizer, models: Sequence[GPT]) -> dict:
    """One example of LossMask: a conversation, its tokens, and −ln p of each next token by each of the models.

    Returns {"title", "ids", "tokens", "labels", "scored", "losses"}; all lists are T long, and losses[m][t] is model
    m's loss in nats for labels[t], the name of the token after tokens[t]. scored[t] says whether the assistant speaks
    that token: elsewhere encode_chat() puts −100.
    """
    check_messages(messages)
    ids, targets = encode_chat(tokenizer, messages)
    if len(ids) > MOST_TOKENS:
        raise ValueError(f"{title!r} has {len(ids)} tokens: choose an example of at most {MOST_TOKENS}")
    after = torch.tensor([*ids[1:], targets[-1]])  # (T,): the next token everywhere, also where it is not scored
    losses = []
    for model in models:
        logits = model.eval()(torch.tensor([ids]))[0].float()  # (T, V)
        losses.append([round(x, 3) for x in F.cross_entropy(logits, after, reduction="none").tolist()])
    return {
        "title": title,
        "ids": list(ids),
        "tokens": [tokenizer.token(i) for i in ids],
        "labels": [tokenizer.token(i) for i in after.tolist()],
        "scored": [target != IGNORE for target in targets],
        "losses": losses,
    }


class LossMask(Figure):
    """Three lanes, a column per token: the input, its label (−100 where it is not scored), and the loss as heat.

    examples: as read_losses() makes them. models: a name for each row of their losses. example, model: which of them is
    shown. masked: whether only the assistant's tokens are scored. position: the column that is looked at. Raises
    ValueError where these do not fit together.
    """

    module = "loss_mask"
    examples = traitlets.List().tag(sync=True)
    models = traitlets.List(traitlets.Unicode()).tag(sync=True)
    example = traitlets.Int(0).tag(sync=True)
    model = traitlets.Int(0).tag(sync=True)
    masked = traitlets.Bool(True).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)

    def __init__(self, examples: Sequence[dict], models: Sequence[str], **state):
        if not examples or not models:
            raise ValueError("LossMask needs at least one example, as read_losses() makes it, and one model's name.")
        for one in examples:
            lengths = {len(one[name]) for name in ("ids", "tokens", "labels", "scored")} | set(map(len, one["losses"]))
            if len(lengths) != 1 or len(one["losses"]) != len(models):
                raise ValueError(f"{one['title']!r} must have a loss for each token and each model: use read_losses().")
            if not any(one["scored"]):
                raise ValueError(f"{one['title']!r} scores no token: there is nothing to learn from it.")
        super().__init__(examples=list(examples), models=list(models), **state)

    @traitlets.validate("example", "model")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        last = len(self.examples if name == "example" else self.models) - 1
        if not 0 <= value <= last:
            raise ValueError(f"{name} is {value}, but it must lie between 0 and {last}.")
        return value

    def scored(self) -> list[bool]:
        """Which columns count in the loss, as the figure stands now."""
        one = self.examples[self.example]
        return list(one["scored"]) if self.masked else [True] * len(one["ids"])

    def loss(self) -> float:
        """The mean over the scored columns, in nats per token."""
        losses = self.examples[self.example]["losses"][self.model]
        counted = [x for x, s in zip(losses, self.scored(), strict=True) if s]
        return sum(counted) / len(counted)

    def words(self) -> str:
        one, counted = self.examples[self.example], sum(self.scored())
        return (
            f"{one['title']}, {self.models[self.model]}, loss mask {'on' if self.masked else 'off'}: {counted} of "
            f"{len(one['ids'])} labels are scored, mean loss {self.loss():.2f} nats."
        )

    def still(self) -> str:
        """Input, label and loss of the columns around the first token that the assistant speaks."""
        one, scored = self.examples[self.example], self.scored()
        begin = max(0, one["scored"].index(True) - 4)
        losses = one["losses"][self.model]
        rows = "".join(
            f"<tr><td>{escape(one['tokens'][t])}</td><td>{escape(one['labels'][t]) if scored[t] else '−100'}</td>"
            f"<td>{f'{losses[t]:.2f}' if scored[t] else '–'}</td></tr>"
            for t in range(begin, min(begin + 12, len(scored)))
        )
        head = "".join(f"<th>{name}</th>" for name in ("input", "label", "loss, nats"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
