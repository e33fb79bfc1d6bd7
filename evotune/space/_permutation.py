"""Permutation: some items in an order that is searched."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from evotune._contracts import Kind
from evotune.space._codec import MAX_LEVELS, Column, Levels
from evotune.space._dimension import Dimension
from evotune.space._distinct import as_tuple, list_problems
from evotune.space._insertion import digits_of, orders_of
from evotune.space._values import is_hashable, listing


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Permutation(Dimension):
    """Some items in any order: of augmentations, layers, operations or jobs.

    Its values are tuples with each item once. In the unit cube n items are n - 1 axes
    of 2, 3, ..., n levels: axis i says how many of the i items that were given before
    item i stand behind it. Each point is one order and each order one point, so every
    algorithm searches it as it is, draws are uniform over all n! orders, and one step
    along one axis moves one item past a neighbour among the items given before it.

    A task sees positions: i32[n], which item comes k-th, as `positions` has them.

    Attributes:
        items: What is to be ordered: at least two, hashable, none equal to another.
        default: The order of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Reference:
        The insertion code, or inversion table: Knuth (1998), "The Art of Computer
        Programming", volume 3, section 5.1.1.

    Example:
        >>> from evotune.space import Space
        >>> space = Space(order=Permutation(["flip", "crop", "noise"]))
        >>> space.size
        6
        >>> x = space.encode([{"order": ("noise", "flip", "crop")}])
        >>> x.shape, space.axes
        ((1, 2), ('order', 'order'))
        >>> space.params(x)
        [{'order': ('noise', 'flip', 'crop')}]
        >>> space["order"].positions([("noise", "flip", "crop")]).tolist()
        [[2, 0, 1]]
    """

    kind: ClassVar[Kind] = Kind.INT
    start: ClassVar[float] = 0.0

    items: Iterable[Any]
    _: dataclasses.KW_ONLY
    default: Sequence[Any] | None = None
    when: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self._normalise(items=as_tuple(self.items), default=as_tuple(self.default))

    @property
    def count(self) -> int:
        """n, the number of items."""
        return len(tuple(self.items))

    @property
    def size(self) -> int:
        """n!, the number of orders."""
        return math.factorial(self.count)

    @property
    def values(self) -> tuple[Any, ...]:
        """All orders, with the last digits changing fastest; () if more than 4096."""
        if self.size > MAX_LEVELS:
            return ()
        digits = itertools.product(*(range(k + 1) for k in range(1, self.count)))
        return tuple(self._named(orders_of(np.array(list(digits), np.int64))))

    def check(self, value: Any) -> tuple[Any, ...]:
        """``value``, a list or a tuple, as the tuple of the items in that order."""
        items = tuple(self.items)
        given = as_tuple(value)
        rule = f"must have each of {listing(items)} once, in any order"
        if not isinstance(given, tuple):
            raise ValueError(
                f"{rule}, but got {given!r:.80}. Write a tuple: `{items!r:.200}`."
            )
        known = {item: item for item in items}
        strangers = [
            each for each in given if not is_hashable(each) or each not in known
        ]
        if strangers:
            raise ValueError(
                f"{rule}, but got {given!r:.200} with {strangers[0]!r}, "
                "which is none of them."
            )
        twice = [each for each in items if given.count(each) > 1]
        lacking = [each for each in items if each not in given]
        if twice or lacking:
            words = [f"without {lacking[0]!r}"] if lacking else []
            words += [f"with {twice[0]!r} more than once"] if twice else []
            raise ValueError(f"{rule}, but got {given!r:.200} {' and '.join(words)}.")
        return tuple(known[each] for each in given)

    def positions(self, values: Iterable[Sequence[Any]]) -> NDArray[np.int32]:
        """i32[P, n]: the index in ``items`` of what comes k-th in each of P orders."""
        index = {item: place for place, item in enumerate(self.items)}
        rows = [[index[item] for item in value] for value in values]
        return np.array(rows, np.int32).reshape(-1, self.count)

    def codecs(self) -> tuple[Levels, ...]:
        """Digits of 2, 3, ..., n equal cells."""
        return tuple(Levels(range(k + 1), np.int64) for k in range(1, self.count))

    def join(self, parts: Sequence[Column]) -> list[tuple[Any, ...]]:
        """P orders, from the n - 1 columns of their digits."""
        return self._named(orders_of(np.stack(parts, axis=1)))

    def split(self, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """Columns of the n - 1 digits of P orders."""
        digits = digits_of(self.positions(values).astype(np.int64))
        columns: list[list[int]] = digits.T.tolist()
        return columns

    def _named(self, orders: NDArray[np.int64]) -> list[tuple[Any, ...]]:
        items = tuple(self.items)
        return [tuple(items[place] for place in order) for order in orders.tolist()]

    def _own_problems(self, name: str) -> list[str]:
        found = list_problems(
            name,
            self.items,
            word="items",
            kind="Permutation",
            repeated="Remove one, or tell them apart: ('pool', 1), ('pool', 2).",
        )
        if not found and self.count == 1:
            found.append(
                f"`items` of {name!r} must hold at least two values, but got only "
                f"{next(iter(self.items))!r}, which has one order. Put "
                f"`{tuple(self.items)!r}` in place of the dimension: a constant."
            )
        return found
