"""Sampling and generation against Hugging Face's processors, and the cache against no cache."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from minigpt.config import GPTConfig
from minigpt.generate import generate, next_token_probs, penalize_repetition, stream
from minigpt.model import GPT
from minigpt.tokenizer import BPETokenizer


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    model = GPT(GPTConfig(vocab_size=300, block_size=16, n_layer=2, n_head=2, n_embd=32)).eval()
    for p in model.parameters():
        p.data *= 4  # a fresh model is almost undecided: make its choices matter
    return model


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0.2, 3.0),
    st.one_of(st.none(), st.integers(1, 60)),
    st.one_of(st.none(), st.floats(0.05, 0.99)),
)
def test_probabilities_equal_hugging_face(seed, temperature, top_k, top_p):
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(seed)) * 3
    want = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k is not None:
        want = TopKLogitsWarper(top_k)(None, want)
    if top_p is not None:
        want = TopPLogitsWarper(top_p)(None, want)
    got = next_token_probs(logits, temperature, top_k, top_p)
    torch.testing.assert_close(got, want.softmax(-1), atol=1e-5, rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(1.01, 4), st.floats(0.2, 3.0), st.integers(1, 40), st.floats(0.05, 0.99))
def test_all_four_act_in_the_fields_order(seed, penalty, temperature, top_k, top_p):
    g = torch.Generator().manual_seed(seed)
    logits, seen = torch.randn(2, 50, generator=g) * 3, torch.randint(50, (2, 12), generator=g)
    field = LogitsProcessorList(
        [RepetitionPenaltyLogitsProcessor(penalty), TemperatureLogitsWarper(temperature), TopKLogitsWarper(top_k),
         TopPLogitsWarper(top_p)]
    )  # fmt: skip
    want = field(seen, logits.clone()).softmax(-1)
    got = next_token_probs(penalize_repetition(logits, seen, penalty), temperature, top_k, top_p)
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)


def test_generate_applies_all_four(model):
    ids, sampling = [5, 9, 5, 7], dict(temperature=0.7, top_k=20, top_p=0.8)
    text, dice, again = list(ids), torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    for token in generate(model, ids, 10, repetition_penalty=1.5, generator=again, **sampling):
        logits = penalize_repetition(model(torch.tensor([text]))[:, -1], torch.tensor([text]), 1.5)
        assert token == int(torch.multinomial(next_token_probs(logits, **sampling).detach(), 1, generator=dice))
        text.append(token)


def test_probabilities_by_hand():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    assert next_token_probs(logits).tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05])
    assert next_token_probs(logits, temperature=0).tolist() == [1, 0, 0, 0]
    assert next_token_probs(logits, top_k=2).tolist() == pytest.approx([0.625, 0.375, 0, 0])
    # 0.5 does not reach 0.6, so the token that crosses it stays too
    assert next_token_probs(logits, top_p=0.6).tolist() == pytest.approx([0.625, 0.375, 0, 0])
    assert next_token_probs(logits, temperature=0.5).tolist() == pytest.approx(
        [p * p / (0.25 + 0.09 + 0.0225 + 0.0025) for p in (0.5, 0.3, 0.15, 0.05)]
    )


def test_tiny_temperatures_are_greedy():
    scores = torch.tensor([1.0, 3.0, -50.0, 2.9])
    for temperature in (1e-5, 1e-10, 1e-19, 1e-30, 1e-320):
        assert next_token_probs(scores, temperature).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    "bad", [{"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.5}]
)
def test_impossible_settings_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        next_token_probs(torch.zeros(3), **bad)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("prompt_length", [1, 5, 15, 16, 40])
def test_cached_equals_uncached_also_past_the_context(model, temperature, prompt_length):
    prompt = torch.randint(300, (prompt_length,), generator=torch.Generator().manual_seed(prompt_length)).tolist()
    dice = torch.Generator()
    runs = [
        list(generate(model, prompt, 50, temperature=temperature, use_cache=c, generator=dice.manual_seed(0)))
        for c in (True, False)
    ]
    assert runs[0] == runs[1] and len(runs[0]) == 50


def test_a_full_context_rereads_its_last_half(model):
    prompt = list(range(16))
    first, second = list(generate(model, prompt, 2, temperature=0))
    half = (prompt + [first])[-8:]
    assert second == int(model(torch.tensor([half]))[0, -1].argmax())


def test_greedy_is_the_argmax(model):
    ids = [1, 2, 3]
    for token in generate(model, ids, 5, temperature=0):
        assert token == int(model(torch.tensor([ids]))[0, -1].argmax())
        ids.append(token)


def test_draws_follow_the_distribution(model):
    probs = next_token_probs(model(torch.tensor([[7]]))[0, -1], top_k=3)
    dice = torch.Generator().manual_seed(0)
    draws = torch.tensor([next(generate(model, [7], 1, top_k=3, generator=dice)) for _ in range(600)])
    seen = torch.bincount(draws, minlength=300) / 600
    assert (seen - probs).abs().max() < 0.08  # four standard deviations of a proportion over 600 draws


def test_stop_seed_and_mode(model):
    tokens = list(generate(model, [5], 30, generator=torch.Generator().manual_seed(1)))
    stopped = list(generate(model, [5], 30, stop=[tokens[3]], generator=torch.Generator().manual_seed(1)))
    assert stopped == tokens[: tokens.index(tokens[3]) + 1]
    model.train()
    list(generate(model, [5], 1))
    assert model.training
    model.eval()


@pytest.mark.parametrize("ids, message", [([], "nothing to continue"), ([300], "outside 0 … 299"), ([-1], "outside")])
def test_impossible_prompts_are_named(model, ids, message):
    with pytest.raises(ValueError, match=message):
        next(generate(model, ids, 1))


def test_streamed_text_never_splits_a_character(model):
    tokenizer = BPETokenizer.train("aé中🙂" * 3, 256)
    pieces = list(stream(model_256(), tokenizer, "é", 200, generator=torch.Generator().manual_seed(0)))
    ids = list(generate(model_256(), tokenizer.encode("é"), 200, generator=torch.Generator().manual_seed(0)))
    assert "".join(pieces) == tokenizer.decode_bytes(ids).decode("utf-8", errors="replace")


def test_stream_waits_for_the_rest_of_a_character():
    tokenizer = BPETokenizer.train("x", 256)
    wanted = tokenizer.encode("中🙂!")  # 3 + 4 + 1 bytes

    class Fixed(GPT):  # a model that says those bytes, whatever it is asked
        def forward(self, ids, cache=None):
            step = (cache[0][0].length if cache else 0) + ids.size(1) - 1
            for own, _ in cache or []:
                own.length += ids.size(1)
            logits = torch.zeros(1, ids.size(1), 256)
            logits[0, -1, wanted[step]] = 100
            return logits

    fixed = Fixed(GPTConfig(n_layer=1, vocab_size=256))
    assert list(stream(fixed, tokenizer, "a", 8, temperature=0)) == ["中", "🙂", "!"]


def model_256():
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=256, block_size=16, n_layer=1, n_head=2, n_embd=16)).eval()
