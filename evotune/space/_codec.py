"""Columns of coordinates in [0, 1] to columns of plain values, and back.

One codec per kind of dimension, vectorised over P in NumPy. Nothing here touches JAX:
encoding and decoding never compile anything.

`Levels` works in float32 throughout, with the expressions ``floor(x * n)``, ``edges``
and ``(lower + upper) / 2`` that a device can evaluate alike, so that host and device
agree on the cell of every coordinate.
"""

from __future__ import annotations

import dataclasses
import decimal
import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evotune.space._cells import cells, float32_edges
from evotune.space._prior import Warp
from evotune.space._scale import SPACING, Scale, round_decimal

MAX_LEVELS = 4096
"""A dimension with more levels is as good as continuous to an algorithm."""

_RESOLVED = 2**24
"""Equal cells fewer than these are told apart by their float32 middles."""

_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


Column = NDArray[Any] | list[Any]
"""P plain values: an array of numbers or booleans, or a list of anything else."""


class Codec(Protocol):
    """How one column of coordinates becomes values."""

    def decode(self, x: NDArray[np.float32]) -> Column:
        """P values at the coordinates ``x``, f32[P] in [0, 1]."""
        ...

    def encode(self, values: Sequence[Any]) -> NDArray[np.float32]:
        """f32[P]: the canonical coordinates of P values of the dimension."""
        ...

    def snap(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """f32[P]: the canonical coordinates of the values at ``x``."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Continuous:
    """Floats of an interval, at the decimal resolution of a float32 coordinate."""

    scale: Scale
    warp: Warp | None = None

    def decode(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """f64[P], never outside the bounds, which x = 0 and x = 1 meet exactly."""
        low, high = self.scale.low, self.scale.high
        value = self.scale.value(_placed(x, self.warp))
        value = np.clip(self.scale.rounded(value), low, high)
        return np.where(x <= 0.0, low, np.where(x >= 1.0, high, value))

    def encode(self, values: Sequence[float]) -> NDArray[np.float32]:
        """f32[P] in [0, 1]; only the upper bound itself is at 1."""
        value = np.asarray(values, np.float64)
        x = _coordinate(self.scale.place(value), self.warp)
        return _keep_end(x, value >= self.scale.high)

    def snap(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The coordinates themselves: a continuous dimension has no cells."""
        return x


class Levels:
    """Up to 4096 values, each the owner of one cell of [0, 1].

    Attributes:
        values: The n values in the order of their cells.
        edges: The n + 1 edges of unequal cells, each a float32 number; () if equal.
    """

    __slots__ = ("_column", "_cuts", "_index", "_middles", "edges", "values")

    def __init__(
        self, values: Sequence[Any], dtype: Any = None, edges: Sequence[float] = ()
    ) -> None:
        """Cells of ``values``; decoded as an array of ``dtype``, or a list if None."""
        self.values = tuple(values)
        self.edges = tuple(edges)
        self._column = None if dtype is None else np.array(self.values, dtype)
        self._index = {value: level for level, value in enumerate(self.values)}
        self._cuts = np.array(self.edges, np.float32)
        if self.edges:
            self._middles = (self._cuts[:-1] + self._cuts[1:]) * np.float32(0.5)
        else:
            count = np.float32(len(self.values))
            cells = np.arange(len(self.values), dtype=np.float32)
            self._middles = (cells + np.float32(0.5)) / count

    def level(self, x: NDArray[np.float32]) -> NDArray[np.int64]:
        """i64[P]: the cell that each coordinate lies in."""
        count = len(self.values)
        if self.edges:
            level = np.searchsorted(self._cuts, x, side="right") - 1
        else:
            level = np.floor(x * np.float32(count)).astype(np.int64)
        return np.clip(level, 0, count - 1)

    def decode(self, x: NDArray[np.float32]) -> Column:
        """P values; a list where they are choices, an array where they are numbers."""
        level = self.level(x)
        if self._column is not None:
            return self._column[level]
        return [self.values[index] for index in level.tolist()]

    def encode(self, values: Sequence[Any]) -> NDArray[np.float32]:
        """f32[P]: the middle of the cell of each value."""
        level = [self._index[value] for value in values]
        return self._middles[np.array(level, np.int64)]

    def snap(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """f32[P]: the middle of the cell that each coordinate lies in."""
        return self._middles[self.level(x)]


@dataclasses.dataclass(frozen=True, slots=True)
class Lattice:
    """The numbers ``low + k step``, k = 0, ..., count - 1, as a human types them."""

    low: float
    high: float
    step: float
    count: int
    exponent: int | None
    integer: bool

    @classmethod
    def ints(cls, low: int, high: int, step: int) -> Lattice:
        """Integers, exact up to 2^53."""
        return cls(low, high, step, (high - low) // step + 1, None, True)

    @classmethod
    def floats(cls, low: float, high: float, step: float) -> Lattice:
        """Floats at the decimals that ``low`` and ``step`` are written with."""
        places = (decimal.Decimal(repr(number)).as_tuple() for number in (low, step))
        exponent = min(int(place.exponent) for place in places)
        largest = math.log10(max(abs(low), abs(high)))
        written = exponent >= math.floor(largest) - 15  # 0.1 is, 1/3 is not
        count = round((high - low) / step) + 1
        return cls(low, high, step, count, exponent if written else None, False)

    def value(self, level: NDArray[np.int64]) -> NDArray[Any]:
        """i64[P] or f64[P] of the levels; the last level is ``high`` itself."""
        if self.integer:
            return np.asarray(int(self.low) + level * int(self.step), np.int64)
        value = self.low + level.astype(np.float64) * self.step
        if self.exponent is not None:
            value = round_decimal(value, self.exponent)
        return np.where(level == self.count - 1, self.high, value)

    def level(self, value: NDArray[Any]) -> NDArray[np.int64]:
        """i64[P]: the nearest level of each value."""
        level = np.floor((value - self.low) / self.step + 0.5)
        return np.clip(level, 0, self.count - 1).astype(np.int64)

    def borders(self, log: bool) -> NDArray[np.float64]:
        """f64[count + 1] in [0, 1]: where the cells end on their own scale.

        Half a step beside each number; those of a log scale have a step of one.
        """
        marks = np.arange(self.count + 1, dtype=np.float64)
        if not log:
            return marks / self.count
        marks = self.low - 0.5 + marks
        places = np.log(marks / marks[0]) / math.log(marks[-1] / marks[0])
        return np.minimum(places, 1.0)  # the last may round to more


@dataclasses.dataclass(frozen=True, slots=True)
class Wide:
    """More than 4096 numbers: as good as continuous, but decoded to exact levels.

    Where cells are finer than a float32 tells apart, values move to a multiple of a
    power of ten (of steps), so that one million comes back as one million. The first
    and the last level always come back.
    """

    lattice: Lattice
    log: bool
    warp: Warp | None = None

    def decode(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """i64[P] or f64[P] of the lattice."""
        return self.lattice.value(self._level(x))

    def encode(self, values: Sequence[float]) -> NDArray[np.float32]:
        """f32[P]: the middles of the cells of the values, as far as told apart."""
        return self.snap(self._middle(self.lattice.level(np.asarray(values))))

    def snap(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """f32[P]: the middles of the cells of the values at ``x``."""
        return self._middle(self._level(x))

    def _scale(self) -> Scale:
        return Scale(self.lattice.low - 0.5, self.lattice.high + 0.5, self.log)

    def _middle(self, level: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.log:
            place = self._scale().place(self.lattice.low + level.astype(np.float64))
        else:
            place = (level + 0.5) / self.lattice.count
        x = _coordinate(place, self.warp)
        return _keep_end(x, level == self.lattice.count - 1)

    def _level(self, x: NDArray[np.float32]) -> NDArray[np.int64]:
        low, step, count = self.lattice.low, self.lattice.step, self.lattice.count
        place = _placed(x, self.warp)
        if self.log:  # the step is one
            value = self._scale().value(place)
            cell = value - low + 0.5
            level = self._scale().rounded(value) - low + 0.5
        else:
            cell = level = place.astype(np.float64) * count
            if count >= _RESOLVED:
                steps = round_decimal(
                    low / step + cell - 0.5, math.ceil(math.log10(count * SPACING))
                )
                level = steps - low / step + 0.5
        level = np.where(cell < 1, 0, np.where(cell >= count - 1, count - 1, level))
        return np.clip(np.floor(level), 0, count - 1).astype(np.int64)


def _keep_end(x: NDArray[np.float32], last: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Coordinates with 1 left to the ``last`` value, so that it shadows no other.

    A value less than half a float32 gap below the upper bound would otherwise round to
    its coordinate, and come back as the bound.
    """
    return np.where(last, x, np.minimum(x, _BELOW_ONE))


def _placed(x: NDArray[np.float32], warp: Warp | None) -> NDArray[Any]:
    """The places of an interval that coordinates stand for, [P] in [0, 1]."""
    return x if warp is None else warp.place(x)


def _coordinate(place: NDArray[np.float64], warp: Warp | None) -> NDArray[np.float32]:
    """f32[P] in [0, 1]: the coordinates of places of an interval."""
    return (place if warp is None else warp.coordinate(place)).astype(np.float32)


def numbers(lattice: Lattice, log: bool, warp: Warp | None = None) -> Levels | Wide:
    """The codec of a lattice: cells where there are few levels, an interval if many."""
    if lattice.count > MAX_LEVELS:
        return Wide(lattice, log, warp)
    values = lattice.value(np.arange(lattice.count, dtype=np.int64))
    edges: tuple[float, ...] = ()
    if warp is not None:
        edges = cells(np.diff(warp.coordinate(lattice.borders(log))))
    elif log:
        edges = float32_edges(lattice.borders(log))
    return Levels(values.tolist(), values.dtype, edges)
