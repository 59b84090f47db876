"""GPT-2 folders of Hugging Face, both ways, with small random models and no network."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from minigpt.checkpoint import CheckpointError
from minigpt.config import MODERN, GPTConfig
from minigpt.generate import generate
from minigpt.hf import export_gpt2, load_gpt2
from minigpt.lora import add_lora
from minigpt.model import GPT, Encoder
from minigpt.tokenizer import BPETokenizer, CharTokenizer

TEXT = "The quick brown fox jumps over the lazy dog. Ça va? 人工智能 🙂 \n\n  indented, isn't it?\n" * 4


def theirs(**changes):
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=300, n_positions=32, n_embd=48, n_layer=3, n_head=4, **changes)
    model = GPT2LMHeadModel(config).eval()
    for p in model.parameters():  # biases start at 0 and norms at 1: give every tensor something to get wrong
        p.data += 0.1 * torch.randn_like(p)
    return model


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": False}, {"layer_norm_epsilon": 1e-3}])
@pytest.mark.parametrize("shard", ["5GB", "60KB"])
def test_their_folder_loads_here(tmp_path, changes, shard):
    want = theirs(**changes)
    want.save_pretrained(tmp_path, max_shard_size=shard)
    model, tokenizer = load_gpt2(tmp_path)
    ids = torch.randint(300, (2, 32))
    torch.testing.assert_close(model(ids), want(ids).logits, atol=1e-4, rtol=0)
    assert tokenizer is None and model.config.tied == changes.get("tie_word_embeddings", True)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_our_folder_loads_there_and_says_the_same(tmp_path, tied, bias):
    tokenizer = BPETokenizer.train(TEXT, 290, special_tokens=["<|endoftext|>"])
    torch.manual_seed(0)
    model = GPT(GPTConfig(tokenizer.vocab_size, 32, 2, 4, 48, tied=tied, bias=bias)).eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn_like(p)
    export_gpt2(model, tokenizer, tmp_path)
    other, their_tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer.encode("The quick 人 fox .")
    assert their_tokenizer("The quick 人 fox .")["input_ids"] == ids
    assert their_tokenizer.decode(ids) == "The quick 人 fox ."
    assert their_tokenizer.eos_token == "<|endoftext|>" and len(their_tokenizer) == tokenizer.vocab_size
    torch.testing.assert_close(model(torch.tensor([ids])), other(torch.tensor([ids])).logits, atol=1e-4, rtol=0)
    want = other.generate(torch.tensor([ids]), max_new_tokens=12, do_sample=False, eos_token_id=None)[0, len(ids) :]
    assert list(generate(model, ids, 12, temperature=0)) == want.tolist()
    back, back_tokenizer = load_gpt2(tmp_path)
    torch.testing.assert_close(back(torch.tensor([ids])), model(torch.tensor([ids])))
    assert back_tokenizer.encode(TEXT) == tokenizer.encode(TEXT)


def test_character_tokenizer_is_exported_too(tmp_path):
    tokenizer = CharTokenizer.train("to be, or not to be:\n")
    export_gpt2(GPT(GPTConfig(tokenizer.vocab_size, 16, 1, 2, 16)), tokenizer, tmp_path)
    their_tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert their_tokenizer("not to be\n")["input_ids"] == tokenizer.encode("not to be\n")
    assert their_tokenizer.decode(tokenizer.encode("not to be\n")) == "not to be\n"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model_type": "llama"}, "type 'llama'"),
        ({"activation_function": "gelu"}, "activation_function='gelu'"),
        ({"n_inner": 7}, "n_inner=7"),
        ({"vocab_size": 301}, "another vocabulary"),
        ({"n_layer": 4}, "missing"),
    ],
)
def test_what_is_not_gpt2_is_named(tmp_path, change, message):
    theirs().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(CheckpointError, match=message):
        load_gpt2(tmp_path)


def test_what_gpt2_cannot_express_is_not_exported(tmp_path):
    lora = GPT(GPTConfig())
    add_lora(lora)
    for model in (GPT(GPTConfig(**MODERN)), GPT(GPTConfig(norm="rms")), Encoder(GPTConfig()), lora):
        with pytest.raises(ValueError, match="only a GPT with GPT-2's architecture"):
            export_gpt2(model, None, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pickle_is_refused(tmp_path):
    theirs().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickle"):
        load_gpt2(tmp_path)
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match="no model.safetensors"):
        load_gpt2(tmp_path)
