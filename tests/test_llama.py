"""Llama-type models against transformers: small random ones always, and SmolLM2 itself where its file is."""

import gc

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from minigpt.checkpoint import CheckpointError
from minigpt.corpora import CORPORA, state
from minigpt.generate import generate
from minigpt.llama import from_llama, load_llama, load_smollm2, smollm2_tokenizer
from minigpt.texts import smollm2_path

WITH_SMOLLM2 = pytest.mark.skipif(
    state(CORPORA["smollm2"]) != "ready", reason="python -m minigpt data fetch smollm2 gets its 93 MB"
)


def small(**changes):
    torch.manual_seed(0)
    settings = dict(
        vocab_size=60, hidden_size=36, intermediate_size=50, num_hidden_layers=3, num_attention_heads=3,
        num_key_value_heads=1, max_position_embeddings=24, tie_word_embeddings=True, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},
    )  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(**settings | changes)).eval()
    for p in model.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return model


@torch.no_grad()
def test_a_small_smollm2_equals_transformers_in_several_files(tmp_path):
    theirs = small()  # SmolLM2's proportions: an odd number of heads that share keys and values, RoPE's θ = 1e5
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    ours = load_llama(tmp_path)
    ids = torch.randint(60, (2, 24))
    torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)
    want = theirs.generate(ids[:1, :5], max_new_tokens=12, do_sample=False)[0, 5:].tolist()
    assert list(generate(ours, ids[0, :5], 12, temperature=0)) == want


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ({"attention_bias": True}, "attention_bias=True"),
        ({"head_dim": 16}, "only a plain Llama"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}}, "only a plain Llama"),
    ],
)
def test_other_llamas_are_named(changes, message):
    theirs = small(**changes)
    with pytest.raises(CheckpointError, match=message):
        from_llama(theirs.config.to_dict(), theirs.state_dict(), "there")


@WITH_SMOLLM2
@pytest.mark.long
@torch.no_grad()
def test_smollm2_equals_transformers():
    """One after the other: each takes half a gigabyte."""
    from transformers import AutoModelForCausalLM

    words = smollm2_tokenizer()
    ids = torch.tensor([words.encode("The capital of France is Paris, and the capital of Italy is")])
    path = smollm2_path()
    theirs = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    want = theirs(ids).logits
    del theirs
    gc.collect()
    ours = load_smollm2()
    assert ours.num_parameters() == 134_515_008
    torch.testing.assert_close(ours(ids), want, atol=1e-3, rtol=0)
    assert words.decode(generate(ours, ids[0], 1, temperature=0)) == " Rome"


@WITH_SMOLLM2
@pytest.mark.long
def test_smollm2s_tokenizer_equals_transformers():
    from transformers import AutoTokenizer

    path = smollm2_path()
    theirs, ours = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name), smollm2_tokenizer()
    texts = ["Hello, world!  Two spaces\n\n\tand 2026-11-24.", "naïve café 中文 🙂", "def f(x):\n    return x**2\n"]
    for text in [*texts, smollm2_path.__doc__]:
        assert ours.encode(text) == theirs(text).input_ids
        assert ours.decode(ours.encode(text)) == text
    chat = "<|im_start|>user\nHi<|im_end|>\n"
    assert ours.encode(chat, special=True) == theirs(chat).input_ids
    assert ours.decode(ours.encode("\x04")) == "\x04"
    assert min(ours.encode("\x04")) >= len(theirs)
