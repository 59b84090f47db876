"""An exercise of homework 2: writing texts in any order from one table of probabilities."""

import torch

from ..exercise import Exercise

# ---- 2.4: any order, one distribution ----------------------------------------------------------------


def write(joint, order, u):
    return written(joint, order, u)


def pick(probs, point):
    """The word in whose part of [0, 1) the point falls, when the probabilities are laid end to end."""
    return min(int((probs.cumsum(0) <= point).sum()), len(probs) - 1)


def shared_out(probs):
    return probs / probs.sum()


def written(joint, order, u, pick=pick, share=shared_out, unknown=torch.sum, dice=None):
    """N texts (N, T), each drawn word by word in this order. `dice`: which random number each step takes."""
    texts, dice = torch.zeros(u.shape, dtype=torch.long), range(len(order)) if dice is None else dice
    for text, points in zip(texts, u, strict=True):
        rest = joint.permute(*order)  # axes in the order of drawing
        for place, die in zip(order, dice, strict=True):
            probs = share(unknown(rest.reshape(len(rest), -1), 1))  # over the words that are not drawn yet
            text[place] = pick(probs, points[die])
            rest = rest[text[place]]
    return texts


def gap(joint, order, points):
    """How close the points of one text come to a border, where rounding could decide."""
    rest, closest = joint.permute(*order), 1.0
    for point in points:
        probs = shared_out(rest.reshape(len(rest), -1).sum(1))
        closest = min(closest, float((probs.cumsum(0) - point).abs().min()))
        rest = rest[pick(probs, point)]
    return closest


def joint_cases(generator):
    def table(sizes, holes=0.3):
        joint = torch.rand(sizes, generator=generator) ** 3 + 0.02
        joint = joint * (torch.rand(sizes, generator=generator) >= holes)
        joint.view(-1)[-1] += 0.05  # never empty
        return joint / joint.sum()

    def draw(joint, order, N):
        rows = []
        while len(rows) < N:
            points = 0.99 * torch.rand(len(order), generator=generator)
            rows += [points] if gap(joint, order, points) > 2e-3 else []
        return joint, order, torch.stack(rows)

    york = round(0.4 + 0.2 * float(torch.rand((), generator=generator)), 2)
    cities = torch.tensor([[york, 0.2], [0.0, 0.8 - york]])  # New York, New London, San Francisco; no San York
    return [draw(cities, [1, 0], 6), draw(table((2, 3)), [0, 1], 6), draw(table((3, 2, 4)), [1, 2, 0], 8),
            draw(table((4, 3, 2)), [2, 0, 1], 8), draw(table((3, 5, 4), 0.5), [0, 1, 2], 8),
            draw(table((2, 4, 3, 2)), [3, 1, 0, 2], 12), draw(table((3, 2, 3, 4), 0.6), [1, 3, 0, 2], 12)]  # fmt: skip


def each_by_itself(joint, order, u):
    """Here each word is drawn by itself, as BERT draws two masks at once: New Francisco. A word knows those drawn
    before it."""
    texts = torch.zeros(u.shape, dtype=torch.long)
    for step, place in enumerate(order):
        probs = joint.movedim(place, 0).flatten(1).sum(1)
        texts[:, place] = torch.tensor([pick(shared_out(probs), point) for point in u[:, step]])
    return texts


def left_to_right(joint, order, u):
    """Here the words are drawn from left to right, whatever the order says."""
    return written(joint, list(range(len(order))), u)


def order_as_rank(joint, order, u):
    """This takes the order for ranks. `order[0]` is the place of the word that is drawn first."""
    return written(joint, torch.tensor(order).argsort().tolist(), u)


def backwards(joint, order, u):
    """Here the last of the order is drawn first."""
    return written(joint, order[::-1], u)


def as_drawn(joint, order, u):
    """Here the words stand in the order in which they were drawn. A text is not shuffled: put each word at its
    place."""
    return written(joint, order, u)[:, order]


def dice_by_place(joint, order, u):
    """Here a word takes the random number of its place. The first word that is drawn takes the first number of its
    row, wherever it stands."""
    return written(joint, order, u, dice=order)


def likeliest(joint, order, u):
    """Here the likeliest word is taken every time, and u is not used: nothing is drawn."""
    return written(joint, order, u, pick=lambda probs, point: probs.argmax())


def not_shared_out(joint, order, u):
    """Here the probabilities do not sum to 1 after the first word: divide by their sum, before u falls on them."""
    return written(joint, order, u, share=lambda probs: probs)


def maxima(joint, order, u):
    """Here, of all that could follow, only the likeliest counts. Sum the probabilities over the words not yet drawn."""
    return written(joint, order, u, unknown=torch.amax)


def unknown_taken_for_word_0(joint, order, u):
    """Here the words that are not drawn yet are taken to be word 0. They are unknown: sum over all words that
    they could be."""
    def first(rest, _):
        return rest[:, 0] + 1e-9

    return written(joint, order, u, unknown=first)


def knows_the_one_before(joint, order, u):
    """Here a word knows only the one that was drawn right before it. It knows all that were drawn before."""
    texts = torch.zeros(u.shape, dtype=torch.long)
    for text, points in zip(texts, u, strict=True):
        for step, place in enumerate(order):
            before = order[step - 1 : step] if step else []
            probs = joint.movedim([*before, place], list(range(len(before) + 1)))
            probs = probs[text[before[0]]] if before else probs
            text[place] = pick(shared_out(probs.reshape(len(probs), -1).sum(1)), points[step])
    return texts


def laid_backwards(joint, order, u):
    """Here the probabilities are laid end to end from the last word on. Word 0 comes first."""
    return written(joint, order, u, pick=lambda probs, point: len(probs) - 1 - pick(probs.flip(0), point))


def one_too_far(joint, order, u):
    """Here each draw is one word too far. If u lies in the first word's part, the answer is 0."""
    return written(joint, order, u, pick=lambda probs, point: min(pick(probs, point) + 1, len(probs) - 1))


def whole_text_at_once(joint, order, u):
    """Here the whole text is drawn at once, with the first random number. That is a fair draw, but no order: draw word
    by word."""
    at = [pick(joint.flatten(), points[0]) for points in u]
    return torch.stack(torch.unravel_index(torch.tensor(at), joint.shape), 1)


any_order = Exercise(
    "2.4",
    "Any order, one distribution",
    ("joint", "order", "u"),
    write,
    joint_cases,
    (
        each_by_itself,
        left_to_right,
        order_as_rank,
        backwards,
        as_drawn,
        dice_by_place,
        likeliest,
        not_shared_out,
        maxima,
        unknown_taken_for_word_0,
        knows_the_one_before,
        laid_backwards,
        one_too_far,
        whole_text_at_once,
    ),
)
