"""Rivals made of differences between the members of a population."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import is_categorical
from evotune.algorithms._population import Population

STRATEGIES = ("rand", "best", "current_to_best", "current_to_pbest")
"""What differences are added to; see `DifferentialEvolution`."""


def rivals(
    strategy: str,
    population: Population,
    geometry: Geometry,
    seat: jax.Array,
    control: jax.Array,
    choose: jax.Array,
    cross: jax.Array,
    leads: jax.Array,
    differs: jax.Array,
) -> jax.Array:
    """Rivals of the members in some places, by the formulas of `DifferentialEvolution`.

    Args:
        strategy: One of `STRATEGIES`.
        population: N places, in any order; four of them must hold somebody.
        geometry: The space.
        seat: i32[P], the places; what comes of one that holds nobody means nothing.
        control: f32[P, 2], F and CR.
        choose: f32[P, 5], uniform numbers that choose members and a coordinate.
        cross: f32[P, D], uniform numbers that choose coordinates.
        leads: f32[P, D], uniform numbers that choose categories of the lead.
        differs: f32[P, D], uniform numbers that choose categories of a.

    Returns:
        f32[P, D] in the unit cube, not yet canonical.
    """
    order = jnp.argsort(-population.fitness)  # those who are there first
    ranked, own = population.x[order], population.x[seat]
    count = jnp.sum(jnp.isfinite(population.fitness), dtype=jnp.int32)
    rank = jnp.argsort(order)[seat].astype(jnp.int32)
    a, b, c = (ranked[each] for each in others(choose[:, :3], rank, count))
    few = jnp.maximum(jnp.ceil(0.15 * count.astype(jnp.float32)), 1.0)
    among = jnp.floor(choose[:, 3] * few).astype(jnp.int32)
    base, lead = {
        "rand": (c, c),
        "best": (ranked[:1], ranked[:1]),
        "current_to_best": (own, ranked[:1]),
        "current_to_pbest": (own, ranked[among]),
    }[strategy]
    weight, rate = control[:, :1], control[:, 1:]
    v = base + weight * (lead - base) + weight * (a - b)
    # Half way to the wall that it would cross, from where it starts.
    v = jnp.where(v < 0.0, 0.5 * own, jnp.where(v > 1.0, 0.5 * (1.0 + own), v))
    category = jnp.where(leads < weight, lead, base)
    category = jnp.where((differs < weight) & (a != b), a, category)
    v = jnp.where(is_categorical(geometry)[None], category, v)
    dimensions = own.shape[1]
    always = jnp.floor(choose[:, 4:] * dimensions)
    chosen = np.arange(dimensions, dtype=np.float32)[None] == always
    return jnp.where((cross < rate) | chosen, v, own)


def others(u: jax.Array, own: jax.Array, count: jax.Array) -> tuple[jax.Array, ...]:
    """Numbers below ``count``, each other than ``own`` and than each other.

    Args:
        u: f32[P, C] in [0, 1).
        own: i32[P].
        count: i32[], more than C.

    Returns:
        C arrays of i32[P]; each choice has the same chance.
    """
    taken = own[None]
    for column in range(u.shape[1]):
        left = (count - taken.shape[0]).astype(jnp.float32)
        # The n-th of those that are left: step over those that are taken, in order.
        pick = jnp.minimum(jnp.floor(u[:, column] * left), left - 1.0).astype(jnp.int32)
        for row in jnp.sort(taken, axis=0):
            pick = pick + (pick >= row).astype(jnp.int32)
        taken = jnp.concatenate([taken, pick[None]])
    return tuple(jnp.clip(taken[1:], 0, None))
