"""Llama-type models in Hugging Face's format, SmolLM2 among them, as a GPT with other settings.

Norms without a mean, gated feed-forward networks, turned positions, shared keys and values: page 4.2 explains each.
What is left of the difference is names, and that three matrices of theirs lie under each other in one of ours.
"""

from pathlib import Path

import torch
from torch import Tensor

from .checkpoint import CheckpointError, make_model, read_json
from .config import LLAMA, GPTConfig
from .hf import read_shards
from .model import GPT
from .texts import smollm2_path
from .tokenizer import BPETokenizer, to_bytes

SMOLLM2_NEEDS = "SmolLM2's file needs three packages: python -m pip install transformers gguf accelerate"

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

    Its file is in GGUF, a format of 4-bit numbers, which transformers unpacks with the packages gguf and accelerate.
    """
    path = smollm2_path()
    try:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    except ImportError as e:
        raise ModuleNotFoundError(SMOLLM2_NEEDS) from e
    return from_llama(model.config.to_dict(), model.state_dict(), path)


def smollm2_tokenizer() -> BPETokenizer:
    """SmolLM2's tokenizer, from the same file: GPT-2's kind, 49,152 tokens, ChatML's marks among them.

    It lacks 21 bytes that stand in hardly any text (control characters; bytes that no UTF-8 has). They get ids behind
    the model's last one: such a text can be encoded and decoded, but generate() will name it and refuse.
    """
    path = smollm2_path()
    try:
        from gguf import GGUFReader
    except ImportError as e:
        raise ModuleNotFoundError(SMOLLM2_NEEDS) from e
    fields = GGUFReader(path).fields
    tokens, merges, kinds = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges", "token_type"))
    special = {token: i for i, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind == 3}  # "control"
    vocab = {to_bytes(token): i for i, token in enumerate(tokens) if token not in special}
    lacking = [bytes([byte]) for byte in range(256) if bytes([byte]) not in vocab]
    vocab |= {byte: len(tokens) + i for i, byte in enumerate(lacking)}
    return BPETokenizer(vocab, [tuple(map(to_bytes, pair.split(" "))) for pair in merges], special)


def from_llama(values: dict, theirs: dict[str, Tensor], source) -> GPT:
    """A GPT from Hugging Face's configuration and weights of a Llama."""
    if values.get("model_type") != "llama":
        raise CheckpointError(f"{source} holds a model of type {values.get('model_type')!r}: only 'llama' loads here")
    try:
        config = llama_config(values, source)
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise CheckpointError(f"{source}: its config.json is not a Llama's ({type(e).__name__}: {e})") from e
    if config.n_layer > len(theirs):
        raise CheckpointError(f"{source} does not fit its config.json: it lacks weights of {config.n_layer} layers")
    try:
        weights = {"wte.weight": theirs["model.embed_tokens.weight"], "ln_f.weight": theirs["model.norm.weight"]}
        for i in range(config.n_layer):
            for ours, names in NAMES.items():
                weights[f"h.{i}.{ours}"] = torch.cat([theirs[f"model.layers.{i}.{n}"] for n in names])
        if not config.tied:
            weights["lm_head.weight"] = theirs["lm_head.weight"]
    except KeyError as e:
        raise CheckpointError(f"{source} lacks {e}: it does not fit its config.json") from None
    except RuntimeError as e:
        raise CheckpointError(f"{source}: its tensors do not belong together ({e})") from e
    weights = {name: w.float() for name, w in weights.items()}
    return make_model(lambda: GPT(config), weights, source, config.n_layer).eval()


def llama_config(values: dict, source) -> GPTConfig:
    """Our configuration of a Llama. Raises CheckpointError where theirs has what ours cannot say."""
    heads, rope = values["num_attention_heads"], values.get("rope_parameters") or values.get("rope_scaling") or {}
    for name, wanted in {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False}.items():
        if values.get(name, wanted) != wanted:
            raise CheckpointError(f"{source} has {name}={values[name]!r}; only {wanted!r} loads here")
    plain = rope.get("rope_type", "default") == "default"
    if not plain or values.get("head_dim") not in (None, values["hidden_size"] // heads):
        raise CheckpointError(f"{source} stretches its positions or its heads: only a plain Llama loads here")
    return GPTConfig(
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
