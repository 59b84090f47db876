"""Shards: ids on the disk, memory-mapped, in one piece or with a clear word."""

import json

import numpy as np
import pytest
import torch

from minigpt.data import TokenDataset
from minigpt.shards import open_shard, write_shard
from minigpt.texts import load_corpus
from minigpt.tokenizer import BPETokenizer, CharTokenizer

DIGITS = CharTokenizer.train("0123456789")


def test_shard_round_trip_stays_on_disk(tmp_path):
    chunks = [[1, 2, 3], [], np.array([4, 5]), torch.tensor([6])]
    path = write_shard(tmp_path / "sub" / "train.bin", chunks, DIGITS)
    shard = open_shard(path, DIGITS)
    assert isinstance(shard, np.memmap) and shard.dtype == np.uint16 and shard.tolist() == [1, 2, 3, 4, 5, 6]
    assert path.stat().st_size == 12
    assert sorted(file.name for file in path.parent.iterdir()) == ["train.bin", "train.json"]
    data = TokenDataset(shard, 2)
    assert data.tokens is shard  # not copied
    assert [t.tolist() for _, t in data.batches(9)] == [[[2, 3], [4, 5], [6, -100]]]


def test_shard_holds_the_largest_id(tmp_path):
    class Wide:  # stands in for a tokenizer with a large vocabulary
        vocab_size = 2**16

        def fingerprint(self):
            return "wide"

    assert open_shard(write_shard(tmp_path / "a.bin", [[65535, 0]], Wide())).tolist() == [65535, 0]
    Wide.vocab_size += 1
    with pytest.raises(ValueError, match="16-bit ids, up to 65,535, but this vocabulary has 65,537"):
        write_shard(tmp_path / "b.bin", [[1]], Wide())
    assert not (tmp_path / "b.bin").exists()


def test_damaged_shards_get_a_clear_sentence(tmp_path):
    path = tmp_path / "train.bin"
    with pytest.raises(FileNotFoundError, match="write it with write_shard"):
        open_shard(path)
    write_shard(path, [[1, 2, 3]], DIGITS)
    with pytest.raises(ValueError, match="written with another tokenizer"):
        open_shard(path, CharTokenizer.train("abcdefghij"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="5 bytes, but its header promises 3 tokens"):
        open_shard(path)
    header = json.loads(path.with_suffix(".json").read_text())
    for broken, message in (("{", "damaged"), ("{}", "damaged"), ("[]", "damaged"),
                            (json.dumps(header | {"version": 2}), "another version"),
                            (json.dumps(header | {"dtype": "uint8"}), "another version")):
        path.with_suffix(".json").write_text(broken)
        with pytest.raises(ValueError, match=message):
            open_shard(path)
    with pytest.raises(ValueError, match="outside 0 … 9"):
        write_shard(path, [[1], [10]], DIGITS)
    assert not path.with_suffix(".partial").exists() and not path.with_suffix(".json").exists()
    write_shard(path, [], DIGITS)
    with pytest.raises(ValueError, match="holds no tokens"):
        open_shard(path)


def test_a_shard_of_real_text_gives_the_same_batches_as_memory(tmp_path):
    text = load_corpus("andersen")[:100_000]
    tokenizer = BPETokenizer.train(text, 400)
    ids = tokenizer.encode(text)
    shard = open_shard(write_shard(tmp_path / "a.bin", [ids], tokenizer), tokenizer)
    seed = 5
    for a, b in zip(TokenDataset(ids, 32).sample(8, torch.Generator().manual_seed(seed)),
                    TokenDataset(shard, 32).sample(8, torch.Generator().manual_seed(seed)), strict=True):
        assert torch.equal(a, b)
