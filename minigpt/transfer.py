"""Page 2.2's experiment: the same classifier, once from a pre-trained model and once from nothing.

    python -m minigpt.transfer chapters/models/wikipedia runs.jsonl

trains both for the same steps on 50, 200, 1,000 and 8,000 labelled articles, with three seeds each, and writes a line
for every look at the test articles. A run whose lines are in the file already is not repeated.
"""

import copy
import json
import random
import re
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from torch import Tensor, bincount, cat, manual_seed, stack, tensor
from torch.nn.functional import cross_entropy

from .chat import LabelDataset
from .checkpoint import load_checkpoint
from .config import TrainConfig
from .data import TokenDataset
from .evaluate import evaluate_loss
from .model import GPT, TaskHead
from .objectives import classification_loss
from .resume import read_log
from .tasks import TOPICS, Example, load_task
from .texts import split_documents
from .train import train

LABELS, SEEDS = (50, 200, 1000, 8000), (0, 1, 2)
TOKENS, UNSEEN = 40, 300  # each article is cut to so many tokens; so many test articles are asked
FIT = TrainConfig(steps=75, batch_size=16, lr=1e-3, warmup=10, eval_every=25, dtype="float32")
LONG = replace(FIT, steps=300, eval_every=50)  # one run from nothing goes on, with all the labels
LETTERS = "abcdefghijk"  # the log names a topic by a letter, `a` the first of TOPICS
SHOWN = 12  # of so many test articles the log keeps the probabilities


def labelled(tokenizer, examples: list[Example], tokens: int = TOKENS) -> LabelDataset:
    """Examples of "topics" as (first tokens, number of the topic)."""
    return LabelDataset([(tokenizer.encode(e.source[: 8 * tokens]), TOPICS.index(e.target)) for e in examples], tokens)


def classifier(base: GPT, seed: int, pretrained: bool) -> TaskHead:
    """A new layer for the topics, on a copy of the base or on a GPT of its shape with fresh weights."""
    manual_seed(seed)
    start = copy.deepcopy(base) if pretrained else GPT(base.config)
    return TaskHead(start, len(TOPICS), pooling="mean")


def learn(model: TaskHead, train_data: LabelDataset, test_data: LabelDataset, config: TrainConfig) -> list[dict]:
    """Train, and look at the N test texts as config.eval_every says, before the first step too.

    Returns the looks, {"step", "loss" (nats per text), "chances" (N, classes)}, the texts in the order they came in.
    """
    seen = []

    def watched(model, batch):
        scores = model(*batch[:2])  # (B, classes)
        seen.append(scores.softmax(-1))
        return cross_entropy(scores, batch[2])

    log = train(model, train_data, test_data, config, loss_fn=classification_loss, val_loss_fn=watched)
    if "stopped" in log[-1]:
        raise KeyboardInterrupt(f"stopped after step {log[-1]['step']}")
    looks = [line for line in log if "val_loss" in line]
    chances = cat(seen).view(len(looks), len(test_data), -1)  # (looks, N, classes), short texts first
    back = test_data.lengths.argsort(stable=True).argsort()
    return [dict(step=a["step"], loss=a["val_loss"], chances=c[back]) for a, c in zip(looks, chances, strict=True)]


def accuracy(said: Tensor, right: Tensor) -> float:
    """The share of right answers; both (N,)."""
    return float((said == right).float().mean())


def macro_f1(said: Tensor, right: Tensor, classes: int = len(TOPICS)) -> float:
    """The mean of the classes' F1, each class weighing the same however rare; both (N,).

    F1 = 2 · hits / (said + right); a class that is neither said nor right counts 0.
    """
    f1 = []
    for c in range(classes):
        hits = int(((said == c) & (right == c)).sum())
        f1.append(2 * hits / max(1, int((said == c).sum() + (right == c).sum())))
    return sum(f1) / classes


def word_bayes(texts: list[str], topics: Tensor, unseen: list[str]) -> Tensor:
    """Naive Bayes on word counts: the topics' probabilities (N, classes) for N unseen texts, from labelled ones.

    Each topic has its share of the texts, and each word its share of the topic's words, 1 added to every count; words
    that no labelled text has are passed over (McCallum & Nigam, 1998, the multinomial model).
    """

    def words(text):
        return re.findall(r"[a-z]+", text.lower())

    seen = [Counter() for _ in TOPICS]
    for text, topic in zip(texts, topics.tolist(), strict=True):
        seen[topic].update(words(text))
    place = {word: i for i, word in enumerate(sorted(set().union(*seen)))}
    counts = tensor([[1.0 + counter[word] for word in place] for counter in seen])  # (classes, W)
    share = (counts / counts.sum(1, keepdim=True)).log()
    prior = ((bincount(topics, minlength=len(TOPICS)) + 1) / (len(texts) + len(TOPICS))).log()
    known = [[place[word] for word in words(text) if word in place] for text in unseen]
    return stack([prior + share[:, places].sum(1) for places in known]).softmax(1)


def read_sweep(log: Path, right: Tensor) -> dict:
    """The log's n numbers of labels, seeds and k looks as tables; right (N,) are the test articles' topics.

    {"labels", "steps", "accuracy" and "macro-F1" (2, n, seeds, k), pre-trained first; "chances" (2, n, k, SHOWN,
    topics), the first seed's; "prose" (n, seeds), nats per token after fine-tuning; "long", the steps and measures of
    the run that went on}.
    """
    lines, tables = read_log(Path(log), sys.maxsize), {}
    if not lines:
        raise FileNotFoundError(f"{log} holds no run: `make model-topics` makes it")
    measures = {"accuracy": accuracy, "macro-F1": macro_f1}
    for line in lines:
        said = tensor([LETTERS.index(letter) for letter in line["said"]])
        line |= {name: measure(said, right) for name, measure in measures.items()}
    long = [line for line in lines if line["steps"] != FIT.steps]
    for line in lines:
        if line["steps"] == FIT.steps:
            tables.setdefault((line["start"], line["labels"], line["seed"]), []).append(line)

    def table(name, seeds=SEEDS, starts=("pre-trained", "nothing")):
        return [[[[look[name] for look in tables[s, n, seed]] for seed in seeds] for n in LABELS] for s in starts]

    return {
        "labels": list(LABELS),
        "steps": [look["step"] for look in tables["nothing", LABELS[0], 0]],
        **{name: tensor(table(name)) for name in measures},
        "chances": tensor(table("shown", seeds=SEEDS[:1]))[:, :, 0],
        "prose": tensor([[tables["pre-trained", n, seed][-1]["prose"] for seed in SEEDS] for n in LABELS]),
        "long": {name: [line[name] for line in long] for name in ("step", *measures)},
    }


def main(folder: str, log: str) -> None:
    """Every run that is not in the log yet, seed by seed."""
    base, tokenizer = load_checkpoint(folder)
    task, prose = load_task("topics"), split_documents("wikipedia")[1]
    unseen = labelled(tokenizer, task.test[:UNSEEN])
    old = TokenDataset([i for text in prose[:40] for i in tokenizer.encode(text)], 128)
    pool = {seed: labelled(tokenizer, random.Random(seed).sample(task.train, max(LABELS))) for seed in SEEDS}
    plan = [(seed, labels, start, FIT) for seed in SEEDS for labels in LABELS for start in ("pre-trained", "nothing")]
    done = {(line["seed"], line["labels"], line["start"], line["steps"]) for line in read_log(Path(log), sys.maxsize)}
    for seed, labels, start, fit in [*plan, (0, max(LABELS), "nothing", LONG)]:
        if (seed, labels, start, fit.steps) in done:
            continue
        model = classifier(base, seed, start == "pre-trained")
        few = copy.copy(pool[seed])
        few.rows, few.lengths = few.rows[:labels], few.lengths[:labels]
        looks = learn(model, few, unseen, replace(fit, seed=seed))
        lines = []
        for look in looks:
            chances = look.pop("chances")
            said = "".join(LETTERS[i] for i in chances.argmax(-1).tolist())
            shown = [[round(p, 3) for p in row] for row in chances[:SHOWN].tolist()]
            run = dict(seed=seed, labels=labels, start=start, steps=fit.steps)
            lines.append(run | look | dict(said=said, shown=shown))
        if start == "pre-trained":
            lines[-1]["prose"] = evaluate_loss(model.stack, old)  # nats per token, on text that it had never read
        with open(log, "a", encoding="utf-8") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m minigpt.transfer MODEL LOG.jsonl")
    main(*sys.argv[1:])
