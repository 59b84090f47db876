"""The checked exercises of 2.1.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 2.1.1: how far may a count stray ------------------------------------------------------------

stray = ValueExercise(
    "2.1.1",
    "How far a count may stray",
    answer=(20, 4),
    right="100 · 0.2 = 20, and the square root of 100 · 0.2 · 0.8 = 16 is 4. A count of 17 or 23 is no surprise.",
    mistakes={
        (20, 16): "16 is 100 · 0.2 · 0.8. Its square root is the deviation of the count.",
        (20, 0): "that would be a model that deals its tokens out evenly. Each draw is made anew.",
        (20, 4.472): "that is the square root of 100 · 0.2: the factor 1 − p is missing.",
        (20, 0.04): "0.04 is the deviation of the share. You were asked for the count.",
        (0.2, 0.04): "those are the share and its deviation. You were asked for counts out of 100.",
        (20, 40): "40 is 100 times 0.4, the deviation of a single draw. It grows with the square root of 100 only.",
        (20, 10): "10 is the square root of 100. It has to be multiplied by the deviation of a single draw, 0.4.",
    },
)


# ---- 2.1.2: be the sampler -----------------------------------------------------------------------


def draw_token(probs, u):
    """The token in whose part of [0, 1) the point u falls, when the probabilities are laid end to end."""
    return torch.tensor(int((probs.cumsum(0) <= u).sum()))


def likeliest(probs, u):
    """This takes the likeliest token and never looks at u: nothing is drawn."""
    return probs.argmax()


def all_tokens_alike(probs, u):
    """This gives every token an equal part of the line. A token's part is as long as its probability."""
    return torch.tensor(int(u * len(probs)))


def not_laid_end_to_end(probs, u):
    """This compares u with single probabilities. Lay them end to end first: compare it with running sums."""
    return (probs > u).int().argmax()


def one_too_far(probs, u):
    """This is one token too far. If u lies before the end of the first token's part, the answer is 0."""
    return torch.tensor(min(int((probs.cumsum(0) <= u).sum()) + 1, len(probs) - 1))


def one_too_early(probs, u):
    """This is one token too early: it is the last part that ends before u, not the part that holds u."""
    return torch.tensor(max(int((probs.cumsum(0) <= u).sum()) - 1, 0))


def laid_backwards(probs, u):
    """This lays the parts from the other end. That is a fair sampler too, but the exercise begins with token 0."""
    return torch.tensor(len(probs) - 1 - int((probs.flip(0).cumsum(0) <= u).sum()))


def place_in_the_ranking(probs, u):
    """This sorts the probabilities and returns a place in the ranking. Keep the order of the vocabulary."""
    return torch.tensor(int((probs.sort(descending=True).values.cumsum(0) <= u).sum()))


def draws_itself(probs, u):
    """This draws its own random number. Use the u that you are given, so that a draw can be repeated."""
    return torch.multinomial(probs, 1, generator=torch.Generator().manual_seed(0))[0]


def draw_cases(generator):
    made = [(torch.tensor([0.5, 0.3, 0.2]), u) for u in (0.1, 0.6, 0.9)]
    made += [(torch.tensor([0.0, 1.0, 0.0]), 0.5), (torch.tensor([0.25, 0.0, 0.75]), 0.25)]
    for V in (4, 7, 20, 20, 50, 50):
        probs = (2 * torch.randn(V, generator=generator)).softmax(0)
        while True:  # no point within rounding of an edge, where float32 and float64 may disagree
            u = float(torch.rand((), generator=generator))
            if (probs.cumsum(0) - u).abs().min() > 1e-4 and u < 0.999:
                break
        made.append((probs, u))
    return made


sampler = Exercise(
    "2.1.2",
    "Be the sampler",
    ("probs", "u"),
    draw_token,
    draw_cases,
    (
        likeliest,
        all_tokens_alike,
        not_laid_end_to_end,
        one_too_far,
        one_too_early,
        laid_backwards,
        place_in_the_ranking,
        draws_itself,
    ),
)


# ---- 2.1.3: temperature from probabilities -------------------------------------------------------


def reheat(probs, temperature):
    """Probabilities at temperature 1 -> at another: each to the power 1 / temperature, then shared out anew."""
    powers = probs ** (1 / temperature)
    return powers / powers.sum()


def divided(probs, temperature):
    """These are the probabilities as they were. Dividing all of them by one number is undone by sharing out anew: it is
    the scores that are divided."""
    return probs / temperature / (probs / temperature).sum()


def divided_only(probs, temperature):
    """This divides the probabilities by the temperature. They no longer add up to 1."""
    return probs / temperature


def not_shared_out_anew(probs, temperature):
    """The powers are right, but they do not add up to 1: divide by their sum."""
    return probs ** (1 / temperature)


def power_upside_down(probs, temperature):
    """This is the power T in place of 1 / T: it sharpens where it should flatten."""
    powers = probs**temperature
    return powers / powers.sum()


def probabilities_as_scores(probs, temperature):
    """This takes the probabilities for scores. Their logarithms are scores: softmax of log(p) / T."""
    return (probs / temperature).softmax(0)


def logs_times_temperature(probs, temperature):
    """This multiplies the logarithms by the temperature and does not share out anew."""
    return (probs.log() * temperature).exp()


def reheat_cases(generator):
    cases = [(torch.tensor([0.5, 0.3, 0.2]), 0.5), (torch.tensor([0.7, 0.2, 0.1]), 2.0)]
    for V, temperature in ((4, 1.0), (5, 0.7), (9, 1.6), (30, 0.3), (30, 3.0)):
        cases.append((torch.randn(V, generator=generator).softmax(0), temperature))
    return cases


temperature_exercise = Exercise(
    "2.1.3",
    "Another temperature, from probabilities alone",
    ("probs", "temperature"),
    reheat,
    reheat_cases,
    (
        divided,
        divided_only,
        not_shared_out_anew,
        power_upside_down,
        probabilities_as_scores,
        logs_times_temperature,
    ),
)


# ---- 2.1.4: two answers to one question ----------------------------------------------------------

two_answers = ValueExercise(
    "2.1.4",
    "Two answers to one question",
    answer="B",
    right="Look at the bars at the place where the year begins: they show what a single answer hides.",
    mistakes={
        "A": "no entry is looked up, so none can be corrupt. Both years were drawn from the same bars.",
        "C": "temperature 0 gives the same year every time. The same is not the same as true.",
        "D": "nothing was learned between the two questions: the weights are the same, and so are the bars.",
    },
)

EXERCISES = (stray, sampler, temperature_exercise, two_answers)
