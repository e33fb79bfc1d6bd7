"""Int: a whole number between two bounds."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from evotune._contracts import Kind
from evotune.space._codec import Lattice, Levels, Wide, numbers
from evotune.space._numeric import LARGEST, Numeric
from evotune.space._prior import Prior
from evotune.space._values import is_finite, plain


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Int(Numeric):
    """A whole number between two bounds, both included.

    With ``log=True`` the cell of each number reaches from half below it to half above
    on a log axis, so that 16 to 32 is drawn about as often as 128 to 256.

    Attributes:
        low: The smallest value.
        high: The largest value.
        log: Whether the search moves by factors instead of differences; needs low > 0.
        step: The distance between neighbouring values; it must divide ``high - low``.
        prior: Where good values are believed to lie, `Normal` or `Beta`, over half a
            step more at each end; None for anywhere.
        default: The value of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Example:
        >>> Int(16, 256, log=True, default=64)
        Int(16, 256, log=True, default=64)
    """

    kind: ClassVar[Kind] = Kind.INT

    low: int
    high: int
    _: dataclasses.KW_ONLY
    log: bool = False
    step: int | None = None
    prior: Prior | None = None
    default: int | None = None
    when: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        names = ("low", "high", "log", "step", "default")
        self._normalise(**{name: plain(getattr(self, name)) for name in names})

    @property
    def size(self) -> int:
        """Number of values."""
        return self._lattice().count

    def check(self, value: Any) -> int:
        """``value`` as an int; 32.0 is one, as tables turn ints into floats."""
        value = plain(value)
        if not is_finite(value) or value != math.floor(value):
            raise ValueError(f"must be a whole number, but got {value!r}.")
        self._inside(value)
        number, step = int(value), self.step or 1
        if (number - self.low) % step:
            near = self.low + round((number - self.low) / step) * step
            raise ValueError(
                f"must be {self.low!r} plus a multiple of {step!r}, but got "
                f"{number!r}. The nearest is {near!r}."
            )
        return number

    def codec(self) -> Levels | Wide:
        """Cells of equal size, of log-spaced edges, or as wide as a prior says."""
        return numbers(self._lattice(), self.log, self._warp())

    def _lattice(self) -> Lattice:
        return Lattice.ints(self.low, self.high, self.step or 1)

    def _positive_low(self) -> int:
        return 1

    def _type_problems(self, name: str) -> list[str]:
        found = []
        for field in ("low", "high", "step"):
            value = getattr(self, field)
            if field == "step" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                fix = "For real numbers use Float."
                if is_finite(value) and value == math.floor(value):
                    fix = f"Write `{field}={int(value)}`."
                found.append(
                    f"`{field}` of {name!r} must be an int, but got {value!r}. {fix}"
                )
            elif abs(value) > LARGEST:
                found.append(
                    f"`{field}` of {name!r} must be at most 2**40 in size, but got "
                    f"{value!r}. Search its logarithm, as a Float."
                )
        return found
