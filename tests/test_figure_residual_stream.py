"""The residual stream's figure: its numbers are the model's, what does not fit is refused, a page gets all it needs."""

import json
import re

import pytest
import torch

from minigpt.config import LLAMA, GPTConfig
from minigpt.figures import ResidualStream, read_stream
from minigpt.model import GPT
from minigpt.tokenizer import CharTokenizer

TEXT = "a tale of a cat"


def make(**changes):
    torch.manual_seed(0)
    tokenizer = CharTokenizer.train(TEXT)
    model = GPT(GPTConfig(tokenizer.vocab_size, block_size=24, n_layer=3, n_head=2, n_embd=16, **changes)).eval()
    for p in model.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return model, tokenizer


@pytest.mark.parametrize("changes", [{}, LLAMA, {"tied": False}])
def test_the_numbers_are_the_models(changes):
    model, tokenizer = make(**changes)
    data = read_stream(model, tokenizer, TEXT, k=2)
    ids = torch.tensor([tokenizer.encode(TEXT)])
    streams = []  # after each block, by a way of its own
    hooks = [b.register_forward_hook(lambda module, inputs, output: streams.append(output[0])) for b in model.h]
    with torch.no_grad():
        probs = model(ids).softmax(-1)[0]
    for hook in hooks:
        hook.remove()
    for layer, x in enumerate(streams):
        torch.testing.assert_close(data["stream"][:, 2 * layer + 2], x.norm(dim=-1), atol=1e-4, rtol=1e-4)
    for t in range(len(TEXT)):
        token, p = data["lens"][t][-1][0]
        assert token == tokenizer.token(int(probs[t].argmax())) and p == pytest.approx(float(probs[t].max()), abs=1e-3)
        # lengths, write and cosine of the last addition obey the law of cosines
        a, b, c = data["stream"][t, -2], data["writes"][t, -1], data["cosines"][t, -1]
        assert float((a * a + b * b + 2 * a * b * c).sqrt()) == pytest.approx(float(data["stream"][t, -1]), rel=1e-3)
    assert data["tokens"] == [tokenizer.token(i) for i in ids[0].tolist()]
    assert not any(part._forward_hooks for block in model.h for part in (block.attn, block.mlp))


def test_a_stream_that_is_no_sum_is_refused():
    model, tokenizer = make(post_norm=True)
    with pytest.raises(ValueError, match="post_norm=False"):
        read_stream(model, tokenizer, TEXT)
    with pytest.raises(ValueError, match="no token"):
        read_stream(*make(), "")


def figure(**changes):
    return ResidualStream(**(read_stream(*make(), TEXT) | changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stream": torch.ones(2, 7)}, "one row for each of the 15 tokens"),
        ({"writes": torch.ones(15, 5)}, "2 L writes"),
        ({"cosines": torch.ones(15, 4)}, "2 L writes"),
        ({"lens": [[[["a", 1.0]]] * 3] * 15}, "the embedding and 3 layers"),
        ({"position": 15}, "numbered 0 to 14"),
        ({"stream": torch.full((15, 7), float("nan"))}, "NaN"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        figure(**change)


def test_too_much_for_a_page_is_refused():
    model, tokenizer = make()
    model.config = GPTConfig(tokenizer.vocab_size, block_size=99, n_layer=3, n_head=2, n_embd=16)
    model.wpe = torch.nn.Embedding(99, 16)
    with pytest.raises(ValueError, match="at most 32 tokens"):
        ResidualStream(**read_stream(model, tokenizer, TEXT * 3))


def test_words_and_page():
    shown = figure(position=3)
    assert shown.words().startswith("After “a” the stream grows from") and "goes on with “l”" in shown.words()
    assert "goes on" not in figure(position=14).words()
    html = shown.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == shown.state()
    assert set(state) == {"tokens", "stream", "writes", "cosines", "lens", "position"}
    assert "<svg" in shown.still() and len(html) < 60_000


def test_the_word_since_is_the_first_layer_of_an_unbroken_run():
    lens = [[["a", 0.5]], [["b", 0.5]], [["a", 0.5]], [["b", 0.9]]]
    one = {"tokens": ["x"], "stream": [[1.0] * 7], "writes": [[1.0] * 6], "cosines": [[0.0] * 6]}
    assert "from layer 3 on is “b”" in ResidualStream(**one, lens=[lens]).words()
    assert "from the embedding on" in ResidualStream(**one, lens=[[lens[1]] * 4]).words()
