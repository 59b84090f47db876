"""Homework 3: right answers however they are written, and what a student reads. test_homework.py tries the mistakes."""

import io
import json
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest
import regex
import torch
import torch.nn.functional as F
from judging import judge
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from minigpt.homework.assignments import homework_3_symptoms as symptoms
from minigpt.homework.assignments.homework_3 import learn, learn_merges
from minigpt.homework.assignments.homework_3_resume import killed_and_resumed
from minigpt.homework.assignments.homework_3_trip import learn_ids, round_trip, vocabulary
from minigpt.homework.assignments.homework_3_update import train
from minigpt.homework.check import given, grade, load_exercise
from minigpt.tokenizer import PRETOKEN, BPETokenizer, bytes_to_unicode

SOURCE = nbformat.read(Path(__file__).parents[1] / "chapters" / "homework" / "hw3.ipynb", as_version=4)
CELLS = {cell.metadata.nbgrader.grade_id: cell.source for cell in SOURCE.cells if "nbgrader" in cell.metadata}


def right(exercise_id, answer, seeds=range(3)):
    for result in judge(exercise_id, answer, seeds):
        assert result.status == "right", result.message


# ---- 3.1 -----------------------------------------------------------------------------------------


def by_regex(words, n):
    """As Sennrich et al. (2016) do it: words spelled with spaces, and a pattern that finds whole parts alone."""
    spelled, found = {" ".join(word): times for word, times in words.items()}, []
    for _ in range(n):
        counts = Counter()
        for text, times in spelled.items():
            for pair in pairwise(text.split()):
                counts[pair] += times
        if not counts:
            return found
        found.append(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[0][0])
        whole = regex.compile(rf"(?<!\S){regex.escape(' '.join(found[-1]))}(?!\S)")
        spelled = {whole.sub("".join(found[-1]), text): times for text, times in spelled.items()}
    return found


def by_indices(words, n):
    """Every occurrence written out; lists for pairs."""
    rows, merges = [list(word) for word, times in words.items() for _ in range(times)], []
    while len(merges) < n and any(len(row) > 1 for row in rows):
        pairs = [(row[i], row[i + 1]) for row in rows for i in range(len(row) - 1)]
        best = sorted(set(pairs), key=lambda pair: (-pairs.count(pair), pair))[0]
        merges.append(list(best))
        for row in rows:
            i = 0
            while i < len(row) - 1:
                if (row[i], row[i + 1]) == best:
                    row[i] += row.pop(i + 1)
                i += 1
    return merges


@pytest.mark.parametrize("answer", [by_regex, by_indices, lambda words, n: tuple(by_regex(words, n))])
def test_3_1_accepts_every_right_way(answer):
    right("3.1", answer)


def test_3_1_is_the_example_of_the_notebook():
    assert learn_merges({"aaab": 2, "cab": 3}, 2) == [("a", "b"), ("c", "ab")]
    assert '[("a", "b"), ("c", "ab")]' in str(SOURCE.cells)
    assert learn_merges({"aaa": 1}, 3) == [("a", "a"), ("aa", "a")]  # and then nothing is left


def test_3_1_counts_and_joins_as_hugging_face_does():
    """On words whose counts never tie, so that their rule for ties does not matter."""
    words = {"banana": 17, "bandana": 6, "cabana": 1, "nab": 9, "aaab": 29, "aab": 2}
    mine, alphabet = learn_merges(words, 5), set("".join(words))
    for least in range(1, 6):  # whichever wins a tie, the same merges: so there was none
        last = learn(words, least, choose=lambda counts: max(counts, key=lambda pair: (counts[pair], pair)))
        assert last == mine[:least]
    theirs = Tokenizer(models.BPE())
    theirs.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(vocab_size=len(alphabet) + 5, show_progress=False)
    theirs.train_from_iterator([" ".join([word] * times) for word, times in words.items()], trainer)
    assert json.loads(theirs.to_str())["model"]["merges"] == [list(pair) for pair in mine]


# ---- 3.2 -----------------------------------------------------------------------------------------


def merges_in_turn(text, merges, stop):
    """Each merge once, in the order learned; on the way back, all bytes so far decoded again and again."""
    ids = []
    for word in regex.findall(PRETOKEN, text):
        parts = [*word.encode("utf8")]
        for number, (left, right) in enumerate(merges):
            made = []
            for part in parts:
                if made and made[-1] == left and part == right:
                    made[-1] = 256 + number
                else:
                    made.append(part)
            parts = made
        ids += parts
    tokens, said, shown, pieces = vocabulary(merges), b"", "", []
    for i, id in enumerate(ids[:stop]):
        said += tokens[id]
        now = said.decode("utf-8", errors="replace")
        if i < stop - 1:
            now = now.rstrip("\ufffd")
        pieces.append(now[len(shown) :])
        shown = now
    return ids, pieces


def by_first_bytes(text, merges, stop):
    """Waiting bytes are counted by hand; the ids are a tensor."""
    ids, _ = merges_in_turn(text, merges, stop)
    tokens, waiting, pieces = vocabulary(merges), b"", []
    for id in ids[:stop]:
        waiting += tokens[id]
        end = 0
        while end < len(waiting):
            first = waiting[end]
            size = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            if end + size > len(waiting):
                break
            end += size
        pieces.append(waiting[:end].decode())
        waiting = waiting[end:]
    if waiting:
        pieces[-1] += "�"
    return torch.tensor(ids), tuple(pieces)


def by_this_book(text, merges, stop):
    tokens = vocabulary(merges)
    table = {bytes([i]): i for i in range(256)} | {token: 256 + i for i, token in enumerate(tokens[256:])}
    ids = BPETokenizer(table, [(tokens[a], tokens[b]) for a, b in merges], {}).encode(text)
    return ids, round_trip(text, merges, stop)[1]


@pytest.mark.parametrize("answer", [merges_in_turn, by_first_bytes, by_this_book])
def test_3_2_accepts_every_right_way(answer):
    right("3.2", answer)


def test_3_2_is_the_example_of_the_notebook_and_brings_every_text_back():
    assert round_trip("é!", [], 3) == ([195, 169, 33], ["", "é", "!"])
    assert 'is `[195, 169, 33], ["", "é", "!"]`' in str(SOURCE.cells)
    dice = random.Random(0)
    for _ in range(50):
        text = "".join(dice.choice("aaab 'té中🙂\n2") for _ in range(30))
        ids, pieces = round_trip(text, learn_ids(text, 10), None)
        assert "".join(pieces) == text and len(ids) == len(pieces)
        assert bytes(round_trip(text, [], None)[0]) == text.encode()


def test_3_2_encodes_as_hugging_face_does():
    text = "'the banana café — 中文中文 🙂🙂 it's    indented, don't 2x x2 aaaa"
    merges = learn_ids(text * 2, 40)
    tokens, show = vocabulary(merges), bytes_to_unicode()
    spelled = ["".join(show[byte] for byte in token) for token in tokens]
    assert len(set(spelled)) == len(spelled)
    theirs = Tokenizer(models.BPE({token: i for i, token in enumerate(spelled)},
                                  [(spelled[a], spelled[b]) for a, b in merges]))  # fmt: skip
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert round_trip(text, merges, 0)[0] == theirs.encode(text).ids


def test_3_2_gives_half_to_who_forgets_the_unfinished_end():
    def hopeful(text, merges, stop):
        ids, pieces = round_trip(text, merges, stop)
        return ids, [piece.replace("\ufffd", "") for piece in pieces]

    assert [r.share for r in judge("3.2", hopeful)] == [0.5] * 3


# ---- 3.3 -----------------------------------------------------------------------------------------


def in_one_batch(w, ids, scored, lr, clip):
    """Without accumulation: all texts of an update at once. The weights are a Parameter, changed in place."""
    w = torch.nn.Parameter(w)
    for texts, masks in zip(ids.flatten(1, 2), scored.flatten(1, 2), strict=True):
        w.grad = None
        log_probs = w.log_softmax(-1)[texts[:, :-1]].gather(-1, texts[:, 1:, None])[..., 0]
        (-log_probs[masks[:, 1:]].mean()).backward()
        norm = w.grad.norm()
        with torch.no_grad():
            w -= lr * w.grad * (clip / norm if norm > clip else 1)
    return w


def by_numpy(w, ids, scored, lr, clip):
    w, ids, scored = w.double().numpy(), ids.numpy(), scored.numpy()
    for batches, masks in zip(ids, scored, strict=True):
        gradient, count = np.zeros_like(w), 0
        for text, mask in zip(batches.reshape(-1, ids.shape[-1]), masks.reshape(-1, ids.shape[-1]), strict=True):
            for t in range(len(text) - 1):
                if mask[t + 1]:
                    p = np.exp(w[text[t]] - w[text[t]].max())
                    gradient[text[t]] += p / p.sum()
                    gradient[text[t], text[t + 1]] -= 1
                    count += 1
        gradient /= count
        w = w - lr * gradient * min(1, clip / np.linalg.norm(gradient))
    return w


def scaled_at_the_end(w, ids, scored, lr, clip):
    """Sums are accumulated, and the gradient is divided just before it is clipped; the model is an nn.Embedding."""
    model = torch.nn.Embedding.from_pretrained(w, freeze=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for batches, masks in zip(ids, scored, strict=True):
        count = 0
        for batch, mask in zip(batches, masks, strict=True):
            losses = F.cross_entropy(model(batch[:, :-1]).mT, batch[:, 1:], reduction="none")
            (losses * mask[:, 1:]).sum().backward()
            count += int(mask[:, 1:].sum())
        for p in model.parameters():
            p.grad /= count
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad()
    return model.weight.data


def weighted_means(w, ids, scored, lr, clip):
    """The mean of each batch weighs as much as it has targets. A mean of nothing is NaN, but its gradient is 0."""
    w = w.clone().requires_grad_()
    for batches, masks in zip(ids, scored, strict=True):
        loss = 0
        for batch, mask in zip(batches, masks, strict=True):
            targets = batch[:, 1:].masked_fill(~mask[:, 1:], -100)
            loss = loss + F.cross_entropy(w[batch[:, :-1]].mT, targets) * (targets >= 0).sum() / masks[..., 1:].sum()
        (gradient,) = torch.autograd.grad(loss, w)
        w = (w - lr * gradient * (clip / gradient.norm()).clamp(max=1)).detach().requires_grad_()
    return w


@pytest.mark.parametrize("answer", [in_one_batch, by_numpy, scaled_at_the_end, weighted_means])
def test_3_3_accepts_every_right_way(answer):
    right("3.3", answer)


def test_3_3_by_hand():
    """Two tokens, all scores 0: each next token has probability ½, so the gradient of its row is (½, −½)."""
    ids, scored = torch.tensor([[[[0, 1, 1]]]]), torch.ones(1, 1, 1, 3, dtype=torch.bool)
    w = torch.zeros(2, 2)
    expected = torch.tensor([[-0.25, 0.25], [-0.25, 0.25]])  # two predictions, so half of ½ for each row
    torch.testing.assert_close(train(w, ids, scored, 1.0, 9.0), expected)
    torch.testing.assert_close(train(w, ids, scored, 1.0, 0.1), expected / 5, rtol=1e-4, atol=1e-5)  # its norm was ½
    scored[..., 1] = False
    torch.testing.assert_close(train(w, ids, scored, 1.0, 9.0), torch.tensor([[0.0, 0.0], [-0.5, 0.5]]))


def test_3_3_gives_half_to_who_fails_where_a_batch_has_nothing_to_score():
    def divided_twice(w, ids, scored, lr, clip):
        w = w.clone().requires_grad_()
        for batches, masks in zip(ids, scored, strict=True):
            w.grad = None
            for batch, mask in zip(batches, masks[..., 1:], strict=True):
                losses = F.cross_entropy(w[batch[:, :-1]].mT, batch[:, 1:], reduction="none")
                mean = (losses * mask).sum() / mask.sum()
                (mean * (mask.sum() / masks[..., 1:].sum())).backward()
            torch.nn.utils.clip_grad_norm_([w], clip)
            w = (w - lr * w.grad).detach().requires_grad_()
        return w

    for result in judge("3.3", divided_twice):
        assert result.share == 0.5 and "nan" in result.message


# ---- 3.4 -----------------------------------------------------------------------------------------


def in_the_notebook(source, extra=""):
    """killed_and_resumed() of the notebook's own cell, with this answer before it."""
    space = {"torch": torch, "F": F, "io": io}
    exec(source + extra, space)
    exec(CELLS["3.4-kill"], space)
    return space["killed_and_resumed"]


SOLUTION = CELLS["3.4"]
BY_HAND = '''
def run(w, data, seed, total, until, checkpoint=None):
    state = checkpoint or {"w": w, "m": 0 * w, "v": 0 * w, "step": 0,
                           "dice": torch.Generator().manual_seed(seed).get_state()}
    w, m, v, step = (state[name] for name in ("w", "m", "v", "step"))
    dice = torch.Generator()
    dice.set_state(state["dice"])
    for k in range(step, until):
        ids = data[torch.randint(len(data), (2,), generator=dice)]
        x, y = ids[:, :-1].flatten(), ids[:, 1:].flatten()
        g = torch.zeros_like(w).index_add(0, x, (w[x].softmax(-1) - F.one_hot(y, len(w))) / len(x))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        step_size = 0.1 * (1 - k / total) / (1 - 0.9 ** (k + 1))
        w = w - step_size * m / ((v / (1 - 0.999 ** (k + 1))).sqrt() + 1e-8)
    return {"w": w, "m": m, "v": v, "step": until, "dice": dice.get_state()}
'''
REPLAYED = '''
def run(w, data, seed, total, until, checkpoint=None):
    model = torch.nn.Embedding.from_pretrained(w.clone(), freeze=False)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / total)
    dice, done = torch.Generator().manual_seed(seed), 0
    if checkpoint is not None:
        model.load_state_dict({"weight": checkpoint["w"]})
        optimizer.load_state_dict(checkpoint["optimizer"])
        schedule.load_state_dict(checkpoint["schedule"])
        done = checkpoint["done"]
    for step in range(until):
        batch = data[torch.randint(len(data), (2,), generator=dice)]
        if step < done:
            continue  # the dice are thrown again, and nothing is learned
        optimizer.zero_grad()
        F.cross_entropy(model(batch[:, :-1]).mT, batch[:, 1:]).backward()
        optimizer.step()
        schedule.step()
    return {"w": model.weight, "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "done": until}
'''


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")
@pytest.mark.parametrize("source", [SOLUTION, BY_HAND, REPLAYED], ids=["solution", "by hand", "dice replayed"])
def test_3_4_accepts_every_right_design(source):
    right("3.4", in_the_notebook(source), range(2))


def test_3_4_ends_where_a_run_ends_that_was_never_killed():
    case = load_exercise("3.4").cases(torch.Generator().manual_seed(0))[1]
    *rest, total, kill_at = case
    whole = killed_and_resumed(*rest, total, 0)
    torch.testing.assert_close(killed_and_resumed(*case), whole)
    torch.testing.assert_close(killed_and_resumed(*rest, total, total), whole)


@pytest.mark.parametrize("spoilt, said", [
    (SOLUTION.replace('dice.set_state(checkpoint["dice"])', "pass"), "dice begin anew"),
    (SOLUTION.replace('optimizer.load_state_dict(checkpoint["optimizer"])', "pass"), "Adam begins anew"),
    (SOLUTION.replace('step = checkpoint["step"]', "pass"), "count of steps begins anew"),
    (SOLUTION.replace('(checkpoint["w"] if checkpoint else w)', "w"), "weights begin anew"),
    (SOLUTION.replace('"optimizer": optimizer.state_dict()', '"optimizer": optimizer'), "a living object"),
    (SOLUTION.replace('"dice": dice.get_state()', '"dice": dice'), "a living object"),
    (SOLUTION.replace('return {"w"', 'return w.detach(), {"v"'), "dictionary"),
    ("def run(*_):\n    ...", "not answered yet"),
])  # fmt: skip
def test_3_4_finds_what_is_lost(spoilt, said):
    assert spoilt != SOLUTION
    result = judge("3.4", in_the_notebook(spoilt), range(1))[0]
    assert result.status != "right" and said in result.message


def test_3_4_finds_what_is_kept_outside_the_checkpoint():
    in_a_global = SOLUTION.replace("def run(", "KEPT = {}\n\n\ndef run(").replace("return {", "KEPT.update({")
    in_a_global = in_a_global.rstrip().replace('"step": step}', '"step": step})\n    return {"w": w.detach()}')
    for name in ("optimizer", "dice", "step"):
        in_a_global = in_a_global.replace(f'checkpoint["{name}"]', f'KEPT["{name}"]')
    result = judge("3.4", in_the_notebook(in_a_global), range(1))[0]
    assert result.status == "wrong"


# ---- 3.5 -----------------------------------------------------------------------------------------


def diagnosed(logs):
    """The solution of the notebook: rules that read the symptoms and nothing else."""
    space = {"logs": logs}
    exec(CELLS["3.5"], space)
    return space["bugs"]


@pytest.mark.parametrize("seeds", [range(12), pytest.param(range(12, 200), marks=pytest.mark.long)])
def test_3_5_can_be_told_from_the_symptoms_alone(seeds):
    exercise = load_exercise("3.5")
    for seed in seeds:
        numbers = exercise.draw(torch.Generator().manual_seed(seed))
        assert grade(exercise, diagnosed(numbers["logs"]), seed).status == "right", seed
        bugs = dict(zip(symptoms.bugs_of(**numbers), list(numbers["logs"].values())[1:], strict=True))
        healthy = numbers["logs"]["healthy"]
        for bug in (3, 4, 5, 7):  # what 3.6 says of them
            assert bug not in bugs or bugs[bug][-1][2] < healthy[-1][2] + 0.01


def test_3_5_measures_what_it_says():
    """The healthy run and two with a bug, by PyTorch's own backward, clipping and optimizer."""
    generator = torch.Generator().manual_seed(3)
    train, val = symptoms.texts(generator, symptoms.STEPS * symptoms.N * 4, symptoms.STEPS * 2)
    for bug in (0, symptoms.NO_ZERO_GRAD, symptoms.SCHEDULE):
        w = torch.nn.Parameter(torch.zeros(symptoms.V, symptoms.V))
        optimizer, log = torch.optim.SGD([w]), []
        for step, texts in enumerate(train.chunk(symptoms.STEPS)):
            if bug != symptoms.NO_ZERO_GRAD:
                optimizer.zero_grad()
            before, loss, seen = w.detach().clone(), 0.0, F.cross_entropy(w[val[:, :-1]].mT, val[:, 1:])
            for batch in texts.chunk(symptoms.N):
                part = F.cross_entropy(w[batch[:, :-1]].mT, batch[:, 1:]) / symptoms.N
                part.backward()
                loss += part.item()
            norm = torch.nn.utils.clip_grad_norm_([w], symptoms.CLIP)
            place = step - 20 if bug == symptoms.SCHEDULE and step >= 20 else step
            optimizer.param_groups[0]["lr"] = symptoms.LR * (1 - place / symptoms.STEPS)
            optimizer.step()
            if step in symptoms.LOOKS:
                log.append([step, loss, seen.item(), norm.item(), (w - before).norm().item()])
        ours = symptoms.log_of(bug, train, val)
        torch.testing.assert_close(torch.tensor(log), torch.tensor(ours), rtol=2e-3, atol=2e-3)


def test_3_5_belongs_to_the_student_and_says_how_many_are_right():
    logs = given("3.5", "alice")["logs"]
    assert logs == given("3.5", " Alice ")["logs"] != given("3.5", "bob")["logs"]
    exercise, numbers = load_exercise("3.5"), load_exercise("3.5").draw(torch.Generator().manual_seed(0))
    answer = list(exercise.answer(**numbers))
    answer[:3] = answer[1], answer[2], answer[0]
    assert "Right so far: 3 of 6." in grade(exercise, answer, 0).message


# ---- what a student reads of answers that are text -----------------------------------------------


@pytest.mark.parametrize("got, said", [
    (lambda words, n: None, "not answered"),
    (lambda words, n: [*learn_merges(words, n), ("x", "y")], "Your output has length 2"),
    (lambda words, n: [(b, a) for a, b in learn_merges(words, n)], "Your output[0][0] is 'c'; 'a' was expected"),
    (lambda words, n: "ab", "returned a str"),
    (lambda words, n: 1 / 0, "ZeroDivisionError"),
    (lambda words, n: {}, "returned a dict"),
])  # fmt: skip
def test_texts_are_compared_place_by_place(got, said):
    exercise = replace(load_exercise("3.1"), cases=lambda generator: [({"ac": 2, "a": 3}, 1), ({"bac": 2, "a": 3}, 1)])
    message = grade(exercise, got).message
    assert said in message and "The input's values" not in message


def test_a_text_is_shown_in_quotes_and_a_long_list_in_full():
    """Spaces count here, and a list that is too long for its line stands below, among the input's values."""
    long = [(97, 97), (256, 256), (257, 257), (258, 258), (104, 105), (105, 104), (106, 107), (107, 108), (109, 110)]
    exercise = replace(load_exercise("3.2"), cases=lambda generator: [("  aa", long, 3)], edges=0)
    message = grade(exercise, lambda text, merges, stop: ([], [])).message
    assert "text: '  aa'\n" in message and "merges: a list of 9\n" in message
    assert message.count("'  aa'") == 1 and "merges = [(97, 97), (256, 256)" in message


@pytest.mark.long
@pytest.mark.parametrize("exercise_id, answer", [
    ("3.1", by_regex), ("3.1", by_indices), ("3.2", merges_in_turn), ("3.2", by_first_bytes), ("3.3", in_one_batch),
    ("3.3", by_numpy), ("3.3", scaled_at_the_end), ("3.4", in_the_notebook(BY_HAND)),
])  # fmt: skip
def test_right_answers_are_right_on_many_inputs(exercise_id, answer):
    right(exercise_id, answer, range(3, 23))
