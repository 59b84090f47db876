"""Tokenizers: from text to token ids and back, without loss.

`CharTokenizer` gives every character of a text its own id. `BPETokenizer` is GPT-2's: byte-level byte-pair encoding
(Sennrich et al., 2016; Radford et al., 2019). It starts from the 256 bytes, so it can spell any text, and has merged
the most frequent neighbours into longer tokens. Both are saved in the JSON format of Hugging Face's `tokenizers`.
"""
import hashlib
import heapq
import json
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import regex

from .corpora import CORPORA, read_wheel
from .files import write_whole

END_OF_TEXT = "<|endoftext|>"  # GPT-2's mark between two texts
IM_START, IM_END = "<|im_start|>", "<|im_end|>"  # ChatML's marks around what one speaker says
CLS, SEP, MASK = "[CLS]", "[SEP]", "[MASK]"  # BERT's: the first token, between two texts, in place of a hidden token
SPECIAL_TOKENS = (END_OF_TEXT, IM_START, IM_END, CLS, SEP, MASK)  # in every vocabulary that `minigpt train` learns

# GPT-2 cuts a text into pre-tokens before anything is merged, so no token crosses from one word into the next:
# a contraction's ending, letters, digits or other signs with the space before them, or white space.
PRETOKEN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def bytes_to_unicode() -> dict[int, str]:
    """GPT-2's spelling of the 256 bytes as visible characters; its order is the order of the ids 0 … 255.

    Printable bytes stand for themselves. The others borrow the characters from U+0100 on: the space becomes Ġ.
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + i) for i, byte in enumerate(others)}


BYTE_TO_CHAR = bytes_to_unicode()
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}


def to_chars(token: bytes) -> str:
    """A token's bytes, each as its visible character."""
    return "".join(BYTE_TO_CHAR[byte] for byte in token)


def to_bytes(chars: str) -> bytes:
    """The inverse of to_chars()."""
    return bytes(CHAR_TO_BYTE[char] for char in chars)


def merge(parts: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """Join every occurrence of `pair`, from left to right: in "aaa", the pair (a, a) is joined once."""
    merged, i = [], 0
    while i < len(parts):
        found = i + 1 < len(parts) and parts[i] == pair[0] and parts[i + 1] == pair[1]
        merged.append(pair[0] + pair[1] if found else parts[i])
        i += 2 if found else 1
    return merged


def split_special(text: str, special_tokens) -> list[str]:
    """Cut a text before and after every special token, the longest first where several begin."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X} at position {error.start:,}"
        raise ValueError(f"The text holds half of a character (the surrogate {half}): read it again with the "
                         f"encoding it was written in.") from None
    longest_first = sorted(special_tokens, key=len, reverse=True)
    return regex.split("(" + "|".join(map(regex.escape, longest_first)) + ")", text) if longest_first else [text]


class _Tokenizer:
    """What both kinds share. A subclass provides encode_ordinary() and to_json()."""

    def __init__(self, tokens: dict[bytes, int], special_tokens: dict[str, int]):
        self.special_tokens = dict(special_tokens)
        by_id = {id: token for token, id in tokens.items()} | {id: s.encode() for s, id in special_tokens.items()}
        if len(by_id) != len(tokens) + len(special_tokens) or sorted(by_id) != list(range(len(by_id))):
            raise ValueError("Every token needs its own id, and the ids must be 0, 1, 2, … without a gap.")
        self._by_id = [by_id[id] for id in range(len(by_id))]

    @property
    def vocab_size(self) -> int:
        """The number of ids: ordinary and special tokens together."""
        return len(self._by_id)

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The ids of a text. Special tokens written in it are ordinary text, unless special=True.

        Keep special=False for text that others wrote: nobody can then end a document by typing "<|endoftext|>".
        """
        ids = []
        for piece in split_special(text, self.special_tokens if special else ()):
            if special and piece in self.special_tokens:
                ids.append(self.special_tokens[piece])
            else:
                ids += self.encode_ordinary(piece)
        return ids

    def decode_bytes(self, ids) -> bytes:
        """The UTF-8 bytes of some ids; they may begin or end inside a character."""
        ids = [int(id) for id in ids]
        if ids and (min(ids) < 0 or max(ids) >= self.vocab_size):
            raise ValueError(f"Token ids must lie between 0 and {self.vocab_size - 1}: these come from a model or "
                             f"a tokenizer with another vocabulary.")
        return b"".join(self._by_id[id] for id in ids)

    def decode(self, ids) -> str:
        """The text of some ids. Bytes that are no UTF-8 become U+FFFD (�)."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def token(self, id: int) -> str:
        """A token for pictures: "␣the", "⏎" for a line break, "⟨E4⟩" for a byte that is no character by itself."""
        shown = []
        for char in self.decode_bytes([id]).decode("utf-8", errors="surrogateescape"):
            if 0xDC80 <= ord(char) <= 0xDCFF:  # surrogateescape's spelling of a lone byte
                shown.append(f"⟨{ord(char) - 0xDC00:02X}⟩")
            else:
                shown.append({" ": "␣", "\n": "⏎", "\t": "⇥"}.get(char) or (
                    char if char.isprintable() else f"⟨U+{ord(char):04X}⟩"))
        return "".join(shown)

    def save(self, path) -> None:
        """Write tokenizer.json, which Hugging Face reads too. `path` is that file, or a folder to put it in."""
        path = Path(path)
        path = path / "tokenizer.json" if path.is_dir() else path
        write_whole(path, json.dumps(self.to_json(), ensure_ascii=False, indent=1).encode())

    def fingerprint(self) -> str:
        """A SHA-256 over everything that decides about ids: equal for equal tokenizers."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def _json(self, pre_tokenizer: dict, decoder: dict, model: dict) -> dict:
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        added = [{"id": id, "content": token, **flags} for token, id in self.special_tokens.items()]
        return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None,
                "pre_tokenizer": pre_tokenizer, "post_processor": None, "decoder": decoder, "model": model}


class CharTokenizer(_Tokenizer):
    """One id per character, in the order of their code points; special tokens come last."""

    def __init__(self, vocab: dict[str, int], special_tokens: dict[str, int]):
        super().__init__({char.encode(): id for char, id in vocab.items()}, special_tokens)
        self.vocab = dict(vocab)

    @classmethod
    def train(cls, text: str, special_tokens=()) -> "CharTokenizer":
        """The characters of `text` are the vocabulary."""
        chars = sorted(set(text))
        return cls({char: id for id, char in enumerate(chars)}, _number(special_tokens, start=len(chars)))

    def encode_ordinary(self, text: str) -> list[int]:
        try:
            return [self.vocab[char] for char in text]
        except KeyError as error:
            char = error.args[0]
            raise ValueError(f"The character {char!r} (U+{ord(char):04X}) is not among the {len(self.vocab)} that this "
                             f"tokenizer has seen: leave it out, or use a BPETokenizer, which can spell any text."
                             ) from None

    def to_json(self) -> dict:
        return self._json({"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False},
                          {"type": "Fuse"}, {"type": "WordLevel", "vocab": self.vocab, "unk_token": "<unk>"})


class BPETokenizer(_Tokenizer):
    """Byte-level byte-pair encoding, as in GPT-2.

    vocab: each token's bytes -> its id. merges: pairs of tokens in the order in which they were learned.
    """

    def __init__(self, vocab: dict[bytes, int], merges: list[tuple[bytes, bytes]], special_tokens: dict[str, int]):
        super().__init__(vocab, special_tokens)
        unknown = [t for a, b in merges for t in (a, b, a + b) if t not in vocab]
        unknown += [bytes([byte]) for byte in range(256) if bytes([byte]) not in vocab]
        if unknown:
            raise ValueError(f"The vocabulary lacks {unknown[0]!r}: it needs all 256 bytes and every merge's tokens.")
        self.vocab, self.merges = dict(vocab), list(merges)
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(cls, text: str, vocab_size: int, special_tokens=()) -> "BPETokenizer":
        """Learn merges from `text` until there are `vocab_size` tokens, special tokens included (their ids come last).

        The idea in four lines: spell the text in bytes; count all neighbouring pairs; join the most frequent pair
        everywhere, which makes a new token; repeat. Two observations make it fast without changing the result:

        1. Text repeats its words. Count each distinct pre-token once and let it weigh as often as it occurs.
        2. A merge changes only the words that contain the pair. Remember which those are, and correct the counts
           there; everything else stays as it was.

        Of equally frequent pairs the one with the smaller ids wins, the left id compared first. With this rule the
        merges are those of Hugging Face's trainer. Raises ValueError if vocab_size leaves no room for the 256 bytes,
        or if every word has become one token before vocab_size is reached.
        """
        if vocab_size < 256 + len(special_tokens):
            raise ValueError(f"vocab_size={vocab_size} is too small: a byte-level vocabulary needs 256 bytes and "
                             f"{len(special_tokens)} special tokens, so at least {256 + len(special_tokens)}.")
        special = _number(special_tokens, start=vocab_size - len(special_tokens))
        pieces = [piece for piece in split_special(text, special) if piece not in special]
        words = Counter(word for piece in pieces for word in PRETOKEN.findall(piece))

        vocab, merges = {bytes([byte]): id for id, byte in enumerate(BYTE_TO_CHAR)}, []
        spelled = [[bytes([byte]) for byte in word.encode()] for word in words]
        weight = list(words.values())
        counts: Counter[tuple[bytes, bytes]] = Counter()  # how often each pair of neighbours occurs in the text
        where = defaultdict(set)                          # in which words it occurs, or once occurred
        for i, parts in enumerate(spelled):
            for pair in pairwise(parts):
                counts[pair] += weight[i]
                where[pair].add(i)
        # The most frequent pair on top. A count that changes gets a new entry; the outdated one is skipped when met.
        heap = [(-count, vocab[a], vocab[b], (a, b)) for (a, b), count in counts.items()]
        heapq.heapify(heap)

        while len(vocab) < vocab_size - len(special):
            if not heap:
                raise ValueError(f"This text gives no more than {len(vocab) + len(special)} tokens: use a vocab_size "
                                 f"up to that, or more text.")
            negative_count, _, _, best = heapq.heappop(heap)
            if counts[best] != -negative_count or counts[best] == 0:
                continue
            merges.append(best)
            vocab.setdefault(best[0] + best[1], len(vocab))
            changed = set()
            for i in where.pop(best):
                before, after = spelled[i], merge(spelled[i], best)
                for pair in pairwise(before):
                    counts[pair] -= weight[i]
                for pair in pairwise(after):
                    counts[pair] += weight[i]
                    where[pair].add(i)
                changed.update(pairwise(before), pairwise(after))
                spelled[i] = after
            for a, b in changed:
                heapq.heappush(heap, (-counts[a, b], vocab[a], vocab[b], (a, b)))
        return cls(vocab, merges, special)

    def encode_ordinary(self, text: str) -> list[int]:
        ids = []
        for word in PRETOKEN.findall(text):
            known = self._cache.get(word)
            if known is None:
                known = self._encode_word(word)
                if len(self._cache) < 200_000:  # texts repeat their words; a stream of new ones must not fill memory
                    self._cache[word] = known
            ids += known
        return ids

    def _encode_word(self, word: str) -> list[int]:
        """Replay the merges on one pre-token: of all pairs present, always the one learned first."""
        parts = [bytes([byte]) for byte in word.encode()]
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            parts = merge(parts, best)
        return [self.vocab[part] for part in parts]

    def to_json(self) -> dict:
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
        return self._json(byte_level, byte_level, {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {to_chars(token): id for token, id in self.vocab.items()},
            "merges": [[to_chars(a), to_chars(b)] for a, b in self.merges],
        })


def _number(special_tokens, start: int) -> dict[str, int]:
    if len(set(special_tokens)) != len(special_tokens) or "" in special_tokens or isinstance(special_tokens, str):
        raise ValueError("special_tokens must be a list of different, non-empty strings.")
    return {token: start + i for i, token in enumerate(special_tokens)}


def gpt2_tokenizer() -> BPETokenizer:
    """GPT-2's own tokenizer, 50,257 tokens, from the corpus "gpt2-tokenizer"."""
    vocab, merges = (read_wheel("gpt2-tokenizer", path).decode() for path in CORPORA["gpt2-tokenizer"].inside)
    return _from_vocab_and_merges(json.loads(vocab), merges)


def load_tokenizer(path) -> CharTokenizer | BPETokenizer:
    """A tokenizer from a tokenizer.json, or from a folder with one or with GPT-2's vocab.json and merges.txt.

    Reads what `save` writes and what transformers writes for GPT-2. Raises FileNotFoundError, or ValueError for a
    damaged file and for kinds of tokenizers that minigpt does not have.
    """
    path = Path(path)
    if path.is_dir() and not (path / "tokenizer.json").is_file():
        vocab, merges = path / "vocab.json", path / "merges.txt"
        if not (vocab.is_file() and merges.is_file()):
            raise FileNotFoundError(f"{path} holds no tokenizer: no tokenizer.json, nor vocab.json with merges.txt.")
        try:
            ids = json.loads(vocab.read_text(encoding="utf-8"))
            return _from_vocab_and_merges(ids, merges.read_text(encoding="utf-8"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{vocab} and merges.txt beside it are damaged or are not GPT-2's kind ({error}): "
                             f"save or copy them again.") from error
    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: name a tokenizer.json or the folder that holds one.")
    try:
        return _from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be used ({type(error).__name__}: {error}): save it again, or use a byte-level "
                         f"BPE tokenizer like GPT-2's or a character tokenizer that minigpt saved.") from error


def _from_vocab_and_merges(vocab: dict[str, int], merges: str) -> BPETokenizer:
    """GPT-2's two files. What is neither a byte nor made by a merge is a special token: "<|endoftext|>"."""
    pairs = [tuple(line.split(" ")) for line in merges.splitlines() if line and not line.startswith("#version")]
    made = {a + b for a, b in pairs} | set(CHAR_TO_BYTE)
    return BPETokenizer({to_bytes(token): id for token, id in vocab.items() if token in made},
                        [(to_bytes(a), to_bytes(b)) for a, b in pairs],
                        {token: id for token, id in vocab.items() if token not in made})


def _from_json(data: dict) -> CharTokenizer | BPETokenizer:
    """Hugging Face's format. Whatever would make other ids than ours is refused, never ignored."""
    model, cutter = data["model"], data["pre_tokenizer"] or {}
    special = {token["content"]: token["id"] for token in data["added_tokens"]}
    if any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in data["added_tokens"]):
        raise ValueError("its special tokens swallow the space around them")
    if data["normalizer"] is not None:
        raise ValueError("it changes the text before it encodes it")
    vocab = {token: id for token, id in model["vocab"].items() if token not in special}
    if model["type"] == "WordLevel" and cutter.get("pattern") == {"Regex": r"[\s\S]"}:
        return CharTokenizer(vocab, special)
    if model["type"] != "BPE" or cutter.get("type") != "ByteLevel":
        raise ValueError(f"it is a {model['type']} tokenizer, cut by {cutter.get('type')}")
    if cutter["add_prefix_space"] or not cutter.get("use_regex", True) or model.get("ignore_merges"):
        raise ValueError("it adds a space in front, cuts words by another rule than GPT-2's, or ignores merges")
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    return BPETokenizer({to_bytes(token): id for token, id in vocab.items()},
                        [(to_bytes(a), to_bytes(b)) for a, b in pairs], special)
