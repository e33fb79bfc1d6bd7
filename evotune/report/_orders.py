"""How far apart two orders of the same items are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def reversed_pairs(order: Sequence[Any], other: Sequence[Any]) -> int:
    """How many of the pairs of items stand the other way round in another order.

    From 0 of equal orders to n (n - 1) / 2 of an order and its reverse.

    Reference:
        Kendall (1938), "A new measure of rank correlation". Differs from the paper:
        pairs are counted, not scaled to [-1, 1].

    Example:
        >>> reversed_pairs(("b", "a", "c"), ("c", "a", "b"))
        3
    """
    place = {item: index for index, item in enumerate(other)}
    places = np.asarray([place[item] for item in order])
    return int(np.triu(places[:, None] > places[None, :], 1).sum())
