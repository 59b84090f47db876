"""The second checked exercise of homework 3: a tokenizer that brings every text back, token by token."""

import codecs
from collections import Counter
from itertools import pairwise

import torch

from minigpt.tokenizer import PRETOKEN

from ..exercise import Exercise

# ---- 3.2: there and back -----------------------------------------------------------------------------


def in_order_learned(parts, ranks):
    """The pair that was learned first, wherever it stands."""
    return min(pairwise(parts), key=lambda pair: ranks.get(pair, len(ranks)), default=None)


def leftmost(parts, ranks):
    return next((pair for pair in pairwise(parts) if pair in ranks), None)


def joined_ids(parts, pair, new, step=2):
    """`pair` replaced by the id `new` from left to right; step=1 looks at the second part of a pair again."""
    made, i = [], 0
    while i < len(parts):
        found = tuple(parts[i : i + 2]) == pair
        made.append(new if found else parts[i])
        i += step if found else 1
    return made


def encode(text, merges, cut=PRETOKEN.findall, spell=str.encode, choose=in_order_learned, step=2):
    ranks, ids = {tuple(pair): rank for rank, pair in reversed(list(enumerate(merges)))}, []
    for word in cut(text):
        parts = list(spell(word))
        while (pair := choose(parts, ranks)) in ranks:
            parts = joined_ids(parts, pair, 256 + ranks[pair], step)
        ids += parts
    return ids


def vocabulary(merges):
    """The bytes of each id."""
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return tokens


def as_they_come(tokens):
    """What each token adds to the text: a character is there when its last byte is."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return [decoder.decode(token, final=i == len(tokens) - 1) for i, token in enumerate(tokens)]


def round_trip(text, merges, stop):
    return there_and_back(text, merges, stop)


def there_and_back(text, merges, stop, speak=as_they_come, **how):
    ids, tokens = encode(text, merges, **how), vocabulary(merges)
    return ids, speak([tokens[id] for id in ids[:stop]])


def leftmost_first(text, merges, stop):
    """This is what you get by joining the first pair *in the text* that can be joined: of all pairs that stand there,
    join the one that was learned first."""
    return there_and_back(text, merges, stop, choose=leftmost)


def joined_twice(text, merges, stop):
    """This is what you get when a byte is joined twice: in "aaa", the pair (a, a) is joined once, from the left. The
    text comes back longer than it was."""
    return there_and_back(text, merges, stop, step=1)


def not_cut(text, merges, stop):
    """This is what you get without cutting the text first: no token may reach from one pre-token into the next."""
    return there_and_back(text, merges, stop, cut=lambda text: [text])


def spaces_lost(text, merges, stop):
    """This is what you get with `split()`, which throws the spaces away: PRETOKEN.findall keeps every character."""
    return there_and_back(text, merges, stop, cut=str.split)


def longest_first(text, merges, stop):
    """This is what you get by taking the longest token that fits, from the left: BPE replays the merges."""
    tokens, ids = vocabulary(merges), []
    for word in PRETOKEN.findall(text):
        rest = word.encode()
        while rest:
            ids.append(max((len(t), -id) for id, t in enumerate(tokens) if rest.startswith(t))[1] * -1)
            rest = rest[len(tokens[ids[-1]]) :]
    return ids, as_they_come([tokens[id] for id in ids[:stop]])


def characters_for_bytes(text, merges, stop):
    """This is what you get with characters in place of bytes: `ord("中")` is 20013, and ids from 256 on belong to the
    merges. Encode as UTF-8 first."""
    ids = encode(text, merges, spell=lambda word: map(ord, word))
    tokens = vocabulary(merges)
    return ids, [tokens[id].decode("latin-1") if id < len(tokens) else chr(id) for id in ids[:stop]]


def nothing_joined(text, merges, stop):
    """These are the bytes as they are: nothing is joined."""
    return there_and_back(text, merges, stop, choose=lambda *_: None)


def numbered_from_257(text, merges, stop):
    """The ids are one too high: bytes are 0 to 255, so the first merge makes the id 256."""
    ids, pieces = round_trip(text, merges, stop)
    return [id + (id > 255) for id in ids], pieces


def each_alone(text, merges, stop):
    """This is what you get by decoding each token by itself: one that ends inside a character gives �, and the
    character never comes. Keep its bytes until the rest is there."""
    return there_and_back(text, merges, stop, lambda tokens: [t.decode(errors="replace") for t in tokens])


def ignored(text, merges, stop):
    """This is what you get with errors="ignore": characters that are spread over several tokens vanish."""
    return there_and_back(text, merges, stop, lambda tokens: [t.decode(errors="ignore") for t in tokens])


def all_at_the_end(text, merges, stop):
    """This is what you get by waiting for the end: a character is to come with the token that completes it."""
    return there_and_back(text, merges, stop, lambda ts: [""] * (len(ts) - 1) + [b"".join(ts).decode(errors="replace")])


def all_so_far(text, merges, stop):
    """This is the whole text so far, each time: return what each token *adds*."""
    def grown(tokens):
        pieces = as_they_come(tokens)
        return ["".join(pieces[: i + 1]) for i in range(len(pieces))]

    return there_and_back(text, merges, stop, grown)


def never_stopped(text, merges, stop):
    """This has pieces for all ids: only the first `stop` are to be decoded."""
    return there_and_back(text, merges, None)


def rest_forgotten(text, merges, stop):
    """This is what you get when the bytes that wait for their end are forgotten: if none comes, they are one �."""
    def without_end(tokens):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [decoder.decode(token) for token in tokens]

    return there_and_back(text, merges, stop, without_end)


WORDS = """the then that this cat hat banana café naïve élan 中文 中心 文心 🙂 🙃 🙂🙂 aaaa aaa 'tis it's 'the x2 2x
    don't über señor Ωμέγα""".split()


def learn_ids(text, n):
    """Up to n merges as pairs of ids, learned on this text."""
    words, found = [list(word.encode()) for word in PRETOKEN.findall(text)], []
    while len(found) < n and (counts := Counter(pair for word in words for pair in pairwise(word))):
        found.append(min(counts, key=lambda pair: (-counts[pair], pair)))
        words = [joined_ids(word, found[-1], 255 + len(found)) for word in words]
    return found


def trip_cases(generator):
    def say(length):
        text = ""
        for _ in range(length):
            gap = " " * int(torch.randint(1, 5, (), generator=generator))
            text += gap + WORDS[int(torch.randint(len(WORDS), (), generator=generator))]
        return text[1:]

    def draw(length, n):
        text = say(length)
        return text, learn_ids(text + say(40), n)

    a, b, c = (97 + int(i) for i in torch.randperm(26, generator=generator)[:3])
    word = bytes([a, b, c, b]).decode()
    told = [
        (word[:3], [(b, c), (a, b)]),  # the longest token that fits is not the one that was learned first
        (word, [(b, c), (a, b), (a, 256)]),  # nor is the first pair in the text
        (chr(a) * 3 + word, [(a, a), (b, c), (c, b), (257, b)]),
        ("é" + chr(a), [(a, b)]),
        ("    'the 🙂 hat", [(116, 104), (32, 32), (0xF0, 0x9F), (258, 0x99)]),
    ]
    ordinary = [*told, draw(4, 6), draw(6, 12), draw(9, 20), draw(14, 40)]
    cases = [(text, merges, len(encode(text, merges))) for text, merges in ordinary]
    text, merges = "hat cat 中文", learn_ids(say(30), 8)
    cases.append((text, merges, len(encode("hat", merges))))
    text, merges = "cat 🙂", learn_ids(WORDS[3] * 3 + " cat", 3)
    return [*cases, (text, merges, len(encode(text, merges)) - 1)]  # the last character stays unfinished


trip = Exercise(
    "3.2",
    "There and back",
    ("text", "merges", "stop"),
    round_trip,
    trip_cases,
    (
        leftmost_first,
        joined_twice,
        not_cut,
        spaces_lost,
        longest_first,
        characters_for_bytes,
        nothing_joined,
        numbered_from_257,
        each_alone,
        ignored,
        all_at_the_end,
        all_so_far,
        never_stopped,
        rest_forgotten,
    ),
    edges=1,
)
