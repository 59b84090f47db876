"""The third checked exercise of homework 3: one update of the weights from several batches.

The model is a table `w` (V, V): row x holds the scores (logits) of the tokens that may follow token x.
"""

import torch
import torch.nn.functional as F

from ..exercise import Exercise

# ---- 3.3: one update from many batches ---------------------------------------------------------------


def losses_of(w, ids, scored, shift=1, mask_shift=1):
    """The losses of one batch (B, T) where a token is scored, in a row."""
    T = ids.size(1)
    steps = T - max(shift, mask_shift)
    logits, targets = w[ids[:, :steps]], ids[:, shift : shift + steps]
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return losses[scored[:, mask_shift : mask_shift + steps].flatten()]


def mean_of_all(parts):
    return torch.cat(parts).sum() / sum(len(part) for part in parts)


def norm_clipped(gradient, clip):
    return gradient * min(1.0, clip / (float(gradient.norm()) + 1e-6))


def trained(w, ids, scored, lr, clip, loss=mean_of_all, shorten=norm_clipped, keep=False, sign=-1, **how):
    w, kept = w.clone().requires_grad_(), torch.zeros_like(w)
    for batches, masks in zip(ids, scored, strict=True):
        parts = [losses_of(w, batch, mask, **how) for batch, mask in zip(batches, masks, strict=True)]
        (gradient,) = torch.autograd.grad(loss(parts), w)
        gradient = shorten(gradient + kept, clip)
        kept = gradient if keep else kept
        w = (w + sign * lr * gradient).detach().requires_grad_()
    return w.detach()


def train(w, ids, scored, lr, clip):
    return trained(w, ids, scored, lr, clip)


def never_emptied(w, ids, scored, lr, clip):
    """This is what you get without emptying the gradients: `backward` adds to what the update before has left."""
    return trained(w, ids, scored, lr, clip, keep=True)


def not_divided(w, ids, scored, lr, clip):
    """This is what you get by adding up the means of the N batches: the gradient is about N times too long. Divide by
    all scored tokens of the update."""
    return trained(w, ids, scored, lr, clip, loss=lambda parts: sum(part.mean() for part in parts))


def mean_of_means(w, ids, scored, lr, clip):
    """This is the mean of the N batches' means: the tokens of a batch with few scored ones then weigh more. Divide the
    sum of all losses by the number of all scored tokens of the update."""
    return trained(w, ids, scored, lr, clip, loss=lambda parts: sum(part.mean() for part in parts) / len(parts))


def summed(w, ids, scored, lr, clip):
    """This is the sum of the losses: the update follows their mean."""
    return trained(w, ids, scored, lr, clip, loss=lambda parts: torch.cat(parts).sum())


def over_all_tokens(w, ids, scored, lr, clip):
    """This divides by all predictions, also those that are not scored: divide by the scored ones."""
    predictions = ids[0, :, :, 1:].numel()
    return trained(w, ids, scored, lr, clip, loss=lambda parts: torch.cat(parts).sum() / predictions)


def last_batch_alone(w, ids, scored, lr, clip):
    """This is what you get from the last batch of each update: the gradients of the others were emptied before they
    were used."""
    return trained(w, ids[:, -1:], scored[:, -1:], lr, clip)


def update_for_each_batch(w, ids, scored, lr, clip):
    """This is what you get with an update after each batch: the N batches of an update are added up first."""
    return trained(w, ids.flatten(0, 1)[:, None], scored.flatten(0, 1)[:, None], lr, clip)


def not_shifted(w, ids, scored, lr, clip):
    """This is what you get without the shift: each token is asked for itself, which it can see."""
    return trained(w, ids, scored, lr, clip, shift=0, mask_shift=0)


def targets_not_shifted(w, ids, scored, lr, clip):
    """This asks each token for itself, where the *next* one is to be predicted. The mask is shifted and the targets are
    not."""
    return trained(w, ids, scored, lr, clip, shift=0)


def shifted_by_two(w, ids, scored, lr, clip):
    """This is what you get with a shift by two: row x of w holds the scores of the very next token."""
    return trained(w, ids, scored, lr, clip, shift=2, mask_shift=2)


def mask_not_shifted(w, ids, scored, lr, clip):
    """This is what you get with the mask of the tokens that are *read*: `scored` marks those that are predicted, so it
    is shifted with them."""
    return trained(w, ids, scored, lr, clip, mask_shift=0)


def everything_scored(w, ids, scored, lr, clip):
    """This is what you get without the mask: every token is scored, the prompt too."""
    return trained(w, ids, torch.ones_like(scored), lr, clip)


def prompt_scored(w, ids, scored, lr, clip):
    """This is the mask turned round: what should be scored is not, and the rest is."""
    return trained(w, ids, ~scored, lr, clip)


def never_clipped(w, ids, scored, lr, clip):
    """This is what you get without clipping, or by clipping after the step, when it is too late."""
    return trained(w, ids, scored, lr, clip, shorten=lambda gradient, clip: gradient)


def always_as_long_as_clip(w, ids, scored, lr, clip):
    """This makes every gradient as long as `clip`: shorter ones are left as they are."""
    return trained(w, ids, scored, lr, clip, shorten=lambda g, clip: g * clip / g.norm())


def each_number_clipped(w, ids, scored, lr, clip):
    """This clips each number of the gradient for itself: shorten the whole, so that it keeps its direction."""
    return trained(w, ids, scored, lr, clip, shorten=lambda g, clip: g.clamp(-clip, clip))


def each_batch_clipped(w, ids, scored, lr, clip):
    """This clips the gradient of each batch: add them up first, and clip the sum once."""
    w = w.clone()
    for batches, masks in zip(ids, scored, strict=True):
        gradient, n = torch.zeros_like(w), masks[..., 1:].sum()
        for batch, mask in zip(batches, masks, strict=True):
            leaf = w.clone().requires_grad_()
            (part,) = torch.autograd.grad(losses_of(leaf, batch, mask).sum() / n, leaf)
            gradient = norm_clipped(gradient + part, clip)
        w = w - lr * gradient
    return w


def uphill(w, ids, scored, lr, clip):
    """This goes uphill: the step is *against* the gradient."""
    return trained(w, ids, scored, lr, clip, sign=1)


def update_cases(generator):
    def draw(U, N, B, T, V, clip, empty=False):
        ids = torch.randint(V, (U, N, B, T), generator=generator)
        scored = torch.rand(U, N, B, T, generator=generator) < torch.linspace(0.8, 0.3, N)[:, None, None]
        scored[..., -1], scored[..., 0, 0], scored[..., 1] = True, True, False  # every batch has some, and some not
        if empty:
            scored[:, 0] = False
        return torch.randn(V, V, generator=generator), ids, scored, 1.5, clip

    sizes = [(1, 1, 1, 4, 3, 9.0), (1, 1, 2, 5, 3, 0.1), (1, 2, 1, 5, 4, 9.0), (2, 1, 2, 4, 3, 9.0),
             (1, 3, 2, 5, 4, 0.15), (2, 2, 3, 6, 5, 0.2), (4, 3, 2, 7, 6, 0.25), (3, 4, 2, 9, 8, 0.2)]  # fmt: skip
    return [*(draw(*size) for size in sizes), draw(2, 3, 2, 6, 5, 0.2, empty=True)]


update = Exercise(
    "3.3",
    "One update from many batches",
    ("w", "ids", "scored", "lr", "clip"),
    train,
    update_cases,
    (
        never_emptied,
        not_divided,
        mean_of_means,
        summed,
        over_all_tokens,
        last_batch_alone,
        update_for_each_batch,
        not_shifted,
        targets_not_shifted,
        shifted_by_two,
        mask_not_shifted,
        everything_scored,
        prompt_scored,
        never_clipped,
        always_as_long_as_clip,
        each_number_clipped,
        each_batch_clipped,
        uphill,
    ),
    edges=1,
)
