"""Of homework 1: six reports on one table, five of them wrong. Which is which?"""

import math
from functools import cache

import torch

from ..exercise import Prediction
from .homework_1_race import bits, mean_bits

ALPHABET = "abcdefghijklmnopqrstuvwxyz "  # 26 letters and the space, as in Shannon's experiments
DUCKLING = """
it was lovely summer weather in the country and the golden corn the green oats and the haystacks piled up in the
meadows looked beautiful the stork walking about on his long red legs chattered in the egyptian language which he
had learnt from his mother the corn fields and meadows were surrounded by large forests in the midst of which were
deep pools it was indeed delightful to walk about in the country in a sunny spot stood a pleasant old farm house
close by a deep river and from the house down to the water side grew great burdock leaves so high that under the
tallest of them a little child could stand upright the spot was as wild as the centre of a thick wood in this snug
retreat sat a duck on her nest watching for her young brood to hatch she was beginning to get tired of her task for
the little ones were a long time coming out of their shells and she seldom had any visitors the other ducks liked
much better to swim about in the river than to climb the slippery banks and sit under a burdock leaf to have a
gossip with her at length one shell cracked and then another and from each egg came a living creature that lifted
its head and cried peep peep quack quack said the mother and then they all quacked as well as they could and looked
about them on every side at the large green leaves their mother allowed them to look as much as they liked because
green is good for the eyes how large the world is said the young ducks when they found how much more room they now
had than while they were inside the egg shell do you imagine this is the whole world asked the mother wait till you
have seen the garden it stretches far beyond that to the parson s field but i have never ventured to such a distance
are you all out she continued rising no i declare the largest egg lies there still i wonder how long this is to last
i am quite tired of it and she seated herself again on the nest well how are you getting on asked an old duck who
paid her a visit one egg is not hatched yet said the duck it will not break but just look at all the others are they
not the prettiest little ducklings you ever saw they are the image of their father who is so unkind he never comes
to see let me see the egg that will not break said the duck i have no doubt it is a turkey s egg i was persuaded to
hatch some once and after all my care and trouble with the young ones they were afraid of the water i quacked and
clucked but all to no purpose i could not get them to venture in let me look at the egg yes that is a turkey s egg
take my advice leave it where it is and teach the other children to swim i think i will sit on it a little while
longer said the duck as i have sat so long already a few days will be nothing please yourself said the old duck and
she went away at last the large egg broke and a young one crept forth crying peep peep it was very large and ugly
the duck stared at it and exclaimed it is very large and not at all like the others i wonder if it really is a
turkey we shall soon find it out however when we go to the water it must go in if i have to push it myself on the
next day the weather was delightful and the sun shone brightly on the green burdock leaves so the mother duck took
her young brood down to the water and jumped in with a splash quack quack cried she and one after another the little
ducklings jumped in the water closed over their heads but they came up again in an instant and swam about quite
prettily with their legs paddling under them as easily as possible and the ugly duckling was also in the water
swimming with them oh said the mother that is not a turkey how well he uses his legs and how upright he holds
himself he is my own child and he is not so very ugly after all if you look at him properly quack quack come with me
now i will take you into grand society and introduce you to the farmyard but you must keep close to me or you may be
trodden upon and above all beware of the cat when they reached the farmyard there was a great disturbance two
families were fighting for an eel s head which after all was carried off by the cat see children that is the way of
the world said the mother duck whetting her beak for she would have liked the eel s head herself come now use your
legs and let me see how well you can behave you must bow your heads prettily to that old duck yonder she is the
highest born of them all and has spanish blood therefore she is well off don t you see she has a red flag tied to
her leg which is something very grand and a great honor for a duck it shows that every one is anxious not to lose
her as she can be recognized both by man and beast come now don t turn your toes a well bred duckling spreads his
feet wide apart just like his father and mother in this way now bend your neck and say quack the ducklings did as
they were bid but the other duck stared and said look here comes another brood as if there were not enough of us
already and what a queer looking object one of them is we don t want him here and then one flew out and bit him in
the neck let him alone said the mother he is not doing any harm yes but he is so big and ugly said the spiteful duck
and therefore he must be turned out the others are very pretty children said the old duck with the rag on her leg
all but that one i wish his mother could improve him a little that is impossible your grace replied the mother he is
not pretty but he has a very good disposition and swims as well or even better than the others i think he will grow
up pretty and perhaps be smaller he has remained too long in the egg and therefore his figure is not
"""  # Hans Christian Andersen, The Ugly Duckling; an English translation of the 19th century, letters and spaces only


# ---- 1.5: smell the leak -------------------------------------------------------------------------

WAYS = {  # in the order in which the exercise lists them: what a report's author did
    "honest": {},
    "test counted": {},
    "unseen contexts skipped": {"skip": "left out"},
    "sum above 1": {"below": "followers"},
    "nats": {"mean": lambda probs: mean_bits(probs) * math.log(2)},
    "mean of perplexities": {"mean": lambda probs: math.log2(sum(1 / p for p in probs) / len(probs))},
}
ALPHA, MOST = 0.1, 4


@cache
def curves(train, test):
    """For each of the WAYS, the bits with contexts of 0 … MOST characters."""
    sources = {"test counted": train + test}
    return {
        way: [round(bits(sources.get(way, train), test, n, 27, ALPHA, MOST, **wrong), 3) for n in range(MOST + 1)]
        for way, wrong in WAYS.items()
    }


def six_reports(generator):
    text = " ".join(DUCKLING.split())
    start = 150 * int(torch.randint(12, (), generator=generator))
    ids = [ALPHABET.index(char) for char in text[start : start + 3900]]
    made = list(curves(tuple(ids[:3000]), tuple(ids[3000:])).values())
    order = torch.randperm(len(made), generator=generator).tolist()
    reports = {letter: made[i] for letter, i in zip("ABCDEF", order, strict=True)}
    return {"train": torch.tensor(ids[:3000]), "test": torch.tensor(ids[3000:]), "alpha": ALPHA, "reports": reports}


def letters(train, test, alpha, reports):
    """The report that each way gives, by computing it again."""
    by_curve = {tuple(curve): letter for letter, curve in reports.items()}
    return "".join(by_curve[tuple(curve)] for curve in curves(tuple(train.tolist()), tuple(test.tolist())).values())


def swapped(numbers, i, j):
    """The right letters, of which two are exchanged."""
    found = list(letters(**numbers))
    found[i], found[j] = found[j], found[i]
    return "".join(found)


def ways_by_letter(**numbers):
    """these are the ways of the reports A to F. Turn it round: the letters of the reports, in the order of the list."""
    return "".join(str(letters(**numbers).index(letter) + 1) for letter in numbers["reports"])


def honest_for_counted(**numbers):
    """the honest report and the one with the test text counted are exchanged. On text of this length an honest
    table gets worse when contexts grow long: it has hardly seen any of them. One that was told the text gets better."""
    return swapped(numbers, 0, 1)


def honest_for_skipped(**numbers):
    """the honest report and the one that skips unseen contexts are exchanged. What is skipped are the hard places, so
    the one that skips looks better where contexts are long."""
    return swapped(numbers, 0, 2)


def honest_for_nats(**numbers):
    """the honest report and the one in nats are exchanged. Look at context 0: there is nothing to skip and little to
    leak, so that four of the six hardly differ. Nats stand apart."""
    return swapped(numbers, 0, 4)


def honest_for_mean_of_perplexities(**numbers):
    """the honest report and the one with the mean of perplexities are exchanged. A few hard places decide such a mean:
    it is far above the others. Wrong reports need not flatter."""
    return swapped(numbers, 0, 5)


def counted_for_skipped(**numbers):
    """the reports with the test text counted and with unseen contexts skipped are exchanged. A context of two
    characters has almost always been seen, so that skipping changes little there. Who has counted the text gains
    much."""
    return swapped(numbers, 1, 2)


def counted_for_sum_above_one(**numbers):
    """the reports with the test text counted and with sums above 1 are exchanged. A context never seen is given equal
    shares by the second; so its curve turns up again. Who has counted the text has seen every context."""
    return swapped(numbers, 1, 3)


def counted_for_nats(**numbers):
    """the report with the test text counted and the one in nats are exchanged. Nats change every number by the same
    factor; at context 0, counting the test text changes almost nothing."""
    return swapped(numbers, 1, 4)


def skipped_for_sum_above_one(**numbers):
    """the reports with unseen contexts skipped and with sums above 1 are exchanged. At a context of two hardly anything
    is unseen, and the first is nearly honest there. The sums are wrong wherever a context has few followers."""
    return swapped(numbers, 2, 3)


def skipped_for_nats(**numbers):
    """the report with unseen contexts skipped and the one in nats are exchanged. At context 0 nothing is skipped."""
    return swapped(numbers, 2, 4)


def sum_above_one_for_nats(**numbers):
    """the report with sums above 1 and the one in nats are exchanged. At context 0 almost every character has followed,
    and the sum is almost 1; nats are smaller everywhere, by the same factor."""
    return swapped(numbers, 3, 4)


leaks = Prediction(
    "1.5",
    "Smell the leak",
    six_reports,
    letters,
    "Each bug has a shape of its own. The surest way to name one is to make it yourself.",
    (
        ways_by_letter,
        honest_for_counted,
        honest_for_skipped,
        honest_for_nats,
        honest_for_mean_of_perplexities,
        counted_for_skipped,
        counted_for_sum_above_one,
        counted_for_nats,
        skipped_for_sum_above_one,
        skipped_for_nats,
        sum_above_one_for_nats,
    ),
)
