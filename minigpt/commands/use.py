"""The commands that use a model: generate, chat, export."""

import io
import sys
from pathlib import Path

import torch
from tyro.conf import Positional

from ..chat import Message, encode_prompt
from ..checkpoint import CheckpointError, load_checkpoint, read_json
from ..device import pick_device
from ..generate import stream
from ..hf import export_gpt2, load_gpt2
from ..llama import load_llama, load_smollm2, smollm2_tokenizer
from ..lora import merge_lora
from ..model import GPT
from ..tokenizer import END_OF_TEXT, IM_END, IM_START, load_tokenizer


def load_any(folder: Path):
    """(model, tokenizer) from a checkpoint or a run of minigpt, with its LoRA merged; from a GPT-2 or Llama folder in
    Hugging Face's format; or, by the name "smollm2", from the corpus of that name."""
    folder = Path(folder)
    if str(folder) == "smollm2" and not folder.exists():
        return load_smollm2(), smollm2_tokenizer()
    theirs = read_json(folder / "config.json").get("model_type") if (folder / "config.json").is_file() else None
    if theirs is None:
        model, tokenizer = load_checkpoint(folder)
    elif theirs == "llama":
        model, tokenizer = load_llama(folder), load_tokenizer(folder)
    else:
        model, tokenizer = load_gpt2(folder)
    if tokenizer is None:
        raise FileNotFoundError(f"{folder} holds no tokenizer.json: without it, text cannot become token ids")
    if hasattr(model, "lora"):
        merge_lora(model)
    return model.eval(), tokenizer


def load_writer(folder: Path, device: str = "auto"):
    """load_any(), for a model that writes from left to right, on its device."""
    model, tokenizer = load_any(folder)
    if type(model) is not GPT:
        raise CheckpointError(f"{folder} holds a model of kind {type(model).__name__}: only a GPT continues a text")
    return model.to(pick_device(device)), tokenizer


def ends(tokenizer, *tokens: str) -> list[int]:
    """The ids of those special tokens that the tokenizer has."""
    return [tokenizer.special_tokens[token] for token in tokens if token in tokenizer.special_tokens]


def seeded(seed: int | None) -> torch.Generator:
    """The dice: the same throws for the same seed, others each time for None."""
    dice = torch.Generator()
    if seed is None:
        dice.seed()
    elif 0 <= seed < 2**63:
        dice.manual_seed(seed)
    else:
        raise ValueError(f"seed={seed} must lie between 0 and 2**63 − 1")
    return dice


def generate_command(
    folder: Positional[Path],
    prompt: Positional[str] = "",
    *,
    max_new_tokens: int = 200,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    seed: int | None = None,
    device: str = "auto",
) -> None:
    """Continue a text, printing it as it comes.

    Args:
        folder: a run, a checkpoint, a GPT-2 or Llama folder of Hugging Face's, or smollm2.
        prompt: the text to continue; empty starts a new one.
        max_new_tokens: how many tokens at most.
        temperature: 0 always takes the likeliest token; 1 is the model's own distribution.
        top_k: draw among the k likeliest only.
        top_p: draw among the likeliest tokens that make up this much probability.
        repetition_penalty: above 1, what stands in the text already becomes less likely.
        seed: the same seed gives the same text.
        device: auto, cpu, cuda or mps.
    """
    model, tokenizer = load_writer(folder, device)
    sampling = dict(temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty)
    sampling |= {"generator": seeded(seed), "stop": ends(tokenizer, IM_END, END_OF_TEXT)}
    pieces = stream(model, tokenizer, prompt, max_new_tokens, **sampling)
    print(prompt + next(pieces, ""), end="", flush=True)  # what is wrong shows at the first piece
    for piece in pieces:
        print(piece, end="", flush=True)
    print()


def chat_command(
    folder: Positional[Path],
    *,
    system: str = "",
    max_new_tokens: int = 256,
    temperature: float = 0.7,
    top_k: int | None = None,
    top_p: float | None = 0.9,
    repetition_penalty: float = 1.0,
    seed: int | None = None,
    device: str = "auto",
) -> None:
    """Talk with a model that was fine-tuned on conversations. /reset forgets what was said; /exit or Ctrl-D ends.

    Args:
        folder: a run, a checkpoint, a Llama folder of Hugging Face's, or smollm2, a real chat model of 135 M.
        system: a first message that says how to answer.
        max_new_tokens: the longest reply, in tokens; never more than half of the model's context.
        temperature: 0 always takes the likeliest token; 1 is the model's own distribution.
        top_k: draw among the k likeliest only.
        top_p: draw among the likeliest tokens that make up this much probability.
        repetition_penalty: above 1, what stands in the conversation already becomes less likely.
        seed: the same seed gives the same replies to the same words.
        device: auto, cpu, cuda or mps.
    """
    model, tokenizer = load_writer(folder, device)
    if missing := [token for token in (IM_START, IM_END) if token not in tokenizer.special_tokens]:
        raise ValueError(
            f"{folder} knows no conversations: its tokenizer has no {missing[0]}. Fine-tune it on them first, or talk "
            "with a model that was: minigpt chat smollm2"
        )
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens} leaves no room for a reply: use 1 or more")
    reply = min(max_new_tokens, model.config.block_size // 2)
    sampling = dict(temperature=temperature, top_k=top_k, top_p=top_p, repetition_penalty=repetition_penalty)
    sampling |= {"generator": seeded(seed), "stop": ends(tokenizer, IM_START, IM_END, END_OF_TEXT)}
    start: list[Message] = [{"role": "system", "content": system}] if system else []
    shorten(tokenizer, start, len(start), model.config.block_size - reply)
    messages = list(start)
    by_hand = sys.stdin.isatty()
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # bytes that are no text, from a pipe
    if by_hand:
        print("/reset forgets what was said; /exit or Ctrl-D ends.")
    try:
        while True:
            said = input("> " if by_hand else "").strip()
            if said == "/exit":
                return
            if said == "/reset":
                messages = list(start)
                print("(forgotten)")
                continue
            if not said:
                continue
            asked = [*messages, {"role": "user", "content": said}]
            try:
                kept = shorten(tokenizer, asked, len(start), model.config.block_size - reply)
            except ValueError as e:
                print(f"({e})")
                continue
            if len(kept) < len(asked):
                print(f"(the context is full: the oldest {len(asked) - len(kept)} messages are forgotten)")
            pieces = []
            for piece in stream(model, tokenizer, encode_prompt(tokenizer, kept), reply, **sampling):
                print(piece, end="", flush=True)
                pieces.append(piece)
            print()
            messages = [*kept, {"role": "assistant", "content": "".join(pieces)}]
    except (EOFError, KeyboardInterrupt):
        if by_hand:
            print()


def shorten(tokenizer, messages: list[Message], keep: int, room: int) -> list[Message]:
    """The conversation without its oldest question and answer, and the next ones, until it fits into `room` tokens.

    The first `keep` messages stay. Raises ValueError if even the last message alone does not fit.
    """
    if not messages:
        return []
    while len(encode_prompt(tokenizer, messages)) > room:
        if len(messages) < keep + 3:
            raise ValueError(f"that is too long for a context with room for {room} tokens: say it in fewer words")
        messages = messages[:keep] + messages[keep + 2 :]
    return messages


def export_command(folder: Positional[Path], out: Positional[Path]) -> None:
    """Write a model as a GPT-2 folder that Hugging Face's AutoModelForCausalLM and AutoTokenizer load.

    Args:
        folder: a run or a checkpoint of minigpt.
        out: the folder to write.
    """
    model, tokenizer = load_checkpoint(folder)
    if hasattr(model, "lora"):
        merge_lora(model)
    print(f"wrote {export_gpt2(model, tokenizer, out)}: AutoModelForCausalLM.from_pretrained({str(out)!r}) loads it")
