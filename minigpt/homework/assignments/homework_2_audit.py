"""An exercise of homework 2: batches for BERT, one of which may have a fault."""

import torch

from minigpt.data import IGNORE

from ..exercise import Exercise

# ---- 2.5: audit a batch ------------------------------------------------------------------------------

SOUND, EVERYWHERE, KEPT_UNSCORED, OTHERS_UNSCORED, PADDING, AS_READ, ALL_MASKED, SHIFTED = range(8)


def audit(ids, inputs, targets, mask_id, pad_id):
    return torch.tensor(fault(ids, inputs, targets, mask_id, pad_id))


def fault(ids, inputs, targets, mask_id, pad_id):
    """The number of the fault that this batch has, 0 if none."""
    real, scored = ids != pad_id, targets != IGNORE
    if (scored & ~real).any():
        return PADDING
    if scored[real].all():
        return EVERYWHERE
    if (targets != ids)[scored].any():
        return AS_READ if (targets == inputs)[scored].all() else SHIFTED
    if (inputs != ids)[~scored].any():
        return OTHERS_UNSCORED
    if (inputs == mask_id)[scored].all():
        return ALL_MASKED
    return KEPT_UNSCORED if (inputs == ids)[scored].float().mean() < 0.05 else SOUND


def batch(generator, B, T, V, wrong):
    """(ids, inputs, targets, mask_id, pad_id) with this fault. Of the tokens that are asked for exactly 80 % are
    hidden, 10 % become another token and 10 % stay, so that no share depends on luck."""
    def chosen(among, n):
        places = among.flatten().nonzero()[:, 0]
        places = places[torch.randperm(len(places), generator=generator)[:n]]
        return torch.zeros(among.numel(), dtype=torch.bool).index_fill(0, places, True).view_as(among)

    mask_id, pad_id = (int(i) for i in torch.randperm(V, generator=generator)[:2])
    words = torch.tensor([i for i in range(V) if i not in (mask_id, pad_id)])
    ids, other = words[torch.randint(len(words), (2, B, T), generator=generator)]
    ids[:, 3] = ids[:, 2]  # the same token twice in a row
    length = torch.randint(T // 2, T, (B,), generator=generator)
    length[0] = T
    real = torch.arange(T) < length[:, None]
    ids = ids.masked_fill(~real, pad_id)

    following = torch.cat([ids[:, 1:], torch.full((B, 1), pad_id)], dim=1)
    may = (following != pad_id) & real if wrong == SHIFTED else real | (wrong == PADDING)
    n = round(0.15 * int(may.sum()))
    asked = chosen(may, n)
    masked = chosen(asked, n - 2 * round(0.1 * n))
    changed = chosen(asked & ~masked, round(0.1 * n))
    other = torch.where(other == ids, words[(torch.searchsorted(words, ids) + 1) % len(words)], other)
    same = chosen(changed, 1)  # a random token may be the one that stood there
    other = torch.where(same, ids, other)

    inputs = torch.where(changed, other, ids).masked_fill(masked, mask_id)
    scored, target = asked, ids
    if wrong == EVERYWHERE:
        scored = real
    if wrong == KEPT_UNSCORED:
        scored = masked | changed
    if wrong == OTHERS_UNSCORED:
        scored = asked & ~changed
    if wrong == ALL_MASKED:
        inputs = ids.masked_fill(asked, mask_id)
    if wrong in (AS_READ, SHIFTED):
        target = inputs if wrong == AS_READ else following
    return ids, inputs, target.masked_fill(~scored, IGNORE), mask_id, pad_id


def batches(generator):
    faults = [*range(8), SOUND, *torch.randint(8, (3,), generator=generator).tolist()]
    faults = [faults[i] for i in torch.randperm(len(faults), generator=generator)]
    return [batch(generator, 20 + i, 50 + 2 * i, 50 + i, wrong) for i, wrong in enumerate(faults)]


def says(wrong, instead=SOUND):
    """An audit that says `instead` where a batch has the fault `wrong`."""
    def audit(*batch):
        found = fault(*batch)
        return torch.tensor(instead if found == wrong else found)

    return audit


def misses_everywhere(*batch):
    """This does not notice that every token is scored (1). Padding is not, even then: leave it out when you count."""
    return says(EVERYWHERE)(*batch)


def misses_kept(*batch):
    """This does not notice that tokens which stay as they are go unscored (2). They should be one in ten of the scored
    ones. A few may look as if they had stayed: a random token can be the one that stood there. Look at the share."""
    return says(KEPT_UNSCORED)(*batch)


def misses_others(*batch):
    """This does not notice that the tokens which became another one go unscored (3). Where does the input differ from
    the text?"""
    return says(OTHERS_UNSCORED)(*batch)


def misses_padding(*batch):
    """This does not notice that padding is asked for (4)."""
    return says(PADDING)(*batch)


def misses_as_read(*batch):
    """This does not notice that the targets are what the model reads (5): it would learn to copy [MASK]."""
    return says(AS_READ)(*batch)


def misses_all_masked(*batch):
    """This does not notice that all tokens asked for are hidden (6): none becomes another one, none stays."""
    return says(ALL_MASKED)(*batch)


def misses_shifted(*batch):
    """This does not notice that the targets are one place off (7), each the token after the one that was asked for."""
    return says(SHIFTED)(*batch)


def shifted_for_as_read(*batch):
    """This takes targets that are one place off (7) for targets as read (5). Both differ from the text: what else do
    they have to be?"""
    return says(SHIFTED, AS_READ)(*batch)


def as_read_for_shifted(*batch):
    """This takes targets as read (5) for targets that are one place off (7). Both differ from the text: what else do
    they have to be?"""
    return says(AS_READ, SHIFTED)(*batch)


def all_masked_for_kept(*batch):
    """This takes a batch in which all are hidden (6) for one whose kept tokens go unscored (2). In both, no scored
    token has stayed; are there scored tokens that became another one?"""
    return says(ALL_MASKED, KEPT_UNSCORED)(*batch)


def all_masked_for_others(*batch):
    """This takes a batch in which all are hidden (6) for one whose replaced tokens go unscored (3). In both, no scored
    token is another one; does the input differ from the text at places that are not scored?"""
    return says(ALL_MASKED, OTHERS_UNSCORED)(*batch)


def kept_and_others_exchanged(*batch):
    """This exchanges 2 and 3: whether those that stay, or those that become another token, go unscored."""
    found = fault(*batch)
    return torch.tensor({KEPT_UNSCORED: OTHERS_UNSCORED, OTHERS_UNSCORED: KEPT_UNSCORED}.get(found, found))


def everything_sound(*batch):
    """This finds all batches in order. Most of them are not."""
    return torch.tensor(SOUND)


collator = Exercise(
    "2.5",
    "Audit a batch",
    ("ids", "inputs", "targets", "mask_id", "pad_id"),
    audit,
    batches,
    (
        misses_everywhere,
        misses_kept,
        misses_others,
        misses_padding,
        misses_as_read,
        misses_all_masked,
        misses_shifted,
        shifted_for_as_read,
        as_read_for_shifted,
        all_masked_for_kept,
        all_masked_for_others,
        kept_and_others_exchanged,
        everything_sound,
    ),
)
