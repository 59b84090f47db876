"""check(): accepts every right way, rejects every known mistake by its own name, and never raises."""

import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import minigpt.homework
from minigpt.figures import load_quiz
from minigpt.homework import check
from minigpt.homework.check import for_seed, grade, load_exercise
from minigpt.homework.exercise import Exercise, Prediction, ValueExercise

FOLDER = Path(minigpt.homework.__file__).parent
FILES = [*FOLDER.glob("exercises/page_*.py"), *FOLDER.glob("assignments/homework_[0-9].py")]
PAGES = sorted(f"{path.parent.name}.{path.stem}" for path in FILES)
MODULES = [importlib.import_module(f"minigpt.homework.{page}") for page in PAGES]
EXERCISES = [e for module in MODULES for e in module.EXERCISES]
TO_WRITE = [e for e in EXERCISES if isinstance(e, Exercise)]
TO_PREDICT = [e for e in EXERCISES if isinstance(e, ValueExercise)]
DRAWN = [e for e in EXERCISES if isinstance(e, Prediction)]
OF_PAGES = [e for module in MODULES if ".exercises." in module.__name__ for e in module.EXERCISES]
SEEDS = range(5)


def by_id(exercise):
    return exercise.id


# ---- known mistakes ------------------------------------------------------------------------------

MISTAKES = [pytest.param(e, m, id=f"{e.id}-{m.__name__}") for e in TO_WRITE for m in e.mistakes]
WRONG_VALUES = [pytest.param(e, v, id=f"{e.id}-{v}") for e in TO_PREDICT for v in e.mistakes]


@pytest.mark.parametrize("exercise, mistake", MISTAKES)
def test_each_mistake_is_rejected_and_named(exercise, mistake):
    for seed in SEEDS:
        result = grade(exercise, mistake, seed)
        assert result.status == "wrong"
        assert result.mistake == " ".join(mistake.__doc__.split())
        assert result.mistake in result.message


@pytest.mark.long
@pytest.mark.parametrize("exercise, mistake", MISTAKES)
def test_each_mistake_is_named_on_many_inputs(exercise, mistake):
    for seed in range(5, 25):
        assert grade(exercise, mistake, seed).mistake == " ".join(mistake.__doc__.split()), seed


@pytest.mark.parametrize("exercise", DRAWN, ids=by_id)
def test_a_prediction_names_every_mistake_for_every_student(exercise):
    assert len({str(for_seed(exercise, seed).answer) for seed in range(100)}) > 10
    for seed in range(100):
        numbers = exercise.draw(torch.Generator().manual_seed(seed))
        assert grade(exercise, exercise.answer(**numbers), seed).status == "right"
        for mistake in exercise.mistakes:
            result = grade(exercise, mistake(**numbers), seed)
            assert (result.status, result.mistake) == ("wrong", " ".join(mistake.__doc__.split())), (seed, numbers)


@pytest.mark.parametrize("exercise, value", WRONG_VALUES)
def test_each_wrong_value_is_rejected_and_named(exercise, value):
    result = grade(exercise, value)
    assert (result.status, result.mistake) == ("wrong", exercise.mistakes[value])


@pytest.mark.parametrize("exercise", TO_WRITE, ids=by_id)
def test_the_reference_is_right_and_inputs_come_from_the_seed(exercise):
    for seed in SEEDS:
        assert grade(exercise, exercise.reference, seed).status == "right"
    first, again, other = (exercise.cases(torch.Generator().manual_seed(s)) for s in (0, 0, 1))

    def flat(cases):
        return repr([v.tolist() if isinstance(v, torch.Tensor) else v for case in cases for v in case])

    assert flat(first) == flat(again)
    assert flat(first) != flat(other)


@pytest.mark.parametrize("exercise", TO_PREDICT, ids=by_id)
def test_the_answer_is_right(exercise):
    assert grade(exercise, exercise.answer).status == "right"


def test_ids_are_unique_and_belong_to_their_page():
    assert len({e.id for e in EXERCISES}) == len(EXERCISES)
    for module in MODULES:
        page = module.__name__.rpartition(".")[2].partition("_")[2].replace("_", ".")
        assert all(e.id.rpartition(".")[0] == page for e in module.EXERCISES)
        assert all(load_exercise(e.id) is e for e in module.EXERCISES)


# ---- right answers, however they are written -----------------------------------------------------


def with_library(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def with_einsum(q, k, v, mask):
    scores = torch.einsum("btd,bsd->bts", q, k) / q.shape[-1] ** 0.5
    if mask is not None:
        scores = torch.where(mask, scores, -torch.inf)
    return torch.einsum("bts,bse->bte", torch.softmax(scores, dim=2), v)


def with_loops(q, k, v, mask):
    out = torch.zeros(*q.shape[:2], v.shape[-1])
    for b in range(q.shape[0]):
        for t in range(q.shape[1]):
            seen = [s for s in range(k.shape[1]) if mask is None or mask[b, t, s]]
            products = [[q[b, t, i] * k[b, s, i] for i in range(q.shape[2])] for s in seen]
            scores = [sum(p) / math.sqrt(q.shape[2]) for p in products]
            powers = [math.exp(score - max(scores)) for score in scores]
            for s, power in zip(seen, powers, strict=True):
                out[b, t] += power / sum(powers) * v[b, s]
    return out


def one_text_at_a_time(q, k, v, mask):
    masks = [None] * len(q) if mask is None else mask
    return torch.stack([with_library(*text) for text in zip(q, k, v, masks, strict=True)])


def in_place(q, k, v, mask):
    q.div_(math.sqrt(q.size(-1)))
    scores = q.bmm(k.transpose_(1, 2))
    if mask is not None:
        scores.masked_fill_(mask.logical_not_(), float("-inf"))
    return scores.sub_(scores.amax(-1, keepdim=True)).exp_().div_(scores.sum(-1, keepdim=True)).bmm(v)


def in_float64(q, k, v, mask):
    return with_library(q.double(), k.double(), v.double(), mask)


def with_numpy(q, k, v, mask):
    q, k, v = q.numpy(), k.numpy(), v.numpy()
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    if mask is not None:
        scores = np.where(mask.numpy(), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def late_mask_renormalised(q, k, v, mask):
    scores = q.double() @ k.double().mT / math.sqrt(q.size(-1))
    seen = torch.ones_like(scores) if mask is None else mask.double()
    top = scores.masked_fill(seen == 0, -torch.inf).amax(-1, keepdim=True)
    weights = (scores - top).clamp(max=500).exp() * seen
    return weights / weights.sum(-1, keepdim=True) @ v.double()


def as_lists(q, k, v, mask):
    return with_library(q, k, v, mask).tolist()


class AsModule(torch.nn.Module):
    def forward(self, q, k, v, mask):
        return with_library(q, k, v, mask).requires_grad_()


@pytest.mark.parametrize(
    "answer",
    [with_library, with_einsum, with_loops, one_text_at_a_time, in_place, in_float64, with_numpy,
     late_mask_renormalised, as_lists, AsModule(), lambda *a: with_library(*a)],
)  # fmt: skip
def test_4_1_2_accepts_every_right_way(answer):
    for seed in SEEDS:
        result = grade(load_exercise("4.1.2"), answer, seed)
        assert result.status == "right", result.message


def heads_by_library(x, w_qkv, w_o, n_head):
    C = x.size(-1)
    layer = torch.nn.MultiheadAttention(C, n_head, bias=False, batch_first=True)
    layer.in_proj_weight.data, layer.out_proj.weight.data = w_qkv.mT.contiguous(), w_o.mT.contiguous()
    return layer(x, x, x, attn_mask=torch.ones(x.size(1), x.size(1)).triu(1).bool(), need_weights=False)[0]


def heads_one_by_one(x, w_qkv, w_o, n_head):
    q, k, v = (x @ w_qkv).split(x.size(-1), dim=-1)
    D = x.size(-1) // n_head
    parts = [slice(h * D, (h + 1) * D) for h in range(n_head)]
    y = [F.scaled_dot_product_attention(q[..., p], k[..., p], v[..., p], is_causal=True) for p in parts]
    return sum(head @ w_o[p] for head, p in zip(y, parts, strict=True))


def heads_by_einsum(x, w_qkv, w_o, n_head):
    q, k, v = torch.einsum("btc,cphd->pbhtd", x, w_qkv.view(x.size(-1), 3, n_head, -1))
    scores = torch.einsum("bhtd,bhsd->bhts", q, k) / q.size(-1) ** 0.5
    scores += torch.full(scores.shape[-2:], -torch.inf).triu(1)
    return torch.einsum("bhts,bhsd,hdc->btc", scores.softmax(-1), v, w_o.view(n_head, -1, x.size(-1)))


@pytest.mark.parametrize("answer", [heads_by_library, heads_one_by_one, heads_by_einsum])
def test_4_1_3_accepts_every_right_way(answer):
    for seed in SEEDS:
        result = grade(load_exercise("4.1.3"), answer, seed)
        assert result.status == "right", result.message


@pytest.mark.parametrize("answer", [30, 30.0, torch.tensor(30), torch.tensor(29.99999), np.float32(30)])
def test_4_1_1_accepts_a_number_of_any_kind(answer):
    assert grade(load_exercise("4.1.1"), answer).status == "right"


def test_a_choice_may_be_typed_in_any_case():
    assert grade(load_exercise("4.1.4"), " b ").status == "right"


def test_a_shape_may_be_a_tuple_a_list_or_a_size():
    exercise = ValueExercise("0.0.1", "Shape", (2, 3), "", {(3, 2): "transposed."})
    for answer in [(2, 3), [2, 3], torch.Size([2, 3]), np.array([2, 3])]:
        assert grade(exercise, answer).status == "right"
    assert grade(exercise, [3, 2]).mistake == "transposed."


# ---- what the learner reads ----------------------------------------------------------------------


def stub(q, k, v, mask):
    """Your code here."""


def ellipsis(q, k, v, mask):
    return ...


def not_implemented(q, k, v, mask):
    raise NotImplementedError


@pytest.mark.parametrize("answer", [None, ..., NotImplemented, stub, ellipsis, not_implemented])
def test_an_open_exercise_is_not_an_error(answer, capsys):
    check("4.1.2", answer)
    assert capsys.readouterr().out == "4.1.2 Attention with a mask: not answered yet.\n"


def test_a_right_answer_hears_what_was_tested_and_no_more(capsys):
    check("4.1.2", with_library)
    out = capsys.readouterr().out
    assert "right" in out and "13 inputs" in out and "q (1, 2, 2) … (4, 10, 16)" in out
    assert "fail" not in out


def test_a_wrong_answer_hears_the_smallest_failing_input_first_its_shapes_then_its_values(capsys):
    check("4.1.2", lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v))
    out = capsys.readouterr().out
    assert out.index("mask: (1, 2, 3)") < out.index("without the mask.") < out.index("mask = [[[True, False")


WRONG_IN_FORM = {
    "IndexError: deliberate": lambda q, k, v, mask: (_ for _ in ()).throw(IndexError("deliberate")),
    "raised RuntimeError": lambda q, k, v, mask: q @ k @ v,
    "raised TypeError": lambda q: q,
    "raised SystemExit": lambda q, k, v, mask: exit(),
    "2 things": lambda q, k, v, mask: (with_library(q, k, v, mask), q),
    "a str": lambda q, k, v, mask: "done",
    "shape (1, 2)": lambda q, k, v, mask: with_library(q, k, v, mask)[..., 0],
    "torch.bool": lambda q, k, v, mask: with_library(q, k, v, mask) > 0,
    "torch.complex64": lambda q, k, v, mask: with_library(q, k, v, mask).to(torch.complex64),
    "is nan": lambda q, k, v, mask: with_library(q, k, v, mask) * torch.nan,
}


@pytest.mark.parametrize("said", WRONG_IN_FORM)
def test_a_wrong_form_has_its_own_message(said, capsys):
    check("4.1.2", WRONG_IN_FORM[said])
    out = capsys.readouterr().out
    assert said in out and "not yet" in out and "q: (1, 2, 2)" in out
    assert "This is" not in out  # no guess at a mistake


def test_a_result_in_place_of_the_function(capsys):
    check("4.1.2", torch.ones(2, 2))
    assert "without calling it" in capsys.readouterr().out


def test_an_unknown_mistake_is_not_given_a_name():
    assert grade(load_exercise("4.1.2"), lambda q, k, v, mask: with_library(q, k, v, mask) + 1).mistake is None


def test_a_mistake_in_the_wrong_form_is_not_given_a_name_either():
    def unmasked(q, k, v, mask):
        return F.scaled_dot_product_attention(q, k, v).to(torch.complex64)

    assert grade(load_exercise("4.1.2"), unmasked).mistake is None


def test_an_input_is_not_spoilt_by_an_answer_that_works_in_place():
    def spoil(q, k, v, mask):
        q.zero_(), k.zero_(), v.zero_()
        return torch.zeros(*q.shape[:2], v.shape[-1])

    result = grade(load_exercise("4.1.2"), spoil)
    assert result.status == "wrong" and "q = [[[0.0, 0.0]" not in result.message  # the input as it was given


class Hostile:
    """Raises whatever is asked of it."""

    def __getattribute__(self, name):
        raise RuntimeError("no")

    def __eq__(self, other):
        raise RuntimeError("no")

    __str__ = __repr__ = __len__ = __hash__ = None


@pytest.mark.parametrize("exercise", OF_PAGES, ids=by_id)
def test_check_never_raises(exercise, capsys):
    answers = [Hostile(), Hostile, lambda *a: Hostile(), object(), {}, [], (), "", float("nan"), 10**400, print]
    answers += [b"x", torch.empty(0), torch.ones(2, 3), [[1], [2, 3]]]
    answers += [lambda: 1, lambda *a: a, lambda *a: {}, lambda *a: 1 / 0]
    for answer in answers:
        check(exercise.id, answer)
        assert "right." not in capsys.readouterr().out.replace("Right.", "")


PLAIN = st.none() | st.booleans() | st.floats() | st.text() | st.integers()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.tuples(inner)))
def test_check_never_raises_on_any_value(value):
    for exercise_id in ("4.1.1", "4.1.2", "4.1.4"):
        check(exercise_id, value)


@pytest.mark.parametrize("exercise_id", ["9.9.9", "4.1.99", "9.1", "4.99", "", "../x", None, 9.1])
def test_an_unknown_exercise_is_said_to_be_unknown(exercise_id, capsys):
    check(exercise_id, None)
    assert "no exercise" in capsys.readouterr().out


# ---- quizzes -------------------------------------------------------------------------------------

QUIZZES = sorted(p.stem.replace("-", ".") for p in (FOLDER / "quizzes").glob("*.toml"))


@pytest.mark.parametrize("number", QUIZZES)
def test_a_quiz_cannot_be_guessed_from_its_form(number):
    questions = load_quiz(number)  # one right answer each, a reason for every option: load_quiz checks it
    places = [[o["correct"] for o in q["options"]].index(True) for q in questions]
    assert len(set(places)) > 1 and max(map(places.count, places)) <= len(places) / 2
    longest = [max(q["options"], key=lambda o: len(o["text"]))["correct"] for q in questions]
    assert sum(longest) <= len(questions) / 2
