"""The map between an interval of numbers and [0, 1], and its decimal resolution.

A coordinate is a float32 and cannot carry a float64 exactly. A decoded number is
therefore rounded to the decimal resolution that a float32 coordinate has at that point,
so that ``0.001`` comes back as ``0.001`` and not as ``0.0010000000474974513``.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPACING = 2.0**-23
"""Twice the widest gap between neighbouring float32 numbers of [0, 1]."""

_DIGITS = 15
"""Decimal digits that a float64 always carries."""

_EXACT = np.array([float(10**power) for power in range(23)])
"""The powers of ten that a float64 holds exactly."""


def round_decimal(
    value: NDArray[np.float64], exponent: int | NDArray[np.int64]
) -> NDArray[np.float64]:
    """The multiple of ``10 ** exponent`` that is nearest to each value, typed exactly.

    The result equals the float that Python reads from the decimal's digits, wherever
    the multiple has at most 15 digits.

    Args:
        value: f64[P], finite.
        exponent: One power of ten, or i64[P].
    """
    exponents = np.broadcast_to(np.asarray(exponent, np.int64), value.shape)
    power = _EXACT[np.minimum(np.abs(exponents), 22)]
    rounded = np.empty_like(value)
    below = (exponents < 0) & (exponents >= -22)
    above = (exponents >= 0) & (exponents <= 22)
    rounded[below] = np.rint(value[below] * power[below]) / power[below]
    rounded[above] = np.rint(value[above] / power[above]) * power[above]
    for row in np.flatnonzero(~(below | above)):  # beyond 1e-22 and 1e22: rare
        number, places = float(value[row]), -int(exponents[row])
        rounded[row] = (
            float(f"{number:.{places}f}")
            if places > 0
            else float(round(int(number), places))
        )
    return rounded + 0.0  # no negative zero


@dataclasses.dataclass(frozen=True, slots=True)
class Scale:
    """An interval of numbers, laid out over [0, 1] evenly or by its logarithm.

    Linear: ``v = low + x (high - low)``; log: ``v = low (high / low) ** x``.
    """

    low: float
    high: float
    log: bool

    def value(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """f64[P] of the interval at the places ``x``, f32[P] or f64[P] in [0, 1]."""
        wide = x.astype(np.float64)
        if self.log:
            start = math.log(self.low)
            return np.exp(start + wide * (math.log(self.high) - start))
        return self.low + wide * (self.high - self.low)

    def place(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """f64[P] in [0, 1] of the values, f64[P] of the interval."""
        if self.log:
            start = math.log(self.low)
            x = (np.log(value) - start) / (math.log(self.high) - start)
        else:
            x = (value - self.low) / (self.high - self.low)
        return np.clip(x, 0.0, 1.0)

    def rounded(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Each value at the decimal resolution that a float32 coordinate has there.

        Linear: multiples of q, the power of ten next above ``(high - low) 2^-23``. A
        coordinate is off by at most 2^-25, so a multiple of q moves by at most q / 4
        and is rounded back to itself. Log: likewise with ``value ln(high/low) 2^-23``,
        where q changes ten-fold only at points that are multiples of both steps, so
        that rounding keeps the order.
        """
        if not self.log:
            quantum = math.log10(self.high - self.low) + math.log10(SPACING)
            largest = math.log10(max(abs(self.low), abs(self.high)))
            exponent = max(math.ceil(quantum), math.floor(largest) - _DIGITS)
            return round_decimal(value, exponent)
        spread = math.log(self.high) - math.log(self.low)
        digits = min(-math.log10(spread * SPACING), float(_DIGITS))
        whole = math.floor(digits)
        turn = math.floor(10 ** (digits - whole) * 10) / 10  # 1.0, 1.1, ... 9.9
        decade = np.floor(np.log10(value) - math.log10(turn)).astype(np.int64)
        return round_decimal(value, decade + 1 - whole)
