"""Who dominates whom among points of several objectives, and how crowded they are."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_BITS = 32


def nondominated_ranks(fitness: jax.Array, violation: jax.Array) -> jax.Array:
    """The front of each point: 0 if no other dominates it, 1 if only those of 0 do, ...

    One point dominates another if it violates constraints less; or, where neither
    violates any, if it is nowhere worse and somewhere better.

    Fronts are peeled off one by one. Whom each point is dominated by is kept as bits,
    so that a front costs R^2 / 32 operations.

    Args:
        fitness: f32[R, M], larger is better.
        violation: f32[R], 0 where feasible; inf where nobody is.

    Returns:
        i32[R].

    Reference:
        Deb, Pratap, Agarwal and Meyarivan (2002), "A fast and elitist multiobjective
        genetic algorithm: NSGA-II", constraint-domination included. Differs from the
        paper: none in what is found.
    """
    size = fitness.shape[0]
    words = -(-size // _BITS)
    dominators = _packed(_dominated_by(fitness, violation), words)

    def peel(
        carry: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        front, rank, left = carry
        alive = _packed(left[None], words)
        free = left & ((dominators & alive) == 0).all(axis=1)
        return front + 1, jnp.where(free, front, rank), left & ~free

    def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        return carry[2].any()

    start = (jnp.zeros((), jnp.int32), jnp.zeros((size,), jnp.int32))
    return jax.lax.while_loop(unfinished, peel, (*start, jnp.ones((size,), bool)))[1]


def _dominated_by(fitness: jax.Array, violation: jax.Array) -> jax.Array:
    """bool[R, R], whether the row's point is dominated by the column's."""
    nowhere_worse = jnp.ones((fitness.shape[0],) * 2, bool)
    better = ~nowhere_worse
    for objective in fitness.T:  # a few: R x R x M at once would take M times as much
        nowhere_worse &= objective[None] >= objective[:, None]
        better |= objective[None] > objective[:, None]
    less = violation[None] < violation[:, None]
    both = (violation[None] <= 0.0) & (violation[:, None] <= 0.0)
    return jnp.where(both, nowhere_worse & better, less)


def _packed(bits: jax.Array, words: int) -> jax.Array:
    """u32[N, W] of bool[N, R], 32 columns to a word."""
    padded = jnp.pad(bits, ((0, 0), (0, words * _BITS - bits.shape[1])))
    grouped = padded.reshape(bits.shape[0], words, _BITS).astype(jnp.uint32)
    shift = jnp.arange(_BITS, dtype=jnp.uint32)[None, None]
    return jnp.sum(grouped << shift, axis=2, dtype=jnp.uint32)


def crowding_distances(fitness: jax.Array, rank: jax.Array) -> jax.Array:
    """How far the neighbours of each point lie apart, within its own front.

    The sum over objectives of (f of the next - f of the one before) / (largest - least
    f of the front); inf for the points at the ends of a front.

    Args:
        fitness: f32[R, M], finite.
        rank: i32[R], the front of each point.

    Returns:
        f32[R].

    Reference:
        Deb et al. (2002), section III B. Differs from the paper: none.
    """
    size = rank.shape[0]
    total = jnp.zeros((size,), jnp.float32)
    for objective in fitness.T:
        order = jnp.lexsort((objective, rank))
        value, front = objective[order], rank[order]
        edge = front[1:] != front[:-1]
        first = jnp.concatenate([jnp.ones((1,), bool), edge])
        last = jnp.concatenate([edge, jnp.ones((1,), bool)])
        before, after = jnp.roll(value, 1), jnp.roll(value, -1)
        least = jax.ops.segment_min(value, front, size)[front]
        most = jax.ops.segment_max(value, front, size)[front]
        extent = most - least
        gap = jnp.where(extent > 0.0, after - before, 0.0)
        gap = gap / jnp.where(extent > 0.0, extent, 1.0)
        gap = jnp.where(first | last, jnp.inf, gap)
        total = total.at[order].add(gap)
    return total
