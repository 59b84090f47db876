"""Language models made by counting: how often did each character follow each context?

`NGram.count(text, 5)` counts all strings of up to 6 characters: a 6-gram model, which looks 5 characters back. Two
ways turn counts into probabilities that also serve contexts never seen. Both start from equal shares and mix in one
longer context after the other, as long as the context was seen:

- "witten-bell" (Witten & Bell, 1991): a context trusts its own counts the less, the more different characters
  followed it.
- "kneser-ney" (Kneser & Ney, 1995; interpolated as in Chen & Goodman, 1999): takes a little off every count, and asks
  in the shorter contexts not how *often* a string occurred, but after how many *different* characters.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

SMOOTHINGS = ("witten-bell", "kneser-ney")


@dataclass
class Counts:
    """The strings of one length n + 1: a context of n characters and the one after it."""

    grams: dict[str, int]  # string -> how often
    totals: dict[str, int]  # context -> the sum of its strings' counts
    kinds: dict[str, int]  # context -> how many different characters followed it
    discount: float  # what Kneser–Ney takes off each count, between 0 and 1

    @classmethod
    def of(cls, grams: Counter) -> "Counts":
        totals, kinds = defaultdict(int), Counter(gram[:-1] for gram in grams)
        for gram, count in grams.items():
            totals[gram[:-1]] += count
        tally = Counter(grams.values())
        once, twice = tally[1], tally[2]
        discount = once / (once + 2 * twice) if once and twice else 0.5  # Ney, Essen & Kneser (1994), their estimate
        return cls(dict(grams), dict(totals), dict(kinds), discount)


@dataclass
class NGram:
    """Counts of a text. `often[n]` counts strings with a context of n characters; `varied[n]` counts, for the same
    strings, the different characters that came before them."""

    vocabulary: str
    often: list[Counts]
    varied: list[Counts]

    @classmethod
    def count(cls, text: str, context: int, vocabulary: str | None = None) -> "NGram":
        """Count `text` for contexts of 0 … `context` characters. The vocabulary is the text's when not given.

        Raises ValueError for a text no longer than the context, or one with characters outside the vocabulary.
        """
        vocabulary = "".join(sorted(set(text if vocabulary is None else vocabulary)))
        if context < 0 or len(text) <= context:
            raise ValueError(f"a text of {len(text)} characters has no context of {context}: take a longer text")
        if strange := sorted(set(text) - set(vocabulary)):
            raise ValueError(f"the text holds {strange[0]!r}, which is not in the vocabulary: add it there")
        grams = [Counter(text[i : i + n + 1] for i in range(len(text) - n)) for n in range(context + 1)]
        varied = [Counter(gram[1:] for gram in longer) for longer in grams[1:]]
        return cls(vocabulary, [Counts.of(g) for g in grams], [Counts.of(g) for g in varied])

    @property
    def context(self) -> int:
        """The longest context that was counted."""
        return len(self.often) - 1

    def probabilities(self, before: str, char: str, smoothing: str = "kneser-ney") -> list[float]:
        """How probable `char` is after the text `before`: one number for each context read, of 0, 1, … characters.

        Each of these models sums to 1 over the vocabulary, also after a context that was never seen. At the start of
        a text, where `before` is shorter than the context, they read what there is.
        Raises ValueError for an unknown smoothing or a character outside the vocabulary.
        """
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing must be one of {', '.join(SMOOTHINGS)}, not {smoothing!r}")
        if len(char) != 1 or char not in self.vocabulary:
            raise ValueError(f"{char!r} is not one of the {len(self.vocabulary)} characters of the vocabulary")
        mix = witten_bell if smoothing == "witten-bell" else kneser_ney
        below = self.often if smoothing == "witten-bell" else self.varied  # what a longer context falls back on
        shorter, result = 1 / len(self.vocabulary), []
        for n in range(self.context + 1):
            seen = before[max(0, len(before) - n) :]  # shorter than n at the start of a text: then never found
            result.append(mix(self.often[n], seen, char, shorter))
            if n < self.context:
                shorter = mix(below[n], seen, char, shorter)
        return result

    def distribution(self, before: str, context: int | None = None, smoothing: str = "kneser-ney") -> list[float]:
        """The probabilities of all characters, in the order of `vocabulary`, when `context` characters are read."""
        n = self.context if context is None else context
        if not 0 <= n <= self.context:
            raise ValueError(f"context must be 0 to {self.context}, as counted, not {context}")
        return [self.probabilities(before, char, smoothing)[n] for char in self.vocabulary]

    def surprise(self, text: str, smoothing: str = "kneser-ney") -> list[list[float]]:
        """−log₂ p, in bits, of every character of `text` after those before it: one row a character, of shape
        (len(text), context + 1), one column for each context length."""
        windows = ((text[max(0, i - self.context) : i], char) for i, char in enumerate(text))
        return [[-math.log2(p) for p in self.probabilities(before, char, smoothing)] for before, char in windows]


def witten_bell(counts: Counts, seen: str, char: str, shorter: float) -> float:
    """(N + K · shorter) / (total + K): the K kinds of characters that followed `seen` vote for the shorter context."""
    total = counts.totals.get(seen, 0)
    if not total:
        return shorter
    kinds = counts.kinds[seen]
    return (counts.grams.get(seen + char, 0) + kinds * shorter) / (total + kinds)


def kneser_ney(counts: Counts, seen: str, char: str, shorter: float) -> float:
    """(N − D) / total, and what was taken off, D for each of the K kinds, goes to the shorter context."""
    total = counts.totals.get(seen, 0)
    if not total:
        return shorter
    count, taken = counts.grams.get(seen + char, 0), counts.discount * counts.kinds[seen]
    return (max(count - counts.discount, 0) + taken * shorter) / total
