"""Children of the best trials, and points all over the cube, to be chosen among."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry
from evotune.algorithms._archive import WORST
from evotune.algorithms._breeding import Breeding
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._differences import rivals
from evotune.algorithms._draws import latin_hypercube, uniforms
from evotune.algorithms._population import Population

_WEIGHTS = (0.3, 1.0)
"""Of differences: F is drawn between these."""

_RATES = (1.0, 0.6)
"""Of differences: chances of a coordinate, CR, in turn; the first favours no axes."""


def leaders(told: Population, count: int) -> Population:
    """The best of an archive's trials; those that diverged or are infeasible are not.

    Args:
        told: Best first.
        count: How many, at most.
    """
    fitness = told.fitness[:count]
    return Population(
        x=told.x[:count],
        fitness=jnp.where(fitness > WORST, fitness, -jnp.inf),
        trial=told.trial[:count],
    )


def offspring(
    key: jax.Array,
    parents: Population,
    breeding: Breeding,
    geometry: Geometry,
    *,
    children: int,
    differing: int,
    filling: int,
) -> jax.Array:
    """Canonical rows to choose among: the children first, then the filling.

    Args:
        key: Consumed.
        parents: N places, best first.
        breeding: The operators.
        geometry: The space.
        children: C, how many are made of the parents.
        differing: How many of those by their differences, once there are four parents;
            until then, and the others, by crossover and mutation.
        filling: How many are spread over the whole cube.

    Returns:
        f32[C + filling, D].
    """
    dimensions = geometry.dimensions
    bred, moved = (children, dimensions), (differing, dimensions)
    fill = (filling, dimensions)
    u = uniforms(
        key,
        *((2 * children,), (children, 1), bred, bred, bred),
        *((differing, 2), (differing, 5), moved, moved, moved),
        *(fill, fill),
    )
    crossed = _crossed(parents, breeding, geometry, *u[:5])
    differ = _differing(parents, geometry, *u[5:10])
    enough = jnp.sum(jnp.isfinite(parents.fitness), dtype=jnp.int32) >= 4
    differ = jnp.where(enough, differ, crossed[:differing])
    rows = [differ, crossed[differing:], latin_hypercube(*u[10:])]
    return canonicalise(jnp.concatenate(rows), geometry)


def _crossed(
    parents: Population,
    breeding: Breeding,
    geometry: Geometry,
    choose: jax.Array,
    cross: jax.Array,
    mix: jax.Array,
    hits: jax.Array,
    steps: jax.Array,
) -> jax.Array:
    """f32[C, D], crossed and mutated, some of them little and others much."""
    start = breeding.cross(parents, geometry, choose, cross, mix)
    double = 2.0 ** (jnp.arange(start.shape[0]) % 3).astype(jnp.float32)
    rate = breeding.mutation_rate * double[:, None]
    return breeding.mutate(parents, start, geometry, hits, steps, rate)


def _differing(
    parents: Population,
    geometry: Geometry,
    control: jax.Array,
    choose: jax.Array,
    cross: jax.Array,
    leads: jax.Array,
    differs: jax.Array,
) -> jax.Array:
    """f32[C, D], parents moved by what others differ in.

    Where good trials lie along a line, so do their differences, whatever the axes are.
    """
    known = jnp.sum(jnp.isfinite(parents.fitness), dtype=jnp.int32)
    seat = jnp.floor(control[:, 0] * known.astype(jnp.float32)).astype(jnp.int32)
    seat = jnp.clip(seat, 0, jnp.maximum(known - 1, 0))
    least, most = _WEIGHTS
    weight = least + (most - least) * control[:, 1]
    row = jnp.arange(weight.shape[0]) % len(_RATES)
    settings = jnp.stack([weight, jnp.asarray(_RATES, jnp.float32)[row]], axis=1)
    return rivals(
        *("current_to_pbest", parents, geometry, seat, settings),
        *(choose, cross, leads, differs),
    )
