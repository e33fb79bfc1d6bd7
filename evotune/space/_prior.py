"""Priors: where good values are believed to lie, before anything is tried."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from evotune.space._scale import Scale
from evotune.space._values import is_finite, plain

UNIFORM = 2.0**-10
"""The share of the draws that ignores a prior, so that no value is out of reach."""

_NARROWEST, _WIDEST = 1e-4, 100.0
"""Standard deviations, in lengths of the interval, between which a normal says much."""

_SMALLEST, _LARGEST = 0.1, 1e4
"""Shapes of a beta distribution that doubles can integrate and invert."""

_HALVINGS = 56
"""Of [0, 1], until nothing is left that a double tells apart."""


class Prior(abc.ABC):
    """A belief about the values of one dimension: `Normal` or `Beta`."""

    __slots__ = ()

    @abc.abstractmethod
    def below(self, place: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
        """The distribution function: the share of the prior below each place.

        Args:
            place: f64[P] in [0, 1], places of an interval on its own scale.
            scale: The interval, to which the prior is truncated.

        Returns:
            f64[P] from 0 to 1, in the order of the places.
        """

    @abc.abstractmethod
    def problems(self, name: str, low: float, high: float, log: bool) -> list[str]:
        """The rules that it breaks as the prior of dimension ``name``."""


def _phi(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """The distribution function of the standard normal distribution."""
    return np.asarray(special.ndtr(z), np.float64)


def _as_number(value: Any) -> Any:
    value = plain(value)
    return float(value) if is_finite(value) else value


@dataclasses.dataclass(frozen=True, slots=True)
class Normal(Prior):
    """A normal distribution, truncated to the bounds of its dimension.

    With ``log=True`` the logarithm is normal: ``mean`` is the median, and ``std`` a
    factor, the geometric standard deviation. Two thirds of the values then lie between
    ``mean / std`` and ``mean * std``.

    Attributes:
        mean: The value that is likeliest, within the bounds.
        std: The standard deviation, in the unit of the values; on a log scale a factor
            above 1.

    Example:
        >>> from evotune.space import Float
        >>> Float(1e-5, 1.0, log=True, prior=Normal(1e-3, 10.0))
        Float(1e-05, 1.0, log=True, prior=Normal(mean=0.001, std=10.0))
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", _as_number(self.mean))
        object.__setattr__(self, "std", _as_number(self.std))

    def below(self, place: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
        """(Phi(z) - Phi(a)) / (Phi(b) - Phi(a)), with a and b the bounds as z scores.

        Reference:
            Johnson, Kotz and Balakrishnan (1994), "Continuous univariate
            distributions", chapter 13, the truncated normal distribution.
        """
        middle = float(scale.place(np.array([self.mean]))[0])
        spread = self._spread(scale)
        ends = np.array([0.0, 1.0])
        first, last = _phi((ends - middle) / spread).tolist()
        share = (_phi((place - middle) / spread) - first) / (last - first)
        return np.clip(share, 0.0, 1.0)

    def problems(self, name: str, low: float, high: float, log: bool) -> list[str]:
        """See `Prior.problems`."""
        for field in ("mean", "std"):
            value = getattr(self, field)
            if not is_finite(value):
                return [
                    f"`{field}` of the prior of {name!r} must be a finite number, but "
                    f"got {value!r}. Use numbers, as in `Normal(0.5, 0.1)`."
                ]
        found = []
        if not low <= self.mean <= high:
            found.append(
                f"`mean` of the prior of {name!r} must lie within the bounds, "
                f"{low!r} to {high!r}, but got {self.mean!r}. Move the bounds, or the "
                "mean."
            )
        least = 1 if log else 0
        unit = "a factor above 1, as the scale is logarithmic" if log else "above 0"
        if self.std <= least:
            found.append(
                f"`std` of the prior of {name!r} must be {unit}, but got {self.std!r}. "
                f"Use `Normal({self.mean!r}, {2.0 if log else (high - low) / 10!r})`."
            )
        elif not _NARROWEST <= self._spread(Scale(low, high, log)) <= _WIDEST:
            found.append(
                f"`std` of the prior of {name!r} must be between {_NARROWEST:g} and "
                f"{_WIDEST:g} lengths of the interval, {low!r} to {high!r}, but got "
                f"{self.std!r}. Narrow the bounds, or leave the prior out."
            )
        return found

    def _spread(self, scale: Scale) -> float:
        """The standard deviation in lengths of the interval, on its own scale."""
        if scale.log:
            return math.log(self.std) / (math.log(scale.high) - math.log(scale.low))
        return self.std / (scale.high - scale.low)


@dataclasses.dataclass(frozen=True, slots=True)
class Beta(Prior):
    """A beta distribution over the interval, stretched from [0, 1] on its own scale.

    The mean lies at ``alpha / (alpha + beta)`` of the way from the lower bound to the
    upper one: `Beta(1, 3)` prefers small values, `Beta(2, 2)` those in the middle,
    `Beta(0.5, 0.5)` those near the bounds.

    Attributes:
        alpha: The shape at the lower bound, where below 1 the density is infinite.
        beta: The shape at the upper bound.

    Example:
        >>> from evotune.space import Float
        >>> Float(0.0, 0.5, prior=Beta(1, 3))
        Float(0.0, 0.5, prior=Beta(alpha=1.0, beta=3.0))
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _as_number(self.alpha))
        object.__setattr__(self, "beta", _as_number(self.beta))

    def below(self, place: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
        """The regularised incomplete beta function, I_x(alpha, beta).

        Reference:
            Johnson, Kotz and Balakrishnan (1995), "Continuous univariate
            distributions", volume 2, chapter 25.
        """
        del scale  # the places are on it already
        return np.asarray(special.betainc(self.alpha, self.beta, place), np.float64)

    def problems(self, name: str, low: float, high: float, log: bool) -> list[str]:
        """See `Prior.problems`."""
        del low, high, log
        return [
            f"`{field}` of the prior of {name!r} must be a number from {_SMALLEST:g} "
            f"to {_LARGEST:g}, but got {value!r}. Use for example `Beta(2, 5)`."
            for field, value in (("alpha", self.alpha), ("beta", self.beta))
            if not (is_finite(value) and _SMALLEST <= value <= _LARGEST)
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Warp:
    """The map from coordinates that a search draws evenly to places of an interval.

    u = (1 - e) F(place) + e place, with F the distribution function of the prior and e
    its `UNIFORM` share, as in defensive sampling: the density is never below e, so that
    a wrong prior slows a search and does not end it.

    Reference:
        Hesterberg (1995), "Weighted average importance sampling and defensive mixture
        distributions".
    """

    prior: Prior
    scale: Scale

    def coordinate(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """f64[P] in [0, 1] of places, f64[P] in [0, 1]; strictly increasing."""
        share = self.prior.below(place, self.scale)
        return (1.0 - UNIFORM) * share + UNIFORM * place

    def place(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """f64[P]: the inverse of `coordinate`, by bisection to the last bit."""
        low, high = np.zeros(x.shape), np.ones(x.shape)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            above = self.coordinate(middle) > x
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return 0.5 * (low + high)
