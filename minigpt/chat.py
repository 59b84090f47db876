"""Fine-tuning's data: conversations with a loss mask, and the datasets of texts that have an end.

A conversation is a list of messages, {"role": "user", "content": "Hello"}, as in the transformers library. As text it
is ChatML, the format of SmolLM2, Qwen and many others: each message between <|im_start|> and <|im_end|>. Every task
whose answer is text (describe, translate, answer, complete) is a conversation of one question and one answer.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from .data import IGNORE
from .model import GPT
from .tokenizer import END_OF_TEXT, IM_END, IM_START, BPETokenizer, CharTokenizer

CHAT_TOKENS = (END_OF_TEXT, IM_START, IM_END)
ROLES = ("system", "user", "assistant")

Message = dict[str, str]


def ask(question: str, answer: str | None = None) -> list[Message]:
    """A question, and its answer where there is one, as a conversation."""
    messages = [{"role": "user", "content": question}]
    return messages if answer is None else [*messages, {"role": "assistant", "content": answer}]


def render(messages: Sequence[Message], reply: bool = False) -> str:
    """The conversation as text; reply=True opens the assistant's next message, for a model to write it.

    Equal to transformers' apply_chat_template with SmolLM2's template, except that SmolLM2 puts a system message of
    its own before a conversation that has none, and this function adds nothing that was not said.
    """
    check_messages(messages)
    text = "".join(f"{IM_START}{m['role']}\n{m['content']}{IM_END}\n" for m in messages)
    return text + (f"{IM_START}assistant\n" if reply else "")


def encode_chat(tokenizer, messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    """(ids, targets), equally long: what a model reads, and what it has to say next.

    targets[t] is the token after ids[t] where the assistant speaks it, its closing <|im_end|> included, and IGNORE
    elsewhere: the model learns to answer, not to ask (Ouyang et al., 2022). Both end with the last token that is
    learned. Contents are encoded as ordinary text, so that nobody ends a message by typing "<|im_end|>".
    Raises ValueError if the assistant says nothing, or if the tokenizer lacks ChatML's tokens.
    """
    check_messages(messages)
    ids, targets = [], []  # targets[t] belongs to ids[t] here, and moves one place to the left at the end
    for message in messages:
        opening, content, closing = _encode_message(tokenizer, message)
        ids += opening + content + closing
        said = message["role"] == "assistant"
        targets += [IGNORE] * len(opening)
        targets += [*content, closing[0]] if said else [IGNORE] * (len(content) + 1)
        targets += [IGNORE] * (len(closing) - 1)  # the line break after <|im_end|>
    if all(target == IGNORE for target in targets):
        raise ValueError(
            "The assistant says nothing in this conversation, so there is nothing to learn from it: add "
            "its answer, or use encode_prompt() to let a model write it."
        )
    last = max(t for t, target in enumerate(targets) if target != IGNORE)
    return ids[:last], targets[1 : last + 1]


def encode_prompt(tokenizer, messages: Sequence[Message]) -> list[int]:
    """The ids of render(messages, reply=True), contents as ordinary text: what generate() continues.

    The assistant's answer ends with the token tokenizer.special_tokens[IM_END]: pass it as `stop`.
    """
    check_messages(messages)
    ids = [i for message in messages for part in _encode_message(tokenizer, message) for i in part]
    return ids + _special(tokenizer, IM_START) + tokenizer.encode("assistant\n")


def _encode_message(tokenizer, message: Message) -> tuple[list[int], list[int], list[int]]:
    """Opening, content and closing. They are encoded one by one, so that a token never crosses from one into the next:
    what generate() continues is then exactly what was trained."""
    opening = _special(tokenizer, IM_START) + tokenizer.encode(f"{message['role']}\n")
    return opening, tokenizer.encode(message["content"]), _special(tokenizer, IM_END) + tokenizer.encode("\n")


def _special(tokenizer, token: str) -> list[int]:
    if token not in tokenizer.special_tokens:
        raise ValueError(
            f"This tokenizer has no token {token}: train it with special_tokens=CHAT_TOKENS, or give them "
            f"to a trained model and its tokenizer with add_special_tokens(model, tokenizer)."
        )
    return [tokenizer.special_tokens[token]]


def check_messages(messages: Sequence[Message]) -> None:
    """Raise ValueError unless these are messages with a known role and a text."""
    if isinstance(messages, dict | str) or not messages:
        raise ValueError('A conversation is a list of at least one message, [{"role": "user", "content": "Hello"}].')
    for message in messages:
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            raise ValueError(f'A message is {{"role": …, "content": …}}, not {message!r}.')
        if message["role"] not in ROLES or not isinstance(message["content"], str):
            raise ValueError(f"The role must be one of {', '.join(ROLES)}, and the content a text: {message!r}.")


def add_special_tokens(model: GPT, tokenizer, tokens: Sequence[str] = CHAT_TOKENS):
    """Return a tokenizer that also knows `tokens`, and give `model`, in place, a row for each new one.

    A new row is the mean of the old ones: then no new token is likely at first, and what the model says of the old
    ones hardly changes (Hewitt, 2021, "Initializing New Word Embeddings for Pretrained Language Models").
    """
    if tokenizer.vocab_size != model.config.vocab_size:
        raise ValueError(
            f"The tokenizer has {tokenizer.vocab_size:,} tokens and the model {model.config.vocab_size:,}:"
            f" use the tokenizer that the model was trained with."
        )
    new = [token for token in tokens if token not in tokenizer.special_tokens]
    special = tokenizer.special_tokens | {token: tokenizer.vocab_size + i for i, token in enumerate(new)}
    if isinstance(tokenizer, CharTokenizer):
        grown = CharTokenizer(tokenizer.vocab, special)
    else:
        grown = BPETokenizer(tokenizer.vocab, tokenizer.merges, special)
    model.wte.weight = _more_rows(model.wte.weight, len(new))
    model.wte.num_embeddings = model.lm_head.out_features = grown.vocab_size
    model.lm_head.weight = model.wte.weight if model.config.tied else _more_rows(model.lm_head.weight, len(new))
    model.config = replace(model.config, vocab_size=grown.vocab_size)
    return grown


def _more_rows(weight: Tensor, count: int) -> nn.Parameter:
    with torch.no_grad():
        return nn.Parameter(torch.cat([weight, weight.mean(0, keepdim=True).expand(count, -1)]))


class _Rows:
    """What the datasets below share: rows of different lengths, from which batches are drawn and filled up.

    To waste little on padding, sample() draws the rows of 32 batches, sorts them by length and keeps one batch's
    worth at random: every row is as likely as before, and a batch holds rows of similar length.
    """

    def __init__(self, rows: list, lengths: list[int], dropped: int, why: str):
        self.rows, self.lengths, self.dropped = rows, torch.tensor(lengths), dropped
        if not rows:
            raise ValueError(f"No example is left ({dropped} given, {why}): use a larger block_size or other examples.")
        if dropped:
            warnings.warn(f"{dropped} of {dropped + len(rows)} examples are left out: {why}.", stacklevel=3)

    def __len__(self) -> int:
        """The number of rows; an epoch is len(data) / batch_size steps."""
        return len(self.rows)

    def sample(self, batch_size: int, generator: torch.Generator | None = None) -> tuple[Tensor, ...]:
        """A random batch of `batch_size` rows, with replacement."""
        drawn = torch.randint(len(self.rows), (32 * batch_size,), generator=generator)
        drawn = drawn[self.lengths[drawn].argsort(stable=True)].view(32, batch_size)
        return self.collate(drawn[torch.randint(32, (), generator=generator)])

    def batches(self, batch_size: int) -> Iterator[tuple[Tensor, ...]]:
        """Every row once, from short to long, in batches of at most `batch_size`."""
        for part in self.lengths.argsort(stable=True).split(batch_size):
            yield self.collate(part)


class ExampleDataset(_Rows):
    """Examples of encode_chat() for a GPT and clm_loss: batch = (inputs, documents, targets), each (B, T).

    examples: (ids, targets), equally long lists. With pack=True several examples share a row of up to `block_size`
    tokens; documents says to which of them a token belongs, 1, 2, …, and 0 where the row is filled up, so that the
    model keeps them apart (GPT.forward(inputs, documents)). They are packed longest first, each into the fullest row
    that has room (best fit decreasing; Johnson et al., 1974), always in the same way.

    An example longer than block_size loses the beginning of its prompt, never a token that is learned (`cut` counts
    these); where that is not enough it is left out, with a warning (`dropped`).
    """

    def __init__(self, examples: Iterable[tuple[Sequence[int], Sequence[int]]], block_size: int, pack: bool = True):
        self.cut, kept, dropped = 0, [], 0
        for ids, targets in examples:
            if len(ids) != len(targets):
                raise ValueError(f"An example has {len(ids)} ids but {len(targets)} targets: each id has one.")
            ids, targets = torch.tensor(ids), torch.tensor(targets)
            learned = (targets != IGNORE).nonzero().flatten().tolist()
            if not learned or len(ids) - learned[0] > block_size:
                dropped += 1
                continue
            self.cut += len(ids) > block_size
            kept.append((ids[-block_size:], targets[-block_size:]))
        rows = _pack([len(ids) for ids, _ in kept], block_size) if pack else [[i] for i in range(len(kept))]
        rows = [[kept[i] for i in row] for row in rows]
        lengths = [sum(len(ids) for ids, _ in row) for row in rows]
        super().__init__(rows, lengths, dropped, f"what is learned is nothing, or longer than block_size={block_size}")

    def collate(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = [self.rows[i] for i in chosen]
        inputs = fill([torch.cat([ids for ids, _ in row]) for row in rows], 0)  # (B, T)
        targets = fill([torch.cat([targets for _, targets in row]) for row in rows], IGNORE)
        number = [[torch.full_like(ids, n) for n, (ids, _) in enumerate(row, start=1)] for row in rows]
        return inputs, fill([torch.cat(parts) for parts in number], 0), targets


class PairDataset(_Rows):
    """Pairs for a Seq2Seq and seq2seq_loss: batch = (source (B, S), padding (B, S), inputs (B, T), targets (B, T)).

    pairs: (source ids, target ids). The decoder reads `begin` and then the target, and says the target and then
    `end`; the two may be the same token, as in BART. A pair with a side longer than block_size is left out, with a
    warning. Of 20,000 pairs of "en-es" in batches of 32, 19 % of the tokens are padding; drawn blindly, 54 %.
    """

    def __init__(self, pairs: Iterable[tuple[Sequence[int], Sequence[int]]], block_size: int, begin: int, end: int):
        pairs = list(pairs)
        rows = [
            (torch.tensor(source), torch.tensor([begin, *target]), torch.tensor([*target, end]))
            for source, target in pairs
            if 0 < len(source) <= block_size and len(target) < block_size
        ]
        lengths = [len(source) + len(inputs) for source, inputs, _ in rows]
        why = f"a side is empty or longer than block_size={block_size}"
        super().__init__(rows, lengths, len(pairs) - len(rows), why)

    def collate(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        sources, inputs, targets = zip(*(self.rows[i] for i in chosen), strict=True)
        padding = fill([torch.ones_like(source, dtype=torch.bool) for source in sources], False)
        return fill(sources, 0), padding, fill(inputs, 0), fill(targets, IGNORE)


class LabelDataset(_Rows):
    """Texts with a label for a TaskHead: batch = (ids (B, T), padding (B, T), targets).

    examples: (ids, label). A label is a class, so that targets is (B,), for classification_loss; or the first and
    last token of a span, so that targets is (B, 2), for span_loss. Texts longer than block_size lose their end
    (`cut` counts them), and are left out, with a warning, where the span lies there.
    """

    def __init__(self, examples: Iterable[tuple[Sequence[int], int | tuple[int, int]]], block_size: int):
        examples = list(examples)
        rows = [
            (torch.tensor(ids[:block_size]), torch.tensor(label))
            for ids, label in examples
            if len(ids) and (isinstance(label, int) or max(label) < block_size)
        ]
        self.cut = sum(len(ids) > block_size for ids, _ in examples)
        why = f"the text is empty, or its span ends after block_size={block_size}"
        super().__init__(rows, [len(ids) for ids, _ in rows], len(examples) - len(rows), why)

    def collate(self, chosen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        texts, labels = zip(*(self.rows[i] for i in chosen), strict=True)
        padding = fill([torch.ones_like(ids, dtype=torch.bool) for ids in texts], False)
        return fill(texts, 0), padding, torch.stack(labels)


def fill(rows: Sequence[Tensor], value: int | bool) -> Tensor:
    """Rows of different lengths as one tensor (B, T), `value` on the right where a row has ended."""
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _pack(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Share out examples over rows of at most `size` tokens: which examples stand in each row."""
    rows, with_room = [], [[] for _ in range(size + 1)]  # with_room[r]: the rows with room for r more tokens
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        room = next((r for r in range(lengths[i], size + 1) if with_room[r]), None)
        if room is None:
            room = size
            with_room[size].append([])
            rows.append(with_room[size][-1])
        row = with_room[room].pop()
        row.append(i)
        with_room[room - lengths[i]].append(row)
    return rows


def encode_span(
    tokenizer, question: str, context: str, start: int, answer: str, separator: int
) -> tuple[list[int], tuple[int, int]]:
    """A question and the passage that answers it, for LabelDataset: (ids, (first, last)).

    ids are question, separator, context; first and last are the tokens, both included, that hold context's
    characters start … start + len(answer). Raises ValueError if the answer is not there.
    """
    if not answer or context[start : start + len(answer)] != answer:
        raise ValueError(f"The answer {answer!r} does not stand at character {start} of the passage.")
    ids = tokenizer.encode(context)
    begin = len(context[:start].encode("utf-8"))
    end = begin + len(answer.encode("utf-8")) - 1  # its last byte
    ends = torch.tensor([len(tokenizer.decode_bytes([i])) for i in ids]).cumsum(0) - 1  # each token's last byte
    first, last = torch.searchsorted(ends, torch.tensor([begin, end])).tolist()
    before = [*tokenizer.encode(question), separator]
    return before + ids, (len(before) + first, len(before) + last)
