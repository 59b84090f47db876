"""The BPE player: a text grows together, merge by merge, beside the pair counts that chose each merge."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Sequence
from html import escape
from itertools import pairwise

import traitlets

from minigpt.figures.figure import Figure, drawing
from minigpt.tokenizer import BYTE_TO_CHAR, PRETOKEN, BPETokenizer, merge, to_bytes, to_chars

TOP = 5  # pairs shown of each count


def count_pairs(tokenizer: BPETokenizer, text: str) -> list[list[list]]:
    """For each merge, the most frequent pairs at that moment, [left, right, count] in GPT-2's spelling of bytes.

    `text` is what the tokenizer was trained on; the merge itself comes first. Raises ValueError if another pair
    was more frequent, so that the merges come from another text.
    """
    words = Counter(PRETOKEN.findall(text))
    spelled, weight = [[bytes([byte]) for byte in word.encode()] for word in words], list(words.values())
    counts, where, steps = Counter(), defaultdict(set), []
    for i, parts in enumerate(spelled):
        for pair in pairwise(parts):
            counts[pair] += weight[i]
            where[pair].add(i)

    def order(pair):  # of equals, the smaller ids win
        return -counts[pair], tokenizer.vocab[pair[0]], tokenizer.vocab[pair[1]]

    for pair in tokenizer.merges:
        least = heapq.nlargest(TOP, counts.values())[-1] if counts else 0
        top = sorted((other for other, count in counts.items() if count >= least), key=order)[:TOP]
        if not top or top[0] != pair:
            raise ValueError("these merges were not learned from this text: pass the text the tokenizer was trained on")
        steps.append([[to_chars(a), to_chars(b), counts[a, b]] for a, b in top])
        for i in where.pop(pair):
            before, spelled[i] = spelled[i], merge(spelled[i], pair)
            for old in pairwise(before):
                counts[old] -= weight[i]
            for new in pairwise(spelled[i]):
                counts[new] += weight[i]
                where[new].add(i)
        counts = +counts  # without the pairs that are no more
    return steps


class BPEPlayer(Figure):
    """A text as chips of tokens after `at` merges, the pair that is joined next, and the counts that chose it.

    steps: count_pairs()'s. text: any; it may be edited. at: how many merges have been applied, from 0.
    """

    module = "bpe_player"
    steps = traitlets.List().tag(sync=True)
    text = traitlets.Unicode("").tag(sync=True)
    at = traitlets.Int(0).tag(sync=True)

    def __init__(self, steps: Sequence[Sequence[Sequence]], text: str, **state):
        if not steps or not all(steps):
            raise ValueError("steps must hold at least one merge: pass count_pairs(tokenizer, training text)")
        super().__init__(steps=[[list(pair) for pair in top] for top in steps], text=text, **state)

    @traitlets.validate("at")
    def _exists(self, proposal):
        if not 0 <= proposal["value"] <= len(self.steps):
            raise ValueError(f"at is {proposal['value']}, but it must lie between 0 and {len(self.steps)}.")
        return proposal["value"]

    def tokenizer(self, k: int) -> BPETokenizer:
        """The tokenizer as it was after k merges."""
        merges = [(to_bytes(top[0][0]), to_bytes(top[0][1])) for top in self.steps[:k]]
        vocab = {bytes([byte]): i for i, byte in enumerate(BYTE_TO_CHAR)}
        for a, b in merges:
            vocab.setdefault(a + b, len(vocab))
        return BPETokenizer(vocab, merges, {})

    def chips(self, k: int) -> list[str]:
        """The text's tokens after k merges, as they are shown."""
        tokenizer = self.tokenizer(k)
        return [tokenizer.token(i) for i in tokenizer.encode(self.text)]

    def words(self) -> str:
        k, n = self.at, len(self.chips(self.at))
        said = f"After {k} of {len(self.steps)} merges the text has {n} token{'' if n == 1 else 's'}."
        if k == len(self.steps):
            return f"{said} The list of merges ends here."
        every = self.tokenizer(len(self.steps))
        pairs = [" + ".join(every.token(every.vocab[to_bytes(chars)]) for chars in top[:2]) for top in self.steps[k]]
        count = self.steps[k][0][2]
        tied = [pair for pair, top in zip(pairs[1:], self.steps[k][1:], strict=True) if top[2] == count]
        said += f" The next joins {pairs[0]}, {count:,} times in the training text."
        return f"{said} A tie with {' and '.join(tied)}: the smaller ids win." if tied else said

    def still(self) -> str:
        """The text's tokens after more and more merges."""
        lines = []
        for k in sorted({0, *(k for k in (16, 64, 256) if k < len(self.steps)), len(self.steps)}):
            chips = self.chips(k)
            lines.append(f"after {k} merges, {len(chips)} tokens")
            line = ""
            for chip in chips:
                if len(line) + len(chip) > 76:
                    lines.append(f"    {line}")
                    line = ""
                line += f"{chip}|"
            lines.append(f"    {line[:-1]}")
        marks = [
            f'<text x="0" y="{18 * i + 16}" xml:space="preserve">{escape(line)}</text>' for i, line in enumerate(lines)
        ]
        words = "The tokens of a text after more and more merges"
        return drawing(marks, 640, 18 * len(lines) + 10, words, 13, "monospace")
