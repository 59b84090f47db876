"""The checked exercises of 6.3.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import re
import string
from collections import Counter

import torch

from ..exercise import Exercise, ValueExercise

# ---- 6.3.1: F1 by hand ---------------------------------------------------------------------------

# said "The Bay of Bengal and the Bay of Biscay", right "the Bay of Bengal": 7 and 3 words are left, 3 are shared.
by_hand = ValueExercise(
    "6.3.1",
    "F1 by hand",
    answer=0.6,
    right="7 words said, 3 in the right answer, 3 shared: precision 3/7, recall 1, F1 = 2 · 3 / (7 + 3).",
    mistakes={
        0.75: "that is F1 on sets. “bay” and “of” were said twice, and each time counts among the words said.",
        8 / 13: "the articles are still there. Take them out first: 7 words and 3 words are left.",
        3 / 7: "that is the precision alone.",
        1.0: "that is the recall alone: every right word was said. So was much else.",
        5 / 7: "that is the arithmetic mean of precision and recall. F1 is the harmonic one.",
        0.0: "that is the exact match. F1 gives credit for the words that are shared.",
    },
)


# ---- 6.3.2: precision, recall and F1 -------------------------------------------------------------


def scores(said, right, clean=None, shared=None):
    """Precision, recall and F1, (3,), after a clean-up and with a way to count what is shared."""
    said, right = ((clean or cleaned)(text).split() for text in (said, right))
    both = (shared or in_bags)(said, right)
    precision, recall = both / len(said), both / len(right)
    return torch.tensor([precision, recall, 2 * precision * recall / (precision + recall) if both else 0.0])


def cleaned(text):
    return re.sub(r"\b(a|an|the)\b", " ", without_signs(text.lower()))


def without_signs(text):
    return "".join(char for char in text if char not in string.punctuation)


def in_bags(said, right):
    return (Counter(said) & Counter(right)).total()


def reference(said, right):
    return scores(said, right)


def on_sets(said, right):
    """This is what you get on sets of words. A word that was said twice counts twice: use bags (Counter)."""
    words = [" ".join(set(cleaned(text).split())) for text in (said, right)]
    return scores(*words)


def articles_kept(said, right):
    """This is what you get with the articles kept: SQuAD takes out "a", "an" and "the"."""
    return scores(said, right, lambda text: without_signs(text.lower()))


def articles_inside_words(said, right):
    """This is what you get when "an" and "the" are also taken out of the middle of words: ask for word boundaries."""
    return scores(said, right, lambda text: re.sub("an|the", "", cleaned(text)))


def signs_kept(said, right):
    """This is what you get with the punctuation kept: "France." and "France" are two words then."""
    return scores(said, right, lambda text: re.sub(r"\b(a|an|the)\b", " ", text.lower()))


def capitals_kept(said, right):
    """This is what you get with capitals kept: SQuAD makes all letters small first, the articles' too."""
    return scores(said, right, lambda text: re.sub(r"\b(a|an|the)\b", " ", without_signs(text)))


def swapped(said, right):
    """This is what you get with the two texts exchanged: precision is the share of the words *said*. F1 does not
    notice."""
    return scores(right, said)


def arithmetic(said, right):
    """This is what you get with the arithmetic mean of precision and recall; F1 is the harmonic mean."""
    precision, recall, _ = scores(said, right)
    return torch.stack([precision, recall, (precision + recall) / 2])


def any_repeat(said, right):
    """This is what you get when every word said that stands in the right answer is shared, however often it is said:
    each word of the right answer can be shared once."""
    return scores(said, right, shared=lambda s, r: min(sum(word in r for word in s), len(r)))


def words_cases(generator):
    plain = ("river", "anthem", "bay", "mother", "north", "of", "Java", "France", "thesis", "island", "painter", "in")

    def draw(low, high):
        many = int(torch.randint(low, high, (), generator=generator))
        return [plain[int(i)] for i in torch.randint(len(plain), (many,), generator=generator)]

    def text(words):
        words = list(words)
        for article in ("The", "a", "an"):  # each somewhere, so that a rule that forgets one is seen
            words.insert(int(torch.randint(len(words) + 1, (), generator=generator)), article)
        at = int(torch.randint(len(words), (), generator=generator))
        words[at] = words[at].capitalize() + ","
        return " ".join(words) + "."

    common = draw(2, 4)
    cases = [("The river", "a river, a bay"), ("an island", "the north"), ("Anthem of France", "the M of Java")]
    cases.append((text([*common, *common, *draw(1, 3)]), text([*common, *draw(2, 4)])))  # said twice
    cases.append((text([*common, *draw(0, 2)]), text([*common, common[0], *draw(3, 6)])))
    return [*cases, ("Bay of a bay", "the bay in the north of France"), (text(draw(4, 9)), text(draw(3, 6)))]


f1 = Exercise(
    "6.3.2",
    "Precision, recall and F1",
    ("said", "right"),
    reference,
    words_cases,
    (
        on_sets,
        articles_kept,
        articles_inside_words,
        signs_kept,
        capitals_kept,
        swapped,
        arithmetic,
        any_repeat,
    ),
)


# ---- 6.3.3: the best span ------------------------------------------------------------------------


def best(both, allowed):
    """(2,): row and column of the largest allowed entry."""
    return torch.tensor(divmod(int(both.masked_fill(~allowed, -1).argmax()), both.size(1)))


def band(both, longest):
    """Where 0 ≤ column − row < longest."""
    return torch.ones_like(both, dtype=torch.bool).triu().tril(longest - 1)


def span(start, end, longest):
    both = start[:, None] * end
    return best(both, band(both, longest))


def end_excluded(start, end, longest):
    """This is what you get with the end as in a Python slice, one behind the last token. Here the last token is in."""
    return span(start, end, longest) + torch.tensor([0, 1])


def end_before_start(start, end, longest):
    """This is what you get when start and end are chosen by themselves: an answer may then end before it begins, or
    be too long."""
    return torch.stack([start.argmax(), end.argmax()])


def added(start, end, longest):
    """This is what you get by adding the two probabilities. Both have to be right: multiply them."""
    both = start[:, None] + end
    return best(both, band(both, longest))


def any_length(start, end, longest):
    """This is what you get without the limit on the length."""
    both = start[:, None] * end
    return best(both, band(both, len(start)))


def one_too_long(start, end, longest):
    """This is what you get when spans may have longest + 1 tokens: last − first has to be *below* longest."""
    return span(start, end, longest + 1)


def two_at_least(start, end, longest):
    """This is what you get when a span of one token is not allowed. first = last is one token, and fine."""
    both = start[:, None] * end
    return best(both, band(both, longest).triu(1))


def start_first(start, end, longest):
    """This is what you get by taking the best start and then the best end behind it. Another pair may be better."""
    both = start[:, None] * end
    rows = torch.arange(len(start))[:, None] == start.argmax()
    return best(both, band(both, longest) & rows)


def turned_round(start, end, longest):
    """This is what you get with start and end exchanged."""
    return span(end, start, longest)


SPAN_MISTAKES = (
    end_excluded,
    end_before_start,
    added,
    any_length,
    one_too_long,
    two_at_least,
    start_first,
    turned_round,
)


def span_cases(generator):
    def draw():
        T = int(torch.randint(5, 10, (), generator=generator))
        start, end = (2 * torch.randn(2, T, generator=generator, dtype=torch.double)).softmax(1)
        return start, end, int(torch.randint(2, 4, (), generator=generator))

    cases = []
    for mistake in SPAN_MISTAKES:  # one input at which each of them shows
        case = draw()
        while torch.equal(mistake(*case), span(*case)):
            case = draw()
        cases.append(case)
    return sorted(cases, key=lambda case: len(case[0]))


pointing = Exercise("6.3.3", "The best span", ("start", "end", "longest"), span, span_cases, SPAN_MISTAKES)


# ---- 6.3.4: what went wrong inside ---------------------------------------------------------------

inside = ValueExercise(
    "6.3.4",
    "What went wrong inside",
    answer="C",
    right="Every step was the same as for a true answer: a softmax over all tokens always has a likeliest one.",
    mistakes={
        "A": "there is no such part. The same weights answer the true question and the invented one.",
        "B": "the text was written greedily: no dice were thrown. The likeliest year was a fluent one.",
        "D": "the name is cut into pieces that the model knows, as every new name is. Nothing was damaged.",
    },
)

EXERCISES = (by_hand, f1, pointing, inside)
