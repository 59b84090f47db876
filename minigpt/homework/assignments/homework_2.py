"""The checked exercises of homework 2: who may look, who is scored, what is written. Their text is in hw2.ipynb.

Each mistake is a wrong function; its docstring is what a learner reads who wrote the same.
"""

import torch

from ..exercise import Exercise, Prediction
from .homework_2_audit import collator
from .homework_2_orders import views
from .homework_2_writing import any_order

# ---- 2.1: cities that do not exist -------------------------------------------------------------------


def cities_of_a_world(generator):
    def draw(low, high):
        return int(torch.randint(low, high, (), generator=generator))

    new_london, east_london, san_francisco = draw(1, 4), draw(4, 8), draw(2, 5)
    known = {"New London": new_london, "East London": east_london, "San Francisco": san_francisco}
    return {"New York": 25 - sum(known.values())} | known


def shares(cities):
    """How likely each first word is, each second word, and each city of the world."""
    total, first, second = sum(cities.values()), {}, {}
    for city, n in cities.items():
        for word, counts in zip(city.split(), (first, second), strict=True):
            counts[word] = counts.get(word, 0) + n / total
    return first, second, {tuple(city.split()): n / total for city, n in cities.items()}


def no_such_city(**cities):
    """The share of pairs that are no city, when each word is drawn by itself."""
    return 1 - share_of_cities(**cities)


def share_of_cities(**cities):
    """that is the share of pairs that are a city. The question is about all the others."""
    first, second, known = shares(cities)
    return sum(first[a] * second[b] for a, b in known)


def of_two_origins(**cities):
    """that counts each pair whose words were taken from two cities. But New of New York and London of East London
    make New London, which exists."""
    return 1 - sum(share**2 for share in shares(cities)[2].values())


def one_after_the_other(**cities):
    """that is GPT or XLNet, whose second draw knows the first. BERT draws both words at once."""
    return 0.0


def cities_alike(**cities):
    """that would be right if the four cities were equally frequent. Yours are not: count their sentences."""
    return no_such_city(**dict.fromkeys(cities, 1))


def pairs_alike(**cities):
    """that is 5 of the 9 pairs of words. The pairs are not equally likely."""
    return 5 / 9


def how_many_pairs(**cities):
    """that is how many pairs of words are no city. How likely is it that one of them is drawn?"""
    return 5


def east_york_forgotten(**cities):
    """that leaves out East York, which is no city of this world either."""
    first, second, _ = shares(cities)
    return no_such_city(**cities) - first["East"] * second["York"]


def new_francisco_alone(**cities):
    """that is New Francisco alone. Four more pairs are no city: write down all nine."""
    first, second, _ = shares(cities)
    return first["New"] * second["Francisco"]


def in_percent(**cities):
    """that is in percent. A share between 0 and 1 was asked for."""
    return 100 * no_such_city(**cities)


nonsense = Prediction(
    "2.1",
    "Cities that do not exist",
    cities_of_a_world,
    no_such_city,
    "Each word by itself is right; five of the nine pairs are no city, and nothing keeps them from being drawn.",
    (
        share_of_cities,
        of_two_origins,
        one_after_the_other,
        cities_alike,
        pairs_alike,
        how_many_pairs,
        east_york_forgotten,
        new_francisco_alone,
        in_percent,
    ),
)


# ---- 2.2: what a guess knows after several layers ----------------------------------------------------


def guesses_know(sees, layers):
    return known(sees, layers).bool()  # so that True and False are right as well as 1 and 0


def known(sees, layers):
    """Which words each guess knows, (B, T, T): h_i knows word i from the start, g_i nothing; both read the h_j."""
    sees = sees.float()
    h, g = torch.eye(sees.size(-1)).expand(sees.shape), torch.zeros(sees.shape)
    for _ in range(layers):
        heard = sees @ h
        h, g = ((h + heard) > 0).float(), ((g + heard) > 0).float()
    return g


def sees_cases(generator):
    def rank(B, T):
        return torch.stack([torch.randperm(T, generator=generator) for _ in range(B)])

    def ordered(B, T):  # XLNet's grids
        ranks = rank(B, T)
        return (ranks[:, None, :] < ranks[:, :, None]).long()

    def sparse(B, T):  # each looks at one or two others
        rows = torch.rand(B, T, T, generator=generator) + 2 * torch.eye(T)
        return (rows <= rows.kthvalue(1 + int(T > 4), dim=-1, keepdim=True).values).long()

    def others(T):
        return (1 - torch.eye(T)).long()[None]

    ring = torch.eye(6).long().roll(1, dims=1)[None]  # each looks at the next one, the last at the first
    both_ways = (torch.eye(5).long().roll(1, dims=1) | torch.eye(5).long().roll(-1, dims=1)).expand(2, 5, 5)
    return [(others(3), 1), (others(3), 2), (ordered(1, 4), 2), (ordered(2, 5), 3), (ring, 3), (both_ways, 2),
            (sparse(3, 5), 2), (sparse(2, 7), 3), (sparse(4, 6), 4), (ordered(3, 6), 1)]  # fmt: skip


def one_layer(sees, layers):
    """This is what the guesses know after one layer, the grid itself. In the next, each h has more to tell than its
    own word."""
    return (sees > 0).float()


def one_layer_too_many(sees, layers):
    """This is what they know one layer later. In a layer, g reads what the h knew before it: in the first, each h has
    only its own word to tell."""
    return known(sees, layers + 1)


def one_layer_too_few(sees, layers):
    """This is what they know one layer earlier. In the first layer, the guesses already read the words they may see."""
    return known(sees, layers - 1)


def whatever_the_depth(sees, layers):
    """This is what they would know after very many layers. News travels one step a layer."""
    return known(sees, 2 * sees.size(-1))


def one_row_after_the_other(sees, layers):
    """Here some rows of h are changed before others have read them. All rows of a layer read what stood there before
    it: keep the old h until the layer is done."""
    sees, h = sees.float(), torch.eye(sees.size(-1)).repeat(len(sees), 1, 1)
    g = torch.zeros(sees.shape)
    for _ in range(layers):
        g = ((sees @ h + g) > 0).float()
        for i in range(sees.size(-1)):
            h[:, i] = (((sees[:, i, None] @ h)[:, 0] + h[:, i]) > 0).float()
    return g


def guess_knows_itself(sees, layers):
    """Here each guess knows its own word, the very one that is asked for. Did you return h for g, or start g with its
    word? g starts from nothing."""
    return torch.maximum(known(sees, layers), torch.eye(sees.size(-1)))


def guesses_read_guesses(sees, layers):
    """Here the guesses read one another. They start from nothing, so nothing is all they ever hear: they read the h."""
    return torch.zeros(sees.shape)


def notes_forget(sees, layers):
    """Here all notes forget what they knew when they read others, as in a power of the grid. A note keeps what it
    knows."""
    return (sees.float().matrix_power(layers) > 0).float()


def transposed(sees, layers):
    """This is the right grid turned over its diagonal. Row i of `sees` says what guess i may look at, and row i of the
    answer what it knows."""
    return known(sees.mT, layers)


def inverted(sees, layers):
    """This takes a 1 for "may not look". In `sees`, 1 means "may look"."""
    return known(1 - sees, layers)


def ways(sees, layers):
    """This counts in how many ways a word can reach a guess. Asked is whether it can: 1, else 0."""
    sees = sees.float()
    h, g = torch.eye(sees.size(-1)).expand(sees.shape), torch.zeros(sees.shape)
    for _ in range(layers):
        h, g = h + sees @ h, g + sees @ h
    return g


knowledge = Exercise(
    "2.2",
    "What a guess knows",
    ("sees", "layers"),
    guesses_know,
    sees_cases,
    (
        one_layer,
        one_layer_too_many,
        one_layer_too_few,
        whatever_the_depth,
        one_row_after_the_other,
        guess_knows_itself,
        guesses_read_guesses,
        notes_forget,
        transposed,
        inverted,
        ways,
    ),
)


EXERCISES = (nonsense, knowledge, views, any_order, collator)
