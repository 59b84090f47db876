"""Homework 5: the library's own answers, right answers however they are written, and the lines a student may copy.

test_homework.py tries the mistakes.
"""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers as hf
from judging import MANY, every_right_way, judge
from safetensors.torch import load_file
from torch import nn

from minigpt.config import GPTConfig
from minigpt.homework.assignment import grade_id, is_check, solution_copy
from minigpt.homework.assignments.homework_5 import (
    call,
    exactly_k,
    next_probs,
    numbers_of_a_call,
    padded_call,
    pipeline_cases,
)
from minigpt.homework.assignments.homework_5_batch import batch_cases, continue_batch, continued, end_left_out, scores
from minigpt.homework.assignments.homework_5_port import gelu_by_tanh, output_not_turned, port_cases, ported_logits
from minigpt.homework.assignments.homework_5_search import all_texts, beam_search, search_cases
from minigpt.homework.check import grade, load_exercise
from minigpt.model import GPT

SOURCE = nbformat.read(Path(__file__).parents[1] / "chapters" / "homework" / "hw5.ipynb", as_version=4)
SEEDS = range(4)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def library_model(seed=0, **changes):
    """A small random GPT-2 of the library's, with every tensor away from its start."""
    torch.manual_seed(seed)
    sizes = {"vocab_size": 40, "n_positions": 48, "n_embd": 24, "n_layer": 2, "n_head": 3} | changes
    model = hf.GPT2LMHeadModel(hf.GPT2Config(**sizes, bos_token_id=1, eos_token_id=1)).eval()
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return model


# ---- 5.1 -----------------------------------------------------------------------------------------


class Ends(hf.LogitsProcessor):
    """Token 39 is what text 2 writes as its `end`-th new one, and nobody else ever. Nobody writes 0."""

    def __init__(self, width, end):
        self.at = width + end - 1

    def __call__(self, input_ids, scores):
        scores[:, [0, 39]] = -torch.inf
        if input_ids.size(1) == self.at:
            scores[1] = torch.full_like(scores[1], -torch.inf).index_fill(0, torch.tensor([39]), 0.0)
        return scores


def test_5_1_is_what_the_library_returns():
    assert call(a=5, b=3, c=9, max_length=20, end=4) == (20, 11, 13)  # by hand: 6 before the prompt, 7 after the end
    model = library_model()
    for seed in SEEDS:
        n = padded_call.draw(generator(seed))
        lengths = [n["a"], n["b"], n["c"]]
        ids = torch.tensor([[0] * (n["c"] - length) + [2] * length for length in lengths])
        rows = model.generate(
            ids, attention_mask=(ids != 0).long(), max_length=n["max_length"], do_sample=False, pad_token_id=0,
            eos_token_id=39, logits_processor=hf.LogitsProcessorList([Ends(n["c"], n["end"])]))  # fmt: skip
        seen = (rows.size(1), int((rows[0, n["c"] :] > 0).sum()), int((rows[1] == 0).sum()))
        assert grade(padded_call, seen, seed).status == "right", (n, seen)
    assert len({str(numbers_of_a_call(generator(seed))) for seed in range(50)}) > 40


# ---- 5.2 -----------------------------------------------------------------------------------------


def by_the_library(logits, seen, penalty, temperature, top_k, top_p):
    processors = hf.LogitsProcessorList([
        hf.RepetitionPenaltyLogitsProcessor(penalty), hf.TemperatureLogitsWarper(temperature),
        hf.TopKLogitsWarper(top_k), hf.TopPLogitsWarper(top_p)])  # fmt: skip
    return processors(seen, logits).softmax(-1)


def token_by_token(logits, seen, penalty, temperature, top_k, top_p):
    rows = []
    for row, text in zip(logits.tolist(), seen.tolist(), strict=True):
        scores = [z if i not in text else z / penalty if z > 0 else z * penalty for i, z in enumerate(row)]
        powers = [np.exp(z / temperature - max(scores) / temperature) for z in scores]
        bar = sorted(powers)[-top_k:][0]
        powers = [p if p >= bar else 0.0 for p in powers]
        kept, reached = [0.0] * len(powers), 0.0
        for i in sorted(range(len(powers)), key=lambda i: -powers[i]):
            if reached < top_p:
                kept[i] = powers[i] / sum(powers)
            reached += powers[i] / sum(powers)
        rows.append([p / sum(kept) for p in kept])
    return rows


def sorted_once(logits, seen, penalty, temperature, top_k, top_p):
    """In float64 and in sorted order all the way, as numpy does it."""
    z = logits.double().numpy()
    stands = np.zeros(z.shape, bool)
    np.put_along_axis(stands, seen.numpy(), True, axis=1)
    z = np.where(stands, np.where(z < 0, z * penalty, z / penalty), z) / temperature
    order = np.argsort(-z, axis=1, kind="stable")
    z = np.take_along_axis(z, order, 1)
    z = np.where(z < z[:, min(top_k, z.shape[1]) - 1, None], -np.inf, z)
    p = np.exp(z - z[:, :1])
    p /= p.sum(1, keepdims=True)
    p *= np.cumsum(p, 1) - p < top_p
    out = np.zeros_like(p)
    np.put_along_axis(out, order, p / p.sum(1, keepdims=True), 1)
    return out


def in_place(logits, seen, penalty, temperature, top_k, top_p):
    for b in range(len(logits)):
        for token in seen[b].unique():
            logits[b, token] *= penalty if logits[b, token] < 0 else 1 / penalty
    logits /= temperature
    if top_k < logits.size(1):
        logits[logits < logits.sort(descending=True).values[:, [top_k - 1]]] = -torch.inf
    probs = F.softmax(logits, dim=-1)
    for row in probs:
        for token in row.argsort():  # worst first: it goes while the others still reach top_p
            if row.sum() - row[token] >= top_p:
                row[token] = 0
    return probs / probs.sum(-1, keepdim=True)


def temperature_first(logits, seen, penalty, temperature, top_k, top_p):
    """Dividing by the temperature does not change a sign, so the penalty may come after it."""
    return by_the_library(logits / temperature, seen, penalty, 1.0, top_k, top_p)


def test_5_2_equals_the_library_and_the_numbers_of_the_page():
    for seed in SEEDS:
        for case in pipeline_cases(generator(seed)):
            torch.testing.assert_close(next_probs(*case), by_the_library(*case), atol=1e-5, rtol=0)
    page = next_probs(torch.tensor([[3.0, 2.0, 1.0, -1.0]]), torch.tensor([[0]]), 1.5, 0.5, 3, 0.9)
    torch.testing.assert_close(page, torch.tensor([[0.5, 0.5, 0.0, 0.0]]))


# ---- 5.3 -----------------------------------------------------------------------------------------


def each_alone(weights, prompts, max_length, end):
    new, longest = [], max(map(len, prompts))
    for prompt in prompts:
        ids = torch.tensor([prompt])
        while ids.size(1) < len(prompt) + max_length - longest:
            positions = torch.arange(ids.size(1))[None]
            logits = scores(weights, ids, torch.ones_like(ids), positions)[0, -1]
            ended = end in ids[0, len(prompt) :]
            ids = torch.cat([ids, torch.tensor([[0 if ended else int(logits.argmax())]])], 1)
        new.append(ids[0, len(prompt) :])
    return torch.stack(new)


def padded_anew(weights, prompts, max_length, end):
    """Lists that grow, filled up on the right in each step, and read at the last real place of each."""
    texts, longest = [list(p) for p in prompts], max(map(len, prompts))
    for _ in range(max_length - longest):
        T = max(map(len, texts))
        ids = torch.tensor([text + [0] * (T - len(text)) for text in texts])
        mask = torch.tensor([[1] * len(text) + [0] * (T - len(text)) for text in texts])
        logits = scores(weights, ids, mask, torch.arange(T).expand_as(ids))
        for b, text in enumerate(texts):
            ended = end in text[len(prompts[b]) :]
            text.append(0 if ended else int(logits[b, len(text) - 1].argmax()))
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


def as_the_library_does(weights, prompts, max_length, end):
    """Positions of padding are 1, the mask is boolean, what is done is known by its row, all rows are made at once."""
    longest, B = max(map(len, prompts)), len(prompts)
    rows, real = torch.zeros(B, max_length, dtype=torch.long), torch.ones(B, max_length, dtype=torch.bool)
    for b, prompt in enumerate(prompts):
        rows[b, longest - len(prompt) : longest] = torch.tensor(prompt)
        real[b, : longest - len(prompt)] = False
    for t in range(longest, max_length):
        mask = real[:, :t]
        positions = (mask.long().cumsum(-1) - 1).masked_fill(~mask, 1)
        new = scores(weights, rows[:, :t], mask, positions)[:, -1].softmax(-1).argmax(-1)
        rows[:, t] = new * ~(rows[:, longest:t] == end).any(1)
    return rows[:, longest:].float()


def test_5_3_equals_the_library():
    for seed in SEEDS:
        model = library_model(seed)

        def call(_, ids, mask, positions, model=model):
            return model(ids, attention_mask=mask, position_ids=positions).logits

        for _, prompts, max_length, end in batch_cases(generator(seed)):
            longest = max(map(len, prompts))
            ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
            mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
            for stop in (end, int(continued({}, prompts, max_length, -1, call=call)[0, longest + 1])):
                want = model.generate(ids, attention_mask=mask, max_length=max_length, do_sample=False, pad_token_id=0,
                                      eos_token_id=stop)  # fmt: skip
                got = continued({}, prompts, max_length, stop, call=call)
                assert got[:, : want.size(1)].equal(want)  # the library stops when all texts have ended
                assert not got[:, want.size(1) :].any()


# ---- 5.4 -----------------------------------------------------------------------------------------


def with_lists(logits, start, length, beams):
    step = logits.double().log_softmax(-1).tolist()
    texts = [(0.0, [])]
    for _ in range(length):
        more = [(score + p, [*text, token]) for score, text in texts
                for token, p in enumerate(step[text[-1] if text else start])]  # fmt: skip
        texts = sorted(more, key=lambda one: -one[0])[:beams]
    return [text for _, text in texts]


def with_products(logits, start, length, beams):
    probs = logits.softmax(-1).numpy()
    texts, product = np.full((1, 1), start), np.ones(1)
    for _ in range(length):
        candidates = product[:, None] * probs[texts[:, -1]]
        best = np.argsort(-candidates, axis=None)[:beams]
        parent, token = np.unravel_index(best, candidates.shape)
        texts, product = np.column_stack([texts[parent], token]), candidates[parent, token]
    return texts[:, 1:]


def with_impossible_beams(logits, start, length, beams):
    """As the library: all beams are there from the beginning, but only the first may be continued."""
    step, V = F.log_softmax(logits, 1), logits.size(0)
    texts = torch.full((beams, length + 1), start)
    total = torch.full((beams,), -torch.inf).index_fill(0, torch.tensor([0]), 0.0)
    for t in range(length):
        total, index = (total[:, None] + step[texts[:, t]]).view(-1).topk(beams)
        texts = texts[index.div(V, rounding_mode="floor")]
        texts[:, t + 1] = index.remainder(V)
    return texts[:, 1:]


def best_of_each_first(logits, start, length, beams):
    """The best of each text alone, then the best of these: none outside its own text's best can be among them."""
    step, texts = logits.log_softmax(-1), [([start], 0.0)]
    for _ in range(length):
        more = []
        for text, score in texts:
            best = step[text[-1]].topk(min(beams, len(step)))
            more += [([*text, int(i)], score + float(p)) for p, i in zip(*best, strict=True)]
        texts = sorted(more, key=lambda one: one[1], reverse=True)[:beams]
    return torch.tensor([text[1:] for text, _ in texts])


def test_5_4_equals_the_library():
    """A GPT-2 without blocks and positions looks at nothing but the last token: it is a matrix."""
    for seed in SEEDS:
        for logits, start, length, beams in search_cases(generator(seed)):
            V = len(logits)
            config = hf.GPT2Config(vocab_size=V, n_positions=16, n_embd=V + 1, n_layer=0, n_head=1,
                                   tie_word_embeddings=False, bos_token_id=None, eos_token_id=None)  # fmt: skip
            model = hf.GPT2LMHeadModel(config).eval()
            model.transformer.wte.weight.data = torch.eye(V, V + 1)
            model.transformer.wpe.weight.data.zero_()
            model.transformer.ln_f = nn.Identity()
            model.lm_head.weight.data = torch.cat([logits.T, torch.zeros(V, 1)], 1)
            row = torch.tensor([[start]])
            want = model.generate(row, attention_mask=torch.ones_like(row), max_new_tokens=length, num_beams=beams,
                                  num_return_sequences=beams, do_sample=False, pad_token_id=0)  # fmt: skip
            assert beam_search(logits, start, length, beams).equal(want[:, 1:])


def test_5_4_by_hand_and_greedy_is_not_likeliest():
    probs = torch.tensor([[0.1, 0.5, 0.4], [0.4, 0.3, 0.3], [0.05, 0.05, 0.9]])
    assert beam_search(probs.log(), 0, 2, 1).tolist() == [[1, 0]]  # 0.5 · 0.4 = 0.2
    assert beam_search(probs.log(), 0, 2, 2).tolist() == [[2, 2], [1, 0]]  # 0.4 · 0.9 = 0.36
    for seed in SEEDS:
        for logits, start, length, beams in search_cases(generator(seed)):
            wide = beam_search(logits, start, length, len(logits) ** length)
            assert wide[:beams].equal(all_texts(logits, start, length, beams))  # wide enough, nothing is missed
            assert not beam_search(logits, start, length, beams)[0].equal(beam_search(logits, start, length, 1)[0])


# ---- 5.5 -----------------------------------------------------------------------------------------


def in_the_library(theirs, config, input_ids):
    model = hf.GPT2LMHeadModel(hf.GPT2Config(**config, bos_token_id=None, eos_token_id=None)).eval()
    theirs = {"lm_head.weight": theirs["transformer.wte.weight"]} | theirs
    model.load_state_dict({name: w for name, w in theirs.items() if not name.endswith(".attn.bias")})
    with torch.no_grad():
        return model(input_ids).logits


def in_our_model(theirs, config, input_ids):
    """Names without "transformer.", four matrices turned round: what load_gpt2 does."""
    if config["activation_function"] != "gelu_new":
        return ported_logits(theirs, config, input_ids)  # our GPT has GPT-2's activation alone
    sizes = (config[n] for n in ("vocab_size", "n_positions", "n_layer", "n_head", "n_embd"))
    ours = GPT(GPTConfig(*sizes, norm_eps=config["layer_norm_epsilon"], tied="lm_head.weight" not in theirs)).eval()
    state = {name.removeprefix("transformer."): w for name, w in theirs.items() if not name.endswith(".attn.bias")}
    turned = re.compile(r".*(c_attn|c_proj|c_fc)\.weight")
    state = {name: w.T if turned.fullmatch(name) else w for name, w in state.items()}
    ours.load_state_dict({"lm_head.weight": state["wte.weight"]} | state)
    return ours(input_ids)


def with_numpy(theirs, config, input_ids):
    w = {name.removeprefix("transformer."): t.double().numpy() for name, t in theirs.items()}
    H, act = config["n_head"], nn.GELU("tanh" if config["activation_function"] == "gelu_new" else "none")

    def norm(name, x):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + config["layer_norm_epsilon"])
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    def linear(name, x):
        return x @ w[f"{name}.weight"] + w[f"{name}.bias"]

    T = input_ids.size(1)
    x = w["wte.weight"][input_ids.numpy()] + w["wpe.weight"][:T]
    for i in range(config["n_layer"]):
        q, k, v = np.split(linear(f"h.{i}.attn.c_attn", norm(f"h.{i}.ln_1", x)), 3, axis=-1)
        heads = []
        for q_h, k_h, v_h in zip(*(np.split(part, H, axis=-1) for part in (q, k, v)), strict=True):
            z = q_h @ k_h.swapaxes(1, 2) / np.sqrt(q_h.shape[-1]) + np.triu(np.full((T, T), -np.inf), 1)
            z = np.exp(z - z.max(-1, keepdims=True))
            heads.append(z / z.sum(-1, keepdims=True) @ v_h)
        x = x + linear(f"h.{i}.attn.c_proj", np.concatenate(heads, -1))
        inner = act(torch.from_numpy(linear(f"h.{i}.mlp.c_fc", norm(f"h.{i}.ln_2", x)))).numpy()
        x = x + linear(f"h.{i}.mlp.c_proj", inner)
    return norm("ln_f", x) @ w.get("lm_head.weight", w["wte.weight"]).T


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False}, {"activation_function": "gelu"},
                                     {"layer_norm_epsilon": 0.2, "n_layer": 11}])  # fmt: skip
def test_5_5_equals_the_library_on_its_own_file(tmp_path, changes):
    model = library_model(**changes)
    model.save_pretrained(tmp_path)
    theirs = load_file(tmp_path / "model.safetensors")
    assert ("lm_head.weight" in theirs) == ("tie_word_embeddings" in changes)
    ids = torch.randint(40, (3, 48))
    torch.testing.assert_close(ported_logits(theirs, model.config.to_dict(), ids), model(ids).logits, atol=1e-3, rtol=0)


def test_5_5_square_matrices_pass_in_silence():
    theirs, config, ids = port_cases(generator())[1]
    wrong = output_not_turned(theirs, config, ids)
    assert wrong.shape == ported_logits(theirs, config, ids).shape and wrong.isfinite().all()
    assert "nothing complains" in grade(load_exercise("5.5"), output_not_turned).message


def test_5_5_tells_the_two_gelus_apart_and_not_two_right_programs():
    """The distance between the GELUs is small, and must not be smaller than what rounding does to right answers."""
    exercise = load_exercise("5.5")
    for seed in range(10):
        cases = port_cases(generator(seed))
        for case, wrong in zip(cases, (None, None, None, gelu_by_tanh, None), strict=True):
            right, exact = ported_logits(*case), torch.as_tensor(with_numpy(*case))
            allowed = exercise.atol + exercise.rtol * exact.abs()
            assert ((right - exact).abs() < 0.3 * allowed).all()
            assert wrong is None or ((wrong(*case) - exact).abs() > 2 * allowed).any()


# ---- every right way -----------------------------------------------------------------------------

RIGHT = {
    "5.2": [by_the_library, token_by_token, sorted_once, in_place, temperature_first],
    "5.3": [each_alone, padded_anew, as_the_library_does],
    "5.4": [with_lists, with_products, with_impossible_beams, best_of_each_first],
    "5.5": [in_the_library, in_our_model, with_numpy],
}


@MANY
@every_right_way(RIGHT)
def test_every_right_way_is_accepted(exercise_id, answer, seeds):
    for result in judge(exercise_id, answer, seeds):
        assert result.status == "right", result.message


# ---- what the student reads ----------------------------------------------------------------------


def test_half_of_the_points_is_for_ordinary_inputs():
    def no_clamp(logits, seen, penalty, temperature, top_k, top_p):
        logits.topk(top_k)
        return next_probs(logits, seen, penalty, temperature, top_k, top_p)

    def always_as_many(logits, start, length, beams):
        logits[0].topk(beams)
        return beam_search(logits, start, length, beams)

    for exercise_id, answer in (("5.2", exactly_k), ("5.2", no_clamp), ("5.4", always_as_many)):
        assert [r.share for r in judge(exercise_id, answer)] == [0.5] * 3
    assert [r.share for r in judge("5.3", end_left_out)] == [0.0] * 3


def test_the_message_shows_names_and_shapes_of_a_state_dict():
    for exercise_id, said in (("5.5", "theirs: 16 tensors: transformer.wte.weight (5, 4), "),
                              ("5.3", "weights: 4 tensors: wte (7, 4), wpe (7, 4), w_qkv (4, 12), ")):  # fmt: skip
        message = grade(load_exercise(exercise_id), lambda *_: torch.zeros(1, 2)).message
        assert said in message and "has shape (1, 2)" in message and "tensor(" not in message


def test_the_models_of_the_notebook_are_those_of_the_check_and_its_lines_run(capsys):
    """What stands folded under “compare with the library” works as it is."""
    space = {}
    for cell in solution_copy(SOURCE).cells:
        if cell.cell_type == "code" and not is_check(cell) and grade_id(cell) != "points":
            exec(cell.source, space)
    for weights, prompts, max_length, end in batch_cases(generator()):
        mine = space["continue_batch"](weights, prompts, max_length, end)
        assert mine.equal(continue_batch(weights, prompts, max_length, end))
    snippets = [code for cell in SOURCE.cells if cell.cell_type == "markdown"
                for code in re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)]  # fmt: skip
    assert len(snippets) == 4
    for code in snippets[1:]:  # the first is the call of 5.1
        exec(code, space)
    printed = [float(number) for number in re.findall(r"tensor\(([\d.e-]+)", capsys.readouterr().out)]
    assert len(printed) == 2 and max(printed) < 1e-3
