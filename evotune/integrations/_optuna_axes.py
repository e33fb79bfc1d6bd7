"""The unit cube as Optuna sees it, one dimension at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from evotune._contracts import Geometry, Kind


def axis(geometry: Geometry, d: int) -> BaseDistribution:
    """One dimension of the cube, as Optuna sees it."""
    levels = geometry.levels[d]
    if not levels:
        return FloatDistribution(0.0, 1.0)
    if geometry.kinds[d] is Kind.CATEGORICAL:
        return CategoricalDistribution(tuple(range(levels)))
    return IntDistribution(0, levels - 1)


def _edges(geometry: Geometry, d: int) -> np.ndarray:
    levels = geometry.levels[d]
    return np.asarray(geometry.edges[d] or np.linspace(0.0, 1.0, levels + 1))


def value_of(geometry: Geometry, d: int, x: float) -> Any:
    """What Optuna calls coordinate x."""
    levels = geometry.levels[d]
    if not levels:
        return x
    level = int(np.searchsorted(_edges(geometry, d), x, side="right")) - 1
    return min(max(level, 0), levels - 1)


def coordinate_of(geometry: Geometry, d: int, value: Any) -> float:
    """The coordinate of what Optuna suggests: of a level, the middle of its cell."""
    if not geometry.levels[d]:
        return float(value)
    edges = _edges(geometry, d)
    return float((edges[value] + edges[value + 1]) / 2)
