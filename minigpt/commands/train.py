"""The commands that make a model: train one from nothing, fine-tune one that is trained."""

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Literal

from torch import nn
from tyro.conf import Positional, arg

from ..chat import CHAT_TOKENS, add_special_tokens
from ..checkpoint import CheckpointError, build, find_checkpoint, read_configs, read_json, to_json
from ..config import LLAMA, MODERN, PRESETS, TrainConfig, preset
from ..device import is_main_process
from ..evaluate import bits_per_byte
from ..files import write_whole
from ..lora import add_lora, save_lora
from ..model import GPT, Encoder, Seq2Seq, TaskHead, XLNet
from ..objectives import seq2seq_loss
from ..resume import MAY_CHANGE
from ..shards import open_shards
from ..tasks import TASKS, load_task
from ..texts import split_documents
from ..tokenizer import load_tokenizer
from ..train import train
from . import material
from .use import load_any

STYLES = {"gpt2": {}, "modern": MODERN, "llama": LLAMA}
ASKED = "asked.json"  # in the folder of a run: what it learns from, so that it cannot go on with something else
FROM_NOTHING = TrainConfig(sample_every=250, save_every=250)  # what `train` takes where nothing else is asked for
FROM_TRAINED = TrainConfig(lr=5e-4, patience=3, save_every=250)  # … and `finetune`
OBJECTIVES = {"clm": GPT, "mlm": Encoder, "plm": XLNet, "seq2seq": Seq2Seq, "chat": GPT}  # what each of them trains


def train_command(
    corpus: Positional[str] = "synthetic",
    *,
    text: Path | None = None,
    objective: Literal[tuple(OBJECTIVES)] = "clm",
    model: Literal[tuple(PRESETS)] = "nano",
    style: Literal[tuple(STYLES)] = "gpt2",
    tokenizer: str = "bpe",
    vocab_size: int = 512,
    block_size: int | None = None,
    n_layer: int | None = None,
    n_head: int | None = None,
    n_embd: int | None = None,
    dropout: float | None = None,
    predict: float = 1 / 6,
    label_smoothing: float = 0.0,
    max_length: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    config: Annotated[TrainConfig, arg(name="")] = FROM_NOTHING,
) -> None:
    """Train a model from nothing. With no arguments: a tiny GPT on a synthetic text that needs no download.

    Args:
        corpus: what to read: a corpus, by the name that `data list` shows; a folder that `data prepare` wrote; or, for
            seq2seq and chat, a task.
        text: a text file of your own (UTF-8), instead of a corpus.
        objective: what to learn. clm, the next token: a GPT; mlm, hidden tokens: an encoder, as BERT; plm, tokens in a
            random order: an XLNet; seq2seq, to translate (en-es, zh-en): an encoder and a decoder; chat, the answers of
            a task's conversations: a GPT.
        model: the preset that gives the model its shape; the next options change parts of it.
        style: the block's details: GPT-2's, a modern one's, or Llama's (page 4.2 explains them).
        tokenizer: bpe, a byte-level BPE trained on this text; char, its characters; gpt2, GPT-2's own tokens; or a
            folder or tokenizer.json to read one from.
        vocab_size: how many tokens a BPE trained here has.
        block_size: the longest context, in tokens.
        n_layer: how many blocks.
        n_head: attention heads in each block.
        n_embd: width of the residual stream.
        dropout: the part of the units dropped while training, against learning a small text by heart.
        predict: plm: this last part of each order is scored. XLNet used a sixth, so that every guess has something to
            go by; 1 scores every token.
        label_smoothing: seq2seq: this part of each target is spread over the vocabulary; 0.1 was used in 2017.
        max_length: tasks: leave out examples whose source has more words (zh-en: characters).
        out: the folder of the run; runs/CORPUS-MODEL when not given.
        resume: go on from the newest checkpoint in `out`, with its model, tokenizer and settings. Steps may grow, and
            when it looks, samples and saves may change. Name the same corpus and objective, and where you chose them,
            predict, label_smoothing and max_length.
        config: how to train.
    """
    out = out or Path("runs") / f"{text.stem if text else Path(corpus).name}-{model}"
    asked = dict(corpus=str(text or corpus), objective=objective, max_length=max_length)
    asked |= dict(predict=predict) if objective == "plm" else {}
    asked |= dict(label_smoothing=label_smoothing) if objective == "seq2seq" else {}
    prepared = text is None and (Path(corpus) / "manifest.json").is_file()
    if text and objective in ("seq2seq", "chat"):
        raise ValueError(f"{objective} learns from a task, not from --text: name one of {', '.join(TASKS)}")
    if prepared:
        *rows, words = open_shards(corpus)
        if tokenizer != "bpe":
            raise ValueError(f"{corpus} was prepared with a tokenizer, which is used: leave --tokenizer out")
        if objective in ("seq2seq", "chat"):
            tasks = ", ".join(TASKS)
            raise ValueError(f"{corpus} holds a text, and {objective} learns from a task: name one of {tasks}")
    elif objective in ("seq2seq", "chat"):
        task = load_task(corpus, max_length)
        parts = [task.train, task.validation]
        train_texts, val_texts = ([f"{e.context}{e.source}\n{e.target}\n" for e in part] for part in parts)
    else:
        train_texts, val_texts = material.split_file(text) if text else split_documents(corpus)
    if resume:
        network, words, config = reopen(out, config, FROM_NOTHING, asked)
    else:
        if not prepared:
            words = material.make_tokenizer(tokenizer, train_texts, val_texts, vocab_size)
        shape = dict(block_size=block_size, n_layer=n_layer, n_head=n_head, n_embd=n_embd, dropout=dropout)
        shape = {name: value for name, value in shape.items() if value is not None}
        network = OBJECTIVES[objective](preset(model, vocab_size=words.vocab_size, **STYLES[style], **shape))
    block_size = network.config.block_size
    if objective == "seq2seq":
        loss_fn, data = material.pair_material(words, block_size, parts, label_smoothing)
    elif objective == "chat":
        loss_fn, data = material.chat_material(words, block_size, parts)
    else:
        if not prepared:
            rows = [material.encode_documents(words, texts) for texts in (train_texts, val_texts)]
        loss_fn, data = material.text_material(objective, words, block_size, rows, predict)
    if objective != "clm":
        config = replace(config, sample_every=0)  # only a GPT writes from left to right
    val_loss_fn = seq2seq_loss if objective == "seq2seq" else loss_fn  # without smoothing
    last = carry_out(network, data, config, loss_fn, words, out, resume, asked, val_loss_fn)
    if objective == "clm" and not prepared and "val_loss" in last:
        bits = bits_per_byte(last["val_loss"], len(rows[1]) - 1, "".join(val_texts))
        tell(f"{bits:.3f} bits per byte of validation text")


def finetune_command(
    folder: Positional[Path],
    task: Positional[Literal[TASKS]],
    *,
    head: bool = False,
    lora_rank: int = 0,
    examples: int = 0,
    max_length: int | None = None,
    out: Path | None = None,
    resume: bool = False,
    config: Annotated[TrainConfig, arg(name="")] = FROM_TRAINED,
) -> None:
    """Go on training a model on a task: conversations whose answers it learns to give.

    Args:
        folder: the trained model: a run, a checkpoint, or a GPT-2 folder of Hugging Face's.
        task: what to learn; `mixed` is an instruction set from all the others.
        head: topics and qa: put a linear layer on the model that chooses a class or points at a span, instead of text.
        lora_rank: above 0: train only two thin matrices of this rank beside each large one; 8 is common.
        examples: learn from so many training examples only; 0 takes all.
        max_length: leave out examples whose source has more words (zh-en: characters).
        out: the folder of the run; runs/TASK when not given.
        resume: go on from the newest checkpoint in `out`, with its model, tokenizer and settings. Steps may grow, and
            when it looks and saves may change. Name the same task, and where you chose them, head, lora_rank, examples
            and max_length.
        config: how to train.
    """
    out = out or Path("runs") / task
    asked = dict(task=task, head=head, lora_rank=lora_rank, examples=examples, max_length=max_length)
    if examples < 0:
        raise ValueError(f"examples={examples} must not be negative; 0 takes all")
    chosen = load_task(task, max_length)
    parts = [chosen.train[: examples or None], chosen.validation]
    if resume:
        network, words, config = reopen(out, config, FROM_TRAINED, asked)
    else:
        network, words = load_any(folder)
        if type(network) not in ((GPT, Encoder) if head else (GPT,)):
            kind = type(network).__name__
            can = "a GPT or an Encoder takes a head" if head else "a GPT learns to write (an Encoder takes a --head)"
            raise CheckpointError(f"{folder} holds a model of kind {kind}: only {can}")
        words = add_special_tokens(network, words, CHAT_TOKENS)  # those that it does not have yet
    if head:
        loss_fn, data, outputs, pooling = material.head_material(task, words, network.config.block_size, parts)
        network = network if resume else TaskHead(network, outputs, pooling)
    else:
        loss_fn, data = material.chat_material(words, network.config.block_size, parts)
    if lora_rank and not resume:
        add_lora(network, lora_rank, alpha=2.0 * lora_rank)
    carry_out(network, data, replace(config, sample_every=0), loss_fn, words, out, resume, asked)
    if lora_rank and is_main_process():
        tell(f"the adapter alone is in {save_lora(network, out / 'adapter.safetensors')}")


def reopen(
    out: Path, config: TrainConfig, default: TrainConfig, asked: dict
) -> tuple[nn.Module, object, TrainConfig]:
    """(model, tokenizer, settings) of the run in `out`: its own, but for those that MAY_CHANGE and are given, that is,
    are not the command's `default`. CheckpointError if other settings are given, or if the run learned from something
    else than what is `asked` for now."""
    folder = find_checkpoint(out)
    known = read_json(out / ASKED) if (out / ASKED).is_file() else asked
    if changed := [f"{name} {known.get(name)}" for name in asked if known.get(name) != asked[name]]:
        raise CheckpointError(f"{out} was trained with {', '.join(changed)}: resume with the same")
    described, saved = read_configs(folder)
    given = {f.name: getattr(config, f.name) for f in fields(TrainConfig)}
    given = {name: value for name, value in given.items() if value != getattr(default, name)}
    if other := [name for name in given if name not in MAY_CHANGE and given[name] != getattr(saved, name)]:
        raise CheckpointError(f"{out} was trained with other values of {', '.join(other)}: leave them out")
    kept = {name: value for name, value in given.items() if name in MAY_CHANGE}
    kept["steps"] = max(saved.steps, kept.get("steps", 0))
    return build(described), load_tokenizer(folder), replace(saved, **kept)


def carry_out(
    network: nn.Module,
    data,
    config: TrainConfig,
    loss_fn,
    words,
    out: Path,
    resume: bool,
    asked: dict,
    val_loss_fn=None,
) -> dict:
    """Train, say what happened, and return the log's last line. What is learned from is kept beside the log.

    Raises ValueError if nothing is left to train and no log tells of what was.
    """
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    tell(f"{trained:,} parameters to train; the run is kept in {out}")
    if is_main_process() and not resume and not (out / "latest").exists():
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / ASKED, to_json(asked))
    losses = dict(loss_fn=loss_fn, val_loss_fn=val_loss_fn)
    log = train(network, *data, config, **losses, tokenizer=words, out=out, resume=resume)
    if not log:
        raise ValueError(f"{out} has all of its {config.steps} steps: nothing is left to train, raise --steps")
    last = log[-1]
    if last.get("stopped") == "interrupted" and last["step"] < config.steps:
        sys.exit(f"stopped after step {last['step']} and saved: the same command with --resume goes on from there")
    if "val_loss" in last:
        tell(f"validation loss {last['val_loss']:.4f} nats per token; saved in {out}")
        best = min((line for line in log if "val_loss" in line), key=lambda line: line["val_loss"])
        if best["val_loss"] < last["val_loss"]:
            folder = out / f"step-{best['step']}"
            where = f"use {folder}" if folder.is_dir() else "which was not saved: --patience saves the best"
            tell(f"it was better at step {best['step']}, {best['val_loss']:.4f}: {where}")
    return last


def tell(words: str) -> None:
    if is_main_process():
        print(words)
