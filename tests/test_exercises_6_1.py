"""The exercises of 6.1: right answers however they are written, and the package's own.

test_homework.py tries every listed mistake of every page; here are other spellings, and our metric and cache.
"""

import pytest
import torch
import torch.nn.functional as F
from judging import judge

from minigpt.attention import KVCache, attention
from minigpt.config import GPTConfig
from minigpt.generate import generate
from minigpt.homework.check import grade, load_exercise
from minigpt.metrics import distinct_n
from minigpt.model import GPT


def by_package(tokens, n):
    return distinct_n(tokens.tolist(), n)


def by_unfold(tokens, n):
    runs = tokens.unfold(1, n, 1).reshape(-1, n)
    return runs.unique(dim=0).size(0) / runs.size(0)


def by_strings(tokens, n):
    runs = [" ".join(map(str, row[i : i + n])) for row in tokens.tolist() for i in range(len(row) - n + 1)]
    return torch.tensor(len(dict.fromkeys(runs)) / len(runs))


@pytest.mark.parametrize("answer", [by_package, by_unfold, by_strings])
def test_6_1_2_accepts_every_right_way(answer):
    for result in judge("6.1.2", answer):
        assert result.status == "right", result.message


def by_library(q, k, v, keys, values):
    keys, values = torch.cat([keys, k.unsqueeze(1)], dim=1), torch.cat([values, v.unsqueeze(1)], dim=1)
    return F.scaled_dot_product_attention(q.unsqueeze(1), keys, values).squeeze(1)


def by_the_books_cache(q, k, v, keys, values):
    cache = KVCache(1, keys.size(0), keys.size(1) + 1, keys.size(2))
    cache.append(keys[None], values[None])
    out, _ = attention(q[None, :, None], *cache.append(k[None, :, None], v[None, :, None]))
    return out[0, :, 0]


def by_loops(q, k, v, keys, values):
    out = torch.zeros_like(v)
    for h in range(len(q)):
        seen = [*zip(keys[h], values[h], strict=True), (k[h], v[h])]
        powers = torch.stack([(q[h] @ key / len(key) ** 0.5).exp() for key, _ in seen])
        for power, (_, value) in zip(powers / powers.sum(), seen, strict=True):
            out[h] += power * value
    return out


@pytest.mark.parametrize("answer", [by_library, by_the_books_cache, by_loops])
def test_6_1_3_accepts_every_right_way(answer):
    for result in judge("6.1.3", answer):
        assert result.status == "right", result.message


def test_6_1_1_is_what_a_model_reads():
    read = {True: 0, False: 0}
    gpt = GPT(GPTConfig(vocab_size=9, block_size=16, n_layer=1, n_head=1, n_embd=8)).eval()
    for use in read:
        def count(table, arguments, output, use=use):
            read[use] += arguments[0].numel()

        hook = gpt.wte.register_forward_hook(count)
        list(generate(gpt, [1] * 10, 4, use_cache=use))
        hook.remove()
    assert (read[False], read[True]) == load_exercise("6.1.1").answer


def test_6_1_1_and_6_1_4_accept_their_answers_in_any_form():
    assert grade(load_exercise("6.1.1"), [46, 13]).status == "right"
    assert grade(load_exercise("6.1.4"), " c").status == "right"
