"""The loss-mask strip: its labels against encode_chat, its losses against transformers' convention, what it refuses."""

import json
import re

import pytest
import torch

from minigpt.chat import CHAT_TOKENS, ask, encode_chat
from minigpt.config import GPTConfig
from minigpt.figures import LossMask, read_losses
from minigpt.model import GPT
from minigpt.objectives import clm_loss
from minigpt.tokenizer import CharTokenizer

CHAT = [*ask("how?", "so"), *ask("and <b>?", "no")]
TOKENIZER = CharTokenizer.train("user\nassistant\nhow? so and <b>? no", special_tokens=CHAT_TOKENS)


def models():
    torch.manual_seed(0)
    shape = GPTConfig(vocab_size=TOKENIZER.vocab_size, block_size=64, n_layer=1, n_head=2, n_embd=16)
    return [GPT(shape).eval(), GPT(shape).eval()]


def figure(**state):
    return LossMask([read_losses("a chat", CHAT, TOKENIZER, models())], ["before", "after"], **state)


def test_the_scored_labels_are_those_of_encode_chat():
    one = read_losses("a chat", CHAT, TOKENIZER, models())
    ids, targets = encode_chat(TOKENIZER, CHAT)
    assert one["ids"] == ids
    asked = [TOKENIZER.token(t) for t in targets if t != -100]
    assert [label for label, s in zip(one["labels"], one["scored"], strict=True) if s] == asked
    assert "".join(asked) == "so<|im_end|>no<|im_end|>"
    assert one["labels"][:-1] == one["tokens"][1:]  # a label is the next token, also where it is not scored


@pytest.mark.parametrize("model", [0, 1])
def test_the_mean_is_the_training_loss(model):
    ids, targets = encode_chat(TOKENIZER, CHAT)
    network = models()[model]
    with torch.no_grad():
        masked = clm_loss(network, (torch.tensor([ids]), torch.tensor([targets])))
        full = clm_loss(network, (torch.tensor([ids]), torch.tensor([[*ids[1:], targets[-1]]])))
    assert figure(model=model).loss() == pytest.approx(float(masked), abs=2e-3)
    assert figure(model=model, masked=False).loss() == pytest.approx(float(full), abs=2e-3)


def test_words_and_still_follow_the_switch():
    on, off = figure(), figure(masked=False)
    assert "a chat, before, loss mask on: 6 of" in on.words() and "−100" in on.still()
    T = len(on.examples[0]["ids"])
    assert f"loss mask off: {T} of {T} labels" in off.words() and "−100" not in off.still()


def test_the_page_gets_a_state_that_json_can_hold():
    html = figure().to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state["masked"] is True and len(state["examples"][0]["losses"]) == 2


def test_bad_input_is_told_so():
    one = read_losses("a chat", CHAT, TOKENIZER, models())
    for examples, names, message in (
        ([], ["a"], "at least one example"),
        ([one], ["a"], "each token and each model"),
        ([one | {"ids": [1]}], ["a", "b"], "each token and each model"),
        ([one | {"scored": [False] * len(one["ids"])}], ["a", "b"], "scores no token"),
    ):
        with pytest.raises(ValueError, match=message):
            LossMask(examples, names)
    with pytest.raises(ValueError, match="model is 2"):
        figure(model=2)
    with pytest.raises(ValueError, match="at most 250"):
        read_losses("long", ask("how? " * 60, "so"), TOKENIZER, models())
