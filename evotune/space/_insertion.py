"""Permutations as digits, one to one: the insertion code.

Items enter a row one by one, each at any of the places that the row then has: digit
d_i, from 0 to i, says how many of the i items that came before it stand behind item i.
So the digits (d_1, ..., d_(n-1)) of i + 1 levels each are numbers of the factorial
system, their sum is the number of pairs that stand in reverse, and all zeros are the
order in which the items were given. Another d_i moves item i alone among those before
it; what came later keeps its places.

Reference:
    Lehmer (1960), "Teaching combinatorial tricks to a computer"; Knuth (1998), "The Art
    of Computer Programming", volume 3, section 5.1.1, inversion tables. Differs from
    the book: counts those behind that came before, instead of those ahead that are
    larger, so that digit i has i + 1 levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def orders_of(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    """i64[P, n]: which item comes k-th, of digits, i64[P, n - 1].

    Example:
        >>> orders_of(np.array([[0, 0], [1, 0], [0, 1], [1, 2]])).tolist()
        [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0]]
    """
    rows, count = digits.shape[0], digits.shape[1] + 1
    place = np.zeros((rows, count), np.int64)
    for item in range(1, count):
        own = item - digits[:, item - 1 : item]
        place[:, :item] += place[:, :item] >= own
        place[:, item : item + 1] = own
    return np.argsort(place, axis=1)


def digits_of(orders: NDArray[np.int64]) -> NDArray[np.int64]:
    """i64[P, n - 1]: the inverse of `orders_of`.

    Example:
        >>> digits_of(np.array([[2, 1, 0]])).tolist()
        [[1, 2]]
    """
    place = np.argsort(orders, axis=1)
    count = orders.shape[1]
    behind = [
        (place[:, :item] > place[:, item : item + 1]).sum(axis=1)
        for item in range(1, count)
    ]
    return np.stack(behind, axis=1)
