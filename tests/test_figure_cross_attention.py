"""Cross-attention's figure: its weights are the model's, what does not fit is refused, a page gets all it needs."""

import json
import re

import numpy as np
import pytest
import torch

from minigpt.attention import attention
from minigpt.config import GPTConfig
from minigpt.figures import CrossAttention, read_cross_attention
from minigpt.model import Seq2Seq

SOURCE, TARGET = ["b", "a", "d"], ["d", "a", "b", "end"]


def maps(L=2, H=3, T=4, S=3):
    return torch.randn(L, H, T, S, generator=torch.Generator().manual_seed(0)).softmax(-1)


def test_the_weights_are_the_models():
    torch.manual_seed(0)
    model = Seq2Seq(GPTConfig(20, block_size=8, n_layer=2, n_head=2, n_embd=16)).eval()
    for p in model.parameters():
        p.data += 0.2 * torch.randn_like(p)
    source, ids = [5, 6, 7], [0, 7, 6, 5]
    weights = read_cross_attention(model, source, ids)
    assert weights.shape == (2, 2, 4, 3)
    # The last layer's, from its definition: queries from the decoder's stream, keys from the encoder's output.
    block = model.decoder.h[-1]
    with torch.no_grad():
        context = model.encoder.hidden(torch.tensor([source]), torch.ones(1, 3, dtype=torch.bool))
        seen = []
        hook = block.crossattention.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
        model.decoder(torch.tensor([ids]), context=context)
        hook.remove()
        q, _, _ = block.crossattention.c_attn(seen[0]).split(16, dim=-1)
        _, k, v = block.crossattention.c_attn(context).split(16, dim=-1)
        q, k, v = (t.view(1, -1, 2, 8).transpose(1, 2) for t in (q, k, v))
    torch.testing.assert_close(weights[-1], attention(q, k, v)[1][0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("convert", [torch.Tensor.numpy, torch.Tensor.tolist, torch.Tensor.requires_grad_])
def test_tensors_arrays_and_lists_give_the_same_figure(convert):
    weights = maps()
    assert CrossAttention(SOURCE, TARGET, convert(weights)).state() == CrossAttention(SOURCE, TARGET, weights).state()


def test_head_h_is_the_mean_of_all_heads():
    weights = maps()
    figure = CrossAttention(SOURCE, TARGET, weights)
    assert (figure.layer, figure.head) == (1, 3)
    np.testing.assert_allclose(figure.map(), weights[1].mean(0), atol=1e-4)
    figure.layer, figure.head = 0, 2
    np.testing.assert_allclose(figure.map(), weights[0, 2], atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": maps()[0]}, r"shape \(3, 4, 3\) do not fit"),
        ({"weights": maps(S=4)}, "do not fit 4 target and 3 source"),
        ({"weights": maps().log()}, "not scores"),
        ({"weights": maps() * 2}, "not scores"),
        ({"weights": maps() * float("nan")}, "not scores"),
        ({"weights": [[1], [2, 3]]}, "rows of equal length"),
        ({"alignment": [0, 1]}, "for each of the 4 target tokens"),
        ({"alignment": [0, 1, 2, 3]}, "for each of the 4 target tokens"),
        ({"step": 4}, "step is 4, but it must lie between 0 and 3"),
        ({"layer": 2}, "layer is 2"),
        ({"head": 4}, "head is 4"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        CrossAttention(**({"source": SOURCE, "target": TARGET, "weights": maps()} | change))
    with pytest.raises(ValueError, match="at most 24"):
        CrossAttention(["a"] * 25, ["b"], torch.full((1, 1, 1, 25), 1 / 25))


def test_words_name_the_place_and_whether_it_is_right():
    weights = torch.eye(3)[[2, 1, 1, 0]].expand(1, 1, 4, 3)
    figure = CrossAttention(SOURCE, TARGET, weights, alignment=[2, 1, 0, -1], head=0)
    assert figure.words().endswith("head 1 looks mostly at “d” (1.00), source token 3. That is the right place.")
    figure.step = 2
    assert figure.words().endswith("“a” (1.00), source token 2. The right place would be 1.")
    figure.step = 3
    assert figure.words().endswith("source token 1.")


def test_a_page_gets_the_state_and_a_still_picture():
    figure = CrossAttention(["<b>", "a", "d"], TARGET, maps(), alignment=[2, 1, 0, -1])
    html = figure.to_html()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    assert state == figure.state()
    assert set(state) == {"source", "target", "weights", "alignment", "layer", "head", "step"}
    assert "&lt;b&gt;</text>" in html and "<b>" not in html
    assert figure.still().count('stroke="#009E73"') == 3
    large = CrossAttention(["w"] * 24, ["v"] * 24, torch.full((4, 4, 24, 24), 1 / 24))
    assert len(large.to_html()) < 150_000
