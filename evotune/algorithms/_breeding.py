"""From parents to rows that are worth a training: crossed, mutated, and new."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import canonicalise, is_categorical
from evotune.algorithms._duplicates import fingerprint, repeats
from evotune.algorithms._mutation import gaussian_mutation, resample_category

CHILDREN = 4
"""Children of each known parent, at most, while few are known; the rest is sampled."""

ATTEMPTS = 4
"""How often `renewed` changes a row before it is proposed as it is."""


def crossed(
    u: jax.Array,
    first: jax.Array,
    second: jax.Array,
    crossover: Callable[..., jax.Array],
    geometry: Geometry,
) -> jax.Array:
    """Children of pairs of parents, each category of which is that of a parent.

    Args:
        u: f32[P, D] in [0, 1).
        first: f32[P, D], canonical.
        second: f32[P, D], canonical.
        crossover: The operator, ``(u, a, b) -> child``.
        geometry: The space.

    Returns:
        f32[P, D] in the unit cube.
    """
    child = crossover(u, first, second)
    # A blend of two categories is a third one: take that of either parent.
    either = jnp.where(u < 0.5, first, second)
    between = is_categorical(geometry)[None] & (child != first)
    return jnp.where(between & (child != second), either, child)


def mutate_until_new(
    start: jax.Array,
    hits: jax.Array,
    steps: jax.Array,
    *,
    geometry: Geometry,
    seen: jax.Array,
    bred: jax.Array,
    rate: float,
    mutation: Callable[..., jax.Array],
    strength: jax.Array,
) -> jax.Array:
    """Canonical rows to propose: mutated, and again where they repeat others.

    The first half of the attempts mutate, each at twice the rate of the one before, the
    others sample afresh.

    Args:
        start: f32[P, D], rows to mutate.
        hits: f32[A, P, D], uniform numbers that choose what is mutated.
        steps: f32[A, P, D], uniform numbers that choose how.
        geometry: The space.
        seen: u32[H], the table of past trials.
        bred: bool[P, 1], whether a row is mutated on the first attempt.
        rate: The chance that a coordinate is mutated, on the first attempt.
        mutation: The operator of ordered dimensions; others are resampled.
        strength: f32[1, D], the size of its steps; that of a level at least.

    Returns:
        f32[P, D].
    """
    attempts = hits.shape[0]
    levels = np.asarray(geometry.levels, np.int32)
    unordered = is_categorical(geometry)[None]
    # A step along a discrete dimension is that of one level, at least.
    cell = np.where((levels > 0) & ~unordered[0], 1.0 / np.maximum(levels, 1), 0.0)
    strength = jnp.maximum(strength, cell.astype(np.float32)[None])

    def attempt(
        carry: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        number, rows, again = carry
        u, hit = steps[number], hits[number]
        moved = mutation(u, start, strength)
        moved = jnp.where(unordered, resample_category(u, start, levels), moved)
        chance = rate * 2.0 ** number.astype(jnp.float32)
        mutates = (hit < chance) & (bred | (number > 0))
        afresh = (number > 0) & (number >= (attempts + 1) // 2)
        tried = jnp.where(afresh, u, jnp.where(mutates, moved, start))
        rows = jnp.where(again[:, None], canonicalise(tried, geometry), rows)
        return number + 1, rows, repeats(fingerprint(rows), seen)

    def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        number, _, again = carry
        return (number < attempts) & again.any()

    everyone = jnp.ones(start.shape[0], bool)
    carry = (jnp.zeros((), jnp.int32), start, everyone)
    return jax.lax.while_loop(unfinished, attempt, carry)[1]


def renewed(
    start: jax.Array,
    hits: jax.Array,
    steps: jax.Array,
    geometry: Geometry,
    seen: jax.Array,
) -> jax.Array:
    """Canonical rows to propose: as they are, and mutated where they repeat others.

    For methods that do not mutate of themselves.

    Args:
        start: f32[P, D].
        hits: f32[A, P, D], uniform numbers that choose what is mutated.
        steps: f32[A, P, D], uniform numbers that choose how.
        geometry: The space.
        seen: u32[H], the table of past trials.

    Returns:
        f32[P, D].
    """
    return mutate_until_new(
        start,
        hits,
        steps,
        geometry=geometry,
        seen=seen,
        bred=jnp.zeros((start.shape[0], 1), bool),
        rate=0.5 / geometry.dimensions,
        mutation=gaussian_mutation,
        strength=jnp.full((1, geometry.dimensions), 0.1, jnp.float32),
    )
