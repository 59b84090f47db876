"""The checked exercises of homework 6: what a report may say, families, rulers, examples, and a contest.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import random
import re

import torch

from ..exercise import Exercise, Prediction
from .homework_6_contest import beat_the_rule
from .homework_6_examples import example_row
from .homework_6_metrics import two_rulers

# ---- 6.1: what the report may say --------------------------------------------------------------------


def log_of_a_run(generator):
    """A table in which validation F1, test F1, loss and habit each choose another checkpoint of the five, and no two
    mistakes give the same number."""
    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    while True:
        by_validation, by_test, by_loss = (1 + torch.randperm(3, generator=generator)).tolist()
        worth = (31, 40, 43, 44, 42)
        validation, test = ([w + draw(-4, 4) for w in worth] for _ in range(2))
        loss = [(low + draw(0, 15)) / 100 for low in (240, 205, 200, 205, 220)]
        validation[by_validation], test[by_test] = draw(49, 53), draw(49, 53)
        loss[by_loss] = draw(180, 198) / 100
        table = {
            "loss": loss,
            "validation": validation,
            "test": test,
            "first_sentence": (draw(10, 20), draw(10, 20)),
            "dull_rule": (draw(25, 33), draw(25, 33)),
        }
        said = [may_say(**table), *(mistake(**table) for mistake in REPORT_MISTAKES)]
        if len({*said}) == len(said):
            return table


def best(scores):
    return scores.index(max(scores))


def may_say(loss, validation, test, first_sentence, dull_rule):
    return test[best(validation)] - dull_rule[1]


def chosen_on_test(loss, validation, test, first_sentence, dull_rule):
    """you took the checkpoint that does best on the test set. Then the test set has helped to choose, and its number
    says what was lucky there, not what to expect of new questions. Choose on validation."""
    return max(test) - dull_rule[1]


def validation_reported(loss, validation, test, first_sentence, dull_rule):
    """that is the lead on the validation set, where the best of five was picked because it was ahead there. Report it
    on the test set, which chose nothing."""
    return max(validation) - dull_rule[0]


def validation_against_test(loss, validation, test, first_sentence, dull_rule):
    """that takes the rule's score on one set from the model's on the other. Two systems are compared on the same
    questions."""
    return max(validation) - dull_rule[1]


def test_against_validation(loss, validation, test, first_sentence, dull_rule):
    """that takes the rule's validation score from the model's test score. Two systems are compared on the same
    questions."""
    return test[best(validation)] - dull_rule[0]


def last_checkpoint(loss, validation, test, first_sentence, dull_rule):
    """that is the last checkpoint. The plan was to take the one with the highest validation F1."""
    return test[-1] - dull_rule[1]


def lowest_loss(loss, validation, test, first_sentence, dull_rule):
    """that is the checkpoint with the lowest validation loss. Also a fair choice, but the plan, made before, says F1;
    who tries both ways and keeps the nicer one has chosen twice."""
    return test[loss.index(min(loss))] - dull_rule[1]


def against_a_straw_man(loss, validation, test, first_sentence, dull_rule):
    """that is the lead over the weaker rule. The line to cross is the best rule that learns nothing."""
    return test[best(validation)] - first_sentence[1]


def not_compared(loss, validation, test, first_sentence, dull_rule):
    """that is the model's score. How far is it ahead of the dull rule?"""
    return test[best(validation)]


def wrong_way_round(loss, validation, test, first_sentence, dull_rule):
    """the sign: what is ahead comes first, the model's score minus the rule's."""
    return dull_rule[1] - test[best(validation)]


def mean_of_all(loss, validation, test, first_sentence, dull_rule):
    """that is the mean over all checkpoints. One of them is the model that you hand out."""
    return sum(test) / len(test) - dull_rule[1]


REPORT_MISTAKES = (
    chosen_on_test,
    validation_reported,
    validation_against_test,
    test_against_validation,
    last_checkpoint,
    lowest_loss,
    against_a_straw_man,
    not_compared,
    wrong_way_round,
    mean_of_all,
)

report = Prediction(
    "6.1",
    "What the report may say",
    log_of_a_run,
    may_say,
    "Validation chooses the checkpoint, the test set measures it, once, beside the best rule on the same questions.",
    REPORT_MISTAKES,
)


# ---- 6.2: families -----------------------------------------------------------------------------------


def key(sentence):
    return re.sub(r"[\W_]", "", sentence).lower()


def families(pairs):
    return torch.tensor(joined(pairs))


def joined(pairs, key=key, sides=(0, 1), name=lambda side, sentence: (side, sentence)):
    """For each pair, the first pair that is connected to it, directly or through others."""
    family, before = list(range(len(pairs))), None
    while family != before:  # each round, every pair takes the smallest number it meets, until nothing changes
        before = family
        for side in sides:
            smallest = {}
            for pair, number in zip(pairs, family, strict=True):
                place = name(side, key(pair[side]))
                smallest[place] = min(number, smallest.get(place, number))
            family = [smallest[name(side, key(pair[side]))] for pair in pairs]
    return family


def sources_alone(pairs):
    """This is what you get by comparing the sources alone: a shared target makes a family too."""
    return joined(pairs, sides=(0,))


def targets_alone(pairs):
    """This is what you get by comparing the targets alone: a shared source makes a family too."""
    return joined(pairs, sides=(1,))


def whole_pairs_alone(pairs):
    """This is what you get when both sentences have to be the same: one is enough."""
    known = [(key(source), key(target)) for source, target in pairs]
    return [known.index(pair) for pair in known]


def no_families(pairs):
    """This leaves every pair by itself: pairs that share a sentence have one number, that of the first of them."""
    return list(range(len(pairs)))


def relatives_of_relatives_forgotten(pairs):
    """This is what you get by looking for the first pair that shares a sentence with this one: families also hold who
    is connected through others. Go on until nothing changes."""
    known = [(key(source), key(target)) for source, target in pairs]
    return [next(j for j, b in enumerate(known) if a[0] == b[0] or a[1] == b[1]) for a in known]


def never_merged(pairs):
    """This is what you get in a single pass: each pair joins a family that it knows, but when one shares its source
    with one family and its target with another, the two are not made one."""
    family, seen = [], {}
    for i, (source, target) in enumerate(pairs):
        a, b = (0, key(source)), (1, key(target))
        family.append(seen.get(a, seen.get(b, i)))
        seen.setdefault(a, family[-1])
        seen.setdefault(b, family[-1])
    return family


def languages_mixed(pairs):
    """This is what you get by throwing both languages together: "No." is a sentence of either, and says nothing of the
    other."""
    family = list(range(len(pairs)))
    for _ in pairs:
        smallest = {}
        for pair, number in zip(pairs, family, strict=True):
            for sentence in pair:
                smallest[key(sentence)] = min(number, smallest.get(key(sentence), number))
        family = [min(smallest[key(sentence)] for sentence in pair) for pair in pairs]
    return family


def letter_by_letter(pairs):
    """This is what you get by comparing the sentences as they are: "Go on!" and "go on" count as the same."""
    return joined(pairs, key=str)


def signs_kept(pairs):
    """This is what you get by comparing in small letters, signs included: letters and digits alone count."""
    return joined(pairs, key=str.lower)


def capitals_kept(pairs):
    """This is what you get by dropping signs and spaces and keeping capitals: compare in small letters."""
    return joined(pairs, key=lambda sentence: re.sub(r"[\W_]", "", sentence))


def numbered_through(pairs):
    """These are the right families, numbered 0, 1, 2, …: a family's number is that of its first pair."""
    first = joined(pairs)
    return [sorted({*first}).index(i) for i in first]


def last_pair_names(pairs):
    """These are the right families, each named by its last pair: name it by its first."""
    first = joined(pairs)
    return [max(j for j, other in enumerate(first) if other == number) for number in first]


def counted_from_one(pairs):
    """These are the right families, counted from 1: the first pair has the number 0."""
    return [number + 1 for number in joined(pairs)]


FAMILY_MISTAKES = (
    sources_alone,
    targets_alone,
    whole_pairs_alone,
    no_families,
    relatives_of_relatives_forgotten,
    never_merged,
    languages_mixed,
    letter_by_letter,
    signs_kept,
    capitals_kept,
    numbered_through,
    last_pair_names,
    counted_from_one,
)

ENGLISH = ("No", "Go on", "Be quiet", "It rains", "I see", "Of course", "Come in", "He left", "Me too", "So what")
SPANISH = ("No", "Sigue", "Calla", "Llueve", "Ya veo", "Claro", "Pasa", "Se fue", "Yo igual", "Y qué")


def family_cases(generator):
    dice = random.Random(int(torch.randint(2**31, (), generator=generator)))

    def written(sentence, opening):
        sign = dice.choice((".", "!", "…", ""))
        return dice.choice((sentence, sentence.lower())).join((opening if sign == "!" else "", sign))

    def draw(N, many):
        places = [(dice.randrange(many), dice.randrange(many)) for _ in range(N)]
        return [(written(ENGLISH[i], ""), written(SPANISH[j], "¡")) for i, j in places]

    cases = []
    for mistake in FAMILY_MISTAKES:  # for each, an input at which it differs, from all others too
        others = [other for other in (joined, *FAMILY_MISTAKES) if other is not mistake]
        seen = {other: False for other in others}
        while not all(seen.values()):
            pairs = draw(dice.randrange(3, 8), dice.choice((3, 5, 8)))
            differ = [other for other in others if not seen[other] and other(pairs) != mistake(pairs)]
            if differ and mistake(pairs) != joined(pairs):
                cases.append(pairs)
            seen |= dict.fromkeys(differ, True)
    cases.append(draw(30, 10))
    return [(pairs,) for pairs in sorted(cases, key=len)]


split = Exercise("6.2", "Families", ("pairs",), families, family_cases, FAMILY_MISTAKES)

EXERCISES = (report, split, two_rulers, example_row, beat_the_rule)
