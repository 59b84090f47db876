"""Beam search, batches and the repetition penalty against transformers on the same weights."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, RepetitionPenaltyLogitsProcessor

from minigpt.config import GPTConfig
from minigpt.decoding import beam_search, generate_batch
from minigpt.generate import generate, penalize_repetition
from minigpt.hf import export_gpt2
from minigpt.model import GPT, Seq2Seq

CONFIG = GPTConfig(vocab_size=30, block_size=40, n_layer=2, n_head=2, n_embd=16)


def make(kind=GPT, seed=0, scale=6.0):
    torch.manual_seed(seed)
    model = kind(CONFIG).eval()
    for p in model.parameters():  # a fresh model is almost undecided: make its choices matter
        p.data *= scale
    return model


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    ours = make()
    export_gpt2(ours, None, folder)
    return ours, AutoModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize("beams", [1, 2, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("stop", [3, 17])
def test_beam_search_equals_transformers(pair, beams, length_penalty, stop):
    ours, theirs = pair
    for seed in range(4):
        ids = torch.randint(30, (1, 3 + seed), generator=torch.Generator().manual_seed(seed))
        want = theirs.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, num_beams=beams, do_sample=False,
            length_penalty=length_penalty, eos_token_id=stop, pad_token_id=0, num_return_sequences=beams,
            return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        got = beam_search(ours, ids[0], 12, beams=beams, length_penalty=length_penalty, stop=[stop])
        for hypothesis, row in zip(got, want.sequences[:, ids.size(1) :], strict=True):
            assert hypothesis.tokens == row.tolist()[: len(hypothesis.tokens)]
        if beams > 1:
            scores = [h.score for h in got]
            assert scores == pytest.approx(want.sequences_scores.tolist(), abs=1e-4) and scores == sorted(scores)[::-1]


def test_one_beam_is_greedy_and_more_find_no_worse():
    model = make()
    greedy = list(generate(model, [1, 2], 10, temperature=0))
    assert beam_search(model, [1, 2], 10, beams=1)[0].tokens == greedy
    scores = [beam_search(model, [1, 2], 10, beams=b, length_penalty=0.0)[0].score for b in (1, 30)]
    assert scores[1] >= scores[0]


def test_two_steps_of_beam_search_find_the_best_of_all():
    model = make()
    first = model(torch.tensor([[1]]))[0, -1].log_softmax(-1)
    second = model(torch.tensor([[1, t] for t in range(30)]))[:, -1].log_softmax(-1)
    total = first[:, None] + second
    best = divmod(int(total.argmax()), 30)
    assert tuple(beam_search(model, [1], 2, beams=30, length_penalty=0.0)[0].tokens) == best


@pytest.mark.parametrize("penalty", [1.0, 1.3, 0.8])
def test_repetition_penalty_equals_transformers(penalty):
    logits, seen = torch.randn(3, 30), torch.randint(30, (3, 9))
    want = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits.clone())
    torch.testing.assert_close(penalize_repetition(logits, seen, penalty), want)
    if penalty == 1.0:
        assert torch.equal(want, logits)
    with pytest.raises(ValueError, match="repetition_penalty"):
        penalize_repetition(logits, seen, 0.0)


def test_repetition_penalty_acts_in_both_ways_of_generating():
    model = make()
    plain, penalised = (list(generate(model, [5], 20, temperature=0, repetition_penalty=p)) for p in (1.0, 5.0))
    assert len(set(penalised)) > len(set(plain))
    assert generate_batch(model, [[5], [5]], 20, temperature=0, repetition_penalty=5.0) == [penalised] * 2


def test_a_batch_says_what_each_prompt_would_say_alone():
    model = make()
    prompts = [[1], [2, 3, 4, 5, 6, 7], [8, 9, 10]]
    alone = [list(generate(model, p, 15, temperature=0, stop=[3])) for p in prompts]
    assert generate_batch(model, prompts, 15, temperature=0, stop=[3]) == alone
    assert len({tuple(a) for a in alone}) == 3


def test_encoder_decoder_generates_and_searches():
    model = make(Seq2Seq, scale=3.0)
    source = torch.randint(30, (2, 7))
    real = torch.tensor([[True] * 7, [True] * 4 + [False] * 3])
    context = model.encoder.hidden(source, real)
    batch = generate_batch(model.decoder, [[1], [1]], 8, temperature=0, context=context, context_padding=real)
    for b in range(2):
        one = {"context": context[b : b + 1], "context_padding": real[b : b + 1]}
        steps = [1]
        for _ in range(8):  # by definition: feed everything, take the best
            steps.append(int(model(source[b : b + 1], real[b : b + 1], torch.tensor([steps]))[0, -1].argmax()))
        assert list(generate(model.decoder, [1], 8, temperature=0, **one)) == steps[1:] == batch[b]
        assert list(generate(model.decoder, [1], 8, temperature=0, use_cache=False, **one)) == steps[1:]
        assert beam_search(model.decoder, [1], 8, beams=1, **one)[0].tokens == steps[1:]
        best = beam_search(model.decoder, [1], 8, beams=4, length_penalty=0.0, **one)[0]
        logp = model(source[b : b + 1], real[b : b + 1], torch.tensor([[1] + best.tokens[:-1]])).log_softmax(-1)
        told = sum(logp[0, t, token].item() for t, token in enumerate(best.tokens))
        assert best.score == pytest.approx(told, abs=1e-3)  # the score is the text's own log-probability


@pytest.mark.parametrize("call", [lambda m: beam_search(m, [1] * 35, 9), lambda m: generate_batch(m, [[1] * 35], 9)])
def test_what_does_not_fit_is_named(call):
    with pytest.raises(ValueError, match="at most 5 new tokens"):
        call(make())
    with pytest.raises(ValueError, match="beams=0"):
        beam_search(make(), [1], 2, beams=0)


THREE_WAYS = [
    lambda m, n: beam_search(m, [1], n),
    lambda m, n: generate_batch(m, [[1], [2, 3]], n, temperature=0),
    lambda m, n: generate_batch(m, [[1], [2, 3]], n),
    lambda m, n: list(generate(m, [1], n, temperature=0)),
    lambda m, n: list(generate(m, [1], n, use_cache=False)),
]


@pytest.mark.parametrize("call", THREE_WAYS)
@pytest.mark.parametrize("new", [1, 3])
@pytest.mark.parametrize("damage", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_named(call, new, damage):
    model = make()
    model.ln_f.weight.data[3] = damage
    with pytest.raises(FloatingPointError, match="scores are not numbers.*earlier checkpoint"):
        call(model, new)


@pytest.mark.parametrize("call", THREE_WAYS)
def test_a_model_is_left_in_the_mode_that_it_was_in(call):
    for training in (True, False):
        model = make().train(training)
        call(model, 2)
        assert model.training == training
        with pytest.raises(ValueError, match="max_new_tokens=-1 must not be negative"):
            call(model, -1)
        assert model.training == training and call(model, 0) in ([], [[], []])


def test_dropout_has_no_say_in_decoding():
    torch.manual_seed(0)
    model = GPT(replace(CONFIG, dropout=0.5)).train()
    for call in THREE_WAYS[:2]:
        assert call(model, 6) == call(model, 6)


def test_no_prompts_get_no_answers():
    assert generate_batch(make(), [], 5) == []
