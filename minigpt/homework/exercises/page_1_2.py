"""The checked exercises of 1.2.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, ValueExercise

# ---- 1.2.1: a hundred times the compute ----------------------------------------------------------

hundredfold = ValueExercise(
    "1.2.1",
    "A hundred times the compute",
    answer=10,
    right="100 to the power 0.5 is 10. The other factor of 10 goes into text: ten times as many bytes.",
    mistakes={
        100: "then nothing would be left for more text, and the model would sit far up the right side of its valley.",
        50: "a power is no product: 100 to the power 0.5, not 100 times 0.5.",
        2: "on log-log paper, half the slope means half the way in powers of ten: from two powers, one is left.",
        31.6: "that is the exponent 0.75, near Kaplan's 0.73. Here it is 0.5.",
        1: "then the model would not grow at all, and would sit far up the left side of its valley.",
    },
)


# ---- 1.2.2: the slope on log-log paper -----------------------------------------------------------


def exponent(x, y):
    return slope(x.log(), y.log())


def slope(u, v):
    """The slope of the straight line through the points (u, v), by least squares."""
    u, v = u - u.mean(), v - v.mean()
    return (u * v).sum() / (u * u).sum()


def plain_paper(x, y):
    """This is the slope on plain paper. Take the logarithm of x and of y first."""
    return slope(x, y)


def only_x(x, y):
    """This is what you get when only x is on log paper. A power law is straight when both are."""
    return slope(x.log(), y)


def only_y(x, y):
    """This is what you get when only y is on log paper. A power law is straight when both are."""
    return slope(x, y.log())


def exchanged(x, y):
    """This is what you get with x and y exchanged: the law of x given y, not of y given x."""
    return slope(y.log(), x.log())


def different_logs(x, y):
    """This is what you get with log₁₀ for one and ln or log₂ for the other. Any base will do, but the same for both."""
    return slope(x.log10(), y.log())


def through_one(x, y):
    """This is what you get when the line has to pass through x = 1, y = 1. Let its height be free: y = factor · x^a."""
    return (x.log() * y.log()).sum() / (x.log() ** 2).sum()


def end_points(x, y):
    """This is the line through the smallest and the largest x alone. Let all points have a say: least squares."""
    first, last = x.argmin(), x.argmax()
    return (y[last] / y[first]).log() / (x[last] / x[first]).log()


def given_order(x, y):
    """This is the line through the first and the last point as they were given, which need not be in order."""
    return (y[-1] / y[0]).log() / (x[-1] / x[0]).log()


def without_sign(x, y):
    """This is right but for the sign. Of a curve that falls, the exponent is negative."""
    return exponent(x, y).abs()


def the_factor(x, y):
    """This is the factor in y = factor · x^a. The exponent a was asked for."""
    return (y.log().mean() - exponent(x, y) * x.log().mean()).exp()


def law_cases(generator):
    def draw(n, power, factor):
        x = 10 ** (1 + 5 * torch.rand(n, generator=generator, dtype=torch.float64))
        noise = torch.randn(n, generator=generator, dtype=torch.float64)
        return x, factor * x**power * (0.1 * noise).exp()

    return [draw(3, -0.3, 4.0), draw(4, 0.5, 0.2), draw(6, -0.07, 9.0), draw(9, 0.75, 3.0), draw(20, -1.2, 50.0)]


straight = Exercise(
    "1.2.2",
    "The slope on log-log paper",
    ("x", "y"),
    exponent,
    law_cases,
    (
        plain_paper,
        only_x,
        only_y,
        exchanged,
        different_logs,
        through_one,
        end_points,
        given_order,
        without_sign,
        the_factor,
    ),
)


# ---- 1.2.3: who wins each budget -----------------------------------------------------------------


def winners(budget, size, bits):
    return torch.stack([winner(size[budget == b], bits[budget == b]) for b in budget.unique()])


def winner(size, bits, of_seeds=torch.mean, best=torch.argmin):
    """The size whose runs are best, in one budget: its seeds are taken together first."""
    sizes = size.unique()
    return sizes[best(torch.stack([of_seeds(bits[size == s]) for s in sizes]))]


def each_budget(budget, size, bits, choose):
    return torch.stack([choose(size[budget == b], bits[budget == b]) for b in budget.unique()])


def luckiest(budget, size, bits):
    """This is what you get from the single best run. A size that was tried with more seeds had more chances to be
    lucky: average the seeds of each size first."""
    return each_budget(budget, size, bits, lambda s, b: s[b.argmin()])


def sums(budget, size, bits):
    """This is what you get from the sum over seeds. Sizes were tried with different numbers of seeds: take the mean."""
    return each_budget(budget, size, bits, lambda s, b: winner(s, b, torch.sum))


def unluckiest(budget, size, bits):
    """This is what you get from the worst seed of each size. Take the mean of the seeds."""
    return each_budget(budget, size, bits, lambda s, b: winner(s, b, torch.max))


def most_bits(budget, size, bits):
    """This is the size that needs the most bits. Fewer bits are better."""
    return each_budget(budget, size, bits, lambda s, b: winner(s, b, best=torch.argmax))


def largest(budget, size, bits):
    """This is the largest model of every budget. The page is about why it need not win."""
    return each_budget(budget, size, bits, lambda s, b: s.max())


def fewest_bits(budget, size, bits):
    """These are the winners' bits. Their sizes were asked for."""
    return each_budget(budget, size, bits, lambda s, b: torch.stack([b[s == k].mean() for k in s.unique()]).min())


def places(budget, size, bits):
    """These are the winners' places among the sizes. The sizes themselves were asked for."""
    return each_budget(budget, size, bits, lambda s, b: torch.searchsorted(s.unique(), winner(s, b)).double())


def over_all(budget, size, bits):
    """This is the same size for every budget, the best over all of them. Compare runs of the same budget only."""
    return winner(size, bits).expand(len(budget.unique()))


def largest_budget_first(budget, size, bits):
    """This is right but for the order: the smallest budget comes first."""
    return winners(budget, size, bits).flip(0)


def wall_cases(generator):
    def draw(budgets, sizes):
        rows = []
        for b in range(budgets):
            chosen = torch.randperm(3 * sizes, generator=generator)[:sizes]  # each budget has sizes of its own
            for place, k in enumerate(chosen.tolist()):
                seeds = 1 + (place + b) % 3
                level = 3 - 0.3 * b + 0.15 * abs(k - sizes - b)
                noise = 0.3 * torch.randn(seeds, generator=generator, dtype=torch.float64)
                rows += [(10.0 ** (10 + b), 1000.0 * 2**k, level + e) for e in noise.tolist()]
        rows = torch.tensor(rows, dtype=torch.float64)[torch.randperm(len(rows), generator=generator)]
        return tuple(rows.T)

    def draw_luck(budgets):
        # The best mean is of two seeds, the best single run of a size with three: left to chance, it may be missing.
        rows, runs = [], [(0, 2.2), (0, 2.6), (1, 2.5), (2, 2.0), (2, 3.0), (2, 3.2)]
        for b in range(budgets):
            sizes, level = torch.randperm(9, generator=generator), torch.rand((), generator=generator).item()
            rows += [(10.0 ** (10 + b), 1000.0 * 2 ** sizes[k].item(), level + loss) for k, loss in runs]
        return tuple(torch.tensor(rows, dtype=torch.float64)[torch.randperm(len(rows), generator=generator)].T)

    return [draw_luck(2), draw(2, 3), draw(3, 4), draw(4, 5), draw(5, 4), draw(3, 6)]


wall = Exercise(
    "1.2.3",
    "Who wins each budget",
    ("budget", "size", "bits"),
    winners,
    wall_cases,
    (
        luckiest,
        sums,
        unluckiest,
        most_bits,
        largest,
        fewest_bits,
        places,
        over_all,
        largest_budget_first,
    ),
)


# ---- 1.2.4: what a fitted line covers ------------------------------------------------------------

covered = ValueExercise(
    "1.2.4",
    "What a fitted line covers",
    answer="C",
    right="Inside the measured range the line was tested. Outside it is a guess, and an interval does not know it.",
    mistakes={
        "A": "nothing was run there. A line that bends beyond the fifth budget fits these five points as well, and the "
        "interval does not know it.",
        "B": "the interval covers noise of the runs. That the curve may bend is in no bootstrap.",
        "D": "bits per byte are what was measured. Nobody has tested answers.",
    },
)

EXERCISES = (hundredfold, straight, wall, covered)
