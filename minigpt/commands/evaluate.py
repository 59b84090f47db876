"""The command that measures a model: how well it predicts a text, or how well it does a task."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import nn
from tqdm.auto import tqdm
from tyro.conf import Positional

from .. import metrics
from ..chat import ExampleDataset, encode_chat, encode_prompt, fill
from ..checkpoint import CheckpointError, to_json
from ..data import StridedWindows
from ..decoding import generate_batch
from ..device import pick_device
from ..evaluate import bits_per_byte, evaluate_loss, perplexity
from ..files import write_whole
from ..model import GPT, Seq2Seq
from ..tasks import Example, load_task
from ..texts import split_documents
from ..tokenizer import END_OF_TEXT, IM_END, IM_START
from .material import encode_documents, read_text
from .use import ends, load_any


def evaluate_command(
    folder: Positional[Path],
    corpus: Positional[str] = "synthetic",
    *,
    text: Path | None = None,
    task: str | None = None,
    stride: int | None = None,
    limit: int | None = None,
    max_length: int | None = None,
    max_new_tokens: int = 64,
    batch_size: int = 16,
    out: Path | None = None,
    device: str = "auto",
) -> None:
    """Measure a model. On a text: loss, perplexity, bits per byte. On a task: that task's metrics, answers greedy.

    Args:
        folder: a run, a checkpoint, a GPT-2 or Llama folder of Hugging Face's, or smollm2.
        corpus: a corpus by the name that `data list` shows; its validation part is read.
        text: a whole text file of your own (UTF-8) instead of a corpus.
        task: the test part of a task: describe, topics, en-es, zh-en, qa, closed-book, chitchat, python or mixed.
        stride: tokens between the windows of a text; half of the context when not given. Smaller: more context, slower.
        limit: read only so many characters of the text, or so many examples of the task.
        max_length: tasks: leave out examples whose source has more words (zh-en: characters).
        max_new_tokens: the longest answer to a task, in tokens; never more than half of the model's context.
        batch_size: how many windows or examples go through the model at once.
        out: a JSON file for the results and, of a task, the answers.
        device: auto, cpu, cuda or mps.
    """
    if (limit is not None and limit < 1) or batch_size < 1 or max_new_tokens < 1:
        raise ValueError("limit, batch_size and max_new_tokens must be at least 1")
    if text and task is not None:
        raise ValueError("measure on --text or on --task, not on both")
    if out is not None and not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"{out.absolute().parent} does not exist: make the folder for {out.name} first")
    model, words = load_any(folder)
    model = model.to(pick_device(device))
    if not isinstance(model, Seq2Seq) and type(model) is not GPT:
        raise CheckpointError(f"{folder} holds a model of kind {type(model).__name__}: only those that write text are "
                              "measured here")  # fmt: skip
    results = {"model": str(folder)}
    if task is not None:
        examples = load_task(task, max_length).test[:limit]
        results |= {"task": task, "examples": len(examples)}
        said = answers(model, words, examples, max_new_tokens, batch_size)
        if type(model) is GPT:
            data = ExampleDataset([encode_chat(words, e.messages) for e in examples], model.config.block_size)
            results["loss"] = evaluate_loss(model, data, batch_size=batch_size)
        results |= task_scores(task, said, examples)
    else:
        if type(model) is not GPT:
            raise CheckpointError(f"{folder} holds a model of kind {type(model).__name__}: it reads tasks, not texts")
        texts = [read_text(text)] if text else split_documents(corpus)[1]
        results |= {"text": str(text or corpus)} | text_scores(model, words, first(texts, limit), stride, batch_size)
    for name, value in results.items():
        print(f"{name:<16}{shown(value)}")
    if out is not None:
        if task is not None:
            told = zip(examples, said, strict=True)
            results["answers"] = [{"source": e.source, "target": e.target, "answer": a} for e, a in told]
        write_whole(out, to_json(results))


def shown(value) -> str:
    """A number in four digits, an interval behind its mean."""
    if isinstance(value, dict):
        return f"{value['mean']:.4f}  (95 %: {value['low']:.4f} … {value['high']:.4f})"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value


def first(texts: list[str], characters: int | None) -> list[str]:
    """The texts up to so many characters together."""
    if characters is None:
        return texts
    kept, room = [], characters
    for text in texts:
        if room > 0:
            kept.append(text[:room])
        room -= len(text)
    return kept


@dataclass(frozen=True)
class Shown:
    """Data whose batches move a progress bar."""

    data: StridedWindows

    def batches(self, batch_size: int) -> Iterator:
        total = math.ceil(len(self.data) / batch_size)
        yield from tqdm(self.data.batches(batch_size), total=total, desc="reading", leave=False)


def text_scores(model: GPT, words, texts: list[str], stride: int | None, batch_size: int) -> dict:
    """Loss in nats per token, perplexity and bits per byte of some documents in one row."""
    row, size = encode_documents(words, texts), model.config.block_size
    stride = max(1, size // 2) if stride is None else stride
    loss = evaluate_loss(model, Shown(StridedWindows(row, size, stride)), batch_size=batch_size)
    bits = bits_per_byte(loss, len(row) - 1, "".join(texts))
    return {"tokens": len(row), "stride": stride, "loss": loss, "perplexity": perplexity(loss), "bits_per_byte": bits}


@torch.inference_mode()
def answers(model: nn.Module, words, examples: list[Example], max_new_tokens: int, batch_size: int) -> list[str]:
    """What the model says to each example, greedily. A prompt too long for the context loses its beginning."""
    size = model.config.block_size
    new = min(max_new_tokens, max(1, size // 2))
    if isinstance(model, Seq2Seq):
        if END_OF_TEXT not in words.special_tokens:
            raise ValueError(f"the tokenizer has no {END_OF_TEXT} for an answer to begin and end with")
        prompts = [words.encode(e.source)[:size] for e in examples]
    else:
        prompts = [encode_prompt(words, e.messages[:-1])[-(size - new) :] for e in examples]
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))  # similar lengths together: little padding
    said = [""] * len(prompts)
    stop = ends(words, IM_START, IM_END, END_OF_TEXT)
    with tqdm(total=len(prompts), desc="answering", leave=False) as bar:
        for at in range(0, len(order), batch_size):
            batch = order[at : at + batch_size]
            told = _answer(model, words, [prompts[i] for i in batch], new, stop)
            for i, ids in zip(batch, told, strict=True):
                said[i] = words.decode([token for token in ids if token not in stop]).strip("\n")
            bar.update(len(batch))
    return said


def _answer(model: nn.Module, words, prompts: list[list[int]], new: int, stop: list[int]) -> list[list[int]]:
    if not isinstance(model, Seq2Seq):
        return generate_batch(model, prompts, new, temperature=0, stop=stop)
    rows, device = [torch.tensor(p) for p in prompts], model.decoder.wte.weight.device
    source = fill(rows, 0).to(device)  # (B, S)
    real = fill([torch.ones_like(p, dtype=torch.bool) for p in rows], False).to(device)  # (B, S)
    context = {"context": model.encoder.hidden(source, real), "context_padding": real}
    begin = [[words.special_tokens[END_OF_TEXT]]] * len(prompts)
    return generate_batch(model.decoder, begin, new, temperature=0, stop=stop, **context)


def task_scores(task: str, said: list[str], examples: list[Example]) -> dict:
    """The metrics that fit a task; means over examples with a 95 % interval."""
    right = [e.references for e in examples]
    pairs = [{"hypothesis": s, "reference": r} for s, r in zip(said, right, strict=True)]
    if task in ("en-es", "zh-en"):
        language = task.split("-")[1]
        return {
            "bleu": metrics.bleu(hypotheses=said, references=right, language=language),
            "chrf": metrics.chrf(hypotheses=said, references=right),
        }
    if task == "python":
        return {"parses": interval([metrics.parses(e.source + s) for e, s in zip(examples, said, strict=True)])}
    if task in ("chitchat", "mixed"):
        repeated = mean(map(metrics.self_repetition, said))
        return {"distinct_1": metrics.distinct_n(said, 1), "distinct_2": metrics.distinct_n(said, 2),
                "self_repetition": repeated}  # fmt: skip
    scores = {"exact_match": interval([metrics.exact_match(**pair) for pair in pairs])}
    if task in ("qa", "closed-book"):
        scores["f1"] = interval([metrics.f1(**pair) for pair in pairs])
    if task == "describe":
        all_scores = [metrics.rouge(**pair) for pair in pairs]
        scores |= {name: interval([s[name] for s in all_scores]) for name in ("rouge1", "rouge2", "rougeL")}
    return scores


def interval(scores: list[float]) -> dict[str, float]:
    return dict(zip(("mean", "low", "high"), metrics.bootstrap(scores), strict=True))
