"""Llama-type models in Hugging Face's format, SmolLM2 among them, as a GPT with other settings.

Norms without a mean, gated feed-forward networks, turned positions, shared keys and values: page 4.2 explains each.
What is left of the difference is names, and that three matrices of theirs lie under each other in one of ours.
"""

from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import CheckpointError, load_weights, read_json
from .config import LLAMA, GPTConfig
from .hf import read_shards
from .model import GPT
from .texts import smollm2_path

NAMES = {  # ours: theirs, those of one line one below the other
    "ln_1.weight": ("input_layernorm.weight",),
    "attn.c_attn.weight": ("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
    "attn.c_proj.weight": ("self_attn.o_proj.weight",),
    "ln_2.weight": ("post_attention_layernorm.weight",),
    "mlp.c_fc.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "mlp.c_proj.weight": ("mlp.down_proj.weight",),
}


def load_llama(folder) -> GPT:
    """A GPT from a folder that LlamaForCausalLM.save_pretrained wrote. Raises CheckpointError for anything else."""
    folder = Path(folder)
    return from_llama(read_json(folder / "config.json"), read_shards(folder), folder)


def load_smollm2() -> GPT:
    """SmolLM2-135M-Instruct (Allal et al., 2025) from the corpus "smollm2": a real pre-trained model in our code.

    Its file is in GGUF, a format of 4-bit numbers, which transformers unpacks; that needs the
    packages gguf and accelerate, which requirements.txt does not bring.
    """
    from transformers import AutoModelForCausalLM

    path = smollm2_path()
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return from_llama(model.config.to_dict(), model.state_dict(), path)


def from_llama(values: dict, theirs: dict[str, Tensor], source) -> GPT:
    """A GPT from Hugging Face's configuration and weights of a Llama."""
    if values.get("model_type") != "llama":
        raise CheckpointError(f"{source} holds a model of type {values.get('model_type')!r}: only 'llama' loads here")
    heads, rope = values["num_attention_heads"], values.get("rope_parameters") or values.get("rope_scaling") or {}
    for name, wanted in {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}.items():
        if values.get(name, wanted) != wanted:
            raise CheckpointError(f"{source} has {name}={values[name]!r}; only {wanted!r} loads here")
    plain = rope.get("rope_type", "default") == "default"
    if not plain or values.get("head_dim") not in (None, values["hidden_size"] // heads):
        raise CheckpointError(f"{source} stretches its positions or its heads: only a plain Llama loads here")
    config = GPTConfig(
        vocab_size=values["vocab_size"],
        block_size=values["max_position_embeddings"],
        n_layer=values["num_hidden_layers"],
        n_head=heads,
        n_embd=values["hidden_size"],
        tied=values.get("tie_word_embeddings", False),
        norm_eps=values["rms_norm_eps"],
        n_inner=values["intermediate_size"],
        n_kv_head=values.get("num_key_value_heads") or heads,
        rope_theta=float(rope.get("rope_theta", values.get("rope_theta", 10000.0))),
        **LLAMA,
    )
    try:
        weights = {"wte.weight": theirs["model.embed_tokens.weight"], "ln_f.weight": theirs["model.norm.weight"]}
        for i in range(config.n_layer):
            for ours, names in NAMES.items():
                weights[f"h.{i}.{ours}"] = torch.cat([theirs[f"model.layers.{i}.{n}"] for n in names])
        if not config.tied:
            weights["lm_head.weight"] = theirs["lm_head.weight"]
    except KeyError as e:
        raise CheckpointError(f"{source} lacks {e}: it does not fit its config.json") from None
    model = GPT(config)
    load_weights(model, {name: w.float() for name, w in weights.items()}, source)
    return model.eval()
