"""The rules that Float and Int share: bounds, log and step."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any

import numpy as np

from evotune._contracts import Kind
from evotune.space._codec import Lattice
from evotune.space._prior import Prior, Warp
from evotune.space._scalar import Scalar
from evotune.space._scale import Scale

LARGEST = 2**40
"""Of integers, so that float64 tells them apart on a log axis as well."""

_CLOSEST = 1e-12
"""Bounds nearer to each other than this, relative to their size, are no interval."""


class Numeric(Scalar):
    """A dimension whose values are amounts between two bounds."""

    __slots__ = ()

    low: Any
    high: Any
    log: bool
    step: Any
    prior: Prior | None
    default: Any

    @abc.abstractmethod
    def _lattice(self) -> Lattice | None:
        """The values of a stepped dimension; None where it is continuous."""

    @abc.abstractmethod
    def _type_problems(self, name: str) -> list[str]:
        """Bounds and step that are not the numbers they must be."""

    def _with(self, **changes: Any) -> str:
        """This dimension with ``changes``, as code to paste."""
        return f"`{dataclasses.replace(self, **changes)!r}`"  # type: ignore[type-var]

    def _own_problems(self, name: str) -> list[str]:
        found = self._type_problems(name)
        if not isinstance(self.log, bool):
            found.append(
                f"`log` of {name!r} must be True or False, but got {self.log!r}."
            )
        if found:
            return found
        rules = (self._order_problem, self._log_problem, self._step_problem)
        found = [problem for rule in rules if (problem := rule(name))]
        return found or self._prior_problems(name)

    def _prior_problems(self, name: str) -> list[str]:
        if self.prior is None:
            return []
        if not isinstance(self.prior, Prior):
            return [
                f"`prior` of {name!r} must be a Normal or a Beta, but got "
                f"{self.prior!r}. Use `prior=et.space.Normal(mean, std)`."
            ]
        return self.prior.problems(name, self.low, self.high, self.log)

    def _warp(self) -> Warp | None:
        """How the prior lays out [0, 1]; None without one."""
        if self.prior is None:
            return None
        beyond = 0.0 if self._lattice() is None else 0.5 * (self.step or 1)
        low, high = self.low - beyond, self.high + beyond
        return Warp(self.prior, Scale(low, high, self.log))

    def _order_problem(self, name: str) -> str:
        low, high = self.low, self.high
        got = f"but got `low={low!r}, high={high!r}` for {name!r}."
        if low == high:
            return (
                f"`low < high` must hold, {got} A single value is a constant: put "
                f"`{low!r}` in place of the dimension."
            )
        if low > high:
            swapped = self._with(low=high, high=low)
            return f"`low < high` must hold, {got} Swap them: {swapped}."
        if not math.isfinite(high - low):
            return (
                f"`high - low` must be a finite float, {got} Use narrower bounds, or "
                "`log=True` with positive ones."
            )
        if high - low <= _CLOSEST * max(abs(low), abs(high)):
            return (
                f"`low` and `high` must be further apart, {got} Search the difference "
                "instead, and add it to `low` where you use it."
            )
        return ""

    def _log_problem(self, name: str) -> str:
        if not self.log or self.low >= self.high:
            return ""
        if self.low <= 0:
            fix = "Use positive bounds, or `log=False`."
            if self.high > 0:
                fix = f"Use {self._with(low=self._positive_low(), step=None)}."
            return (
                "`low > 0` must hold for `log=True`, but got "
                f"`low={self.low!r}, high={self.high!r}` for {name!r}. {fix}"
            )
        if self.step is not None and not (self.kind is Kind.INT and self.step == 1):
            values = _powers(self.low, self.high)
            return (
                f"`step` and `log=True` exclude each other, but {name!r} has "
                f"`step={self.step!r}`. Leave one out, or list the values: "
                f"`Categorical({values!r})`."
            )
        return ""

    @abc.abstractmethod
    def _positive_low(self) -> Any:
        """A lower bound that suits ``log=True`` with the present ``high``."""

    def _step_problem(self, name: str) -> str:
        low, high, step = self.low, self.high, self.step
        if step is None or self.log or low >= high or not math.isfinite(high - low):
            return ""
        if step <= 0:
            return (
                f"`step > 0` must hold, but got `step={step!r}` for {name!r}. Leave "
                "it out, or give the distance between neighbouring values."
            )
        steps = (high - low) / step
        if step <= _CLOSEST * max(abs(low), abs(high)):
            return (
                f"`step` must not vanish beside the bounds, but got `low={low!r}, "
                f"high={high!r}, step={step!r}` for {name!r}. Leave it out."
            )
        if abs(steps - round(steps)) <= 1e-8 * max(1.0, steps) and round(steps) >= 1:
            return ""
        whole = max(1, round(steps))
        nearer = self._multiple(whole)
        other = self._multiple(whole + 1 if nearer < high else max(1, whole - 1))
        also = f" (or `high={other!r}`)" if other != nearer else ""
        return (
            f"`step` must divide `high - low`, but got `low={low!r}, high={high!r}, "
            f"step={step!r}` for {name!r}: {steps:.6g} steps. The nearest bound that "
            f"works: {self._with(high=nearer)}{also}."
        )

    def _multiple(self, steps: int) -> Any:
        """``low + steps * step``, as a human would type it."""
        if self.kind is Kind.INT:
            return self.low + steps * self.step
        high = self.low + (steps + 1) * self.step
        lattice = Lattice.floats(self.low, high, self.step)
        return float(lattice.value(np.array([steps], np.int64))[0])

    def _inside(self, value: Any) -> None:
        if not self.low <= value <= self.high:
            raise ValueError(
                f"must lie between {self.low!r} and {self.high!r}, but got {value!r}."
            )


def _powers(low: float, high: float) -> list[Any]:
    """A few values between the bounds, as an example of a log-spaced list."""
    values: list[Any] = [low]
    while values[-1] * 2 <= high and len(values) < 5:
        values.append(values[-1] * 2)
    return [*values, high] if values[-1] != high else values
