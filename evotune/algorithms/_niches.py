"""Reference directions, and who lies nearest to which of them."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

_SMALL = 1e-6
"""Shares of the front's extent below it are none."""


def simplex_lattice(objectives: int, divisions: int) -> np.ndarray:
    """All points of the simplex whose coordinates are multiples of 1 / ``divisions``.

    Args:
        objectives: M.
        divisions: p, at least 1.

    Returns:
        f32[H, M], H = (p + M - 1) over (M - 1); each row adds up to 1.

    Reference:
        Das and Dennis (1998), "Normal-boundary intersection: a new method for
        generating the Pareto surface in nonlinear multicriteria optimization problems".

    Example:
        >>> simplex_lattice(2, 2).tolist()
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    # Each choice of M - 1 bars among p + M - 1 places leaves M gaps that add up to p.
    places = divisions + objectives - 1
    bars = itertools.combinations(range(places), objectives - 1)
    walls = np.asarray([(-1, *each, places) for each in bars])
    return ((np.diff(walls, axis=1) - 1) / divisions).astype(np.float32)


def most_divisions(objectives: int, size: int) -> int:
    """The most divisions whose lattice has at most ``size`` points, at least 1."""
    if objectives == 1:
        return 1
    divisions = 1
    while math.comb(divisions + objectives, objectives - 1) <= size:
        divisions += 1
    return divisions


def normalised(losses: jax.Array, counts: jax.Array, first: jax.Array) -> jax.Array:
    """Losses in units in which the front reaches from 0 to 1 along each objective.

    0 is the best loss of each objective, 1 where the plane through the front's extreme
    points cuts its axis, at most the worst loss of all; where there is no such plane,
    the front's worst loss. The extreme point of objective m has the least
    max_j (f_j - best_j) / w_j with w_m = 1 and else 1e-6.

    Args:
        losses: f32[R, M].
        counts: bool[R], which rows count.
        first: bool[R], which of them are of the front.

    Returns:
        f32[R, M]; rows that do not count mean nothing.
    """
    objectives = losses.shape[1]
    best, worst = _extent(losses, counts)
    front_best, front_worst = _extent(losses, first)
    # In units of the front first, so that nothing hangs on the scale of an objective.
    unit = front_worst - front_best
    unit = jnp.where(unit > 0.0, unit, jnp.where(worst > best, worst - best, 1.0))
    share = (losses - best[None]) / unit[None]
    weight = jnp.where(jnp.eye(objectives, dtype=bool), 1.0, 1.0 / _SMALL)
    reach = jnp.max(share[:, None] * weight[None], axis=2)
    extremes = share[jnp.argmin(jnp.where(first[:, None], reach, jnp.inf), axis=0)]
    plane = jnp.linalg.solve(extremes, jnp.ones((objectives,), losses.dtype))
    cut = 1.0 / plane
    sound = jnp.abs(extremes @ plane - 1.0).max() < 1e-3
    sound &= (jnp.isfinite(cut) & (cut > _SMALL)).all()
    nadir = jnp.where(sound, jnp.minimum(cut, (worst - best) / unit), 1.0)
    return share / jnp.maximum(nadir, _SMALL)[None]


def _extent(losses: jax.Array, counts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The least and the largest loss of each objective, f32[M] each; 0 of no rows."""
    best = jnp.min(jnp.where(counts[:, None], losses, jnp.inf), axis=0)
    worst = jnp.max(jnp.where(counts[:, None], losses, -jnp.inf), axis=0)
    some = counts.any()
    return jnp.where(some, best, 0.0), jnp.where(some, worst, 0.0)


def associated(
    points: jax.Array, directions: np.ndarray
) -> tuple[jax.Array, jax.Array]:
    """The direction that each point lies nearest to, and how near.

    Args:
        points: f32[R, M], normalised losses.
        directions: f32[H, M].

    Returns:
        i32[R] niches, and f32[R] distances from the line along the direction.
    """
    lines = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    along = points @ jnp.asarray(lines, points.dtype).T
    foot = along[:, :, None] * jnp.asarray(lines, points.dtype)[None]
    far = jnp.linalg.norm(points[:, None] - foot, axis=2)
    return jnp.argmin(far, axis=1).astype(jnp.int32), jnp.min(far, axis=1)


def turns(
    niche: jax.Array, far: jax.Array, chosen: jax.Array, waiting: jax.Array
) -> jax.Array:
    """When each of those who wait would be taken, if the emptiest niche takes the next.

    A niche with n members takes its nearest one n-th, the one after it (n + 1)-th, so
    that no loop is needed.

    Args:
        niche: i32[R].
        far: f32[R], distances.
        chosen: bool[R], who is in already.
        waiting: bool[R], who waits.

    Returns:
        i32[R], members of the niche at that time; only of those who wait.
    """
    same = niche[None] == niche[:, None]
    place = jnp.arange(niche.shape[0])
    equal = (far[None] == far[:, None]) & (place[None] < place[:, None])
    nearer = (far[None] < far[:, None]) | equal
    before = same & (chosen[None] | (waiting[None] & nearer))
    return jnp.sum(before, axis=1, dtype=jnp.int32)
