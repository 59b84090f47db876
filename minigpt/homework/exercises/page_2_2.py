"""The checked exercises of 2.2.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 2.2.1: when it pays -------------------------------------------------------------------------

# Millions of tokens: 8 for pre-training, 0.1 for fine-tuning on a task, 0.7 for learning a task from nothing.
pays = ValueExercise(
    "2.2.1",
    "When it pays",
    answer=14,
    right="8 + 14 · 0.1 = 9.4, and 14 · 0.7 = 9.8. With 13 tasks it is still 9.3 against 9.1.",
    mistakes={
        13: "13 tasks cost 8 + 1.3 = 9.3 with pre-training and 13 · 0.7 = 9.1 without. Not yet.",
        12: "that is 8 / 0.7, rounded up: each task costs its fine-tuning too.",
        11: "that is 8 / 0.7, rounded down: each task costs its fine-tuning too, and 11 tasks do not pay.",
        10: "that is 8 / (0.7 + 0.1). A task saves 0.7 − 0.1.",
        80: "that is 8 / 0.1, pre-training over fine-tuning. Compare with what a task costs from nothing.",
        40 / 3: "that is where the two costs are equal. There is no third of a task: round it the right way.",
        1: "one task costs 8.1 with pre-training and 0.7 without.",
    },
)


# ---- 2.2.2: macro-F1 -----------------------------------------------------------------------------


def macro_f1(said, right, classes):
    return per_class(said, right, classes)[0].mean()


def per_class(said, right, classes):
    """F1, precision and recall of each class, (classes,) each; 0 where nothing was said or nothing is right."""
    rows = torch.arange(classes)[:, None]
    hits = ((said == rows) & (right == rows)).sum(1).double()
    told, there = (said == rows).sum(1), (right == rows).sum(1)
    return 2 * hits / (told + there).clamp(min=1), hits / told.clamp(min=1), hits / there.clamp(min=1)


def plain_accuracy(said, right, classes):
    """This is the accuracy, the share of right answers. It lets frequent classes decide."""
    return (said == right).double().mean()


def by_frequency(said, right, classes):
    """This weighs the classes by how many texts they have. Macro means that every class weighs the same."""
    return (per_class(said, right, classes)[0] * torch.bincount(right, minlength=classes)).sum() / len(right)


def only_precision(said, right, classes):
    """This is the mean precision: of the texts called a class, how many are. F1 also asks how many it missed."""
    return per_class(said, right, classes)[1].mean()


def only_recall(said, right, classes):
    """This is the mean recall: of a class's texts, how many were found. F1 also asks how many others were called so."""
    return per_class(said, right, classes)[2].mean()


def of_the_means(said, right, classes):
    """This is the F1 of the mean precision and the mean recall. Compute F1 class by class, then take the mean."""
    _, precision, recall = (values.mean() for values in per_class(said, right, classes))
    return 2 * precision * recall / (precision + recall).clamp(min=1e-9)


def without_the_two(said, right, classes):
    """This is half of it: F1 = 2 · hits / (said + right), so that a perfect class gets 1."""
    return macro_f1(said, right, classes) / 2


def only_classes_there(said, right, classes):
    """This leaves out the classes that the texts do not have. Here every class counts; one never right counts 0."""
    return per_class(said, right, classes)[0][torch.bincount(right, minlength=classes) > 0].mean()


def only_classes_said(said, right, classes):
    """This leaves out the classes that were never said. A class that the model has forgotten counts 0, and hurts."""
    return per_class(said, right, classes)[0][torch.bincount(said, minlength=classes) > 0].mean()


def in_percent(said, right, classes):
    """This is in percent. A share between 0 and 1 was asked for."""
    return 100 * macro_f1(said, right, classes)


def f1_cases(generator):
    def draw(N, classes):
        right = torch.randint(0, classes - 1, (N,), generator=generator)  # the last class has no text,
        said = torch.where(torch.rand(N, generator=generator) < 0.6, right, (right + 1) % classes)
        right[:8] = torch.tensor([0, 0, 0, 0, 0, 1, classes - 2, classes - 3])  # class 0 is frequent,
        said[said >= classes - 3] = 0  # and two classes that are there are never said,
        said[:6] = torch.tensor([0, 0, 0, classes - 1, 1, 0])  # but the last class is
        return said, right, classes

    return [draw(12, 5), draw(20, 5), draw(30, 6), draw(60, 7), draw(200, 11)]


macro = Exercise(
    "2.2.2",
    "Macro-F1",
    ("said", "right", "classes"),
    macro_f1,
    f1_cases,
    (
        plain_accuracy,
        by_frequency,
        only_precision,
        only_recall,
        of_the_means,
        without_the_two,
        only_classes_there,
        only_classes_said,
        in_percent,
    ),
)


# ---- 2.2.3: the cheap rival ----------------------------------------------------------------------


def bayes(counts, texts, new, share=None, more=1.0):
    """Probabilities (M, classes): counts (classes, W) of the words, texts (classes,), new (M, W)."""
    share = (counts + more) / (counts + more).sum(1, keepdim=True) if share is None else share
    return (texts / texts.sum()).log().add(new.double() @ share.log().T).softmax(1)


def word_counts(counts, texts, new):
    return bayes(counts.double(), texts.double(), new)


def without_prior(counts, texts, new):
    """This forgets how frequent the classes are. Before any word is read, a class has its share of the texts."""
    return bayes(counts.double(), torch.ones(len(texts), dtype=torch.double), new)


def without_adding_one(counts, texts, new):
    """This is without the 1 added to each count: one unseen word rules out a class, or all of them."""
    return bayes(counts.double(), texts.double(), new, more=0.0)


def wrong_total(counts, texts, new):
    """This adds 1 to each count but not to the total. A class's shares add up to 1 only if the total grows by W."""
    return bayes(None, texts.double(), new, (counts + 1.0) / counts.sum(1, keepdim=True).double())


def total_plus_one(counts, texts, new):
    """This adds 1 to the total, but 1 was added for each of the W words: the total grows by W."""
    return bayes(None, texts.double(), new, (counts + 1.0) / (counts.sum(1, keepdim=True).double() + 1))


def each_word_once(counts, texts, new):
    """This counts each word of the new text once. A word that stands there twice counts twice."""
    return bayes(counts.double(), texts.double(), new > 0)


def across_classes(counts, texts, new):
    """This divides by the word's total over all classes. A share is a word's part among all words of its class."""
    return bayes(None, texts.double(), new, (counts + 1.0) / (counts + 1.0).double().sum(0))


def not_shared_out(counts, texts, new):
    """These are products that do not add up to 1. Divide each text's row by its sum."""
    share = (counts + 1.0) / (counts + 1.0).double().sum(1, keepdim=True)
    return (texts / texts.sum()).double().log().add(new.double() @ share.log().T).exp()


def logs(counts, texts, new):
    """These are the logarithms of the probabilities."""
    return word_counts(counts, texts, new).log()


def transposed(counts, texts, new):
    """The rows are the classes here. A row for each new text was asked for: (M, classes)."""
    return word_counts(counts, texts, new).T


def bayes_cases(generator):
    def draw(classes, W, M, most):
        counts = torch.randint(0, most, (classes, W), generator=generator)
        counts[0, 0], counts[1, 0], counts[:, 1] = 0, 3, most  # a word that one class has never had
        texts = torch.randint(2, 9, (classes,), generator=generator)
        texts[0], texts[1] = 9, 3
        new = torch.randint(0, 3, (M, W), generator=generator)
        new[:, 0], new[:, 2] = 1, 2
        return counts, texts, new

    return [draw(2, 3, 1, 4), draw(3, 4, 2, 5), draw(3, 6, 4, 4), draw(5, 8, 3, 6), draw(11, 9, 7, 8)]


rival = Exercise(
    "2.2.3",
    "The cheap rival",
    ("counts", "texts", "new"),
    word_counts,
    bayes_cases,
    (
        without_prior,
        without_adding_one,
        wrong_total,
        total_plus_one,
        each_word_once,
        across_classes,
        not_shared_out,
        logs,
        transposed,
    ),
)


# ---- 2.2.4: a fair comparison --------------------------------------------------------------------

fair = ValueExercise(
    "2.2.4",
    "A fair comparison",
    answer="B",
    right="The same steps after the start, but one of them had a long run before it that the sentence leaves out.",
    mistakes={
        "A": "steps with the same batches are the same compute on both sides. What was spent before is not.",
        "C": "nobody gave it topics then. It had read plain text, and the test articles were not in it.",
        "D": "with 200 labels, more steps mean the same 200 articles again and again, learned by heart.",
    },
)

EXERCISES = (pays, macro, rival, fair)
