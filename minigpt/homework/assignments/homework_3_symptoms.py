"""The fifth checked exercise of homework 3: bugs of a training loop, named by their symptoms.

The symptoms are measured: for each student, a healthy run and six others with a bug are made, on a language of the
student's own. The model is a bigram table, so that the gradient is short to write and a run takes milliseconds.
"""

from functools import lru_cache

import torch

from ..exercise import Prediction

NOT_SHIFTED, BY_TWO, NO_ZERO_GRAD, NOT_DIVIDED, LATE_CLIP, ONE_BATCH, SCHEDULE = BUGS = range(1, 8)
STEPS, KILLED, N, V = 40, 20, 4, 8  # updates, of them before the kill, batches of an update, tokens
LR, CLIP = 8.0, 0.12
LOOKS = (*range(0, STEPS, 5), STEPS - 1)


def texts(generator, *numbers, length=17):
    """For each number, so many texts (number, length) of one language, in which each token has its likely followers."""
    follows = (2.5 * torch.randn(V, V, generator=generator)).softmax(-1)
    said = torch.randint(V, (sum(numbers), 1), generator=generator)
    for _ in range(length - 1):
        said = torch.cat([said, follows[said[:, -1]].multinomial(1, generator=generator)], dim=1)
    return said.split(numbers)


def pairs(ids, shift):
    """(V, V): how often token y stands `shift` places after token x in texts (B, T)."""
    x, y = ids[:, : ids.size(1) - shift].flatten(), ids[:, shift:].flatten()
    return torch.bincount(x * V + y, minlength=V * V).view(V, V).float()


def mean_loss(w, counts):
    """The mean loss of the table w (V, V) on pairs so often counted."""
    return float(-(w.log_softmax(-1) * counts).sum() / counts.sum())


def log_of(bug, train, val):
    """A run with this bug (0: none). Rows: step, loss, validation loss, norm of the gradient, distance that w moves."""
    shift = {NOT_SHIFTED: 0, BY_TWO: 2}.get(bug, 1)
    w, kept, log = torch.zeros(V, V), torch.zeros(V, V), []
    for step, batches in enumerate(train.chunk(STEPS)):
        counts = pairs(batches, shift)  # of N batches of one size, so the mean of their means is the mean of all
        predicted = w.softmax(-1) * counts.sum(1, keepdim=True)
        gradient = (predicted - counts) / counts.sum() * (N if bug == NOT_DIVIDED else 1) + kept
        clipped = gradient * min(1.0, CLIP / float(gradient.norm()))
        kept = clipped if bug == NO_ZERO_GRAD else kept
        place = step - KILLED if bug == SCHEDULE and step >= KILLED else step  # in the schedule
        change = LR * (1 - place / STEPS) * (gradient if bug == LATE_CLIP else clipped)
        if step in LOOKS:
            seen = val.chunk(STEPS)[step] if bug == ONE_BATCH else val
            row = mean_loss(w, counts), mean_loss(w, pairs(seen, shift)), float(gradient.norm()), float(change.norm())
            log.append([step, *(round(number, 3) for number in row)])
        w = w - change
    return log


@lru_cache(maxsize=256)
def measured(seed):
    """Which bug each of six runs has, and the logs of a healthy run and of these six."""
    generator = torch.Generator().manual_seed(seed)
    train, val = texts(generator, STEPS * N * 4, STEPS * 2)
    bugs = tuple(BUGS[int(i)] for i in torch.randperm(len(BUGS), generator=generator)[:6])
    return bugs, [log_of(bug, train, val) for bug in (0, *bugs)]


def logs_of_a_student(generator):
    seed = int(torch.randint(2**31, (), generator=generator))
    names = ("healthy", *"ABCDEF")
    return {"seed": seed, "logs": {name: log for name, log in zip(names, measured(seed)[1], strict=True)}}


def bugs_of(seed, logs):
    return measured(seed)[0]


def exchanged(seed, one, other):
    """The right answer, but for two bugs that are taken for each other."""
    return tuple({one: other, other: one}.get(bug, bug) for bug in measured(seed)[0])


def counted_from_zero(seed, logs):
    """counted from 0. In the list of bugs, the first has the number 1."""
    return tuple(bug - 1 for bug in bugs_of(seed, logs))


def shifts_confused(seed, logs):
    """1 and 2 are taken for each other. Asked for the very token that it sees, a model copies, and its loss goes to 0;
    asked for the one after the next, it has a harder question than the healthy run."""
    return exchanged(seed, NOT_SHIFTED, BY_TWO)


def sums_confused(seed, logs):
    """3 and 4 are taken for each other. Both make the gradient too long. In the first update there is nothing left over
    yet, but there are N batches: look at the first row."""
    return exchanged(seed, NO_ZERO_GRAD, NOT_DIVIDED)


def lengths_confused(seed, logs):
    """4 and 5 are taken for each other. One has a longer *gradient* from the first row on, the other moves *further*
    with the same gradient: compare the last two columns."""
    return exchanged(seed, NOT_DIVIDED, LATE_CLIP)


def moves_confused(seed, logs):
    """5 and 7 are taken for each other. Both move further than the healthy run, one in the very first update, the other
    only after the kill."""
    return exchanged(seed, LATE_CLIP, SCHEDULE)


def remains_confused(seed, logs):
    """3 and 5 are taken for each other. In the first row one moves as the healthy run does, the other further."""
    return exchanged(seed, NO_ZERO_GRAD, LATE_CLIP)


def first_gradients_confused(seed, logs):
    """2 and 4 are taken for each other. N times the gradient is no other question: the loss goes the way of the healthy
    run. Another question has another loss."""
    return exchanged(seed, BY_TWO, NOT_DIVIDED)


def untouched_confused(seed, logs):
    """6 and 7 are taken for each other. A change in how one *looks* leaves the training as it was, to the last digit; a
    change in the schedule changes all that comes after it."""
    return exchanged(seed, ONE_BATCH, SCHEDULE)


symptoms = Prediction(
    "3.5",
    "Six bugs by their symptoms",
    logs_of_a_student,
    bugs_of,
    "In most of these the loss goes down as it should. It is the other columns, beside a healthy run's, that tell.",
    (
        counted_from_zero,
        shifts_confused,
        sums_confused,
        lengths_confused,
        moves_confused,
        remains_confused,
        first_gradients_confused,
        untouched_confused,
    ),
)
