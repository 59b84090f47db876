"""Still pictures: attention maps, training curves, next-token bars. One style, light or dark.

Every function returns a matplotlib Figure with one more attribute, `alt`: what the picture shows, in words,
for those who cannot see it. JupyterLab has no place to put it, so print it, or copy it into the metadata of
the cell as {"mystnb": {"image": {"alt": …}}}: from there it reaches the rendered book.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

# One hue for each role, in the book's pictures, equations and living figures alike: (on white, on black).
# All six keep apart under the common colour blindnesses, and none stands without a word beside it.
ROLES = {
    "query": ("#0072B2", "#56B4E9"),
    "key": ("#D55E00", "#FF9E4A"),
    "value": ("#009E73", "#3DDBB0"),
    "attention": ("#AA4499", "#E07BC8"),
    "residual": ("#8C6D1F", "#E6C34A"),
    "feed-forward": ("#5B4FC4", "#A79BFF"),
}
PAPER, INK, GREY = ("#FFFFFF", "#14171C"), ("#1B1E23", "#F2F3F5"), ("#666B73", "#A9AFB8")
NEVER = ("#E9EAEC", "#2A2E35")  # cells whose weight is exactly 0
FONTS = [
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "PingFang SC",
    "Microsoft YaHei",
]  # for 中 too


def use_style(dark: bool = False) -> None:
    """Set matplotlib's defaults for all pictures that follow: black on white, or white on black."""
    paper, ink, grey = PAPER[dark], INK[dark], GREY[dark]
    installed = set(font_manager.get_font_names())  # a family that is missing would warn at every label
    plt.rcParams.update(
        {
            "figure.facecolor": paper,
            "axes.facecolor": paper,
            "savefig.facecolor": paper,
            "text.color": ink,
            "axes.labelcolor": ink,
            "axes.edgecolor": grey,
            "xtick.color": ink,
            "ytick.color": ink,
            "grid.color": grey,
            "grid.alpha": 0.25,
            "axes.prop_cycle": plt.cycler(color=[pair[dark] for pair in ROLES.values()]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.labelsize": 11,
            "font.size": 11,
            "font.family": [f for f in FONTS if f in installed] or ["sans-serif"],
            "xtick.labelsize": 10,
            "ytick.labelsize": 10,
            "legend.fontsize": 10,
            "legend.frameon": False,
            "lines.linewidth": 2,
            "figure.figsize": (7, 4),
            "figure.dpi": 120,
            "savefig.dpi": 120,
            "figure.constrained_layout.use": True,
        }
    )


def role_color(role: str) -> str:
    """The colour of one of the ROLES, such as "query", in the style in use."""
    if role not in ROLES:
        raise ValueError(f"there is no role {role!r}: choose one of {', '.join(ROLES)}")
    return ROLES[role][_dark()]


def plot_attention(weights, tokens, keys=None, *, title=None, values=None, ax=None) -> Figure:
    """Attention weights as a heatmap: one row for each query, one column for each key, darker = more weight.

    weights (T, S) of one head, or (H, T, S) for a row of small maps, as array or tensor. `tokens` are the T
    labels of the queries, `keys` the S labels of the keys (the same labels if None). The numbers are printed
    into the cells where they fit (up to 12 × 12), or as `values` says. Weights of exactly 0 are grey: places
    where the query may not look. Raises ValueError where shapes and labels do not fit each other.
    """
    weights = _array(weights)
    keys = tokens if keys is None else keys
    if weights.ndim not in (2, 3):
        raise ValueError(f"weights must be (T, S) or (H, T, S), not {weights.shape}: choose one text, one layer")
    T, S = weights.shape[-2:]
    if (T, S) != (len(tokens), len(keys)):
        raise ValueError(
            f"weights of shape {weights.shape} need {T} query labels and {S} key labels, "
            f"but there are {len(tokens)} and {len(keys)}"
        )
    if weights.ndim == 3:
        if ax is not None:
            raise ValueError("several heads do not fit into one ax: pass one head's weights (T, S), or no ax")
        return _attention_row(weights, tokens, keys, title)
    if ax is None:
        ax = _axes((1.6 + max(0.42 * S, 2.2), 1.1 + max(0.36 * T, 1.6)))
    cells = _heatmap(ax, weights)
    ax.set_xticks(range(S), keys, rotation=90 if max(map(len, keys), default=0) > 3 else 0)
    ax.set_yticks(range(T), tokens)
    ax.set_xlabel("key: looked at")
    ax.set_ylabel("query: looking")
    if values if values is not None else max(T, S) <= 12:
        for t, s in zip(*np.nonzero(weights), strict=True):
            number, ink = f"{weights[t, s]:.2f}".lstrip("0"), _ink_on(cells.cmap(weights[t, s]))
            ax.text(s, t, number, ha="center", va="center", fontsize=9, color=ink)
    if title:
        ax.set_title(title)
    best = zip(tokens, weights.argmax(-1), weights.max(-1), strict=True)
    rows = [f"{query} looks most at {keys[s]} ({w:.2f})" for query, s, w in best][:12]
    return _described(ax, f"Heatmap of attention weights, {T} queries by {S} keys. {'; '.join(rows)}.")


def plot_heads(maps, tokens=None, *, batch: int = 0, labels=None) -> Figure:
    """All heads of a model as small maps: a row for each layer, a column for each head.

    maps: dict from a layer's name to its weights (B, H, T, S), as record_attention() gives it; text number
    `batch` is drawn. `tokens`, if given, are T labels, written where they fit (up to 24). `labels` may hold a
    short text for a head, under the key (layer's name, head's number): it becomes the title of that map.
    """
    maps = {name: _array(w) for name, w in maps.items()}
    if not maps or any(w.ndim != 4 for w in maps.values()):
        shapes = ", ".join(f"{name}: {w.shape}" for name, w in maps.items()) or "nothing"
        raise ValueError(f"maps must hold weights of shape (B, H, T, S) for each layer, not {shapes}")
    n_text = next(iter(maps.values())).shape[0]
    if not 0 <= batch < n_text:
        raise ValueError(f"batch={batch}, but the maps hold {n_text} texts: choose 0 to {n_text - 1}")
    T, H = next(iter(maps.values())).shape[2], max(w.shape[1] for w in maps.values())
    if tokens is not None and len(tokens) != T:
        raise ValueError(f"the maps have {T} queries, but there are {len(tokens)} tokens")
    labels = labels or {}
    fig, axes = plt.subplots(len(maps), H, figsize=(1.9 * H + 0.6, 2.05 * len(maps) + 0.3), squeeze=False)
    plt.close(fig)  # the caller shows it, once
    for row, (name, weights) in zip(axes, maps.items(), strict=True):
        for head, ax in enumerate(row):
            if head >= weights.shape[1]:
                ax.axis("off")
                continue
            _heatmap(ax, weights[batch, head])
            ax.set_title(labels.get((name, head), f"head {head}"), fontsize=9, loc="center")
            ax.set_xticks([])
            written = tokens is not None and T <= 24 and head == 0
            ax.set_yticks(range(T) if written else [], tokens if written else [], fontsize=min(8, 115 / T))
        row[0].set_ylabel(name)
    said = "; ".join(f"{name} head {h}: {text}".replace("\n", " ") for (name, h), text in labels.items())
    fig.alt = f"Attention maps of {len(maps)} layers with {H} heads each, queries down, keys across." + (
        f" {said}." if said else ""
    )
    return fig


def plot_training(log, *, landmarks=None, ax=None) -> Figure:
    """The training loss, the validation loss and the learning rate against the step.

    log: the list of dicts that train() returns, with "step", "loss" in nats per token, "lr" and, on some
    lines, "val_loss" (alone on that of step 0). landmarks: names and heights of losses to compare with, such
    as {"ln V": 4.17}.
    """
    updates = [line for line in log if "step" in line and "loss" in line]  # a line before the first has none
    if not updates:
        raise ValueError("the log must be a list of dicts with step and loss: pass what train() returned")
    landmarks = landmarks or {}
    steps, loss = [line["step"] for line in updates], [line["loss"] for line in updates]
    val = [(line["step"], line["val_loss"]) for line in log if line.get("val_loss") is not None]
    lr = [line["lr"] for line in updates if line.get("lr") is not None]
    below = None
    if ax is None and len(lr) == len(steps):
        fig, (ax, below) = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, height_ratios=[5, 1])
        plt.close(fig)
        below.plot(steps, lr, color=GREY[_dark()], linewidth=1.5)
        below.set_ylim(bottom=0)
        below.set_ylabel("learning\nrate", fontsize=9)
        below.tick_params(labelsize=9)
    ax = ax if ax is not None else _axes((7, 4))
    ink, grey = INK[_dark()], GREY[_dark()]
    ax.plot(steps, loss, color=grey, linewidth=1, alpha=0.8, label="training batch")
    if val:
        ax.plot(*zip(*val, strict=True), color=ink, marker="o", markersize=4, label="validation text")
    for name, height in landmarks.items():
        ax.axhline(height, color=ink, linestyle="--", linewidth=1)
        label, place = f"{name}  {height:.2f}", ("axes fraction", "data")
        ax.annotate(label, (1, height), (-2, 3), xycoords=place, textcoords="offset points", ha="right")
    ax.set_ylabel("loss (nats per token)")
    (below if below is not None else ax).set_xlabel("step")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)  # above the axes: nothing hides under it
    ax.grid(axis="y")
    alt = f"The training loss goes from {loss[0]:.2f} to {loss[-1]:.2f} in steps {steps[0]} to {steps[-1]}"
    alt += f"; the validation loss ends at {val[-1][1]:.2f}" if val else ""
    alt += "".join(f"; dashed line: {name} at {height:.2f}" for name, height in landmarks.items())
    return _described(ax, alt + ".")


def plot_next_token(probs, tokenizer, k: int = 10, *, title=None, ax=None) -> Figure:
    """The k most probable next tokens as bars. probs (V,) sums to 1; labels come from tokenizer.token(id)."""
    probs = _array(probs)
    if probs.ndim != 1:
        raise ValueError(f"probs must be (V,), one number for each token, not {probs.shape}: choose one position")
    if probs.min() < 0 or abs(probs.sum() - 1) > 1e-3:
        raise ValueError("probs must be probabilities that sum to 1: pass logits.softmax(-1), not the logits")
    if k < 1:
        raise ValueError(f"k={k} would show no token: use 1 or more")
    best = np.argsort(-probs, kind="stable")[:k]
    names = [tokenizer.token(int(i)) for i in best]
    ax = ax if ax is not None else _axes((5.5, 0.8 + 0.32 * len(best)))
    ax.barh(range(len(best)), probs[best], color=GREY[_dark()], height=0.7)
    ax.set_yticks(range(len(best)), names)
    ax.invert_yaxis()
    for i, p in enumerate(probs[best]):
        ax.text(p, i, f" {100 * p:.1f} %", va="center", fontsize=10)
    ax.set_xlim(0, max(1.18 * probs[best[0]], 0.05))
    left = f"the other {len(probs) - len(best)} tokens share {100 * (1 - probs[best].sum()):.1f} %"
    ax.set_xlabel(f"probability ({left})")
    if title:
        ax.set_title(title)
    said = ", ".join(f"{name} {100 * p:.1f} %" for name, p in zip(names, probs[best], strict=True))
    return _described(ax, f"Bars of the most probable next tokens: {said}; {left}.")


def _attention_row(weights, tokens, keys, title) -> Figure:
    H, T, S = weights.shape
    size = H * (0.9 + 0.22 * S) + 0.8, 1.4 + 0.24 * T
    fig, axes = plt.subplots(1, H, figsize=size, sharey=True, squeeze=False)
    plt.close(fig)
    for head, ax in enumerate(axes[0]):
        plot_attention(weights[head], tokens, keys, title=f"head {head}", values=False, ax=ax)
        if head:
            ax.set_ylabel("")
    if title:
        fig.suptitle(title, x=0.01, ha="left")
    fig.alt = f"Heatmaps of attention weights of {H} heads, {T} queries by {S} keys each."
    return fig


def _heatmap(ax, weights):
    dark = _dark()
    shades = [PAPER[dark], ROLES["attention"][dark], ("#3D0C36", "#FFE6F8")[dark]]  # lightness runs one way
    colors = LinearSegmentedColormap.from_list("attention", shades).with_extremes(bad=NEVER[dark])
    ax.spines[:].set_visible(True)
    return ax.imshow(np.ma.masked_equal(weights, 0), cmap=colors, vmin=0, vmax=1, interpolation="nearest")


def _ink_on(rgba) -> str:
    """Black or white, whichever is easier to read on this colour."""
    luminance = np.dot([0.2126, 0.7152, 0.0722], np.power(rgba[:3], 2.2))
    return "#FFFFFF" if luminance < 0.18 else "#000000"  # 0.18: the same contrast with both


def _array(x) -> np.ndarray:
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu().float().numpy()  # numpy knows no bfloat16
    return np.asarray(x, dtype=float)


def _dark() -> bool:
    """Whether use_style(dark=True) is in force: matplotlib's own settings remember it."""
    return plt.rcParams["figure.facecolor"] == PAPER[True]


def _axes(size):
    fig, ax = plt.subplots(figsize=size)
    plt.close(fig)  # taken from pyplot's list of open figures, or a notebook would show it twice
    return ax


def _described(ax, alt: str) -> Figure:
    fig = ax.figure
    fig.alt = f"{getattr(fig, 'alt', '')} {alt}".strip()  # one sentence for each ax drawn so far
    return fig
