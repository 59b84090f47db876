"""The still pictures: what is drawn, what is said about it, and what is refused."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from minigpt.attention import attention, causal_mask, record_attention
from minigpt.config import GPTConfig
from minigpt.model import GPT
from minigpt.plots import (
    GREY,
    INK,
    PAPER,
    ROLES,
    plot_attention,
    plot_heads,
    plot_next_token,
    plot_training,
    role_color,
    use_style,
)


class Letters:
    """A tokenizer's one method that a picture needs."""

    def token(self, id):
        return "abcdefgh"[id]


@pytest.fixture(params=[False, True], ids=["light", "dark"], autouse=True)
def dark(request):
    with plt.rc_context():
        use_style(dark=request.param)
        yield request.param
    assert not plt.get_fignums(), "a figure stayed open: a notebook would show it twice"


def luminance(color):
    """Relative luminance, as WCAG 2.1 defines it."""
    c = np.array(to_rgb(color))
    return np.dot([0.2126, 0.7152, 0.0722], np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4))


def contrast(a, b):
    low, high = sorted([luminance(a), luminance(b)])
    return (high + 0.05) / (low + 0.05)


def weights(T=4, H=None):
    g = torch.Generator().manual_seed(0)
    q, k = (torch.randn(*([H] if H else []), T, 8, generator=g) for _ in range(2))
    return attention(q, k, k, causal_mask(T))[1]


def texts(fig):
    return [t.get_text() for ax in fig.axes for t in ax.texts]


def test_colours_stand_out_from_the_paper(dark):
    assert contrast(INK[dark], PAPER[dark]) > 12
    assert contrast(GREY[dark], PAPER[dark]) > 4.5  # WCAG AA for text
    for role in ROLES:
        assert contrast(role_color(role), PAPER[dark]) > 3, role  # WCAG AA for graphics
    with pytest.raises(ValueError, match="no role 'head'"):
        role_color("head")


def test_every_picture_is_drawn_and_described(tmp_path, dark):
    log = [{"step": i, "loss": 4 - i, "lr": 0.1} for i in range(3)]
    w = weights(H=2)
    figures = [
        plot_attention(w[0], "abcd"),
        plot_attention(w, "abcd"),
        plot_heads({"h.0.attn": w[None]}, "abcd"),
        plot_training(log),
        plot_next_token([0.5, 0.3, 0.2], Letters()),
    ]
    for i, fig in enumerate(figures):
        assert isinstance(fig, Figure) and fig.alt.endswith(".") and len(fig.alt) > 40
        fig.savefig(tmp_path / f"{i}.png")
        corner = plt.imread(tmp_path / f"{i}.png")[0, 0, :3]
        assert np.allclose(corner, to_rgb(PAPER[dark]), atol=0.01)


def test_attention_shows_every_weight_and_blanks_the_future():
    w = weights()
    fig = plot_attention(w, ["the", "cat", "sat", "on"], title="head 3")
    ax = fig.axes[0]
    drawn = ax.images[0].get_array()
    assert np.allclose(drawn.data, w)
    assert (drawn.mask == ~causal_mask(4).numpy()).all()  # grey exactly where the query may not look
    assert texts(fig) == [f"{x:.2f}".lstrip("0") for x in w[w > 0].tolist()]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["the", "cat", "sat", "on"]
    assert ax.get_title(loc="left") == "head 3"
    assert "the looks most at the (1.00)" in fig.alt


def test_numbers_in_cells_can_be_read():
    fig = plot_attention(np.linspace(0.01, 1, 20).reshape(4, 5), "abcd", "vwxyz")
    image, shown = fig.axes[0].images[0], fig.axes[0].texts
    for text in shown:
        s, t = text.get_position()
        assert contrast(text.get_color(), image.to_rgba(image.get_array())[t, s, :3]) > 4.5


def test_attention_prints_numbers_only_where_they_fit():
    assert texts(plot_attention(weights(13), "abcdefghijklm")) == []
    assert len(texts(plot_attention(weights(13), "abcdefghijklm", values=True))) == 13 * 14 // 2
    assert texts(plot_attention(weights(3), "abc", values=False)) == []


def test_attention_takes_cross_attention_heads_and_an_ax():
    w = torch.full((3, 5), 0.2, dtype=torch.bfloat16)
    fig = plot_attention(w, "abc", "vwxyz")
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == list("vwxyz")
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == list("abc")
    assert len(plot_attention(w.expand(4, 3, 5), "abc", "vwxyz").axes) == 4
    mine, ax = plt.subplots()
    assert plot_attention(w, "abc", "vwxyz", ax=ax) is mine
    plt.close(mine)


def test_heads_draws_the_models_own_maps():
    model = GPT(GPTConfig(vocab_size=8, block_size=8, n_layer=2, n_head=3, n_embd=12)).eval()
    with record_attention(model) as maps:
        model(torch.stack([torch.arange(6), torch.arange(6).flip(0)]))
    fig = plot_heads(maps, "abcdef", batch=1, labels={("h.1.attn", 2): "previous 93 %"})
    assert len(fig.axes) == 6
    assert np.allclose(fig.axes[4].images[0].get_array().data, maps["h.1.attn"][1, 1])
    assert fig.axes[5].get_title() == "previous 93 %" and "h.1.attn head 2: previous 93 %" in fig.alt
    assert [t.get_text() for t in fig.axes[3].get_yticklabels()] == list("abcdef")


def test_training_draws_losses_landmarks_and_rate():
    log = [{"step": i, "loss": 4 - i / 10, "lr": 0.1 * i} for i in range(1, 11)]
    log[-1]["val_loss"] = 3.2
    log.insert(0, {"step": 0, "val_loss": 4.2})  # as train() does: a look before the first update
    fig = plot_training(log, landmarks={"ln V": np.log(65)})
    loss, rate = fig.axes
    assert loss.lines[0].get_ydata().tolist() == [line["loss"] for line in log[1:]]
    assert loss.lines[1].get_xydata().tolist() == [[0, 4.2], [10, 3.2]]
    assert loss.lines[2].get_ydata()[0] == np.log(65) and texts(fig) == ["ln V  4.17"]
    assert rate.lines[0].get_ydata().tolist() == [line["lr"] for line in log[1:]]
    assert "ends at 3.20" in fig.alt and "ln V at 4.17" in fig.alt
    mine, axes = plt.subplots(1, 2)
    assert plot_training([{"step": 0, "loss": 1.0}], ax=axes[0]) is mine
    assert plot_next_token([1.0], Letters(), ax=axes[1]) is mine
    assert "training loss" in mine.alt and "a 100.0 %" in mine.alt  # both are described
    plt.close(mine)


def test_next_token_sorts_and_says_what_is_left():
    fig = plot_next_token(torch.tensor([0.1, 0.4, 0.2, 0.3]), Letters(), k=2, title="after x")
    ax = fig.axes[0]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["b", "d"]
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([0.4, 0.3])
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the best on top
    assert "other 2 tokens share 30.0 %" in ax.get_xlabel()
    assert len(plot_next_token([0.6, 0.4], Letters(), k=99).axes[0].patches) == 2


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda: plot_attention(weights()[None, None], "abcd"), r"must be \(T, S\) or \(H, T, S\)"),
        (lambda: plot_attention(weights(), "abc"), "4 query labels and 4 key labels, but there are 3 and 3"),
        (lambda: plot_attention(weights(), "abcd", "ab"), "there are 4 and 2"),
        (lambda: plot_attention(weights(H=2), "abcd", ax=object()), "pass one head's weights"),
        (lambda: plot_heads({}), "not nothing"),
        (lambda: plot_heads({"h.0.attn": weights()}), r"h.0.attn: \(4, 4\)"),
        (lambda: plot_heads({"h.0.attn": weights(H=2)[None]}, "abc"), "4 queries, but there are 3 tokens"),
        (lambda: plot_heads({"h.0.attn": weights(H=2)[None]}, batch=1), "choose 0 to 0"),
        (lambda: plot_training([]), "pass what train"),
        (lambda: plot_training([{"step": 1}]), "pass what train"),
        (lambda: plot_next_token([[0.5, 0.5]], Letters()), "choose one position"),
        (lambda: plot_next_token([2.0, -1.0], Letters()), "not the logits"),
        (lambda: plot_next_token([0.5, 0.2], Letters()), "not the logits"),
        (lambda: plot_next_token([0.5, 0.5], Letters(), k=0), "use 1 or more"),
    ],
)
def test_wrong_input_gets_a_sentence(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
