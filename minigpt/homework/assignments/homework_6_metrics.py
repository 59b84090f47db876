"""Two rulers, of homework 6: BLEU adds up and then divides, F1 divides and then takes the mean."""

import math
import random
from collections import Counter

import torch

from ..exercise import MOST_DRAWS, STUCK, Exercise


def words(text, language):
    return [char for char in text if not char.isspace()] if language == "zh" else text.split()


def grams(said, n):
    return Counter(zip(*(said[i:] for i in range(n)), strict=False))


def clipped(a, b):
    return (a & b).total()


def precisions(pairs, shared=clipped, size=Counter.total):
    """For n = 1 … 4: how many n-grams are shared, and how many were said, over all texts."""
    counts = [[(grams(said, n), grams(right, n)) for said, right in pairs] for n in (1, 2, 3, 4)]
    return [(sum(shared(a, b) for a, b in row), sum(size(a) for a, _ in row)) for row in counts]


def brevity(pairs):
    said, right = (sum(len(pair[side]) for pair in pairs) for side in (0, 1))
    return math.exp(min(0, 1 - right / said)) if said else 0.0


def bleu(pairs, factor=brevity, **ways):
    found = precisions(pairs, **ways)
    if not all(shared for shared, _ in found):
        return 0.0
    return factor(pairs) * math.exp(sum(math.log(shared / many) for shared, many in found) / 4)


def f1(said, right):
    return 2 * clipped(Counter(said), Counter(right)) / (len(said) + len(right))


def mean_f1(pairs, f1=f1):
    return sum(f1(said, right) for said, right in pairs) / len(pairs)


def rulers(hypotheses, references, language):
    return both(hypotheses, references, language)


def both(hypotheses, references, language, bleu=bleu, mean_f1=mean_f1, words=words):
    pairs = [(words(a, language), words(b, language)) for a, b in zip(hypotheses, references, strict=True)]
    return torch.tensor([100 * bleu(pairs), 100 * mean_f1(pairs)])


def exchanged(hypotheses, references, language):
    """This is what you get with hypotheses and references exchanged. F1 does not notice; BLEU divides by what was
    *said* and punishes what is too *short*."""
    return both(references, hypotheses, language)


def mean_of_sentences(hypotheses, references, language):
    """This is what you get with the mean of the sentences' BLEUs, in which one sentence without a shared 4-gram is
    worth nothing. Corpus BLEU adds up all counts, and all lengths, and then divides."""
    return both(hypotheses, references, language, lambda pairs: sum(bleu([pair]) for pair in pairs) / len(pairs))


def cut_at_spaces(hypotheses, references, language):
    """This is what you get by cutting Chinese at its spaces, as a library's default does: a whole sentence is then one
    word, right or wrong as a whole. Cut between any two characters."""
    return both(hypotheses, references, "en")


def spaces_kept(hypotheses, references, language):
    """This is what you get when a space counts as a Chinese character: drop the spaces."""
    return both(hypotheses, references, language, words=lambda t, lang: list(t) if lang == "zh" else t.split())


def characters_everywhere(hypotheses, references, language):
    """This is what you get by cutting English into characters too: its words stand between spaces."""
    return both(hypotheses, references, "zh")


def f1_on_sets(hypotheses, references, language):
    """This is what you get with F1 on sets: a word that is said three times was said three times, and shared as often
    as the other text has it."""
    return both(hypotheses, references, language, mean_f1=lambda pairs: mean_f1([(set(a), set(b)) for a, b in pairs]))


def f1_pooled(hypotheses, references, language):
    """This is what you get by adding up the words of all answers before F1 divides: long answers then count more. F1
    is taken for each answer; the mean comes after."""
    def pooled(pairs):
        shared = sum(clipped(Counter(a), Counter(b)) for a, b in pairs)
        return 2 * shared / sum(len(a) + len(b) for a, b in pairs)

    return both(hypotheses, references, language, mean_f1=pooled)


def not_clipped(hypotheses, references, language):
    """This is what you get without clipping in BLEU: an n-gram said three times counts three times, though the
    reference has it once."""
    def bleu_of(pairs):
        return bleu(pairs, shared=lambda a, b: sum(many for gram, many in a.items() if gram in b))

    return both(hypotheses, references, language, bleu_of)


def grams_as_sets(hypotheses, references, language):
    """This is what you get with sets of n-grams in BLEU: one that stands twice in both texts is shared twice."""
    def bleu_of(pairs):
        return bleu(pairs, shared=lambda a, b: len(a.keys() & b.keys()), size=len)

    return both(hypotheses, references, language, bleu_of)


def no_brevity(hypotheses, references, language):
    """This is what you get without the brevity factor: a translator that says only what it is sure of would win."""
    return both(hypotheses, references, language, lambda pairs: bleu(pairs, factor=lambda _: 1.0))


def brevity_for_each(hypotheses, references, language):
    """This is what you get with a brevity factor for each sentence: it compares the two corpora's lengths."""
    def factor(pairs):
        return sum(brevity([pair]) for pair in pairs) / len(pairs)

    return both(hypotheses, references, language, lambda pairs: bleu(pairs, factor=factor))


def arithmetic(hypotheses, references, language):
    """This is what you get with the arithmetic mean of the four precisions: BLEU takes the geometric one."""
    def bleu_of(pairs):
        return brevity(pairs) * sum(shared / many for shared, many in precisions(pairs)) / 4

    return both(hypotheses, references, language, bleu_of)


def across_the_border(hypotheses, references, language):
    """This is what you get by joining all sentences into one text: no n-gram reaches from one sentence into the next,
    and none is shared by two that stand in different places."""
    def bleu_of(pairs):
        return bleu([([w for a, _ in pairs for w in a], [w for _, b in pairs for w in b])])

    return both(hypotheses, references, language, bleu_of)


def f1_first(hypotheses, references, language):
    """This is F1 and BLEU: give BLEU first."""
    return rulers(hypotheses, references, language).flip(0)


def as_shares(hypotheses, references, language):
    """This is right as a share of 1: give both times 100."""
    return rulers(hypotheses, references, language) / 100


RULER_MISTAKES = (
    exchanged,
    mean_of_sentences,
    cut_at_spaces,
    spaces_kept,
    characters_everywhere,
    f1_on_sets,
    f1_pooled,
    not_clipped,
    grams_as_sets,
    no_brevity,
    brevity_for_each,
    arithmetic,
    across_the_border,
    f1_first,
    as_shares,
)

SENTENCES = {
    "en": ("the dog saw the cat and the cat saw the dog .", "she reads a letter from a friend .", "it rains .",
           "we sang the old song and then we sang it again .", "no , no , not the red one .", "he opened the door .",
           "the train to the sea leaves at nine .", "what you see is what you get ."),
    "zh": ("他说他不知道她在哪里。", "我喜欢在早上喝一杯热茶。", "天天向上。", "她的弟弟每天骑车去学校。",
           "你看到的就是你得到的。", "谢谢。", "请把桌子上的红色的书给我。", "今天的天气比昨天的好多了。"),
}  # fmt: skip


def ruler_cases(generator):
    dice = random.Random(int(torch.randint(2**31, (), generator=generator)))

    def garbled(text, language, chance):
        """The text with some words lost, said twice or exchanged, and Chinese with a space here and there."""
        kept, others = [], words(dice.choice(SENTENCES[language]), language)
        for word in words(text, language):
            what = dice.random()
            kept += [] if what < chance else [word] * 2 if what < 2 * chance else [word]
            kept[-1:] = [dice.choice(others)] if kept and what > 1 - chance else kept[-1:]
        return "".join(w + " " * (dice.random() < 0.2) for w in kept) if language == "zh" else " ".join(kept)

    def draw(language, many, silent=0):
        while True:
            right = dice.sample(SENTENCES[language], many)
            chance = dice.choice((0.05, 0.1, 0.15))
            said = [garbled(text, language, chance) or text for text in right]
            said[:silent] = [""] * silent
            if rulers(said, right, language)[0] > 5:  # so that 4-grams are shared
                return said, right, language

    def differ(a, b):
        return not torch.allclose(a, b, rtol=0.01)

    cases, missing = [], {(i, j) for i in range(len(RULER_MISTAKES)) for j in range(-1, i)}
    for _ in range(MOST_DRAWS):  # until any two of them, and the right answer, have an input at which they differ
        case = draw(dice.choice(("en", "zh")), dice.randrange(2, 5))
        values = [*(mistake(*case) for mistake in RULER_MISTAKES), rulers(*case)]  # the last one has the index −1, too
        found = {(i, j) for i, j in missing if differ(values[i], values[j])}
        cases += [case] if found else []
        missing -= found
        if not missing:
            return [*sorted(cases, key=lambda case: sum(map(len, case[0]))), draw("en", 5, silent=1)]
    raise RuntimeError(STUCK)


two_rulers = Exercise(
    "6.3",
    "Two rulers",
    ("hypotheses", "references", "language"),
    rulers,
    ruler_cases,
    RULER_MISTAKES,
    edges=1,
)
