"""Generation: draw a token from the model's distribution, append it, repeat."""

import codecs
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from .model import GPT
from .tokenizer import END_OF_TEXT


def next_token_probs(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """From scores (..., V) to probabilities (..., V), through the samplers in the field's order.

    temperature divides the scores: below 1 sharpens, above 1 flattens, 0 means greedy (all on the best token,
    the first of equals). top_k keeps the k best. top_p keeps the fewest best tokens whose probabilities reach
    p, the one that crosses p included (Holtzman et al., 2020). What is kept sums to 1 again.
    """
    if not temperature >= 0:  # so that NaN is refused too
        raise ValueError(f"temperature={temperature} must not be negative: 0 is greedy, 1 leaves the model as it is")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k={top_k} would keep no token: use 1 or more, or None to keep all")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p={top_p} must lie in (0, 1]: 1 keeps every token")
    if temperature < 1e-20:  # 0, or a number by which float32 cannot divide
        return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    logits = (logits - logits.amax(-1, keepdim=True)) / temperature  # ≤ 0: no small temperature overflows
    if top_k is not None:
        least = logits.topk(min(top_k, logits.size(-1))).values[..., -1:]  # the k-th best score
        logits = logits.masked_fill(logits < least, -torch.inf)
    probs = logits.softmax(-1)
    if top_p is not None and top_p < 1:
        ordered, index = probs.sort(dim=-1, descending=True)
        before = ordered.cumsum(-1) - ordered  # probability of all better tokens
        probs = probs.masked_fill((before >= top_p).gather(-1, index.argsort(-1)), 0.0)
        probs = probs / probs.sum(-1, keepdim=True)
    return probs


def penalize_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make tokens that stand in the text already less likely: logits (B, V), seen (B, T) token ids.

    A positive score is divided by `penalty`, a negative one multiplied (Keskar et al., 2019, section 4.1); 1
    changes nothing. It comes before the temperature, as in the field's libraries.
    """
    if not penalty > 0:
        raise ValueError(f"repetition_penalty={penalty} must be above 0: 1 changes nothing, 1.2 is common")
    scores = logits.gather(-1, seen)  # (B, T)
    return logits.scatter(-1, seen, torch.where(scores < 0, scores * penalty, scores / penalty))


@torch.inference_mode()
def _next_logits(model: GPT, ids: list[int], cache, **other_text) -> Tensor:
    """Scores (1, V) of the token after `ids`. Feeds only what the cache, if any, has not seen."""
    new = ids if cache is None else ids[cache[0][0].length :]
    return next_scores(model, torch.tensor([new], device=model.wte.weight.device), cache=cache, **other_text)


def next_scores(model: GPT, ids: Tensor, *padding: Tensor, **options) -> Tensor:
    """ids (B, T) -> scores (B, V) of the token after them; what else is passed goes to the model.

    Raises FloatingPointError if they are no numbers: whatever were drawn from them would be no text.
    """
    logits = model(ids, *padding, **options)[:, -1].float()
    if not logits.amax(-1).isfinite().all():
        raise FloatingPointError(
            "the model's scores are not numbers (NaN or ∞): its weights are damaged or its training went astray; use "
            "an earlier checkpoint"
        )
    return logits


def generate(
    model: GPT,
    ids: Sequence[int],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: Sequence[int] = (),
    generator: torch.Generator | None = None,
    use_cache: bool = True,
    context: Tensor | None = None,
    context_padding: Tensor | None = None,
) -> Iterator[int]:
    """Yield up to max_new_tokens token ids that continue `ids`, one by one, ending after a token of `stop`.

    When the context is full, its last half is read again from position 0 and generation goes on; a prompt
    longer than the context is cut to its last block_size tokens. The cache changes speed, never a token.
    Pass a torch.Generator with a seed to get the same text again. A decoder of an encoder–decoder also takes
    what the encoder made of the source: context (1, S, C) and its padding (1, S).
    """
    size = model.config.block_size
    window = [int(i) for i in ids][-size:]
    check_prompt(model, window, max_new_tokens)
    other_text = {} if context is None else {"context": context, "context_padding": context_padding}
    context_length = 0 if context is None else context.size(1)
    was_training = model.training
    model.eval()
    try:
        cache = model.new_cache(1, context_length) if use_cache else None
        for _ in range(max_new_tokens):
            if len(window) > size:  # full: keep the last half, and read it afresh at positions 0, 1, 2, …
                window = window[-max(1, size // 2) :]
                cache = model.new_cache(1, context_length) if use_cache else None
            logits = _next_logits(model, window, cache, **other_text)  # (1, V)
            if repetition_penalty != 1:
                logits = penalize_repetition(logits, torch.tensor([window], device=logits.device), repetition_penalty)
            probs = next_token_probs(logits, temperature, top_k, top_p)
            token = int(torch.multinomial(probs.cpu(), 1, generator=generator))
            window.append(token)
            yield token
            if token in stop:
                return
    finally:
        model.train(was_training)


def check_prompt(model: GPT, ids: list[int], max_new_tokens: int = 0) -> None:
    """Raise ValueError if `ids` is no prompt for this model, or if less than nothing is asked for."""
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens} must not be negative")
    if not ids:
        raise ValueError("there is nothing to continue: the prompt must hold at least one token")
    if not 0 <= min(ids) <= max(ids) < model.config.vocab_size:
        raise ValueError(
            f"the prompt holds a token id outside 0 … {model.config.vocab_size - 1}: "
            "encode it with the tokenizer that the model was trained with"
        )


def stream(
    model: GPT, tokenizer, prompt: str | Sequence[int], max_new_tokens: int, *, stop: Sequence[int] = (), **sampling
) -> Iterator[str]:
    """Yield the continuation of `prompt`, a text or token ids, as text, piece by piece, never half a character.

    A token of a byte-level vocabulary can end inside a UTF-8 character; its bytes wait for the rest.
    The pieces joined are exactly the text of the generated tokens, without the token of `stop` that ended it. An empty
    text starts from the tokenizer's end-of-text token where there is one, else from a line break. Keyword arguments
    are generate()'s.
    """
    ids = prompt_ids(tokenizer, prompt) if isinstance(prompt, str) else prompt
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in generate(model, ids, max_new_tokens, stop=stop, **sampling):
        if token not in stop and (piece := decoder.decode(tokenizer.decode_bytes([token]))):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest


def prompt_ids(tokenizer, prompt: str) -> list[int]:
    """The prompt's token ids; for an empty prompt, a token that texts start after."""
    if prompt:
        return tokenizer.encode(prompt)
    if END_OF_TEXT in tokenizer.special_tokens:
        return [tokenizer.special_tokens[END_OF_TEXT]]
    try:
        return tokenizer.encode("\n")
    except ValueError:  # a vocabulary of characters without a line break: any start is as good
        return [0]
