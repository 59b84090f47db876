"""Homework 2: the references against models, brute force and hand counts; right answers however they are written."""

import contextlib
import io
import math
from itertools import permutations
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from judging import MANY, every_right_way, judge
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

from minigpt.config import GPTConfig
from minigpt.data import IGNORE
from minigpt.homework.assignment import grade_id, solution_copy, student_copy
from minigpt.homework.assignments.homework_2 import guesses_know, no_such_city, nonsense, sees_cases
from minigpt.homework.assignments.homework_2_audit import batches, fault
from minigpt.homework.assignments.homework_2_orders import mean_view, nothing_by_nothing
from minigpt.homework.assignments.homework_2_writing import write
from minigpt.homework.check import NotYet, grade, load_exercise
from minigpt.masking import mask_tokens, permute_order
from minigpt.model import XLNet
from minigpt.objectives import cross_entropy

HOMEWORK = Path(__file__).resolve().parents[1] / "chapters" / "homework" / "hw2.ipynb"


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


# ---- the references ------------------------------------------------------------------------------


def test_2_1_counted_by_drawing_each_word_from_every_sentence():
    for seed in range(20):
        cities = nonsense.draw(dice(seed))
        assert sum(cities.values()) == 25
        sentences = [city for city, n in cities.items() for _ in range(n)]
        pairs = [f"{a.split()[0]} {b.split()[1]}" for a in sentences for b in sentences]
        share = sum(pair not in cities for pair in pairs) / len(pairs)
        assert no_such_city(**cities) == pytest.approx(share)
        assert grade(nonsense, share, seed).status == "right"
    alike = {"New York": 1, "New London": 1, "East London": 1, "San Francisco": 1}
    assert no_such_city(**alike) == pytest.approx(0.4375)  # as the third hint says


def guesses(model, ids, sees):
    """What XLNet's forward does, with a grid of ours in place of an order's: the last guesses (B, T, C)."""
    see, itself = sees[:, None].bool(), torch.eye(ids.size(1)).bool()
    positions = model.positions(ids, None, 0)
    h, angles = model.embed(ids, positions)
    g = model.query.expand_as(h) + model.wpe(positions)
    for block in model.h:
        before, h = h, block(h, mask=see | itself, angles=angles)
        g = block(g, stream=before, mask=see, angles=angles)
    return g


@torch.no_grad()
def measured(sees, layers):
    """Which words can change the guesses of a two-stream model with these grids: XLNet's own blocks and weights."""
    torch.manual_seed(0)
    T = sees.size(-1)
    model = XLNet(GPTConfig(vocab_size=T + 1, block_size=T, n_layer=layers, n_head=1, n_embd=8)).eval().double()
    for p in model.parameters():
        p.normal_(std=0.5)
    text = torch.arange(T).expand(len(sees), T)
    columns = []
    for j in range(T):
        other = text.clone()
        other[:, j] = T
        columns.append((guesses(model, text, sees) - guesses(model, other, sees)).abs().amax(-1) > 1e-9)
    return torch.stack(columns, dim=-1)


@pytest.mark.parametrize("case", range(10))
def test_2_2_is_what_a_model_of_two_streams_does(case):
    sees, layers = sees_cases(dice(1))[case]
    assert torch.equal(guesses_know(sees, layers), measured(sees, layers))


def test_2_2_an_order_never_leaks_and_all_but_its_own_does_in_the_second_layer():
    others = (1 - torch.eye(4)).long()[None]
    assert guesses_know(others, 1).tolist() == others.tolist()
    assert guesses_know(others, 2).tolist() == [[[1] * 4] * 4]
    for order in permutations(range(4)):
        rank = torch.tensor(order).argsort()
        sees = (rank[None, :] < rank[:, None]).float()[None]
        assert torch.equal(guesses_know(sees, 9).float(), sees)


@pytest.mark.parametrize("layers, loss", [(1, math.log(4) / 2), (2, 0.0)])
def test_2_6_the_friends_model_ends_where_the_notebook_says(layers, loss):
    """In page 2.3's world, one layer can do no better than to guess name and verb among four; two layers copy."""
    world = torch.tensor([[n, v, 8 + 2 * c, 9 + 2 * c] for n in range(4) for v in range(4, 8) for c in range(2)])
    torch.manual_seed(0)
    model = XLNet(GPTConfig(vocab_size=12, block_size=4, n_layer=layers, n_head=2, n_embd=32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(100):
        scores = model.lm_head(model.ln_f(guesses(model, world, 1 - torch.eye(4)[None])))
        now = cross_entropy(scores, world)
        optimizer.zero_grad()
        now.backward()
        optimizer.step()
    assert float(now.detach()) == pytest.approx(loss, abs=0.1)


def test_2_3_by_hand():
    order = torch.tensor([[2, 1, 3, 0]])  # 3 → 2 → 4 → 1
    assert mean_view(order, 4).tolist() == [[0, 1, 1, 1], [0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 0]]
    assert mean_view(order, 1).tolist() == [[0, 1, 1, 1], [0] * 4, [0] * 4, [0] * 4]
    every, off = torch.tensor(list(permutations(range(4)))), 1 - torch.eye(4)
    for last, share in ((4, 1 / 2), (3, 2 / 3), (2, 5 / 6), (1, 1)):
        assert torch.allclose(mean_view(every, last), share * off)


def test_2_3_agrees_with_the_ranks_and_the_targets_of_the_package():
    _, rank, targets = permute_order(torch.zeros(200, 6, dtype=torch.long), dice(), predict=1 / 3)
    shares = np.zeros((6, 6))
    for i in range(6):
        mine = rank[targets[:, i] != IGNORE]
        shares[i] = [(mine[:, j] < mine[:, i]).double().mean() for j in range(6)]
    assert np.allclose(mean_view(rank.argsort(dim=1), 2), shares)


def test_2_4_by_hand():
    joint = torch.tensor([[0.1, 0.3], [0.6, 0.0]])
    u = torch.tensor([[0.39, 0.26], [0.41, 0.9], [0.39, 0.24], [0.99, 0.01]])
    assert write(joint, [0, 1], u).tolist() == [[0, 1], [1, 0], [0, 0], [1, 0]]
    # Place 1 first: word 0 has 0.7, then place 0 has 1/7 and 6/7; word 1 has 0.3, then place 0 can only be 0.
    u = torch.tensor([[0.69, 0.14], [0.69, 0.15], [0.71, 0.99]])
    assert write(joint, [1, 0], u).tolist() == [[0, 0], [1, 0], [0, 1]]


def test_2_4_every_order_writes_the_same_texts_equally_often():
    joint = torch.tensor([[[4.0, 0.0], [1.0, 2.0], [0.0, 3.0]], [[1.0, 5.0], [0.0, 0.0], [2.0, 2.0]]]) / 20
    for order in permutations(range(3)):
        texts = write(joint, list(order), torch.rand(1500, 3, generator=dice()))
        found = torch.zeros(2, 3, 2).index_put(tuple(texts.T), torch.ones(()), accumulate=True) / 1500
        assert (found - joint).abs().max() < 0.04 and not found[joint == 0].any()


def big_batch(rate=0.15):
    ids = torch.randint(2, 90, (64, 100), generator=dice(3))
    ids[:, 60:] = ids[:, 60:].masked_fill(torch.arange(64)[:, None] % 3 == 0, 0)  # padding is 0, [MASK] 1
    return ids, *mask_tokens(ids, 1, 90, dice(4), rate, never=(0,))


def test_2_5_finds_the_package_in_order_and_each_fault_made_by_hand():
    ids, inputs, targets = big_batch()
    asked, text = targets != IGNORE, ids != 0
    following = torch.cat([ids[:, 1:], ids[:, :1]], dim=1)
    made = {
        0: (inputs, targets),
        1: (inputs, torch.where(text, ids, IGNORE)),
        2: (inputs, targets.masked_fill(inputs == ids, IGNORE)),
        3: (inputs, targets.masked_fill(asked & (inputs != ids) & (inputs != 1), IGNORE)),
        4: mask_tokens(ids, 1, 90, dice(4)),
        5: (inputs, torch.where(asked, inputs, IGNORE)),
        6: (ids.masked_fill(asked, 1), targets),
        7: (inputs, torch.where(asked & (following != 0), following, IGNORE)),
    }
    for number, (inputs, targets) in made.items():
        assert fault(ids, inputs, targets, 1, 0) == number


def test_2_5_finds_hugging_faces_batches_in_order():
    words = Tokenizer(WordLevel({"[PAD]": 0, "[MASK]": 1} | {f"w{i}": i for i in range(2, 90)}, "[PAD]"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", mask_token="[MASK]")
    ids = big_batch()[0]
    for wrong, options in ((0, {}), (6, {"mask_replace_prob": 1.0, "random_replace_prob": 0.0})):
        collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, seed=5, **options)
        batch = collate([{"input_ids": row[row != 0].tolist()} for row in ids])
        assert fault(ids, batch["input_ids"], batch["labels"], 1, 0) == wrong


def test_2_5_its_batches_have_exact_shares_and_an_accident():
    for ids, inputs, targets, mask_id, pad_id in batches(dice(9)):
        text, scored = ids != pad_id, targets != IGNORE
        assert not (ids == mask_id).any() and (text.sum(1) < text.size(1)).any() and text.sum() > 500
        if fault(ids, inputs, targets, mask_id, pad_id) == 0:
            assert float(scored[text].double().mean()) == pytest.approx(0.15, abs=1e-3)
            shares = [(inputs == mask_id)[scored], (inputs == ids)[scored]]
            assert [float(s.double().mean()) for s in shares] == pytest.approx([0.8, 0.1], abs=0.015)
        if fault(ids, inputs, targets, mask_id, pad_id) == 2:
            assert int((inputs == ids)[scored].sum()) == 1  # a random token that is the one which stood there
    found = [fault(*batch) for batch in batches(dice(9))]
    assert set(found) == set(range(8)) and found != [fault(*batch) for batch in batches(dice(10))]


# ---- right answers, however they are written -----------------------------------------------------


def by_search(sees, layers):
    out = []
    for grid in sees.tolist():
        T = len(grid)
        h, g = [{i} for i in range(T)], [set() for _ in range(T)]
        for _ in range(layers):
            before = [set(note) for note in h]
            for i in range(T):
                for j in range(T):
                    if grid[i][j]:
                        g[i] |= before[j]
                        h[i] |= before[j]
        out.append([[int(j in g[i]) for j in range(T)] for i in range(T)])
    return out


def by_power(sees, layers):
    sees = sees.double()
    return (sees @ (torch.eye(sees.size(-1)).double() + sees).matrix_power(layers - 1)).clamp(max=1)


def by_numpy(sees, layers):
    sees = sees.numpy().astype(bool)
    h = np.broadcast_to(np.eye(sees.shape[-1], dtype=bool), sees.shape)
    g = np.zeros_like(sees)
    for _ in range(layers):
        heard = (sees[..., None] & h[:, None]).any(2)
        h, g = h | heard, g | heard
    return g


def one_text_at_a_time(sees, layers):
    out = []
    for grid in sees:
        g, h = torch.zeros_like(grid), torch.eye(len(grid), dtype=grid.dtype)
        for _ in range(layers):
            heard = torch.einsum("ij,jk->ik", grid, h)
            g, h = torch.where(heard > 0, 1, g), torch.where(heard > 0, 1, h)
        out.append(g)
    return torch.stack(out)


def view_by_loops(orders, last):
    N, T = orders.shape
    out, times = [[0.0] * T for _ in range(T)], [0] * T
    for order in orders.tolist():
        for i in order[T - last :]:
            times[i] += 1
            for j in order[: order.index(i)]:
                out[i][j] += 1
    return [[n / times[i] if times[i] else 0 for n in row] for i, row in enumerate(out)]


def view_by_numpy(orders, last):
    ranks = np.argsort(orders.numpy(), 1)
    T = ranks.shape[1]
    with np.errstate(invalid="ignore"):
        rows = [np.mean(ranks[ranks[:, i] >= T - last] < ranks[ranks[:, i] >= T - last][:, [i]], 0)
                if (ranks[:, i] >= T - last).any() else np.zeros(T) for i in range(T)]  # fmt: skip
    return np.stack(rows)


def view_without_nan(orders, last):
    ranks = torch.zeros_like(orders).scatter_(1, orders, torch.arange(orders.size(1)).expand_as(orders))
    scored = torch.zeros_like(orders).scatter_(1, orders[:, -last:], 1).double()
    sees = (ranks[:, None] < ranks[:, :, None]).double()
    return (torch.einsum("ni,nij->ij", scored, sees) / scored.sum(0)[:, None]).nan_to_num()


def write_by_recursion(joint, order, u):
    def after(known, points):
        if len(known) == len(order):
            return known
        at = tuple(known.get(place, slice(None)) for place in range(joint.dim()))
        left = [place for place in range(joint.dim()) if place not in known]
        place = order[len(known)]
        others = tuple(k for k, p in enumerate(left) if p != place)
        probs = joint[at].sum(others) if others else joint[at]
        total, reached = sum(probs.tolist()), 0.0
        for word, p in enumerate(probs.tolist()):
            reached += p / total
            if points[0] < reached:
                return after(known | {place: word}, points[1:])

    texts = [after({}, points) for points in u.tolist()]
    return [[text[place] for place in range(len(order))] for text in texts]


def write_by_numpy(joint, order, u):
    joint, texts = joint.double().numpy(), np.zeros(u.shape, dtype=int)
    for n, points in enumerate(u.numpy()):
        weight = joint.copy()
        for place, point in zip(order, points, strict=True):
            rows = np.moveaxis(weight, place, 0).reshape(weight.shape[place], -1).sum(1)
            word = np.searchsorted(np.cumsum(rows / rows.sum()), point, side="right")
            keep = np.arange(weight.shape[place]) == word
            weight = weight * keep.reshape([-1 if p == place else 1 for p in range(weight.ndim)])
            texts[n, place] = word
    return texts


def write_all_texts_together(joint, order, u):
    N = len(u)
    table, drawn = joint.permute(order).expand(N, *(joint.size(p) for p in order)), []
    for k in range(len(order)):
        probs = table.reshape(N, table.size(1), -1).sum(-1)
        probs = probs / probs.sum(1, keepdim=True)
        drawn.append((probs.cumsum(1) <= u[:, k : k + 1]).sum(1))
        table = table[torch.arange(N), drawn[-1]]
    return torch.stack(drawn, 1)[:, torch.tensor(order).argsort()].float()


def audit_by_counts(ids, inputs, targets, mask_id, pad_id):
    rows = [r for t in zip(ids.tolist(), inputs.tolist(), targets.tolist(), strict=True) for r in zip(*t, strict=True)]
    text = [row for row in rows if row[0] != pad_id]
    scored = [row for row in text if row[2] != -100]
    masked = sum(read == mask_id for _, read, _ in scored) / len(scored)
    kept = sum(read == true for true, read, _ in scored) / len(scored)
    if len(scored) == len(text):
        return 1
    if any(row[2] != -100 or row[0] != row[1] for row in rows if row[0] == pad_id):
        return 4
    if all(row[1] == row[2] for row in scored):
        return 5
    if any(row[0] != row[2] for row in scored):
        return 7
    if masked == 1:
        return 6
    if 1 - masked - kept < 0.03:
        return 3
    return 2 if kept < 0.05 else 0


def audit_by_shares(ids, inputs, targets, mask_id, pad_id):
    ids, inputs, targets = (x.numpy() for x in (ids, inputs, targets))
    scored, text = targets != -100, ids != pad_id
    share = {
        4: (scored & ~text).sum() > 0,
        1: scored.sum() / text.sum() > 0.5,
        5: np.array_equal(targets[scored], inputs[scored]),
        7: not np.array_equal(targets[scored], ids[scored]),
        3: ((inputs != ids) & ~scored).any(),
        6: (inputs[scored] == mask_id).mean() > 0.97,
        2: (inputs[scored] == ids[scored]).mean() < 0.05,
        0: True,
    }
    return np.int64(next(number for number, found in share.items() if found))


def audit_as_float(*batch):
    return float(fault(*batch))


RIGHT = {
    "2.2": [by_search, by_power, by_numpy, one_text_at_a_time],
    "2.3": [view_by_loops, view_by_numpy, view_without_nan],
    "2.4": [write_by_recursion, write_by_numpy, write_all_texts_together],
    "2.5": [audit_by_counts, audit_by_shares, audit_as_float],
}


@MANY
@every_right_way(RIGHT)
def test_every_right_way_is_accepted(exercise_id, answer, seeds):
    for result in judge(exercise_id, answer, seeds):
        assert result.status == "right", result.message


def test_2_3_gives_half_to_who_divides_nothing_by_nothing():
    results = judge("2.3", nothing_by_nothing)
    assert [r.share for r in results] == [0.5] * 3 and all("is nan" in r.message for r in results)


# ---- what the student reads ----------------------------------------------------------------------


@pytest.mark.skipif(not HOMEWORK.exists(), reason="where mutants.py works there are no chapters")
@pytest.mark.parametrize("make", [student_copy, solution_copy])
def test_the_cells_that_show_what_came_out_run_in_an_open_notebook_too(make):
    space, out = {}, io.StringIO()
    with contextlib.redirect_stdout(out):
        for cell in make(nbformat.read(HOMEWORK, as_version=4)).cells:
            if cell.cell_type == "code":
                try:
                    exec(cell.source, space)
                except NotYet:
                    assert make is student_copy and grade_id(cell).startswith(("check-", "points"))
    said = out.getvalue()
    assert ("0.5000" in said) == ("tensor([[0, 0]," in said) == (make is solution_copy)


def test_the_first_input_that_fails_is_small_enough_to_read():
    for exercise_id, answer in (("2.2", lambda sees, _: sees), ("2.4", lambda joint, _, u: u.long())):
        for result in judge(exercise_id, answer):
            assert "The input's values:" in result.message
    assert all(load_exercise(f"2.{n}").mistakes for n in range(1, 6))
