"""The mask explorer: who may look at whom when a token is guessed, under GPT's, BERT's and XLNet's objective."""

from collections.abc import Sequence
from html import escape
from itertools import permutations, product

import torch
import traitlets

from minigpt.figures.figure import Figure, drawing
from minigpt.model import GPT, Encoder, XLNet

OBJECTIVES = {"clm": "CLM", "mlm": "MLM", "plm": "PLM"}
MOST_TOKENS = 5  # 120 orders; six would be 720


@torch.no_grad()
def read_guesses(
    title: str,
    names: Sequence[str],
    ids: Sequence[int],
    models: tuple[GPT, Encoder, XLNet],
    mask_id: int,
    before: str,
    context: Sequence[int] = (),
    begin: int = 0,
) -> dict:
    """One example of MaskExplorer: the probability of each true token under everything that can be known of the others.

    names, ids: the tokens to guess, 2 to 5 of them. context: the ids of what stands before them, known to all three
    models, and `before` how it is shown; where there is none, the GPT reads the token `begin`, since it cannot answer
    without having read. Returns {"title", "before", "tokens", "clm", "mlm", "plm"}: clm is a list with a probability
    for each token; mlm holds one for each choice of hidden tokens ("0011": the last two), None where a token is not
    hidden; plm one for each order ("2130": first the third token, then the second, …). Raises ValueError for another
    number of tokens.
    """
    T, n = len(ids), len(context)
    if not 2 <= T <= MOST_TOKENS or len(names) != T:
        raise ValueError(f"{title!r} has {T} tokens and {len(names)} names: give 2 to {MOST_TOKENS}, a name for each")
    gpt, bert, xlnet = (model.eval() for model in models)
    row, true = torch.tensor([*context, *ids]), torch.tensor([list(ids)])

    def probabilities(logits):  # (N, T, V) -> (N, T): of the true tokens
        p = logits.float().softmax(-1).gather(-1, true.expand(len(logits), T)[..., None])[..., 0]
        return [[round(x, 4) for x in one] for one in p.tolist()]

    read = torch.tensor([*(context or [begin]), *ids[:-1]])
    hidden = [h for h in product((False, True), repeat=T) if any(h)]
    masked = row.repeat(len(hidden), 1)  # (15, n + T) where T = 4
    masked[:, n:][torch.tensor(hidden)] = mask_id
    orders = list(permutations(range(T)))
    rank = torch.tensor([[*range(n), *(n + order.index(i) for i in range(T))] for order in orders])
    of_bert = probabilities(bert(masked)[:, n:])
    of_xlnet = probabilities(xlnet(row.expand(len(orders), -1), rank)[:, n:])
    return {
        "title": title,
        "before": before,
        "tokens": list(names),
        "clm": probabilities(gpt(read[None])[:, -T:])[0],
        "mlm": {
            "".join("01"[x] for x in h): [p if x else None for p, x in zip(ps, h, strict=True)]
            for h, ps in zip(hidden, of_bert, strict=True)
        },
        "plm": {"".join(map(str, order)): ps for order, ps in zip(orders, of_xlnet, strict=True)},
    }


class MaskExplorer(Figure):
    """Three grids, a row per guess and a column per token: what CLM, MLM and PLM may see, and what they then guess.

    examples: as read_guesses() makes them, all with as many tokens. example: the one that is shown. hidden: for MLM,
    which tokens are. order: for PLM, the places of the tokens in the order in which they are guessed. position: the
    token that is looked at. mean: show PLM's mean over all orders. Raises ValueError where these do not fit together.
    """

    module = "mask_explorer"
    examples = traitlets.List().tag(sync=True)
    example = traitlets.Int(0).tag(sync=True)
    hidden = traitlets.List(traitlets.Bool()).tag(sync=True)
    order = traitlets.List(traitlets.Int()).tag(sync=True)
    position = traitlets.Int(0).tag(sync=True)
    mean = traitlets.Bool(False).tag(sync=True)

    def __init__(self, examples: Sequence[dict], hidden=None, order=None, **state):
        lengths = {len(one["tokens"]) for one in examples}
        if len(lengths) != 1:
            raise ValueError("MaskExplorer needs examples as read_guesses() makes them, all with as many tokens.")
        (T,) = lengths
        hidden = [False] * (T - 1) + [True] if hidden is None else list(hidden)
        order = list(range(T)) if order is None else list(order)
        super().__init__(examples=list(examples), hidden=hidden, order=order, **state)

    @traitlets.validate("example", "position")
    def _exists(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        last = len(self.examples if name == "example" else self.examples[0]["tokens"]) - 1
        if not 0 <= value <= last:
            raise ValueError(f"{name} is {value}, but it must lie between 0 and {last}.")
        return value

    @traitlets.validate("hidden", "order")
    def _fits(self, proposal):
        name, value, T = proposal["trait"].name, proposal["value"], len(self.examples[0]["tokens"])
        if name == "hidden" and len(value) != T:
            raise ValueError(f"hidden has {len(value)} values for {T} tokens.")
        if name == "order" and sorted(value) != list(range(T)):
            raise ValueError(f"order is {value}, but it must name each of the places 0 to {T - 1} once.")
        return value

    def sees(self, objective: str) -> list[list[float]]:
        """(T, T): row i says of each token whether it may be seen when token i is guessed, 1 or 0; for PLM's mean, in
        what share of the orders."""
        T = len(self.order)
        if objective == "clm":
            return [[float(j < i) for j in range(T)] for i in range(T)]
        if objective == "mlm":
            return [[float(not hidden) for hidden in self.hidden] for _ in range(T)]
        orders = list(permutations(range(T))) if self.mean else [self.order]
        earlier = [[[o.index(j) < o.index(i) for j in range(T)] for i in range(T)] for o in orders]
        return torch.tensor(earlier).float().mean(0).tolist()

    def guesses(self, objective: str) -> list[float | None]:
        """The probability of each true token, None where it is not asked for."""
        one = self.examples[self.example]
        if objective == "clm":
            return one["clm"]
        if objective == "mlm":
            return one["mlm"].get("".join("01"[x] for x in self.hidden), [None] * len(self.hidden))
        if not self.mean:
            return one["plm"]["".join(map(str, self.order))]
        return [sum(ps) / len(ps) for ps in zip(*one["plm"].values(), strict=True)]

    def words(self) -> str:
        tokens, i = self.examples[self.example]["tokens"], self.position
        said = []
        for objective, name in OBJECTIVES.items():
            p, row = self.guesses(objective)[i], self.sees(objective)[i]
            if p is None:
                said.append(f"{name} does not ask for it")
            elif objective == "plm" and self.mean:
                said.append(f"{name}, on average over all orders, gives it {p:.2f}")
            else:
                seen = " ".join(token for token, one in zip(tokens, row, strict=True) if one) or "nothing of it"
                said.append(f"{name} sees {seen} and gives it {p:.2f}")
        return f"The sentence “{' '.join(tokens)}”, the guess of “{tokens[i]}”: {'; '.join(said)}."

    def still(self) -> str:
        """The three grids side by side: a filled square where the token of the column may be seen."""
        tokens, side, marks = self.examples[self.example]["tokens"], 26, []
        wide = side * len(tokens) + 150
        for n, (objective, name) in enumerate(OBJECTIVES.items()):
            x0, guesses = n * wide, self.guesses(objective)
            marks.append(f'<text x="{x0}" y="14" font-weight="600">{name}</text>')
            for i, row in enumerate(self.sees(objective)):
                y = 22 + side * i
                marks.append(f'<text x="{x0}" y="{y + 18}">{escape(tokens[i])}</text>')
                for j, share in enumerate(row):
                    fill = f'fill="#AA4499" fill-opacity="{share:g}" stroke="currentColor" stroke-opacity="0.5"'
                    marks.append(f'<rect x="{x0 + 70 + side * j}" y="{y}" width="22" height="22" {fill}/>')
                p = "–" if guesses[i] is None else f"{guesses[i]:.2f}"
                marks.append(f'<text x="{x0 + 76 + side * len(tokens)}" y="{y + 18}">{p}</text>')
        width, height = 3 * wide, 26 + side * len(tokens)
        return drawing(marks, width, height, "Three grids: what CLM, MLM and PLM may see", 12, "monospace")
