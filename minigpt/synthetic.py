"""A text made by rules, whose best possible loss is known exactly: training can start with no data at all.

Every line is one of four kinds, equally likely:

    copy fade > fade             a word of 2 to 5 letters a … h, then the same word: look back and copy
    flip bead > daeb             the same, reversed: look back, in the other direction
    7 + 15 = 22                  two numbers from 0 to 15 and their sum
    the foxes near the owl run   the verb agrees with the first noun, not with the one beside it

All choices are fair and among 2, 4, 8 or 16, so a line's information is a whole number of bits: log2 of how many
equally likely lines there are. What follows ">" or "=" is free for whoever knows the rule. No model can beat
`bits_per_character()` on average (Shannon, 1948); one that has learned all four rules gets there.
"""

import random
import re
from itertools import product
from statistics import fmean

LETTERS = "abcdefgh"
NUMBERS = range(16)
LENGTHS = (2, 3, 4, 5)
NOUNS = (
    ("cat", "cats"),
    ("dog", "dogs"),
    ("fox", "foxes"),
    ("owl", "owls"),
    ("boy", "boys"),
    ("girl", "girls"),
    ("king", "kings"),
    ("wolf", "wolves"),
)
VERBS = (
    ("runs", "run"),
    ("sings", "sing"),
    ("sleeps", "sleep"),
    ("waits", "wait"),
    ("laughs", "laugh"),
    ("dances", "dance"),
    ("falls", "fall"),
    ("dreams", "dream"),
)


def tale(noun, many: int, other, many_others: int, verb) -> str:
    """A sentence whose verb agrees with its first noun, not with the nearer one."""
    return f"the {noun[many]} near the {other[many_others]} {verb[many]}"


def synthetic_text(lines: int = 11_000, seed: int = 0) -> str:
    """`lines` random lines, each ended by a line break; 11,000 are about 200 kB. Equal seeds give equal texts."""
    dice = random.Random(seed)

    def pick(options):  # random() is the one method whose values Python promises never to change
        return options[int(dice.random() * len(options))]

    written = []
    for _ in range(lines):
        kind = pick(("copy", "flip", "sum", "tale"))
        if kind == "sum":
            a, b = pick(NUMBERS), pick(NUMBERS)
            written.append(f"{a} + {b} = {a + b}\n")
        elif kind == "tale":
            written.append(tale(pick(NOUNS), pick((0, 1)), pick(NOUNS), pick((0, 1)), pick(VERBS)) + "\n")
        else:
            word = "".join(pick(LETTERS) for _ in range(pick(LENGTHS)))
            written.append(f"{kind} {word} > {word if kind == 'copy' else word[::-1]}\n")
    return "".join(written)


_WORD = re.compile(r"(copy|flip) ([a-h]{2,5}) > ([a-h]{2,5})")
_SUMS = {f"{a} + {b} = {a + b}" for a, b in product(NUMBERS, NUMBERS)}
_TALES = {tale(*choice) for choice in product(NOUNS, (0, 1), NOUNS, (0, 1), VERBS)}


def line_bits(line: str) -> int | None:
    """-log2 of the probability of a line (without its line break), or None if the rules never write it.

    The sum over the lines of a text is the shortest code for it; None tells a model's mistakes from its successes.
    """
    if line in _SUMS:
        return 2 + 4 + 4  # the kind, two numbers
    if line in _TALES:
        return 2 + 3 + 1 + 3 + 1 + 3  # the kind, noun, one or many, noun, one or many, verb
    if (match := _WORD.fullmatch(line)) and match[3] == (match[2] if match[1] == "copy" else match[2][::-1]):
        return 2 + 2 + 3 * len(match[2])  # the kind, the length, the letters
    return None


def bits_per_character() -> float:
    """The source's entropy rate: mean bits of a line / mean characters of a line, its line break included.

    Times ln 2 it is the lowest loss in nats per character that any model can have on average. A model that starts
    to read in the middle of a line must pay somewhat more there.
    """
    word = fmean(LENGTHS)
    kinds = [  # (bits, characters) of an average line
        (4 + 3 * word, len("copy  > \n") + 2 * word),
        (4 + 3 * word, len("flip  > \n") + 2 * word),
        (10, 1 + fmean(map(len, _SUMS))),
        (13, 1 + fmean(map(len, _TALES))),
    ]
    return sum(bits for bits, _ in kinds) / sum(characters for _, characters in kinds)
