"""Page 2.2's experiment: what it hands back, in which order, and that a log which is complete is left as it is."""

import json
import math
from dataclasses import replace

import pytest
import torch

from minigpt import transfer
from minigpt.chat import ask
from minigpt.config import GPTConfig, TrainConfig
from minigpt.model import GPT
from minigpt.tasks import TOPICS, Example, Task
from minigpt.tokenizer import CharTokenizer

TEXTS = ["a cat", "b", "ccc b a", "a b", "cat cat", "tab", "b b b b", "c"]
EXAMPLES = [Example(text, TOPICS[i % 3], ask(text, TOPICS[i % 3])) for i, text in enumerate(TEXTS)]
WORDS = CharTokenizer.train("".join(TEXTS))
SHAPE = GPTConfig(vocab_size=WORDS.vocab_size, block_size=16, n_layer=1, n_head=2, n_embd=16)
RIGHT = torch.tensor([i % 3 for i in range(len(TEXTS))])


def test_texts_are_cut_and_topics_numbered():
    data = transfer.labelled(WORDS, EXAMPLES, tokens=3)
    assert [WORDS.decode(ids.tolist()) for ids, _ in data.rows] == [text[:3] for text in TEXTS]
    assert [int(topic) for _, topic in data.rows] == RIGHT.tolist()


def test_both_classifiers_have_one_shape_and_one_is_a_copy():
    base = GPT(SHAPE)
    trained, fresh = (transfer.classifier(base, 0, pretrained) for pretrained in (True, False))
    assert [p.shape for p in trained.parameters()] == [p.shape for p in fresh.parameters()]
    assert torch.equal(trained.stack.wte.weight, base.wte.weight)
    assert not torch.equal(fresh.stack.wte.weight, base.wte.weight)
    trained.stack.wte.weight.data.zero_()
    assert base.wte.weight.abs().max() > 0, "fine-tuning must leave the base as it is"
    again, other = (transfer.classifier(base, seed, False) for seed in (0, 1))
    assert torch.equal(again.score.weight, fresh.score.weight)
    assert not torch.equal(other.score.weight, fresh.score.weight)


def test_the_chances_of_each_look_come_in_the_order_of_the_texts():
    data, model = transfer.labelled(WORDS, EXAMPLES), transfer.classifier(GPT(SHAPE), 0, True)
    before = [model.eval()(ids[None], torch.ones(1, len(ids), dtype=torch.bool)).softmax(-1)[0] for ids, _ in data.rows]
    fit = TrainConfig(steps=4, batch_size=3, eval_every=2, warmup=1, dtype="float32", device="cpu")
    looks = transfer.learn(model, data, data, fit)
    after = [model(ids[None], torch.ones(1, len(ids), dtype=torch.bool)).softmax(-1)[0] for ids, _ in data.rows]
    assert [look["step"] for look in looks] == [0, 2, 4]
    for look, expected in ((looks[0], before), (looks[-1], after)):
        torch.testing.assert_close(look["chances"], torch.stack(expected), atol=1e-5, rtol=1e-4)
        loss = -look["chances"][range(len(TEXTS)), RIGHT].log().mean()
        assert look["loss"] == pytest.approx(float(loss), abs=1e-4)


def test_the_two_measures_by_hand():
    said, right = torch.tensor([0, 0, 0, 1, 2]), torch.tensor([0, 0, 1, 1, 0])
    assert transfer.accuracy(said, right) == pytest.approx(3 / 5)
    f1 = [2 * 2 / (3 + 3), 2 * 1 / (1 + 2), 0]
    assert transfer.macro_f1(said, right, 3) == pytest.approx(sum(f1) / 3)
    assert transfer.macro_f1(said, right, 4) == pytest.approx(sum(f1) / 4)  # a class that nobody has counts 0


def test_naive_bayes_by_hand():
    chances = transfer.word_bayes(["Cat, cat dog", "dog", "sun"], torch.tensor([0, 0, 1]), ["a CAT cat", "?"])
    shares = [(3 / 14) * (3 / 7) ** 2, (2 / 14) * (1 / 4) ** 2, *[(1 / 14) * (1 / 3) ** 2] * 9]  # 3 known words
    torch.testing.assert_close(chances[0], torch.tensor([share / sum(shares) for share in shares]))
    torch.testing.assert_close(chances[1], torch.tensor([3, 2, *[1] * 9]) / 14)


def test_the_sweep_writes_every_run_once_and_is_read_again(tmp_path, monkeypatch):
    fit = TrainConfig(steps=2, batch_size=2, eval_every=1, warmup=1, dtype="float32", device="cpu")
    for name, value in dict(LABELS=(2, 6), SEEDS=(0, 1), UNSEEN=8, SHOWN=3, FIT=fit).items():
        monkeypatch.setattr(transfer, name, value)
    monkeypatch.setattr(transfer, "LONG", TrainConfig(steps=3, batch_size=2, eval_every=3, device="cpu"))
    monkeypatch.setattr(transfer, "load_checkpoint", lambda folder: (GPT(replace(SHAPE, block_size=128)), WORDS))
    monkeypatch.setattr(transfer, "load_task", lambda name: Task(name, EXAMPLES, [], EXAMPLES, ()))
    monkeypatch.setattr(transfer, "split_documents", lambda name: ([], ["cat " * 40] * 2))
    log = tmp_path / "log.jsonl"
    with pytest.raises(FileNotFoundError, match="make model-topics"):
        transfer.read_sweep(log, RIGHT)
    transfer.main("base", log)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 2 * 2 * 2 * 3 + 2 and all(len(line["said"]) == 8 for line in lines)
    transfer.main("base", log)
    assert len(log.read_text(encoding="utf-8").splitlines()) == len(lines)

    sweep = transfer.read_sweep(log, RIGHT)
    assert (sweep["labels"], sweep["steps"], sweep["long"]["step"]) == ([2, 6], [0, 1, 2], [0, 3])
    assert sweep["accuracy"].shape == sweep["macro-F1"].shape == (2, 2, 2, 3)
    assert sweep["chances"].shape == (2, 2, 3, 3, len(TOPICS)) and sweep["prose"].shape == (2, 2)
    last = next(x for x in lines if (x["start"], x["labels"], x["seed"], x["step"]) == ("nothing", 6, 1, 2))
    hits = sum("abcdefghijk".index(letter) == topic for letter, topic in zip(last["said"], RIGHT.tolist(), strict=True))
    assert sweep["accuracy"][1, 1, 1, 2] == pytest.approx(hits / 8)
    assert all(math.isfinite(x) for x in sweep["prose"].flatten().tolist())


def test_a_run_that_was_stopped_is_not_kept(monkeypatch):
    data = transfer.labelled(WORDS, EXAMPLES)
    monkeypatch.setattr(transfer, "train", lambda *a, **k: [{"step": 1, "val_loss": 2.0, "stopped": "interrupted"}])
    with pytest.raises(KeyboardInterrupt, match="after step 1"):
        transfer.learn(transfer.classifier(GPT(SHAPE), 0, True), data, data, transfer.FIT)
