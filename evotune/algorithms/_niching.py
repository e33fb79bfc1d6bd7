"""Niches: what looks alike shares the right to breed, so that no peak takes all."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry
from evotune.algorithms._kernel import scaled_squares
from evotune.algorithms._population import Population, placed
from evotune.algorithms._settings import range_problem


def niche_problems(radius: Any, surrogate: Any) -> list[str]:
    """What is wrong with a radius of niches.

    Args:
        radius: Must be a number from 0 to 1.
        surrogate: Must be None, unless ``radius`` is 0.
    """
    problems = range_problem("niche_radius", radius, 0, 1, "0.1")
    if problems or radius == 0.0 or surrogate is None:
        return problems
    return [
        f"`niche_radius` must be 0 with a surrogate, which chooses by itself where to "
        f"look, but got `niche_radius={radius}`. Use for example `surrogate=None, "
        f"niche_radius=0.1`."
    ]


def cleared(
    x: jax.Array, fitness: jax.Array, geometry: Geometry, *, radius: float
) -> jax.Array:
    """Fitness, of which only the best of each niche keeps its own: clearing.

    The best row keeps its fitness, and all within ``radius`` of it lose theirs; then
    the best row that is left does the same, and so on. Any increasing change of the
    fitness leaves the niches as they are.

    Args:
        x: f32[N, D], canonical, best first.
        fitness: f32[N], best first; -inf where a row is nobody.
        geometry: The space, in which rows lie as for a surrogate (`scaled_squares`).
        radius: In unit-cube lengths, the root mean square over dimensions: two points
            drawn at random are about 0.4 apart.

    Returns:
        f32[N], -inf where cleared.

    Example:
        >>> import jax.numpy as jnp
        >>> from evotune.testing import cube, floating
        >>> x = jnp.asarray([[0.1], [0.12], [0.9]])
        >>> fitness = jnp.asarray([3.0, 2.0, 1.0])
        >>> cleared(x, fitness, cube(floating()), radius=0.1)
        Array([  3., -inf,   1.], dtype=float32)

    Reference:
        Petrowski (1996), "A clearing procedure as a niching method for genetic
        algorithms". Differs from the paper: what is cleared has fitness -inf, not 0,
        so that fitness may have any sign; one of each niche is left, the paper's
        capacity of 1.
    """
    dimensions = x.shape[1]
    squared = scaled_squares(x, x, jnp.zeros((dimensions,), jnp.float32), geometry)
    near = squared < dimensions * radius**2
    place = jnp.arange(fitness.shape[0], dtype=jnp.int32)

    def clear(first: jax.Array, fitness: jax.Array) -> jax.Array:
        lost = near[first] & (place > first) & jnp.isfinite(fitness[first])
        return jnp.where(lost, -jnp.inf, fitness)

    return jax.lax.fori_loop(0, fitness.shape[0], clear, fitness)


def niched(population: Population, geometry: Geometry, *, radius: float) -> Population:
    """The population as selection sees it: the cleared are nobody, and come last.

    Args:
        population: N places, best first.
        geometry: The space.
        radius: Of a niche, as in `cleared`; 0 leaves the population as it is.
    """
    if radius == 0.0:
        return population
    fitness = cleared(population.x, population.fitness, geometry, radius=radius)
    order = jnp.argsort(-fitness, stable=True)
    kept = jnp.isfinite(fitness)
    cleared_ones = dataclasses.replace(population, fitness=fitness)
    return placed(cleared_ones, order, kept[order])


def standing(everyone: Population, geometry: Geometry, *, radius: float) -> jax.Array:
    """What trials compete for seats with: the best of niches stand above all others.

    So no trial, however good, takes the seat of the best of another niche, unless it is
    the best of one itself. What is cleared once and forgotten does not return when the
    niche that cleared it does not last, so who holds a seat can hang on the order of
    results.

    Args:
        everyone: R places, in any order.
        geometry: The space.
        radius: Of a niche, as in `cleared`; 0 for no niches.

    Returns:
        f32[R], fitness where there are no niches; else how many stand lower; -inf for
        nobody.
    """
    fitness = everyone.fitness
    if radius == 0.0:
        return fitness
    order = jnp.argsort(-fitness, stable=True)
    x, ranked = everyone.x[order], fitness[order]
    kept = jnp.isfinite(cleared(x, ranked, geometry, radius=radius))
    best = kept[jnp.argsort(order)]
    lower = (best[None] < best[:, None]) | (
        (best[None] == best[:, None]) & (fitness[None] < fitness[:, None])
    )
    place = jnp.sum(lower, axis=1, dtype=jnp.int32).astype(jnp.float32)
    return jnp.where(jnp.isfinite(fitness), place, -jnp.inf)
