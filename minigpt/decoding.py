"""Decoding several texts at once: beam search, and a batch of prompts of different lengths."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .evaluate import evaluating
from .generate import check_prompt, next_scores, next_token_probs, penalize_repetition
from .model import GPT


@dataclass(frozen=True)
class Hypothesis:
    """A finished text of beam search: its new tokens and its score, log p(tokens) / length ** length_penalty."""

    tokens: list[int]
    score: float


def check_room(model: GPT, prompt: int, new: int) -> None:
    """Raise ValueError if prompt and new tokens together exceed the context: neither function here shifts it."""
    if prompt + new > model.config.block_size:
        raise ValueError(
            f"{prompt} tokens and {new} new ones do not fit into a context of {model.config.block_size}: ask for at "
            f"most {max(0, model.config.block_size - prompt)} new tokens, or shorten the prompt"
        )


@evaluating
@torch.inference_mode()
def beam_search(
    model: GPT,
    ids: Sequence[int],
    max_new_tokens: int,
    *,
    beams: int = 4,
    length_penalty: float = 1.0,
    stop: Sequence[int] = (),
    context: Tensor | None = None,
    context_padding: Tensor | None = None,
) -> list[Hypothesis]:
    """The best continuations of `ids` that a search along `beams` texts at a time finds, best first.

    Every step extends each beam by each token and keeps the best. A text ends with a token of `stop` or at
    max_new_tokens. Scores are divided by length ** length_penalty: 0 prefers short texts, since every token
    costs probability; 1 compares the mean per token. The search ends when no running beam, at its present
    length, scores better than the worst of `beams` finished texts. Equal to transformers' generate(num_beams=…).
    """
    if beams < 1:
        raise ValueError(f"beams={beams} must be at least 1; 1 is greedy")
    ids = [int(i) for i in ids]
    check_prompt(model, ids, max_new_tokens)
    check_room(model, len(ids), max_new_tokens)
    device = model.wte.weight.device
    other_text = {}
    if context is not None:
        padding = None if context_padding is None else context_padding.expand(beams, -1)
        other_text = {"context": context.expand(beams, -1, -1), "context_padding": padding}
    cache = model.new_cache(beams, 0 if context is None else context.size(1))
    texts: list[list[int]] = [[] for _ in range(beams)]
    scores = torch.full((beams,), -torch.inf, device=device)
    scores[0] = 0.0  # all beams start equal: only the first may be extended, or they would stay equal
    new = torch.tensor([ids] * beams, device=device)  # (beams, T)
    finished: list[Hypothesis] = []
    for length in range(1, max_new_tokens + 1):
        logp = next_scores(model, new, cache=cache, **other_text).log_softmax(-1)  # (beams, V)
        total = (scores[:, None] + logp).flatten()  # (beams · V,)
        # So many that `beams` of them go on, even if every beam's best tokens end it.
        best, index = total.topk(min(max(2, 1 + len(stop)) * beams, total.numel()))
        running = []
        for place, (score, i) in enumerate(zip(best.tolist(), index.tolist(), strict=True)):
            beam, token = divmod(i, logp.size(1))
            if token not in stop and length < max_new_tokens:
                running.append((score, beam, token))
            elif place < beams and score > -torch.inf:  # a candidate behind the first `beams` may only go on, not end
                finished.append(Hypothesis(texts[beam] + [token], score / length**length_penalty))
        finished = sorted(finished, key=lambda h: -h.score)[:beams]
        running = running[:beams]
        if not running or (len(finished) == beams and running[0][0] / length**length_penalty <= finished[-1].score):
            break
        running += [running[-1]] * (beams - len(running))  # a tiny vocabulary may leave a beam without a text
        parents = torch.tensor([beam for _, beam, _ in running], device=device)
        for own, crossed in cache:
            own.reorder(parents)
            if crossed is not None:
                crossed.reorder(parents)
        texts = [texts[beam] + [token] for _, beam, token in running]
        scores = torch.tensor([score for score, _, _ in running], device=device)
        new = torch.tensor([[token] for _, _, token in running], device=device)  # (beams, 1)
    return finished


@evaluating
@torch.inference_mode()
def generate_batch(
    model: GPT,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: Sequence[int] = (),
    generator: torch.Generator | None = None,
    context: Tensor | None = None,
    context_padding: Tensor | None = None,
) -> list[list[int]]:
    """Continue several prompts in one batch: the new tokens of each, up to and including one of `stop`.

    Shorter prompts are padded on the left, so that all continue at the same place; the mask hides the padding and
    positions are counted over the tokens, so no prompt is changed by its neighbours.
    """
    prompts = [[int(i) for i in prompt] for prompt in prompts]
    if not prompts:
        return []
    for prompt in prompts:
        check_prompt(model, prompt, max_new_tokens)
    longest = max(map(len, prompts))
    check_room(model, longest, max_new_tokens)
    device = model.wte.weight.device
    new = torch.tensor([[0] * (longest - len(p)) + p for p in prompts], device=device)  # (B, T)
    real = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in prompts], device=device)  # (B, T)
    other_text = {} if context is None else {"context": context, "context_padding": context_padding}
    cache = model.new_cache(len(prompts), 0 if context is None else context.size(1))
    texts: list[list[int]] = [[] for _ in prompts]
    open_texts = set(range(len(prompts)))
    for _ in range(max_new_tokens):
        logits = next_scores(model, new, real, cache=cache, **other_text)  # (B, V)
        if repetition_penalty != 1:
            for b, prompt in enumerate(prompts):
                seen = torch.tensor([prompt + texts[b]], device=device)
                logits[b : b + 1] = penalize_repetition(logits[b : b + 1], seen, repetition_penalty)
        probs = next_token_probs(logits, temperature, top_k, top_p)
        tokens = torch.multinomial(probs.cpu(), 1, generator=generator)  # (B, 1)
        for b in list(open_texts):
            texts[b].append(int(tokens[b]))
            if texts[b][-1] in stop:
                open_texts.remove(b)
        if not open_texts:
            break
        new = tokens.to(device)
        real = torch.cat([real, torch.ones_like(new, dtype=torch.bool)], dim=1)  # (B, S)
    return texts
