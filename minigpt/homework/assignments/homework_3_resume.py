"""The fourth checked exercise of homework 3: a run that is killed, and goes on as if it had not been.

The model is a table `w` (V, V): row x holds the scores (logits) of the tokens that may follow token x.
"""

import torch
import torch.nn.functional as F

from ..exercise import Exercise

BATCH, LR = 2, 0.1


def run_of(w, data, seed, total, kill_at, lost=(), rate=None, start=None, end=None):
    """A run, killed after `kill_at` steps, of which everything comes back but what is `lost`.

    rate: the learning rate after the kill, given the step. start, end: the steps after the kill, if they are not
    kill_at … total.
    """
    first, dice = w.clone().requires_grad_(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam([first], lr=LR)

    def steps(w, optimizer, dice, numbers, rate):
        for step in numbers:
            optimizer.param_groups[0]["lr"] = rate(step)
            ids = data[torch.randint(len(data), (BATCH,), generator=dice)]
            loss = F.cross_entropy(w[ids[:, :-1]].flatten(0, 1), ids[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def falling(step):
        return LR * (1 - step / total)

    steps(first, optimizer, dice, range(kill_at), falling)
    second = (w if "weights" in lost else first.detach()).clone().requires_grad_()
    again = torch.optim.Adam([second], lr=LR)
    if "moments" not in lost:
        again.load_state_dict(optimizer.state_dict())
    if "count" in lost:
        again.state[second]["step"].zero_()
    if "dice" in lost:
        dice.manual_seed(seed)
    steps(second, again, dice, range(kill_at if start is None else start, end or total), rate or falling)
    return second.detach()


def both(w, data, seed, total, kill_at, **how):
    """Two runs with their own dice (2, V, V): what one of them keeps in a global variable, the other overwrites."""
    return torch.stack([run_of(w, data, s, total, kill_at, **how) for s in (seed, seed + 1)])


def killed_and_resumed(w, data, seed, total, kill_at):
    return both(w, data, seed, total, kill_at)


def weights_lost(w, data, seed, total, kill_at):
    """This is what you get when the weights begin anew after the kill: put those of the checkpoint back."""
    return both(w, data, seed, total, kill_at, lost={"weights"})


def moments_lost(w, data, seed, total, kill_at):
    """This is what you get when Adam begins anew: its running means (and the number of its steps) are part of the
    run."""
    return both(w, data, seed, total, kill_at, lost={"moments"})


def count_lost(w, data, seed, total, kill_at):
    """This is what you get when Adam's means come back and its count of steps does not: it corrects the means by that
    count."""
    return both(w, data, seed, total, kill_at, lost={"count"})


def dice_lost(w, data, seed, total, kill_at):
    """This is what you get when the dice begin anew: the run sees the batches of its beginning once more. Keep the
    generator's state."""
    return both(w, data, seed, total, kill_at, lost={"dice"})


def moments_and_dice_lost(w, data, seed, total, kill_at):
    """Weights and step have come back; Adam's running means and the dice have not."""
    return both(w, data, seed, total, kill_at, lost={"moments", "dice"})


def only_weights_kept(w, data, seed, total, kill_at):
    """Only the weights have come back. The step, Adam's running means and the dice have begun anew, and with the step
    the learning rate: this is a second run, which starts from trained weights."""
    return both(w, data, seed, total, kill_at, lost={"moments", "dice"}, start=0)


def step_and_dice_lost(w, data, seed, total, kill_at):
    """Weights and Adam have come back; the step, and with it the learning rate, and the dice have begun anew."""
    return both(w, data, seed, total, kill_at, lost={"dice"}, start=0)


def step_lost(w, data, seed, total, kill_at):
    """This is what you get when the count of steps begins anew: all `total` steps follow the kill, at the high learning
    rates of the beginning. Keep the number of the step."""
    return both(w, data, seed, total, kill_at, start=0)


def schedule_restarted(w, data, seed, total, kill_at):
    """This is what you get when the learning rate jumps back to its beginning after the kill: it belongs to the step of
    the whole run."""
    return both(w, data, seed, total, kill_at, rate=lambda step: LR * (1 - (step - kill_at) / total))


def schedule_stretched(w, data, seed, total, kill_at):
    """This is what you get when the schedule starts anew over the steps that are left: it belongs to the whole run."""
    return both(w, data, seed, total, kill_at, rate=lambda step: LR * (1 - (step - kill_at) / (total - kill_at)))


def schedule_frozen(w, data, seed, total, kill_at):
    """This is what you get when the learning rate stays after the kill as it was: it goes on falling."""
    return both(w, data, seed, total, kill_at, rate=lambda step: LR * (1 - (kill_at - 1) / total))


def one_step_twice(w, data, seed, total, kill_at):
    """This is one step too many: the last one before the kill is done again. The checkpoint holds the number of steps
    that are *done*."""
    return both(w, data, seed, total, kill_at, start=kill_at - 1)


def one_step_left_out(w, data, seed, total, kill_at):
    """This is one step too few: after `kill_at` steps, the next has the number `kill_at`."""
    return both(w, data, seed, total, kill_at, start=kill_at + 1)


def not_gone_on(w, data, seed, total, kill_at):
    """These are the weights of the checkpoint: the run has not gone on after the kill."""
    return both(w, data, seed, total, kill_at, end=kill_at)


def rate_one_step_ahead(w, data, seed, total, kill_at):
    """This has the learning rate of the next step throughout: steps are counted from 0, and the first has the full
    rate."""
    return both(w, data, seed, total, 0, rate=lambda step: LR * (1 - (step + 1) / total))


def resume_cases(generator):
    def draw(V, texts, T, total, kill_at):
        data = torch.randint(V, (texts, T), generator=generator)
        seed = int(torch.randint(1000, (), generator=generator))
        return torch.randn(V, V, generator=generator), data, seed, total, kill_at

    return [draw(3, 5, 4, 5, 3), draw(4, 7, 6, 6, 2), draw(5, 20, 5, 9, 5)]


resume = Exercise(
    "3.4",
    "Kill and resume",
    ("w", "data", "seed", "total", "kill_at"),
    killed_and_resumed,
    resume_cases,
    (
        weights_lost,
        moments_lost,
        count_lost,
        dice_lost,
        moments_and_dice_lost,
        only_weights_kept,
        step_and_dice_lost,
        step_lost,
        schedule_restarted,
        schedule_stretched,
        schedule_frozen,
        one_step_twice,
        one_step_left_out,
        not_gone_on,
        rate_one_step_ahead,
    ),
)
