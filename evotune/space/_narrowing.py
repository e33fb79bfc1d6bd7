"""Narrower dimensions around good values: what `Space.around` and `refine` do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from evotune._errors import HyperparameterError, SpaceError, nearest
from evotune.space._dimension import Dimension
from evotune.space._int import Int
from evotune.space._numeric import Numeric
from evotune.space._ordinal import Ordinal
from evotune.space._permutation import Permutation
from evotune.space._scale import Scale


def narrow(
    dimensions: Mapping[str, Dimension],
    constants: Mapping[str, Any],
    order: Sequence[str],
    good: Mapping[str, Sequence[Any]],
    *,
    width: float,
    only: Collection[str] | None,
) -> dict[str, Any]:
    """The entries of a space whose dimensions are narrowed to ``good`` values.

    Args:
        dimensions: Those of the wide space.
        constants: Its constants.
        order: Names of the dimensions, parents before their children.
        good: By name the good values of a dimension, the best one first; a dimension
            that has none stays as wide as it is.
        width: The least new width of an interval, as a share of the old one.
        only: Names of the dimensions to narrow; None for all.

    Raises:
        HyperparameterError: If ``only`` has a name that is no dimension.
        SpaceError: If nothing is left to search.
    """
    _check_names(only, dimensions)
    entries = dict(constants)
    for name in order:
        old, values = dimensions[name], good[name]
        when = _open_conditions(old, dimensions, entries)
        if when is None:  # it can no longer be active
            continue
        new = old
        if values and (only is None or name in only):
            new = _narrower(old, values, width)
        if when and not isinstance(new, Dimension):
            new = old  # a constant would hold under no condition
        if isinstance(new, Dimension):
            new = _changed(new, when=when or None)
        entries[name] = new
    if not any(isinstance(entry, Dimension) for entry in entries.values()):
        raise SpaceError(
            "A narrower space must have a dimension left, but the choices of "
            f"{', '.join(map(repr, dimensions))} are all decided: the search is over. "
            "Name what may be narrowed, such as `only=[]` for nothing, or look at more "
            "of the trials: `quantile=0.5`."
        )
    ordered = {name: entries[name] for name in dimensions if name in entries}
    return {**ordered, **constants}


def check_share(name: str, value: Any) -> None:
    """Raises HyperparameterError unless ``value`` is a number in (0, 1]."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value <= 1:
        raise HyperparameterError(
            f"{name} must be a share above 0 and at most 1, but got {value!r}. Use "
            f"`{name}=0.5`."
        )


def best_params(
    trials: Collection[Any], direction: str, quantile: float
) -> list[dict[str, Any]]:
    """The parameters of the best complete trials, at least one, the best one first.

    Raises:
        HyperparameterError: If ``quantile`` is not in (0, 1].
        ValueError: If ``direction`` is none, or no trial is complete.
    """
    check_share("quantile", quantile)
    if direction not in ("minimize", "maximize"):
        raise ValueError(
            f"direction must be 'minimize' or 'maximize', but got {direction!r}."
        )
    sign = 1.0 if direction == "minimize" else -1.0
    complete = [
        (sign * float(trial.value), trial.number, dict(trial.params))
        for trial in trials
        if trial.state.name == "COMPLETE" and trial.value is not None
    ]
    if not complete:
        raise ValueError(
            f"A space is refined around complete trials, but of {len(trials)} trials "
            "none is complete. Look at why they failed, or search for longer."
        )
    complete.sort(key=lambda trial: trial[:2])
    count = math.ceil(quantile * len(complete))
    return [params for _, _, params in complete[:count]]


def _check_names(only: Any, dimensions: Mapping[str, Dimension]) -> None:
    if isinstance(only, str):
        raise HyperparameterError(
            f"only must be a list of names, but got {only!r}. Use `only=[{only!r}]`."
        )
    for name in () if only is None else only:
        if name not in dimensions:
            raise HyperparameterError(
                f"only names {name!r}, which is no dimension of the space."
                f"{nearest(str(name), dimensions)} It has {', '.join(dimensions)}."
            )


def _changed(dimension: Any, **changes: Any) -> Any:
    return dataclasses.replace(dimension, **changes)


def _has(dimension: Dimension, value: Any) -> bool:
    try:
        dimension.check(value)
    except ValueError:
        return False
    return True


def _open_conditions(
    dimension: Dimension,
    dimensions: Mapping[str, Dimension],
    entries: Mapping[str, Any],
) -> dict[str, list[Any]] | None:
    """The conditions of a dimension that are not decided; None if one cannot hold.

    Args:
        dimension: The wide one.
        dimensions: Those of the wide space.
        entries: What its parents have become.
    """
    still: dict[str, list[Any]] = {}
    for parent, options in (dimension.when or {}).items():
        if parent not in entries:
            return None
        left = entries[parent]
        if isinstance(left, Dimension):
            still[parent] = [option for option in options if _has(left, option)]
            if not still[parent]:
                return None
        elif left not in [dimensions[parent].check(option) for option in options]:
            return None
    return still


def _narrower(dimension: Any, values: Sequence[Any], width: float) -> Any:
    """A dimension around ``values``; the choice itself where only one is left.

    A default that fell outside becomes the best of the values. Where trials narrow a
    dimension, they take the place of its prior or weights.
    """
    if isinstance(dimension, Permutation):  # orders have no interval to shrink
        return dimension
    values = [dimension.check(value) for value in values]
    changes: dict[str, Any]
    if isinstance(dimension, Numeric):
        low, high = _bounds(dimension, values, width)
        if (low, high) == (dimension.low, dimension.high):
            return dimension
        changes = {"low": low, "high": high, "prior": None}
    else:
        left = _choices_left(dimension, values, width)
        if len(left) == 1:
            return left[0]
        if len(left) == len(dimension.values):
            return dimension
        changes = {"choices": left, "weights": None}
    new = _changed(dimension, **changes, default=None)
    if new.problems(""):  # closer than floats can be told apart
        return dimension
    default = dimension.default
    if default is None or _has(new, default):
        return _changed(new, default=default)
    return _changed(new, default=values[0])


def _choices_left(dimension: Any, values: Sequence[Any], width: float) -> list[Any]:
    """The choices among ``values``, or about them where choices have an order."""
    choices = dimension.values
    if not isinstance(dimension, Ordinal):
        return [choice for choice in choices if choice in values]
    places = [choices.index(value) for value in values]
    first, last = _bounds(Int(0, len(choices) - 1), places, width)
    return list(choices[first : last + 1])


def _bounds(dimension: Numeric, values: Sequence[Any], width: float) -> tuple[Any, Any]:
    """New bounds around ``values`` on the dimension's own scale, inside the old ones.

    The interval is as wide as the values lie apart, but not below ``width`` of the old
    one; it slides back inside where it would stick out.
    """
    forth = math.log if dimension.log else float
    back = math.exp if dimension.log else float
    start, end = forth(dimension.low), forth(dimension.high)
    least, most = forth(min(values)), forth(max(values))
    span = max(width * (end - start), most - least)
    low = min(max((least + most - span) / 2, start), end - span)
    ends = np.asarray([back(low), back(low + span)], np.float64)
    return _rounded(dimension, ends, values)


def _rounded(dimension: Numeric, ends: np.ndarray, values: Sequence[Any]) -> Any:
    """``ends`` on the steps or decimals of a dimension, with ``values`` inside."""
    first, last = dimension.low, dimension.high
    lattice = dimension._lattice()
    if lattice is None:
        low, high = Scale(first, last, dimension.log).rounded(ends).tolist()
        return max(first, min(low, *values)), min(last, max(high, *values))
    near = 1e-6  # of a step: what computing an end may move it by
    top = lattice.count - 1
    levels = lattice.level(np.asarray(values)).tolist()
    places = (ends - lattice.low) / lattice.step
    below = max(0, min(math.floor(places[0] + near), *levels))
    above = min(top, max(math.ceil(places[1] - near), *levels))
    if below == above:  # two values at least make a dimension
        below, above = (below, above + 1) if above < top else (below - 1, above)
    low, high = lattice.value(np.asarray([below, above], np.int64)).tolist()
    return low, high
