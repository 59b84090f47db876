"""Answers with probabilities: the best span by brute force, a GPT's own numbers, and calibration that is known."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minigpt.answers import best_span, calibration_error, point, reliability, token_chances, write
from minigpt.chat import CHAT_TOKENS, ask, encode_chat, encode_prompt, encode_span
from minigpt.config import GPTConfig
from minigpt.data import IGNORE
from minigpt.generate import generate
from minigpt.model import GPT, Encoder, TaskHead
from minigpt.objectives import span_loss
from minigpt.tokenizer import IM_END, BPETokenizer

TEXT = "Ada Lovelace (1815–1852) was a mathematician. It is said that she wrote the first program, in 1843."
WORDS = BPETokenizer.train(TEXT * 3, 300, CHAT_TOKENS)


def model(kind=GPT, seed=0, dropout=0.0):
    torch.manual_seed(seed)
    made = kind(GPTConfig(WORDS.vocab_size, 128, 1, 2, 16, dropout=dropout))
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(6)  # from almost even to decided
    return made.eval()


def head(seed=0, dropout=0.0):
    made = TaskHead(model(Encoder, seed, dropout), 2, "each").eval()
    torch.nn.init.normal_(made.score.weight, std=2)
    return made


def test_the_mode_does_not_matter_and_is_left_as_it_was():
    answers = []
    for training in (True, False):
        writer, pointer = model(dropout=0.5).train(training), head(dropout=0.5).train(training)
        (said,) = write(writer, WORDS, [ask("Who was Ada Lovelace?")], 2)
        answers.append((said.probability, point(pointer, WORDS, "Who was she?", TEXT).probability))
        assert writer.training is pointer.training is training
    assert answers[0] == answers[1]


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 12), st.integers(1, 14), st.integers(0, 10**6))
def test_the_best_span_by_brute_force(size, longest, seed):
    start, end = torch.randn(2, size, generator=torch.Generator().manual_seed(seed)).softmax(1)
    first, last = best_span(start, end, longest)
    allowed = [(i, j) for i in range(size) for j in range(i, min(size, i + longest))]
    assert (first, last) in allowed
    assert start[first] * end[last] == max(start[i] * end[j] for i, j in allowed)


def test_bad_spans_are_told_so():
    for starts, ends, longest in ((2, 3, 5), (0, 0, 5), (2, 2, 0)):
        with pytest.raises(ValueError, match="room for at least one"):
            best_span(torch.ones(starts), torch.ones(ends), longest)


@pytest.mark.parametrize("seed", range(4))
def test_the_head_is_read_as_it_is_trained(seed):
    network, question = head(seed), "When was Ada born?"
    found = point(network, WORDS, question, TEXT)
    assert found.text in TEXT and WORDS.decode(found.tokens) == TEXT
    # the loss of exactly this span, with the targets as training has them, is −log of its probability, halved
    before = len(WORDS.encode(question)) + 1
    ids = torch.tensor([[*WORDS.encode(question), WORDS.special_tokens[IM_END], *found.tokens]])
    targets = torch.tensor([[before + found.first, before + found.last]])
    loss = span_loss(network, (ids, torch.ones_like(ids, dtype=torch.bool), targets))
    assert 2 * loss.item() == pytest.approx(-math.log(found.probability), abs=1e-4)
    assert found.start.sum() <= 1 + 1e-6 and found.end.sum() <= 1 + 1e-6


def test_the_row_is_that_of_encode_span():
    seen = []
    network = head()
    network.stack.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    network.forward = lambda ids, padding: seen.append(ids) or torch.zeros(*ids.shape, 2)
    point(network, WORDS, "When?", TEXT)
    ids, _ = encode_span(WORDS, "When?", TEXT, TEXT.index("1815"), "1815", WORDS.special_tokens[IM_END])
    assert seen[0][0].tolist() == ids


def test_a_passage_that_is_too_long_loses_its_end():
    found = point(head(), WORDS, "When?", TEXT * 9)
    assert len(found.tokens) == 128 - len(WORDS.encode("When?")) - 1
    with pytest.raises(ValueError, match="nothing to point at"):
        point(head(), WORDS, "When?", "")


def test_what_is_written_and_its_chances():
    network = model()
    asked = [ask("When was Ada born?"), ask("Who?"), ask("What did she write, and when?")]
    for messages, one in zip(asked, write(network, WORDS, asked, 9, batch_size=2), strict=True):
        prompt = encode_prompt(WORDS, messages)
        stop = [WORDS.special_tokens[token] for token in CHAT_TOKENS if token != "<|im_start|>"]
        assert one.tokens == list(generate(network, prompt, 9, temperature=0, stop=stop))
        for n, (token, p) in enumerate(zip(one.tokens, one.chances, strict=True)):
            probs = network(torch.tensor([prompt + one.tokens[:n]]))[0, -1].softmax(-1)
            assert int(probs.argmax()) == token and probs[token].item() == pytest.approx(p, abs=1e-5)
        assert one.probability == pytest.approx(math.prod(one.chances), rel=1e-4)
        assert "<|" not in one.text


def test_a_conversation_that_is_too_long_loses_its_beginning():
    network, long = model(), ask(TEXT * 4 + " When was Ada born?")
    prompt = encode_prompt(WORDS, long)
    assert len(prompt) > 128
    (one,) = write(network, WORDS, [long], 8)
    assert one.chances == pytest.approx(token_chances(network, prompt[-120:], one.tokens).tolist(), abs=1e-5)


def test_the_chances_of_a_given_answer_are_those_of_its_loss():
    network = model()
    ids, targets = encode_chat(WORDS, ask("When was Ada born?", "1815"))
    said = [target for target in targets if target != IGNORE]
    prompt = ids[: len(ids) - len(said) + 1]
    logits = network(torch.tensor([ids]))[0]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(targets), ignore_index=IGNORE, reduction="sum")
    assert token_chances(network, prompt, said).log().sum().item() == pytest.approx(-loss.item(), abs=1e-4)


def test_reliability_by_hand():
    p, right = [0.05, 0.1, 0.95, 1.0, 0.55, 0.0], [0, 1, 1, 1, 0, 0]
    found = reliability(p, right, 10)
    assert [many for many, _, _ in found] == [3, 1, 2]
    assert found[0][1:] == pytest.approx((0.05, 1 / 3)) and found[2][1:] == pytest.approx((0.975, 1))
    by_hand = (3 * abs(0.05 - 1 / 3) + 1 * 0.55 + 2 * 0.025) / 6
    assert calibration_error(p, right, 10) == pytest.approx(by_hand)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 20))
def test_an_honest_forecaster_has_little_error_and_a_boaster_much(seed, bins):
    p = torch.rand(4000, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    right = torch.rand(4000, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.double) < p
    assert calibration_error(p.tolist(), right.tolist(), bins) < 0.08
    assert calibration_error([1.0] * 4000, right.tolist(), bins) == pytest.approx(1 - float(right.double().mean()))


def test_bad_calibration_is_told_so():
    with pytest.raises(ValueError, match="for each answer"):
        reliability([0.5], [1, 0])
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration_error([50.0], [1])
