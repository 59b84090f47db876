"""Metrics: how good a text is, beside a text that people wrote or by itself.

BLEU, chrF and ROUGE come from the libraries whose numbers papers report, sacrebleu and rouge-score; the rest is short
enough to read here. What is judged and what it is judged by are named, `hypothesis=` and `reference=`: BLEU of the
two exchanged is another number, and no error would say so.
"""

import ast
import importlib
import re
import string
import warnings
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

Reference = str | Sequence[str]  # one right answer, or several


def bleu(*, hypotheses: Sequence[str], references: Sequence[Reference], language: str = "en") -> float:
    """Corpus BLEU, 0 … 100, by sacrebleu (Papineni et al., 2002; Post, 2018).

    The counts of 1- to 4-grams are added up over all texts before the precisions are taken, so it is no mean over
    sentences. `language` is the hypotheses' and chooses how words are cut: "zh" between any two Chinese characters,
    most others as in the conference on machine translation ("13a"). Raises ValueError if the two lists do not match.
    """
    from_library = _library("sacrebleu").BLEU(trg_lang=language)
    return from_library.corpus_score(list(hypotheses), _streams(hypotheses, references)).score


def chrf(*, hypotheses: Sequence[str], references: Sequence[Reference]) -> float:
    """Corpus chrF2, 0 … 100, by sacrebleu: an F-score of 1- to 6-grams of characters (Popović, 2015).

    It needs no words, so it suits short texts, rich endings and Chinese. Raises ValueError as bleu() does.
    """
    return _library("sacrebleu").CHRF().corpus_score(list(hypotheses), _streams(hypotheses, references)).score


def rouge(*, hypothesis: str, reference: Reference) -> dict[str, float]:
    """F-scores of one text, 0 … 1, by rouge-score: "rouge1", "rouge2", "rougeL" (Lin, 2004).

    Words are stemmed, as papers on summarization do; of several references the best counts, for each score by itself.
    The library knows the letters a–z and digits only: a Chinese text scores 0.
    """
    scores = _rouge_scorer().score_multi(_several(reference), hypothesis)
    return {name: score.fmeasure for name, score in scores.items()}


def exact_match(*, hypothesis: str, reference: Reference) -> float:
    """1 if an answer equals a right one after normalize(), else 0 (Rajpurkar et al., 2016)."""
    return float(any(normalize(hypothesis) == normalize(one) for one in _several(reference)))


def f1(*, hypothesis: str, reference: Reference) -> float:
    """How many words two answers share, 0 … 1, as SQuAD counts; of several right answers the best counts.

    The harmonic mean of precision and recall over the bags of words that normalize() leaves: a word that stands twice
    in one and once in the other is shared once. Two empty answers (SQuAD 2.0's "no answer") score 1, one scores 0.
    """
    return max(_f1(normalize(hypothesis).split(), normalize(one).split()) for one in _several(reference))


def _f1(said: list[str], right: list[str]) -> float:
    if not said or not right:
        return float(said == right)
    return 2 * (Counter(said) & Counter(right)).total() / (len(said) + len(right))  # = 2PR / (P + R)


def normalize(text: str) -> str:
    """SQuAD's normalisation: small letters, no ASCII punctuation, no English article, single spaces, in this order."""
    text = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def distinct_n(texts: Sequence[str | Sequence], n: int = 2) -> float:
    """Different n-grams among all n-grams of all texts together, 0 … 1: 1 means that none comes twice.

    After Li et al., 2016 (section 5), who divide by the number of words. A text is cut at white space; give lists of
    tokens where that is wrong. It falls with the amount of text: compare equal amounts only. 0 if there is no n-gram.
    """
    if isinstance(texts, str):
        raise ValueError("distinct_n takes a list of texts, not one: write [text]")
    grams = [gram for text in texts for gram in _ngrams(text, n)]
    return len(set(grams)) / max(1, len(grams))


def self_repetition(text: str | Sequence, n: int = 4) -> float:
    """How much of one text repeats itself: 1 − different n-grams / n-grams, 0 … 1, without an n-gram 0.

    The seq-rep-n of Welleck et al., 2020 (equation 8); for several texts, they take the mean. A text is cut at white
    space; give a list of tokens where that is wrong.
    """
    grams = _ngrams(text, n)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _ngrams(text: str | Sequence, n: int) -> list[tuple]:
    if n < 1:
        raise ValueError(f"n={n} must be at least 1: how many words stand together")
    words = text.split() if isinstance(text, str) else list(text)
    return list(zip(*(words[i:] for i in range(n)), strict=False))


def parses(code: str) -> bool:
    """Is this text Python by its grammar? It is parsed, never run.

    Nesting too deep for the parser, null bytes and half characters count as no; an empty text is a program.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" is odd, but parses
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def bootstrap(
    scores: Sequence[float], *, level: float = 0.95, samples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """(mean, low, high): the mean of per-example scores and its percentile bootstrap interval (Efron, 1979).

    As many examples as there are, drawn with replacement, give another mean; `samples` such means are sorted, and the
    middle `level` of them is the interval. The same seed gives the same interval.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 1 or not len(scores):
        raise ValueError("a mean needs at least one score: give one number per example")
    if not 0 < level < 1 or samples < 1:
        raise ValueError(f"level={level} must lie between 0 and 1, and samples={samples} must be at least 1")
    dice = np.random.default_rng(seed)
    means = [scores[dice.integers(len(scores), size=len(scores))].mean() for _ in range(samples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(scores.mean()), float(low), float(high)


def _several(reference: Reference) -> list[str]:
    several = [reference] if isinstance(reference, str) else list(reference)
    if not several:
        raise ValueError("there is no reference to compare with: give at least one right text")
    return several


def _streams(hypotheses: Sequence[str], references: Sequence[Reference]) -> list[list[str | None]]:
    """sacrebleu's order: first every text's first reference, then every text's second, None where there is none."""
    if isinstance(hypotheses, str) or isinstance(references, str):
        raise ValueError("hypotheses and references are lists, with one entry per text")
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses and {len(references)} references: each text needs its own")
    several = [_several(reference) for reference in references]
    return [[s[i] if i < len(s) else None for s in several] for i in range(max(map(len, several)))]


@lru_cache
def _rouge_scorer():
    return _library("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)


def _library(name: str):
    """Imported when first needed: training and generating do without. Says how to get what is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        package = {"sacrebleu": "sacrebleu", "rouge_score": "rouge-score"}[name.split(".")[0]]
        raise ModuleNotFoundError(f"this metric needs {package}: python -m pip install {package}") from e
