"""GPT-2 in Hugging Face's format, in and out, without importing their library.

The state dicts differ in two ways only: Hugging Face puts "transformer." before each name, and it stores four
matrices of each block the other way round, because OpenAI's code multiplied x @ W where nn.Linear does x @ Wᵀ.
"""

from pathlib import Path

import safetensors.torch

from .checkpoint import CheckpointError, make_model, read_json, read_tensors, to_json
from .config import GPTConfig
from .files import write_whole
from .model import GPT
from .tokenizer import END_OF_TEXT, load_tokenizer

TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
# What GPT-2 fixes and Hugging Face's class lets one change: another value would be another model.
FIXED = {
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


def load_gpt2(folder):
    """(model, tokenizer) from a folder that GPT2LMHeadModel.save_pretrained wrote; tokenizer is None if none is there.

    Raises CheckpointError where the folder is not a GPT-2, or holds its weights only as a pickle.
    """
    folder = Path(folder)
    values = read_json(folder / "config.json")
    if values.get("model_type") != "gpt2":
        raise CheckpointError(f"{folder} holds a model of type {values.get('model_type')!r}: only 'gpt2' loads here")
    for name, wanted in FIXED.items():
        if values.get(name, wanted) != wanted:
            raise CheckpointError(f"{folder} has {name}={values[name]!r}; only GPT-2's {wanted!r} loads here")
    try:
        if values.get("n_inner") not in (None, 4 * values["n_embd"]):
            raise CheckpointError(f"{folder} has n_inner={values['n_inner']}; only GPT-2's 4 · n_embd loads here")
        config = GPTConfig(
            vocab_size=values["vocab_size"],
            block_size=values["n_positions"],
            n_layer=values["n_layer"],
            n_head=values["n_head"],
            n_embd=values["n_embd"],
            dropout=values.get("resid_pdrop", 0.1),
            tied=values.get("tie_word_embeddings", True),
            norm_eps=values.get("layer_norm_epsilon", 1e-5),
        )
    except CheckpointError:
        raise
    except (KeyError, TypeError, ValueError) as e:
        raise CheckpointError(f"{folder / 'config.json'} is not GPT-2's ({type(e).__name__}: {e})") from e
    weights = {}
    for name, w in read_shards(folder).items():
        name = name.removeprefix("transformer.")
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            continue  # the causal mask, which old versions stored beside the weights
        weights[name] = w.float().t().contiguous() if name.endswith(TRANSPOSED) and w.ndim == 2 else w.float()
    model = make_model(lambda: GPT(config), weights, folder, config.n_layer)
    has_tokenizer = any((folder / f).is_file() for f in ("tokenizer.json", "vocab.json"))
    return model.eval(), load_tokenizer(folder) if has_tokenizer else None


def read_shards(folder: Path) -> dict:
    """All tensors of a folder, whether they lie in one safetensors file or in several."""
    if (folder / "model.safetensors").is_file():
        return read_tensors(folder / "model.safetensors")
    if (folder / "model.safetensors.index.json").is_file():
        index = read_json(folder / "model.safetensors.index.json").get("weight_map")
        if not isinstance(index, dict) or not all(isinstance(f, str) for f in index.values()):
            raise CheckpointError(f"{folder}/model.safetensors.index.json does not say which files the weights are in")
        files = sorted(set(index.values()))
        if any(Path(f).name != f for f in files):
            raise CheckpointError(f"{folder}/model.safetensors.index.json names files outside its folder")
        return {name: w for f in files for name, w in read_tensors(folder / f).items()}
    if (folder / "pytorch_model.bin").is_file():
        raise CheckpointError(
            f"{folder} holds pytorch_model.bin, a pickle, which could run code when loaded: save it again with "
            "save_pretrained(…) of a current transformers, which writes model.safetensors"
        )
    raise CheckpointError(f"{folder} holds no model.safetensors: save the model there with save_pretrained(…)")


def export_gpt2(model: GPT, tokenizer, folder) -> Path:
    """Write a folder that AutoModelForCausalLM and AutoTokenizer load. tokenizer may be None.

    A model without biases gets biases of 0, which is the same function. Raises ValueError for any other model.
    """
    folder, c = Path(folder), model.config
    gpt2 = GPTConfig(c.vocab_size, c.block_size, c.n_layer, c.n_head, c.n_embd, c.dropout, c.bias, c.tied, c.norm_eps)
    if type(model) is not GPT or c != gpt2 or hasattr(model, "lora"):
        raise ValueError(
            f"only a GPT with GPT-2's architecture can be written as one, not this {type(model).__name__}: "
            "its newer settings have no place there (and merge a LoRA first)"
        )
    eos = tokenizer.special_tokens.get(END_OF_TEXT) if tokenizer is not None else None
    config = {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        **FIXED,
        "vocab_size": c.vocab_size,
        "n_positions": c.block_size,
        "n_layer": c.n_layer,
        "n_head": c.n_head,
        "n_embd": c.n_embd,
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": c.dropout,
        "layer_norm_epsilon": c.norm_eps,
        "tie_word_embeddings": c.tied,
        "bos_token_id": eos,
        "eos_token_id": eos,
        "dtype": "float32",
    }
    weights = {}
    for name, w in model.state_dict().items():
        if name == "lm_head.weight":
            if not c.tied:
                weights[name] = w
            continue
        weights[f"transformer.{name}"] = w.t() if name.endswith(TRANSPOSED) else w
        if not c.bias and name.endswith(".weight") and name not in ("wte.weight", "wpe.weight"):
            weights[f"transformer.{name.removesuffix('weight')}bias"] = w.new_zeros(w.size(0))
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: w.detach().cpu().contiguous() for name, w in weights.items()}
    write_whole(folder / "model.safetensors", safetensors.torch.save(weights, metadata={"format": "pt"}))
    write_whole(folder / "config.json", to_json(config))
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
        special = {"eos_token": END_OF_TEXT, "bos_token": END_OF_TEXT} if eos is not None else {}
        kind = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": c.block_size}
        # Hugging Face would otherwise delete a space before punctuation when decoding: our text comes back as it is.
        kind |= {"clean_up_tokenization_spaces": False, **special}
        write_whole(folder / "tokenizer_config.json", to_json(kind))
    return folder
