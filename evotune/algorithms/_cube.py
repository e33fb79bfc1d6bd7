"""Points of the unit cube in their canonical form: one point for one configuration.

Two rows that decode to the same configuration, because they share a cell of a discrete
dimension or differ only where a dimension is inactive, have the same canonical row.
"""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry, Kind


@dataclasses.dataclass(frozen=True, slots=True)
class _Tables:
    """A `Geometry` as constant arrays.

    Attributes:
        levels: f32[D], 1 where a dimension is continuous.
        discrete: bool[1, D].
        edged: i32[E] dimensions with unequal cells.
        edges: f32[E, L + 1] their cell edges, padded with 2.
        middles: f32[Q] the middles of all cells, dimension after dimension.
        walls: f32[2, Q] their lower and upper ends; 0 and 1 where continuous.
        start: i32[1, D] where those of each dimension start.
        canonical: f32[1, D] coordinates of inactive dimensions.
        parent: i32[C] the parent dimension of each condition.
        allowed: bool[C, L] by level of the parent.
        child: f32[C, D] one where condition C belongs to dimension D.
        depth: The longest chain of conditions.
    """

    levels: np.ndarray
    discrete: np.ndarray
    edged: np.ndarray
    edges: np.ndarray
    middles: np.ndarray
    walls: np.ndarray
    start: np.ndarray
    canonical: np.ndarray
    parent: np.ndarray
    allowed: np.ndarray
    child: np.ndarray
    depth: int


@functools.lru_cache(maxsize=128)
def _tables(geometry: Geometry) -> _Tables:
    """The constants of ``geometry``, made once."""
    levels = np.asarray(geometry.levels, np.int32)
    edged = [d for d, edges in enumerate(geometry.edges) if edges]
    widest = max((len(geometry.edges[d]) for d in edged), default=2)
    edges = np.full((len(edged), widest), 2.0)
    for row, d in enumerate(edged):
        edges[row, : levels[d] + 1] = geometry.edges[d]
    # A table, for XLA turns the division of (level + 0.5) / levels into a product that
    # rounds otherwise when it is jitted.
    middles = [cell_middles(geometry, d) for d in range(geometry.dimensions)]
    cells = [np.zeros(1) if middle is None else middle for middle in middles]
    sizes = np.asarray([cell.size for cell in cells])
    pairs = [(d, c) for d, cs in enumerate(geometry.conditions) for c in cs]
    allowed = np.zeros((len(pairs), max(int(levels.max(initial=1)), 1)), bool)
    child = np.zeros((len(pairs), geometry.dimensions), np.float32)
    for row, (d, condition) in enumerate(pairs):
        allowed[row, list(condition.levels)] = True
        child[row, d] = 1.0
    return _Tables(
        levels=np.maximum(levels, 1).astype(np.float32),
        discrete=(levels > 0)[None],
        edged=np.asarray(edged, np.int32),
        edges=edges.astype(np.float32),
        middles=np.concatenate(cells).astype(np.float32),
        walls=np.concatenate(
            [_walls(geometry, d) for d in range(geometry.dimensions)], axis=1
        ).astype(np.float32),
        start=(np.cumsum(sizes) - sizes).astype(np.int32)[None],
        canonical=np.asarray(geometry.canonical, np.float32)[None],
        parent=np.asarray([c.parent for _, c in pairs], np.int32),
        allowed=allowed,
        child=child,
        depth=max(map(len, condition_chains(geometry)), default=0),
    )


def condition_chains(geometry: Geometry) -> tuple[tuple[int, ...], ...]:
    """For each dimension its ancestors on the longest chain of conditions, root first.

    Raises:
        ValueError: If the conditions form a cycle.
    """

    @functools.cache
    def chain(d: int) -> tuple[int, ...]:
        parents = [condition.parent for condition in geometry.conditions[d]]
        return max(((*chain(p), p) for p in parents), key=len, default=())

    try:
        return tuple(chain(d) for d in range(geometry.dimensions))
    except RecursionError as error:
        raise ValueError(
            "The conditions of a geometry must not form a cycle, but each of some "
            "dimensions is active only while another of them is. Remove one of the "
            "`when=` conditions."
        ) from error


def cell_middles(geometry: Geometry, dimension: int) -> np.ndarray | None:
    """f64[n], the canonical coordinates of a dimension's levels; None if continuous."""
    count, edges = geometry.levels[dimension], np.asarray(geometry.edges[dimension])
    if count == 0:
        return None
    if edges.size:
        return (edges[1:] + edges[:-1]) / 2
    return (np.arange(count) + 0.5) / count


def _walls(geometry: Geometry, dimension: int) -> np.ndarray:
    """f64[2, n], the lower and upper ends of a dimension's cells; one if continuous."""
    edges = np.asarray(geometry.edges[dimension])
    if not edges.size:
        count = max(geometry.levels[dimension], 1)
        edges = np.arange(count + 1) / count
    return np.stack([edges[:-1], edges[1:]])


def cell_walls(x: jax.Array, geometry: Geometry) -> tuple[jax.Array, jax.Array]:
    """The ends of the cells that coordinates lie in.

    Args:
        x: f32[P, D] in the unit cube.
        geometry: The cube's marks.

    Returns:
        f32[P, D] lower and f32[P, D] upper ends; 0 and 1 where a dimension is
        continuous.
    """
    tables = _tables(geometry)
    low, high = jnp.asarray(tables.walls)[:, tables.start + levels_of(x, geometry)]
    return low, high


def levels_of(x: jax.Array, geometry: Geometry) -> jax.Array:
    """The level that each coordinate lies in.

    Args:
        x: f32[P, D] in the unit cube.
        geometry: The cube's marks.

    Returns:
        i32[P, D]; 0 where a dimension is continuous.
    """
    tables = _tables(geometry)
    count = tables.levels[None]
    level = jnp.clip(jnp.floor(x * count), 0.0, count - 1.0).astype(jnp.int32)
    if tables.edged.size:
        # Comparing with every edge compiles fast; bisection runs fast where many are.
        method = "compare_all" if tables.edges.shape[1] <= 512 else "scan"
        search = functools.partial(jnp.searchsorted, side="right", method=method)
        cell = jax.vmap(search, (0, 1), 1)(tables.edges, x[:, tables.edged]) - 1
        last = (tables.levels[tables.edged] - 1).astype(np.int32)[None]
        level = level.at[:, tables.edged].set(jnp.clip(cell, 0, last))
    return level


def middles_of(level: jax.Array, geometry: Geometry) -> jax.Array:
    """The canonical coordinates of levels, f32[P, D]; 0 where continuous.

    Args:
        level: i32[P, D].
        geometry: The cube's marks.
    """
    tables = _tables(geometry)
    return jnp.asarray(tables.middles)[tables.start + level]


def active(level: jax.Array, geometry: Geometry) -> jax.Array:
    """Whether each dimension matters, given the levels of all.

    Args:
        level: i32[P, D] from `levels_of`.
        geometry: The cube's marks.

    Returns:
        bool[P, D].
    """
    tables = _tables(geometry)
    if not tables.depth:
        return jnp.ones(level.shape, bool)
    rows = np.arange(len(tables.parent))[None]
    holds = jnp.asarray(tables.allowed)[rows, level[:, tables.parent]]

    def deepen(_: jax.Array, known: jax.Array) -> jax.Array:
        broken = ~(holds & known[:, tables.parent])
        return broken.astype(jnp.float32) @ tables.child == 0.0

    return jax.lax.fori_loop(0, tables.depth, deepen, jnp.ones(level.shape, bool))


def canonicalise(x: jax.Array, geometry: Geometry) -> jax.Array:
    """The canonical row of the configuration that each row stands for.

    Discrete coordinates move to the middle of their cell, inactive ones to their
    canonical coordinate, continuous ones stay, clipped to the cube.

    Args:
        x: f32[P, D].
        geometry: The cube's marks.

    Returns:
        f32[P, D] in the unit cube; canonical rows stay as they are.
    """
    tables = _tables(geometry)
    x = jnp.clip(x, 0.0, 1.0)
    level = levels_of(x, geometry)
    x = jnp.where(tables.discrete, middles_of(level, geometry), x)
    return jnp.where(active(level, geometry), x, tables.canonical)


def is_categorical(geometry: Geometry) -> np.ndarray:
    """bool[D], whether a dimension has no order."""
    return np.asarray([kind is Kind.CATEGORICAL for kind in geometry.kinds])
