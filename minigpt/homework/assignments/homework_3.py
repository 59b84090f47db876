"""The checked exercises of homework 3: byte-pair encoding, there and back, the training loop. Their text: hw3.ipynb.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

from collections import Counter
from itertools import pairwise

import torch

from ..exercise import Exercise
from .homework_3_resume import resume
from .homework_3_symptoms import symptoms
from .homework_3_trip import trip
from .homework_3_update import update

# ---- 3.1: learn merges -------------------------------------------------------------------------------


def joined(parts, pair, step=2):
    """`pair` joined wherever it stands, from left to right; after a join, `step` parts further on."""
    new, i = [], 0
    while i < len(parts):
        found = tuple(parts[i : i + 2]) == pair
        new.append(pair[0] + pair[1] if found else parts[i])
        i += step if found else 1
    return new


def joined_once(parts, pair):
    at = next((i for i, found in enumerate(pairwise(parts)) if found == pair), None)
    return parts if at is None else [*parts[:at], pair[0] + pair[1], *parts[at + 2 :]]


def joined_overlapping(parts, pair):
    """Each part that begins the pair becomes the pair: in "aaa", the middle one is used twice."""
    new = []
    for i, part in enumerate(parts):
        if tuple(parts[i : i + 2]) == pair:
            new.append(pair[0] + pair[1])
        elif i == 0 or tuple(parts[i - 1 : i + 1]) != pair:
            new.append(part)
    return new


def joined_as_text(parts, pair):
    return " ".join(parts).replace(" ".join(pair), "".join(pair)).split(" ")


def apart(parts):
    """The pairs of neighbours, of which no two share a part unless they differ: (a, a) stands in "aaa" once."""
    found, last = [], -1
    for i, pair in enumerate(pairwise(parts)):
        if not (found and pair == found[-1] and last == i - 1 and pair[0] == pair[1]):
            found.append(pair)
            last = i
    return found


def best_pair(counts):
    return min(counts, key=lambda pair: (-counts[pair], pair))


def learn(words, n, neighbours=pairwise, join=joined, choose=best_pair, weigh=True, least=1):
    spelled, merges = {word: list(word) for word in words}, []
    for _ in range(n):
        counts = Counter()
        for word, parts in spelled.items():
            for pair in neighbours(parts):
                counts[pair] += words[word] if weigh else 1
        if not counts or max(counts.values()) < least:
            break
        merges.append(choose(counts))
        spelled = {word: join(parts, merges[-1]) for word, parts in spelled.items()}
    return merges


def learn_merges(words, n):
    return learn(words, n)


def each_word_once(words, n):
    """This is what you get by counting each word once: a pair occurs as often as its words do."""
    return learn(words, n, weigh=False)


def once_a_word(words, n):
    """This is what you get by counting a pair once for each word that has it: in "abab", the pair (a, b) stands
    twice."""
    return learn(words, n, neighbours=lambda parts: set(pairwise(parts)))


def counted_apart(words, n):
    """This is what you get by counting "aaa" as one pair (a, a). Its neighbours are first and second, second and third:
    count two. (Only one of them can be *joined*.)"""
    return learn(words, n, neighbours=apart)


def overlapping(words, n):
    """This is what you get when a part is joined twice: in "aaa", the pair (a, a) is joined once, from the left, and
    leaves aa, a."""
    return learn(words, n, join=joined_overlapping)


def first_place_only(words, n):
    """This is what you get by joining a pair at its first place in each word: join it wherever it stands."""
    return learn(words, n, join=joined_once)


def replaced_in_text(words, n):
    """This is what you get by replacing "a b" with "ab" in a word spelled with spaces: in "ca b" it takes the end of
    one part for a whole one. Compare whole parts."""
    return learn(words, n, join=joined_as_text)


def letters_alone(words, n):
    """These are the n most frequent pairs of letters, counted once. Count again after every merge: what was joined is
    one part now."""
    counts = Counter()
    for word, times in words.items():
        for pair in pairwise(word):
            counts[pair] += times
    return sorted(counts, key=lambda pair: (-counts[pair], pair))[:n]


def across_words(words, n):
    """This is what you get with all words in one row: the last letter of a word and the first of the next are no
    neighbours."""
    parts = [letter for word, times in words.items() for letter in word * times]
    return learn_in_a_row(parts, n)


def learn_in_a_row(parts, n):
    merges = []
    for _ in range(n):
        if not (counts := Counter(pairwise(parts))):
            break
        merges.append(best_pair(counts))
        parts = joined(parts, merges[-1])
    return merges


def tie_to_the_first_met(words, n):
    """This is what you get when the first pair that you met wins a tie (`max` and `most_common` do so): of equally
    frequent pairs, take the first in alphabetical order."""
    return learn(words, n, choose=lambda counts: max(counts, key=counts.get))


def tie_to_the_last(words, n):
    """This is what you get when the last pair in alphabetical order wins a tie, as in `max(…, key=(count, pair))`: take
    the first."""
    return learn(words, n, choose=lambda counts: max(counts, key=lambda pair: (counts[pair], pair)))


def tokens_for_pairs(words, n):
    """These are the new tokens. Return the pairs: a token could have been joined in several ways."""
    return [a + b for a, b in learn(words, n)]


def stops_at_one(words, n):
    """This is what you get by stopping when no pair occurs twice: go on until there are n merges, or no pair is
    left."""
    return learn(words, n, least=2)


def word_cases(generator):
    def letters(alphabet, length):
        return "".join(alphabet[int(torch.randint(len(alphabet), (), generator=generator))] for _ in range(length))

    def draw(alphabet, lengths, n, most):
        words = {letters(alphabet, length): int(torch.randint(1, most, (), generator=generator)) for length in lengths}
        return words, n

    def named(words, n):  # for a, b, c, d four letters in alphabetical order
        four = "".join(chr(97 + i) for i in sorted(torch.randperm(26, generator=generator)[:4].tolist()))
        return {word.translate(str.maketrans("abcd", four)): times for word, times in words.items()}, n

    return [
        named({"ab": 1, "cb": 3}, 1),
        named({"bc": 2, "ab": 2, "cd": 2}, 1),  # a tie
        named({"abab": 2, "ca": 3}, 1),
        named({"ab": 1, "cd": 2}, 2),
        named({"ca": 5, "cab": 2, "ab": 4}, 3),
        named({"aaab": 2, "bc": 3, "cc": 1}, 2),
        named({"aaaa": 1, "aaab": 2, "ca": 1}, 3),
        draw("abc", (3, 4, 2), 3, 6),
        draw("ab", (5, 6, 3), 4, 4),
        draw("nab", (6, 7, 5, 3, 8), 9, 5),
        draw("tesr", (5, 7, 4, 6, 3, 8), 12, 40),
        named({"ab": 1, "caab": 2}, 9),  # fewer merges than asked for
    ]


merges = Exercise(
    "3.1",
    "Learn the merges",
    ("words", "n"),
    learn_merges,
    word_cases,
    (
        each_word_once,
        once_a_word,
        counted_apart,
        overlapping,
        first_place_only,
        replaced_in_text,
        letters_alone,
        across_words,
        tie_to_the_first_met,
        tie_to_the_last,
        tokens_for_pairs,
        stops_at_one,
    ),
    edges=1,
)

EXERCISES = (merges, trip, update, resume, symptoms)
