"""Grid search."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, fresh
from evotune._errors import EvotuneError, raise_all
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._lattice import (
    LARGEST,
    GridLevelsError,
    lattice_axes,
    lattice_order,
    lattice_points,
    lattice_size,
)
from evotune.algorithms._settings import batch_problem, count_problem
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridState:
    """Which points of the grid have been told.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        points: f32[N, D], every point of the grid, canonical, in lexicographic order.
        order: i32[N], the order in which they are visited.
        visited: bool[N], whether a trial of that point has been told.
    """

    geometry: Geometry
    next_trial: jax.Array
    points: jax.Array
    order: jax.Array
    visited: jax.Array


jax.tree_util.register_dataclass(
    GridState, ["next_trial", "points", "order", "visited"], ["geometry"]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridSearch:
    """Every point of a grid once, then EMPTY rows.

    Points are told apart by where they are, not by their trial numbers: a point that
    somebody else has tried is skipped, and one whose row was given to an enqueued trial
    comes back later. Dimensions that are inactive do not multiply the grid.

    Args:
        levels: Points along each dimension: one number for all, or a tuple with one
            for each, or None for every level of every dimension. Points are evenly
            spaced and include both ends. A dimension of fewer levels has them all, and
            so has a categorical one unless the tuple gives its number. None within a
            tuple is every level of that dimension.
        shuffle: Whether to visit the points in random order, so that a search that is
            stopped early has seen all of the space.
        batch_size: P, the rows of every proposal.

    Raises:
        ValueError: If ``batch_size`` or a number of levels is not a positive integer.

    Example:
        >>> from evotune.testing import choice, cube, floating
        >>> GridSearch(levels=5).size(cube(floating(), choice(3)))
        15

    Reference:
        Full factorial design: Fisher (1935), "The Design of Experiments". Differs from
        the book: none.
    """

    levels: int | tuple[int | None, ...] | None = None
    shuffle: bool = False
    batch_size: int = 64
    objectives: ClassVar[None] = None  # any number: results are not read

    def __post_init__(self) -> None:
        if isinstance(self.levels, Sequence) and not isinstance(self.levels, str):
            object.__setattr__(self, "levels", tuple(self.levels))
        given = self.levels if isinstance(self.levels, tuple) else (self.levels,)
        problems = batch_problem(self.batch_size)
        for number in given:
            if number is not None:
                problems += count_problem("levels", number, 1, "points a dimension")
        raise_all(problems, ValueError, "GridSearch")

    def size(self, geometry: Geometry) -> int:
        """The number of points of the grid.

        Args:
            geometry: The space.

        Raises:
            GridLevelsError: If a continuous dimension has no number of levels.
            ValueError: If the tuple of levels does not fit the dimensions.
        """
        return lattice_size(geometry, lattice_axes(geometry, self.levels))

    def init(self, key: jax.Array, geometry: Geometry) -> GridState:
        """The state before anything is known.

        Args:
            key: Consumed; it shuffles the order.
            geometry: The space.

        Raises:
            GridLevelsError: If a continuous dimension has no number of levels.
            ValueError: If the tuple of levels does not fit the dimensions, or the grid
                has more than 2^20 points.
        """
        axes = lattice_axes(geometry, self.levels)
        size = lattice_size(geometry, axes)
        if size > LARGEST:
            raise GridSizeError(
                f"A grid must have at most {LARGEST:,} points, but this one has "
                f"{size:,}: {_factors(axes)}. Use fewer levels, such as "
                f"`GridSearch(levels={self._affordable(geometry)})`, or "
                f"`RandomSearch()`, which needs no grid."
            )
        points = jnp.asarray(lattice_points(geometry, axes))
        order = jnp.arange(size, dtype=jnp.int32)
        if self.shuffle:
            order = jax.random.permutation(key, order)
        return GridState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            points=points,
            order=order,
            visited=jnp.zeros((size,), bool),
        )

    def ask(self, key: jax.Array, state: GridState) -> Proposal:
        """The next P points that have not been visited; EMPTY rows once there are none.

        Args:
            key: Consumed; nothing is drawn from it.
            state: Only read.
        """
        del key
        size = state.order.shape[0]
        ahead = jnp.cumsum(~state.visited[state.order], dtype=jnp.int32)
        row = jnp.arange(1, self.batch_size + 1, dtype=jnp.int32)
        place = jnp.searchsorted(ahead, row)  # the row-th point that is not visited
        real = row <= ahead[-1]
        x = state.points[state.order[jnp.minimum(place, size - 1)]]
        trial = jnp.where(real, next_trials(state.next_trial, self.batch_size), EMPTY)
        return fresh(x, trial)

    def tell(self, state: GridState, outcome: Outcome) -> GridState:
        """The state in which the points of ``outcome`` have been visited.

        Args:
            state: The state before.
            outcome: Any rows, in any order; those off the grid are only counted.
        """
        x = canonicalise(outcome.x, state.geometry)
        place, found = _find(state.points, x, lattice_order(state.geometry))
        found = found & (outcome.trial != EMPTY)
        row = jnp.where(found, place, state.order.shape[0])
        return dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, outcome.trial),
            visited=state.visited.at[row].set(True, mode="drop"),
        )

    def _affordable(self, geometry: Geometry) -> int:
        """The largest number of levels for all that gives a grid within reach."""
        most = 1
        for levels in range(2, 1025):
            if lattice_size(geometry, lattice_axes(geometry, levels)) > LARGEST:
                break
            most = levels
        return most


class GridSizeError(EvotuneError, ValueError):
    """A grid has too many points to visit."""


def _factors(axes: Sequence[Sequence[float]]) -> str:
    """The sizes of some axes as a product: "5 x 5 x 3"."""
    return " x ".join(str(len(axis)) for axis in axes)


def _find(
    points: jax.Array, x: jax.Array, order: tuple[int, ...]
) -> tuple[jax.Array, jax.Array]:
    """Finds rows by bisection.

    Args:
        points: f32[N, D], rows in lexicographic order of the columns ``order``.
        x: f32[P, D], rows to find.
        order: The columns, the most significant first.

    Returns:
        i32[P] places, and bool[P] whether the row is there.
    """
    size = points.shape[0]
    column = jnp.asarray(order, jnp.int32)
    wanted = x[:, column]

    def row_at(place: jax.Array) -> jax.Array:
        return points[jnp.minimum(place, size - 1)][:, column]

    def halve(
        _: jax.Array, bounds: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) // 2
        difference = row_at(middle) - wanted
        first = jnp.argmax(difference != 0.0, axis=1)[:, None]
        below = jnp.take_along_axis(difference, first, axis=1)[:, 0] < 0.0
        open_ = low < high
        return (
            jnp.where(open_ & below, middle + 1, low),
            jnp.where(open_ & ~below, middle, high),
        )

    start = jnp.zeros(x.shape[0], jnp.int32)
    steps = math.ceil(math.log2(size + 1))
    place, _ = jax.lax.fori_loop(0, steps, halve, (start, start + size))
    return place, (place < size) & (row_at(place) == wanted).all(axis=1)


__all__ = ["GridLevelsError", "GridSearch", "GridSizeError", "GridState"]
