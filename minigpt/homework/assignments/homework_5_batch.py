"""An exercise of homework 5: a batch of prompts of different lengths."""

import math

import torch

from ..exercise import MOST_DRAWS, STUCK, Exercise

PAD = 0


class Weights(dict):
    """A state dict that prints as names and shapes."""

    def __repr__(self):
        return f"{len(self)} tensors: " + ", ".join(f"{name} {tuple(w.shape)}" for name, w in self.items())


# ---- 5.3: a batch of prompts -------------------------------------------------------------------------


def scores(weights, input_ids, attention_mask, position_ids):
    """The model of hw5.ipynb: (B, T) three times -> (B, T, V)."""
    x = weights["wte"][input_ids] + weights["wpe"][position_ids]  # (B, T, C)
    q, k, v = (x @ weights["w_qkv"]).chunk(3, dim=-1)
    T = x.size(1)
    may_look = attention_mask.bool()[:, None] & torch.ones(T, T, dtype=torch.bool).tril()  # (B, T, T)
    shares = (q @ k.mT / math.sqrt(x.size(-1))).masked_fill(~may_look, -1e9).softmax(-1)
    return (x + shares @ v) @ weights["w_out"]


def continue_batch(weights, prompts, max_length, end):
    return continued(weights, prompts, max_length, end)[:, max(map(len, prompts)) :]


def counted(mask):
    """The place of each token among the real ones of its row."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def laid_out(prompts, left=True):
    """(ids, mask), (B, T) each, filled up with PAD."""
    longest = max(map(len, prompts))
    ids, mask = [], []
    for prompt in prompts:
        fill, ones = [PAD] * (longest - len(prompt)), [1] * len(prompt)
        ids.append(fill + prompt if left else prompt + fill)
        mask.append([0] * len(fill) + ones if left else ones + [0] * len(fill))
    return torch.tensor(ids), torch.tensor(mask)


def continued(weights, prompts, max_length, end, *, left=True, mask_of=lambda ids, mask: mask, positions=counted,
              seen=1, ended=lambda ids: torch.zeros(len(ids), dtype=torch.bool), together=False,
              call=scores):  # fmt: skip
    """The rows (B, max_length), prompts included, as greedy decoding fills them."""
    ids, mask = laid_out(prompts, left)
    mask, done = mask_of(ids, mask), ended(ids)
    while ids.size(1) < max_length:
        new = call(weights, ids, mask, positions(mask))[:, -1].argmax(-1)  # (B,)
        new = new.masked_fill(done, PAD)
        done = done | (new == end)
        if together and done.any():
            done = torch.ones_like(done)
        ids = torch.cat([ids, new[:, None]], 1)
        mask = torch.cat([mask, torch.full_like(new[:, None], seen)], 1)
    return ids


def batch_cases(generator):
    def draw(V, C, lengths, new, telling=False):
        """The token `end` stands in the first prompt; one text writes it halfway, another never does. `telling`: each
        known mistake gives other tokens, so that none passes by chance."""
        longest, B = max(lengths), len(lengths)
        for _ in range(MOST_DRAWS):
            sizes = {"wte": (V, C), "wpe": (longest + new, C), "w_qkv": (C, 3 * C), "w_out": (C, V)}
            weights = Weights({name: torch.randn(size, generator=generator) for name, size in sizes.items()})
            prompts = [torch.randint(V, (n,), generator=generator).tolist() for n in lengths]
            prompts[-1][0] = PAD  # is also a real token
            free, gap = freely(weights, prompts, longest + new)
            end = int(free[int(torch.randint(B, (), generator=generator)), new // 2])
            prompts[0][1] = end
            rows = continue_batch(weights, prompts, longest + new, end)
            at = [row.index(end) if end in row else new for row in rows.tolist()]
            case = weights, prompts, longest + new, end
            if end == PAD or not 0 < min(at) < new - 1 or new not in at or gap < 1e-2:  # or rounding would choose
                continue
            if not telling or not any(torch.equal(rows, wrong(*case)) for wrong in batch.mistakes):
                return case
        raise RuntimeError(STUCK)

    return [draw(7, 4, (3, 2), 4), draw(9, 5, (2, 4), 5), draw(11, 6, (4, 2, 5), 6), draw(13, 7, (2, 7, 5, 3), 6),
            draw(19, 8, (6, 3, 1), 7, telling=True)]  # fmt: skip


def freely(weights, prompts, max_length):
    """The new tokens (B, new) if nothing ends a text, and by how much the closest choice was made."""
    gaps = []

    def call(*inputs):
        logits = scores(*inputs)
        gaps.append(logits[:, -1].topk(2).values.diff().abs().min())
        return logits

    return new_tokens(weights, prompts, max_length, -1, call=call), min(gaps)


def new_tokens(weights, prompts, max_length, end, **how):
    return continued(weights, prompts, max_length, end, **how)[:, max(map(len, prompts)) :]


def padded_on_the_right(weights, prompts, max_length, end):
    """This is what you get with the padding on the right: the model continues the padding. The last place of each row
    has to be its last real token."""
    return new_tokens(weights, prompts, max_length, end, left=False)


def padding_read(weights, prompts, max_length, end):
    """This is what you get with a mask of ones: the padding is read as if it were text."""
    return new_tokens(weights, prompts, max_length, end, mask_of=lambda ids, mask: torch.ones_like(mask))


def positions_count_padding(weights, prompts, max_length, end):
    """This is what you get with the positions 0, 1, 2, … of the padded row. A prompt's first real token has position
    0, wherever it stands."""
    return new_tokens(weights, prompts, max_length, end,
                      positions=lambda mask: torch.arange(mask.size(1)).expand_as(mask))  # fmt: skip


def new_positions_by_column(weights, prompts, max_length, end):
    """This is what you get when only the prompt's positions leave out the padding: the new tokens go on from there."""
    longest = max(map(len, prompts))

    def positions(mask):
        columns = torch.arange(mask.size(1)).expand_as(mask)
        return torch.cat([counted(mask)[:, :longest], columns[:, longest:]], 1)

    return new_tokens(weights, prompts, max_length, end, positions=positions)


def zeros_taken_for_padding(weights, prompts, max_length, end):
    """This is what you get when every token 0 is taken for padding. It is a real token too: count lengths."""
    return new_tokens(weights, prompts, max_length, end, mask_of=lambda ids, mask: (ids != PAD).long())


def mask_inverted(weights, prompts, max_length, end):
    """This is what you get with the mask the wrong way round: 1 is for real tokens, 0 for padding."""
    return new_tokens(weights, prompts, max_length, end, mask_of=lambda ids, mask: 1 - mask)


def new_tokens_hidden(weights, prompts, max_length, end):
    """This is what you get when the mask has 0 for the new tokens: they are real, and the model has to read them."""
    return new_tokens(weights, prompts, max_length, end, seen=0)


def never_read_on(weights, prompts, max_length, end):
    """This is what you get when the model reads the prompt alone each time: it has to read what it wrote, too."""
    ids, mask = laid_out(prompts)
    first = scores(weights, ids, mask, counted(mask))[:, -1].argmax(-1, keepdim=True)
    rows = first.expand(-1, max_length - ids.size(1)).clone()
    rows[(first == end)[:, 0], 1:] = PAD
    return rows


def prompt_in_the_answer(weights, prompts, max_length, end):
    """These rows begin with the prompts. Return the new tokens alone: cut off as many columns as the padded prompts
    have."""
    return continued(weights, prompts, max_length, end)


def max_length_new_tokens(weights, prompts, max_length, end):
    """This writes max_length new tokens. max_length is the length of the whole row, padding and prompt included."""
    weights = weights | {"wpe": torch.cat([weights["wpe"], weights["wpe"][-1:].expand(max(map(len, prompts)), -1)])}
    return new_tokens(weights, prompts, max_length + max(map(len, prompts)), end)


def goes_on_after_the_end(weights, prompts, max_length, end):
    """This is what you get when a text goes on after its end token: from there on its row is filled with PAD."""
    return new_tokens(weights, prompts, max_length, -1)


def end_left_out(weights, prompts, max_length, end):
    """This is what you get with PAD in the end token's place: the end token itself stays in the row."""
    rows = continue_batch(weights, prompts, max_length, end)
    return rows.masked_fill(rows == end, PAD)


def all_stop_at_the_first_end(weights, prompts, max_length, end):
    """This is what you get when the first text that ends stops all: the others go on."""
    return new_tokens(weights, prompts, max_length, end, together=True)


def ended_by_the_prompt(weights, prompts, max_length, end):
    """This is what you get when an end token in the prompt ends the text: only a token that was written ends it."""
    return new_tokens(weights, prompts, max_length, end, ended=lambda ids: (ids == end).any(1))


batch = Exercise(
    "5.3",
    "One pad ruins a batch",
    ("weights", "prompts", "max_length", "end"),
    continue_batch,
    batch_cases,
    (
        padded_on_the_right,
        padding_read,
        positions_count_padding,
        new_positions_by_column,
        zeros_taken_for_padding,
        mask_inverted,
        new_tokens_hidden,
        never_read_on,
        prompt_in_the_answer,
        max_length_new_tokens,
        goes_on_after_the_end,
        end_left_out,
        all_stop_at_the_first_end,
        ended_by_the_prompt,
    ),
)
