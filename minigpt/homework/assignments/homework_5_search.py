"""An exercise of homework 5: beam search through a model that fits into one matrix."""

import itertools

import torch

from ..exercise import MOST_DRAWS, STUCK, Exercise

# ---- 5.4: beam search --------------------------------------------------------------------------------


def beam_search(logits, start, length, beams):
    return search(logits.log_softmax(-1), start, length, beams)


def search(step, start, length, beams):
    """The texts (beams, length) with the largest sums of step[last, next], as a search along `beams` finds them."""
    texts, totals = torch.tensor([[start]]), torch.zeros(1)
    for _ in range(length):
        totals, index = candidates(step, texts, totals).topk(min(beams, totals.numel() * len(step)))
        texts = extended(texts, index, len(step))
    return texts[:, 1:]


def candidates(step, texts, totals):
    return (totals[:, None] + step[texts[:, -1]]).flatten()  # (n · V,)


def extended(texts, index, V):
    return torch.cat([texts[index // V], index[:, None] % V], 1)


def search_cases(generator):
    def draw(V, length, beams, telling=False):
        """`telling`: each known mistake gives other texts, so that none passes by chance."""
        for _ in range(MOST_DRAWS):
            logits, start = 1.5 * torch.randn(V, V, generator=generator), int(torch.randint(V, (), generator=generator))
            logits += 2 * torch.randn(V, 1, generator=generator)  # raw scores of different rows cannot be compared
            case = logits, start, length, beams
            found = beam_search(*case)
            if torch.equal(found[0], beam_search(logits, start, length, 1)[0]) or not clear(*case):
                continue
            if not telling or not any(torch.equal(found, wrong(*case)) for wrong in searching.mistakes):
                return case
        raise RuntimeError(STUCK)

    return [draw(3, 2, 2), draw(4, 3, 2), draw(5, 4, 3), draw(5, 4, 2, telling=True), draw(6, 4, 3, telling=True),
            draw(3, 3, 5)]  # fmt: skip


def clear(logits, start, length, beams):
    """Whether no two candidates near the cut are so close that rounding would decide between them."""
    step, texts, totals = logits.log_softmax(-1), torch.tensor([[start]]), torch.zeros(1)
    for _ in range(length):
        total = candidates(step, texts, totals)
        top = total.topk(min(beams + 1, len(total))).values
        if top.diff().abs().min() < 1e-2:
            return False
        totals, index = total.topk(min(beams, len(total)))
        texts = extended(texts, index, len(step))
    return True


def all_texts(logits, start, length, beams):
    """This is what you get by trying all texts. A search is asked for that follows `beams` of them, and may miss the
    best."""
    step = logits.log_softmax(-1)
    texts = torch.tensor(list(itertools.product(range(len(step)), repeat=length)))  # (Vⁿ, length)
    before = torch.cat([torch.full_like(texts[:, :1], start), texts[:, :-1]], 1)
    return texts[step[before, texts].sum(1).topk(beams).indices]


def equal_beams(logits, start, length, beams):
    """All rows are the greedy text. If all beams start as equals, all take the same best token: begin with one."""
    return beam_search(logits, start, length, 1).expand(beams, -1)


def beams_do_not_compete(logits, start, length, beams):
    """This is what you get when each beam goes on with its own best token. All continuations of all beams compete:
    one beam may have several, another none."""
    texts = beam_search(logits, start, 1, beams)
    for _ in range(length - 1):
        texts = torch.cat([texts, logits[texts[:, -1]].argmax(1, keepdim=True)], 1)
    step = logits.log_softmax(-1)
    before = torch.cat([torch.full_like(texts[:, :1], start), texts[:, :-1]], 1)
    return texts[step[before, texts].sum(1).argsort(descending=True)]


def scores_added(logits, start, length, beams):
    """This is what you get by adding up the logits as they are. Those of different rows cannot be compared: take the
    logarithms of probabilities, `log_softmax`."""
    return search(logits, start, length, beams)


def probabilities_added(logits, start, length, beams):
    """This is what you get by adding up probabilities. The probability of a text is a product: add logarithms."""
    return search(logits.softmax(-1), start, length, beams)


def columns_normalised(logits, start, length, beams):
    """This is what you get with a softmax over axis 0. Row i holds what may follow token i: each row sums to 1."""
    return search(logits.log_softmax(0), start, length, beams)


def columns_looked_up(logits, start, length, beams):
    """This is what you get by looking tokens up in the columns. Row i holds the scores of what follows token i."""
    return search(logits.mT.log_softmax(-1), start, length, beams)


def past_forgotten(logits, start, length, beams):
    """This is what you get when only the last token's probability counts: add it to the total of the text so far."""
    step, texts = logits.log_softmax(-1), torch.tensor([[start]])
    for _ in range(length):
        total = candidates(step, texts, torch.zeros(len(texts)))
        texts = extended(texts, total.topk(min(beams, len(total))).indices, len(step))
    return texts[:, 1:]


def parents_mixed_up(logits, start, length, beams):
    """This is what you get when the chosen tokens are appended to the beams in their old order. Each belongs to the
    beam that it continues: `index // V` says which."""
    step, texts, totals = logits.log_softmax(-1), torch.tensor([[start]]), torch.zeros(1)
    for _ in range(length):
        totals, index = candidates(step, texts, totals).topk(min(beams, len(texts) * len(step)))
        parents = texts if len(texts) == len(index) else texts[index // len(step)]
        texts = torch.cat([parents, index[:, None] % len(step)], 1)
    return texts[:, 1:]


def start_kept(logits, start, length, beams):
    """This is what you get with the start token in front. Return the new tokens alone."""
    texts = beam_search(logits, start, length, beams)
    return torch.cat([torch.full_like(texts[:, :1], start), texts], 1)


def best_last(logits, start, length, beams):
    """This is what you get with the best text at the end: it comes first."""
    return beam_search(logits, start, length, beams).flip(0)


def best_alone(logits, start, length, beams):
    """This is the best text alone. Return all `beams` of them, best first."""
    return beam_search(logits, start, length, beams)[:1]


searching = Exercise(
    "5.4",
    "Greedy is not likeliest",
    ("logits", "start", "length", "beams"),
    beam_search,
    search_cases,
    (
        equal_beams,
        beams_do_not_compete,
        scores_added,
        probabilities_added,
        columns_normalised,
        columns_looked_up,
        past_forgotten,
        parents_mixed_up,
        start_kept,
        best_last,
        best_alone,
        all_texts,
    ),
    edges=1,
)
