"""The points of a grid over a space with conditions, listed on the host."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evotune._contracts import Geometry, Kind
from evotune._errors import EvotuneError
from evotune.algorithms._cube import cell_middles, condition_chains

LARGEST = 2**20
"""Points of the largest grid that is listed."""


class GridLevelsError(EvotuneError, ValueError):
    """A grid needs to know how many points a dimension has.

    Attributes:
        dimension: The index of the dimension, so that whoever knows it can name it.
    """

    def __init__(self, message: str, dimension: int) -> None:
        super().__init__(message)
        self.dimension = dimension


def lattice_axes(
    geometry: Geometry, levels: int | tuple[int | None, ...] | None
) -> tuple[tuple[float, ...], ...]:
    """The points along each dimension: coordinates, or levels of discrete dimensions.

    Args:
        geometry: The space.
        levels: As in `GridSearch`.

    Returns:
        For each dimension its levels, or its coordinates where it is continuous.

    Raises:
        GridLevelsError: If a continuous dimension has no number of levels.
        ValueError: If the tuple of levels does not fit the dimensions.
    """
    if isinstance(levels, tuple) and len(levels) != geometry.dimensions:
        raise ValueError(
            f"`levels` must have one entry for each of the {geometry.dimensions} "
            f"dimensions, but got {len(levels)}: `levels={levels}`. Use one number for "
            f"all, such as `GridSearch(levels=5)`, or a tuple of "
            f"{geometry.dimensions}."
        )
    axes = []
    for d, (kind, count) in enumerate(
        zip(geometry.kinds, geometry.levels, strict=True)
    ):
        wanted = levels[d] if isinstance(levels, tuple) else levels
        if count == 0:
            if wanted is None:
                raise GridLevelsError(
                    f"Grid search needs a number of levels for each continuous "
                    f"dimension, but dimension {d} ({kind.value}) has none: between "
                    f"any two of its points lies another. Use `GridSearch(levels=5)`, "
                    f"or a step: `Float(0.0, 1.0, step=0.25)`.",
                    d,
                )
            axes.append(tuple(_spread(1.0, wanted)))
            continue
        # Choices have no order to space them out by: all, unless the tuple says else.
        if wanted is None or (kind is Kind.CATEGORICAL and isinstance(levels, int)):
            wanted = count
        spread = _spread(count - 1.0, min(wanted, count))
        axes.append(tuple(math.floor(mark + 0.5) for mark in spread))
    return tuple(axes)


def _spread(end: float, count: int) -> list[float]:
    """``count`` evenly spaced numbers from 0 to ``end``; its middle if only one."""
    if count == 1:
        return [end / 2]
    return [end * step / (count - 1) for step in range(count)]


def lattice_order(geometry: Geometry) -> tuple[int, ...]:
    """The dimensions, each after its parents, else in their order."""
    chains = condition_chains(geometry)
    return tuple(sorted(range(geometry.dimensions), key=lambda d: (len(chains[d]), d)))


def _expand(
    geometry: Geometry, axes: Sequence[Sequence[float]], dimensions: Sequence[int]
) -> np.ndarray:
    """Places on the axes of every combination of some dimensions.

    Args:
        geometry: The space.
        axes: From `lattice_axes`.
        dimensions: Which to combine, each after its parents.

    Returns:
        i32[N, D], -1 where a dimension is inactive or was not asked for; rows in
        lexicographic order of ``dimensions``.
    """
    table = np.full((1, geometry.dimensions), -1, np.int32)
    for d in dimensions:
        live = _is_active(geometry, axes, table, d)
        counts = np.where(live, len(axes[d]), 1)
        starts = np.cumsum(counts) - counts
        table = np.repeat(table, counts, axis=0)
        step = np.arange(len(table), dtype=np.int32) - np.repeat(starts, counts)
        table[:, d] = np.where(np.repeat(live, counts), step, -1)
    return table


def _is_active(
    geometry: Geometry, axes: Sequence[Sequence[float]], table: np.ndarray, d: int
) -> np.ndarray:
    """bool[N], whether dimension ``d`` is active in each row of places on the axes."""
    live = np.ones(len(table), bool)
    for condition in geometry.conditions[d]:
        parent = axes[condition.parent]
        good = [
            place for place, level in enumerate(parent) if level in condition.levels
        ]
        live &= np.isin(table[:, condition.parent], good)
    return live


def lattice_size(geometry: Geometry, axes: Sequence[Sequence[float]]) -> int:
    """The number of points, counted without listing them.

    Args:
        geometry: The space.
        axes: From `lattice_axes`.
    """
    parents = {c.parent for conditions in geometry.conditions for c in conditions}
    order = [d for d in lattice_order(geometry) if d in parents]
    whole = math.prod(len(axes[d]) for d in order)
    if whole > LARGEST:
        return math.prod(len(axis) for axis in axes)
    table = _expand(geometry, axes, order)
    total = np.ones(len(table), dtype=object)
    for d in range(geometry.dimensions):
        if d not in parents:
            total = total * np.where(
                _is_active(geometry, axes, table, d), len(axes[d]), 1
            )
    return int(total.sum())


def lattice_points(geometry: Geometry, axes: Sequence[Sequence[float]]) -> np.ndarray:
    """Every point of the grid, canonical.

    Args:
        geometry: The space.
        axes: From `lattice_axes`.

    Returns:
        f32[N, D], rows in lexicographic order of `lattice_order`.
    """
    table = _expand(geometry, axes, lattice_order(geometry))
    points = np.empty(table.shape, np.float32)
    for d, axis in enumerate(axes):
        middles = cell_middles(geometry, d)
        along = np.asarray(axis)
        if middles is not None:
            along = middles[along.astype(np.int64)]
        own = along.astype(np.float32)[table[:, d]]
        points[:, d] = np.where(table[:, d] < 0, np.float32(geometry.canonical[d]), own)
    return points
