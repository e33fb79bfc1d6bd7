"""Float: a real number between two bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from evotune._contracts import Kind
from evotune.space._codec import Continuous, Lattice, Levels, Wide, numbers
from evotune.space._numeric import Numeric
from evotune.space._prior import Prior
from evotune.space._scale import Scale
from evotune.space._values import is_finite, plain


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Float(Numeric):
    """A real number between two bounds, both included.

    A coordinate of the search is a float32, so values carry about six significant
    digits: multiples of a power of ten near ``(high - low) * 2**-23``, or near
    ``value * ln(high / low) * 2**-23`` with ``log=True``. Such values, and the two
    bounds, survive encoding and decoding exactly.

    Attributes:
        low: The smallest value, finite.
        high: The largest value, finite.
        log: Whether the search moves by factors instead of differences; needs low > 0.
        step: The distance between neighbouring values; it must divide ``high - low``.
        prior: Where good values are believed to lie, `Normal` or `Beta`; None for
            anywhere. Where a prior hardly goes, values are kept to about 3e-5 of the
            interval only.
        default: The value of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Example:
        >>> Float(1e-4, 1e-1, log=True)
        Float(0.0001, 0.1, log=True)
    """

    kind: ClassVar[Kind] = Kind.FLOAT

    low: float
    high: float
    _: dataclasses.KW_ONLY
    log: bool = False
    step: float | None = None
    prior: Prior | None = None
    default: float | None = None
    when: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        numbers_of = {
            name: _as_float(getattr(self, name))
            for name in ("low", "high", "step", "default")
        }
        self._normalise(log=plain(self.log), **numbers_of)

    @property
    def size(self) -> int | float:
        """``math.inf``, or the number of steps plus one."""
        lattice = self._lattice()
        return math.inf if lattice is None else lattice.count

    def check(self, value: Any) -> float:
        """``value`` as a float, moved onto the step that it is meant to be."""
        value = plain(value)
        if not is_finite(value):
            raise ValueError(f"must be a finite number, but got {value!r}.")
        self._inside(value)
        lattice = self._lattice()
        if lattice is None:
            return float(value)
        near = float(lattice.value(lattice.level(np.array([value], np.float64)))[0])
        if abs(near - value) > 1e-6 * lattice.step:
            raise ValueError(
                f"must be {self.low!r} plus a multiple of {self.step!r}, but got "
                f"{value!r}. The nearest is {near!r}."
            )
        return near

    def codec(self) -> Continuous | Levels | Wide:
        """An interval, or cells where there is a step: equal ones without a prior."""
        lattice = self._lattice()
        if lattice is None:
            return Continuous(Scale(self.low, self.high, self.log), self._warp())
        return numbers(lattice, log=False, warp=self._warp())

    def _lattice(self) -> Lattice | None:
        if self.step is None:
            return None
        return Lattice.floats(self.low, self.high, self.step)

    def _positive_low(self) -> float:
        return float(f"{self.high * 1e-6:.0e}")

    def _type_problems(self, name: str) -> list[str]:
        found = []
        for field in ("low", "high", "step"):
            value = getattr(self, field)
            if is_finite(value) or (field == "step" and value is None):
                continue
            found.append(
                f"`{field}` of {name!r} must be a finite number, but got {value!r}. "
                "Use numbers, as in `Float(0.0, 1.0)`."
            )
        return found


def _as_float(value: Any) -> Any:
    """A number as a float, so that Float(0, 1) equals Float(0.0, 1.0)."""
    value = plain(value)
    return float(value) + 0.0 if is_finite(value) else value  # no negative zero
