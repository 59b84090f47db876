"""An exercise of homework 5: GPT-2's weights as Hugging Face stores them, in a model of your own."""

import torch
import torch.nn.functional as F

from ..exercise import Exercise
from .homework_5_batch import Weights

# ---- 5.5: port a state dict --------------------------------------------------------------------------

ACTIVATIONS = {"gelu_new": lambda x: F.gelu(x, approximate="tanh"), "gelu": F.gelu}


def ported_logits(theirs, config, input_ids):
    """GPT-2 from its state dict: ids (B, T) -> logits (B, T, V)."""
    C, eps, act = config["n_embd"], config["layer_norm_epsilon"], ACTIVATIONS[config["activation_function"]]

    def norm(name, x):
        return F.layer_norm(x, (C,), theirs[f"{name}.weight"], theirs[f"{name}.bias"], eps)

    def linear(name, x):
        return x @ theirs[f"{name}.weight"] + theirs[f"{name}.bias"]  # x @ W, not x @ Wᵀ as nn.Linear does

    wte, wpe = theirs["transformer.wte.weight"], theirs["transformer.wpe.weight"]
    x = wte[input_ids] + wpe[: input_ids.size(1)]  # (B, T, C)
    for i in range(config["n_layer"]):
        at = f"transformer.h.{i}"
        q, k, v = (part.unflatten(-1, (config["n_head"], -1)).transpose(1, 2)
                   for part in linear(f"{at}.attn.c_attn", norm(f"{at}.ln_1", x)).chunk(3, dim=-1))  # fmt: skip
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + linear(f"{at}.attn.c_proj", y.transpose(1, 2).flatten(2))
        x = x + linear(f"{at}.mlp.c_proj", act(linear(f"{at}.mlp.c_fc", norm(f"{at}.ln_2", x))))
    return norm("transformer.ln_f", x) @ theirs.get("lm_head.weight", wte).T


def port_cases(generator):
    def draw(V, P, C, L, H, B, T, activation="gelu_new", eps=1e-5, tied=True, old=False):
        def normal(*size, scale=1.0, shift=0.0):
            return scale * torch.randn(*size, generator=generator) + shift

        theirs = Weights({"transformer.wte.weight": normal(V, C), "transformer.wpe.weight": normal(P, C)})
        shapes = {"attn.c_attn": (C, 3 * C), "attn.c_proj": (C, C), "mlp.c_fc": (C, 4 * C), "mlp.c_proj": (4 * C, C)}
        for at in [f"transformer.h.{i}" for i in range(L)]:
            for name in ("ln_1", "ln_2"):
                theirs |= {f"{at}.{name}.weight": normal(C, scale=0.3, shift=1), f"{at}.{name}.bias": normal(C) / 3}
            if old:
                theirs[f"{at}.attn.bias"] = torch.ones(1, 1, P, P).tril()
            for name, (n, m) in shapes.items():
                theirs[f"{at}.{name}.weight"] = normal(n, m, scale=1.5 / n**0.5)
                theirs[f"{at}.{name}.bias"] = normal(m, scale=0.3)
        theirs |= {"transformer.ln_f.weight": normal(C, scale=0.3, shift=1), "transformer.ln_f.bias": normal(C) / 3}
        if not tied:
            theirs["lm_head.weight"] = normal(V, C)
        config = {"vocab_size": V, "n_positions": P, "n_embd": C, "n_layer": L, "n_head": H,
                  "activation_function": activation, "layer_norm_epsilon": eps,
                  "tie_word_embeddings": tied}  # fmt: skip
        return theirs, config, torch.randint(V, (B, T), generator=generator)

    return [draw(5, 4, 4, 1, 2, 1, 3), draw(21, 9, 6, 2, 3, 2, 7), draw(13, 8, 8, 2, 2, 3, 6, tied=False, old=True),
            draw(25, 6, 8, 3, 2, 3, 6, activation="gelu", eps=0.3), draw(15, 5, 8, 11, 2, 2, 4, eps=0.1)]  # fmt: skip


def changed(theirs, part, how):
    """The state dict with all tensors whose names end in `part` changed."""
    return Weights({name: how(w) if name.endswith(part) else w for name, w in theirs.items()})


def renamed(theirs, rule):
    return Weights({rule(name): w for name, w in theirs.items()})


def each_turned(w):
    """q, k and v, (C, C) each, turned round one by one."""
    return torch.cat([part.mT for part in w.chunk(3, -1)], -1)


def output_not_turned(theirs, config, input_ids):
    """This is what you get with attention's output matrix, `attn.c_proj.weight`, as it stands in the file. It is
    square, so nothing complains, but it has to be turned round as the others are."""
    return ported_logits(changed(theirs, "attn.c_proj.weight", lambda w: w.mT), config, input_ids)


def qkv_not_turned(theirs, config, input_ids):
    """This is what you get when queries, keys and values are cut out of `c_attn.weight` but not turned round. Each is
    square, so nothing complains."""
    return ported_logits(changed(theirs, "c_attn.weight", each_turned), config, input_ids)


def squares_not_turned(theirs, config, input_ids):
    """This is what you get with all square matrices as they stand in the file, and the others turned round. A wrong
    shape complains; a square one never does."""
    theirs = changed(theirs, "attn.c_proj.weight", lambda w: w.mT)
    return ported_logits(changed(theirs, "c_attn.weight", each_turned), config, input_ids)


def ordered(*order):
    return lambda w: torch.cat([w.chunk(3, -1)[i] for i in order], -1)


def keys_first(theirs, config, input_ids):
    """This is what you get by reading `c_attn` as keys, queries, values. The queries come first, then the keys."""
    return ported_logits(changed(changed(theirs, "c_attn.weight", ordered(1, 0, 2)), "c_attn.bias", ordered(1, 0, 2)),
                         config, input_ids)  # fmt: skip


def values_before_keys(theirs, config, input_ids):
    """This is what you get by reading `c_attn` as queries, values, keys. The values come last."""
    return ported_logits(changed(changed(theirs, "c_attn.weight", ordered(0, 2, 1)), "c_attn.bias", ordered(0, 2, 1)),
                         config, input_ids)  # fmt: skip


def cut_head_by_head(theirs, config, input_ids):
    """This is what you get by reading `c_attn` as q, k, v of head 0, then q, k, v of head 1. All heads' queries come
    first, then all keys, then all values."""
    def cut(w):
        return w.unflatten(-1, (config["n_head"], 3, -1)).transpose(-2, -3).flatten(-3)

    return ported_logits(changed(changed(theirs, "c_attn.weight", cut), "c_attn.bias", cut), config, input_ids)


def every_third_column(theirs, config, input_ids):
    """This is what you get by dealing the columns of `c_attn` out in turn. The first C columns are the queries', the
    next C the keys', the last C the values'."""
    def cut(w):
        return w.unflatten(-1, (-1, 3)).transpose(-1, -2).flatten(-2)

    return ported_logits(changed(changed(theirs, "c_attn.weight", cut), "c_attn.bias", cut), config, input_ids)


def no_biases(theirs, config, input_ids):
    """This is what you get when the linear layers have no biases. Theirs have one each: `c_attn.bias` and so on."""
    for name in ("c_attn.bias", "c_proj.bias", "c_fc.bias"):
        theirs = changed(theirs, name, torch.zeros_like)
    return ported_logits(theirs, config, input_ids)


def heads_ignored(theirs, config, input_ids):
    """This is what you get with a single head. How many there are stands in the configuration alone: no weight's shape
    tells."""
    return ported_logits(theirs, config | {"n_head": 1}, input_ids)


def exact_gelu(theirs, config, input_ids):
    """This is what you get with the exact GELU, which is torch's default, whatever the configuration says. `gelu_new`
    is the approximation by tanh."""
    return ported_logits(theirs, config | {"activation_function": "gelu"}, input_ids)


def gelu_by_tanh(theirs, config, input_ids):
    """This is what you get with GELU's approximation by tanh, whatever the configuration says. `gelu` is the exact
    one."""
    return ported_logits(theirs, config | {"activation_function": "gelu_new"}, input_ids)


def eps_of_torch(theirs, config, input_ids):
    """This is what you get with torch's own eps, 1e-5, in the norms: the configuration has `layer_norm_epsilon`."""
    return ported_logits(theirs, config | {"layer_norm_epsilon": 1e-5}, input_ids)


def defaults_of_torch(theirs, config, input_ids):
    """This is what you get with torch's own eps, 1e-5, and its own GELU, the exact one: the configuration has
    `layer_norm_epsilon` and `activation_function`."""
    config = config | {"layer_norm_epsilon": 1e-5, "activation_function": "gelu"}
    return ported_logits(theirs, config, input_ids)


def always_tied(theirs, config, input_ids):
    """This is what you get with the token embedding as the head. Where the file has a `lm_head.weight`, that is the
    head."""
    return ported_logits(Weights({n: w for n, w in theirs.items() if n != "lm_head.weight"}), config, input_ids)


def norms_swapped(theirs, config, input_ids):
    """This is what you get with the two norms of a block exchanged: `ln_1` stands before attention, `ln_2` before the
    feed-forward network."""
    swapped = renamed(theirs, lambda n: n.replace("ln_1", "?").replace("ln_2", "ln_1").replace("?", "ln_2"))
    return ported_logits(swapped, config, input_ids)


def fresh(theirs, part):
    return changed(changed(theirs, f"{part}.weight", torch.ones_like), f"{part}.bias", torch.zeros_like)


def last_norm_fresh(theirs, config, input_ids):
    """This is what you get when the last norm keeps its starting values, 1 and 0: `ln_f` was not loaded. With
    `strict=False` nobody tells you what is missing."""
    return ported_logits(fresh(theirs, "ln_f"), config, input_ids)


def all_norms_fresh(theirs, config, input_ids):
    """This is what you get when all norms keep their starting values, 1 and 0: none was loaded. With `strict=False`
    nobody tells you what is missing."""
    return ported_logits(fresh(fresh(fresh(theirs, "ln_1"), "ln_2"), "ln_f"), config, input_ids)


def blocks_sorted_as_text(theirs, config, input_ids):
    """This is what you get when the names are sorted as text: `h.10` then comes before `h.2`."""
    order = sorted(str(i) for i in range(config["n_layer"]))

    def rule(name):
        parts = name.split(".")
        return ".".join([*parts[:2], str(order.index(parts[2])), *parts[3:]]) if parts[1] == "h" else name

    return ported_logits(renamed(theirs, rule), config, input_ids)


port = Exercise(
    "5.5",
    "Port a state dict",
    ("theirs", "config", "input_ids"),
    ported_logits,
    port_cases,
    (
        output_not_turned,
        qkv_not_turned,
        squares_not_turned,
        keys_first,
        values_before_keys,
        cut_head_by_head,
        every_third_column,
        no_biases,
        heads_ignored,
        exact_gelu,
        gelu_by_tanh,
        eps_of_torch,
        defaults_of_torch,
        always_tied,
        norms_swapped,
        last_norm_fresh,
        all_norms_fresh,
        blocks_sorted_as_text,
    ),
    rtol=2e-4,
    atol=5e-5,
)
