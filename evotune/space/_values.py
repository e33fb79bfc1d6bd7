"""Small questions about plain Python values, asked by every file of this package."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """A NumPy or JAX scalar as the Python value it holds; anything else as it is."""
    if isinstance(value, np.generic):
        return value.item()
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value


def is_number(value: Any) -> bool:
    """Whether ``value`` is an int or a float; a bool is neither."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_finite(value: Any) -> bool:
    """Whether ``value`` is a number that a float64 holds as a finite one."""
    try:
        return is_number(value) and math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def is_hashable(value: Any) -> bool:
    """Whether ``value`` can be a dictionary key."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def is_nan(value: Any) -> bool:
    """Whether ``value`` is the float NaN, which does not even equal itself."""
    return isinstance(value, float) and math.isnan(value)


def typed(value: Any) -> Any:
    """A key in which 1, 1.0 and True differ, for equality by content."""
    if isinstance(value, tuple):
        return (tuple, tuple(typed(item) for item in value))
    if isinstance(value, Mapping):
        items = sorted(value.items(), key=lambda item: str(item[0]))
        return (Mapping, tuple((name, typed(item)) for name, item in items))
    return (type(value), value)


def listing(values: Any, limit: int = 12) -> str:
    """``values`` as they are typed in code, shortened when there are many."""
    shown = [repr(value) for value in list(values)[:limit]]
    return ", ".join(shown) + (", ..." if len(values) > limit else "")
