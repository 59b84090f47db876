"""An exercise of homework 2: what the guesses of a permuted text see, on average over many orders."""

import torch

from ..exercise import Exercise

# ---- 2.3: all orders ---------------------------------------------------------------------------------


def mean_view(orders, last):
    return view(orders, last)


def view(orders, last, rank=None, scored=None, itself=False):
    """(T, T): of the orders in which guess i is scored, the share in which it sees word j; 0 where it never is."""
    rank = orders.argsort(1) if rank is None else rank  # (N, T): when each word is guessed
    scored = rank >= orders.size(1) - last if scored is None else scored  # (N, T)
    sees = rank[:, None, :] < rank[:, :, None] + int(itself)  # (N, T, T)
    return (sees & scored[:, :, None]).sum(0) / scored.sum(0).clamp(min=1)[:, None]


def order_cases(generator):
    def draw(T, last, extra):  # each word is scored in one order at least
        rows = torch.stack([torch.randperm(T, generator=generator) for _ in range(T + extra)])
        for word in range(T):
            place = T - 1 - int(torch.randint(last, (), generator=generator))
            there = int((rows[word] == word).nonzero())
            rows[word, there], rows[word, place] = rows[word, place].clone(), word
        return rows[torch.randperm(len(rows), generator=generator)], last

    one, other = torch.tensor([[1, 2, 0]]), torch.randperm(5, generator=generator)[None]
    return [draw(3, 2, 1), draw(4, 3, 2), draw(4, 1, 4), draw(5, 5, 3), draw(6, 2, 5), (one, 1), (other, 2)]


def order_as_rank(orders, last):
    """This takes the orders for ranks. In the order 2, 1, 3, 0 word 0 comes fourth, word 1 second, word 2 first and
    word 3 third: counted from 0, the ranks are 3, 1, 0, 2."""
    return view(orders, last, rank=orders)


def scored_by_order(orders, last):
    """Here the grids are right, but the orders are taken for ranks where it is decided which words are scored: those
    in the last columns of `orders`."""
    return view(orders, last, scored=orders >= orders.size(1) - last)


def views_transposed(orders, last):
    """This is the transpose: row i must say what the guess of word i sees."""
    return view(orders, last).mT


def scored_columns(orders, last):
    """Here it is the word looked at that has to be scored. It is the one that looks: word i of row i."""
    rank = orders.argsort(1)
    scored = rank >= orders.size(1) - last
    sees = rank[:, None, :] < rank[:, :, None]
    return (sees & scored[:, None, :]).sum(0) / scored.sum(0).clamp(min=1)


def view_inverted(orders, last):
    """This says how often a guess does not see a word. Those that come earlier in the order are seen."""
    rank = orders.argsort(1)
    return view(orders, last, rank=-rank, scored=rank >= orders.size(1) - last)


def sees_itself(orders, last):
    """Here each guess sees the word that it is to guess. It would only have to copy it."""
    return view(orders, last, itself=True)


def all_scored(orders, last):
    """This scores every guess. Only the last ones of each order are: leave the others out of the mean."""
    return view(orders, orders.size(1))


def first_scored(orders, last):
    """This scores the first of each order. The last ones are scored, which have the most to go by."""
    return view(orders, last, scored=orders.argsort(1) < last)


def one_scored_too_few(orders, last):
    """This scores one guess too few: `last` of each order are scored, with ranks from T − last on, counted from 0."""
    return view(orders, last - 1)


def divided_by_all(orders, last):
    """This divides by the number of all orders. The share is one of the orders in which word i is scored."""
    rank = orders.argsort(1)
    scored = rank >= orders.size(1) - last
    return view(orders, last) * scored.sum(0)[:, None] / len(orders)


def not_divided(orders, last):
    """These are counts. A share was asked for: divide each row by the number of orders in which its word is scored."""
    return view(orders, last) * (orders.argsort(1) >= orders.size(1) - last).sum(0)[:, None]


def words_permuted(orders, last):
    """This is the mean of reading from left to right, as if the words had changed places and not the order of the
    guesses. Rows and columns are words, in the order of the text."""
    inner = torch.arange(orders.size(1)).expand(orders.shape)
    return view(orders, last, rank=inner)


def of_every_order(orders, last):
    """This is the mean over all orders that there are. Asked is the mean over those given."""
    T = orders.size(1)
    return (2 * T - last - 1) / (2 * max(1, T - 1)) * (1 - torch.eye(T))


def nothing_by_nothing(orders, last):
    """This has NaN for a word that is never scored, 0 divided by 0. Its row is to be 0."""
    rank = orders.argsort(1)
    scored = rank >= orders.size(1) - last
    return ((rank[:, None, :] < rank[:, :, None]) & scored[:, :, None]).sum(0) / scored.sum(0)[:, None]


views = Exercise(
    "2.3",
    "Mean view over many orders",
    ("orders", "last"),
    mean_view,
    order_cases,
    (
        order_as_rank,
        scored_by_order,
        views_transposed,
        scored_columns,
        view_inverted,
        sees_itself,
        all_scored,
        first_scored,
        one_scored_too_few,
        divided_by_all,
        not_divided,
        words_permuted,
        of_every_order,
        nothing_by_nothing,
    ),
    edges=2,
)
