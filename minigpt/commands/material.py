"""From what a command names, a corpus, a file or a task, to a tokenizer, datasets and the loss that go together."""

from functools import partial
from pathlib import Path

from ..chat import ExampleDataset, LabelDataset, PairDataset, encode_chat, encode_span
from ..data import TokenDataset
from ..masking import MaskedDataset, PermutedDataset
from ..objectives import classification_loss, clm_loss, mlm_loss, plm_loss, seq2seq_loss, span_loss
from ..tasks import TOPICS, Example
from ..tokenizer import (
    END_OF_TEXT,
    IM_END,
    MASK,
    SPECIAL_TOKENS,
    BPETokenizer,
    CharTokenizer,
    gpt2_tokenizer,
    load_tokenizer,
)


def make_tokenizer(name: str, train_texts: list[str], val_texts: list[str], vocab_size: int):
    """The tokenizer that --tokenizer names, trained on the training texts if it is to be learned."""
    if name == "bpe":
        return BPETokenizer.train("".join(train_texts), vocab_size, SPECIAL_TOKENS)
    if name == "char":  # every character must have its id, also those that only validation has
        return CharTokenizer.train("".join(train_texts + val_texts))
    return gpt2_tokenizer() if name == "gpt2" else load_tokenizer(Path(name))


def encode_documents(words, texts: list[str]) -> list[int]:
    """One row of ids; <|endoftext|> before each document, where the tokenizer has it, else an empty line between."""
    if END_OF_TEXT in words.special_tokens:
        return [i for text in texts for i in [words.special_tokens[END_OF_TEXT], *words.encode(text)]]
    return words.encode("\n".join(texts))


def special(words, token: str) -> int:
    if token not in words.special_tokens:
        raise ValueError(f"this tokenizer has no {token}: use --tokenizer bpe, which learns one with it")
    return words.special_tokens[token]


def text_material(objective: str, words, block_size: int, rows: list, predict: float = 1 / 6) -> tuple:
    """(loss function, datasets) for rows of token ids: what is asked, and of which windows."""
    if objective == "mlm":
        never = tuple(words.special_tokens.values())
        hide = dict(mask_id=special(words, MASK), vocab_size=words.vocab_size, never=never)
        return mlm_loss, [MaskedDataset(row, block_size, **hide) for row in rows]
    if objective == "plm":
        return plm_loss, [PermutedDataset(row, block_size, predict) for row in rows]
    return clm_loss, [TokenDataset(row, block_size) for row in rows]


def pair_material(words, block_size: int, parts: list[list[Example]], label_smoothing: float) -> tuple:
    """(loss function, datasets) of a translation task for a Seq2Seq; <|endoftext|> begins and ends a target."""
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing={label_smoothing} must lie in [0, 1): 0 spreads nothing")
    mark = special(words, END_OF_TEXT)
    encoded = [[(words.encode(e.source), words.encode(e.target)) for e in part] for part in parts]
    datasets = [PairDataset(part, block_size, begin=mark, end=mark) for part in encoded]
    return partial(seq2seq_loss, label_smoothing=label_smoothing), datasets


def chat_material(words, block_size: int, parts: list[list[Example]]) -> tuple:
    """(loss function, datasets) of a task's conversations for a GPT, which learns what the assistant says."""
    return clm_loss, [ExampleDataset([encode_chat(words, e.messages) for e in part], block_size) for part in parts]


def head_material(task: str, words, block_size: int, parts: list[list[Example]]) -> tuple:
    """(loss function, datasets, outputs of the head, its pooling) of a task whose answer is a class or a span."""
    if task == "topics":
        label = {topic: i for i, topic in enumerate(TOPICS)}
        encoded = [[(words.encode(e.source), label[e.target]) for e in part] for part in parts]
        return classification_loss, [LabelDataset(part, block_size) for part in encoded], len(TOPICS), "mean"
    if task == "qa":
        mark = special(words, IM_END)
        encoded = [[encode_span(words, e.source, e.context, e.start, e.target, mark) for e in p] for p in parts]
        return span_loss, [LabelDataset(part, block_size) for part in encoded], 2, "each"
    raise ValueError(f"the answers of {task!r} are texts: only topics (a class) and qa (a span) have a head")


def read_text(path: Path) -> str:
    """A text file of the reader's own."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as e:
        raise FileNotFoundError(f"{path} cannot be read ({e.strerror}): give the path of a text file") from e
    except UnicodeDecodeError as e:
        raise ValueError(f"{path} is not UTF-8 text (byte {e.start}): save it as UTF-8 first") from e


def split_file(path: Path) -> tuple[list[str], list[str]]:
    """(training text, validation text) of a file: its last tenth is for validation."""
    content = read_text(path)
    cut = len(content) * 9 // 10
    return [content[:cut]], [content[cut:]]
