"""Niches: what looks alike shares the right to breed, so that no peak takes all."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import EMPTY, Geometry, Outcome
from evotune.algorithms._cube import is_categorical
from evotune.algorithms._population import (
    Population,
    nobody,
    survive,
    with_results,
)
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
        geometry: The space; categories are alike, or else one length apart.
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
    near = distances(x, geometry) < radius
    place = jnp.arange(fitness.shape[0], dtype=jnp.int32)

    def clear(first: jax.Array, fitness: jax.Array) -> jax.Array:
        lost = near[first] & (place > first) & jnp.isfinite(fitness[first])
        return jnp.where(lost, -jnp.inf, fitness)

    return jax.lax.fori_loop(0, fitness.shape[0], clear, fitness)


def distances(x: jax.Array, geometry: Geometry) -> jax.Array:
    """f32[N, N], the root mean square over dimensions of how far rows are apart.

    Args:
        x: f32[N, D], canonical.
        geometry: The space; different categories are one length apart.
    """
    total = jnp.zeros((x.shape[0],) * 2, jnp.float32)
    for column, unordered in zip(x.T, is_categorical(geometry), strict=True):
        apart = column[:, None] - column[None]
        total += (apart != 0.0).astype(jnp.float32) if unordered else apart**2
    return jnp.sqrt(total * np.float32(1.0 / x.shape[1]))


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
    trial = jnp.where(kept, population.trial, EMPTY)
    return _placed(
        Population(x=population.x, fitness=fitness, trial=trial), order, kept[order]
    )


def survive_in_niches(
    population: Population,
    outcome: Outcome,
    x: jax.Array,
    elites: int,
    geometry: Geometry,
    *,
    radius: float,
) -> Population:
    """The population after some results: the best of niches, and the newest others.

    As `evotune.algorithms._population.survive`, but that the elites are the best that
    `cleared` leaves, so that the best of a lesser peak are among them. What is cleared
    once and forgotten does not return when the niche that cleared it does not last; so
    unlike there, who survives can hang on the order of results.

    Args:
        population: Before, N places.
        outcome: P rows; RUNNING and EMPTY ones are ignored.
        x: f32[P, D], the canonical rows of the outcome.
        elites: How many of the best stay whatever their age.
        geometry: The space.
        radius: Of a niche, as in `cleared`; 0 for no niches.

    Returns:
        A population of the same size, best first.
    """
    if radius == 0.0:
        return survive(population, outcome, x, elites)
    size = population.trial.shape[0]
    joined = with_results(population, outcome, x)
    order = jnp.lexsort((-joined.trial, -joined.fitness))
    everyone = jax.tree.map(lambda leaf: leaf[order], joined)
    known = jnp.isfinite(everyone.fitness)
    bests = jnp.isfinite(cleared(everyone.x, everyone.fitness, geometry, radius=radius))
    elite = bests & (jnp.cumsum(bests.astype(jnp.int32)) <= elites)
    others = known & ~elite
    newer = (everyone.trial[None] > everyone.trial[:, None]) & others[None]
    places = size - jnp.sum(elite, dtype=jnp.int32)
    young = jnp.sum(newer, axis=1, dtype=jnp.int32) < places
    kept = elite | (others & young)
    order = jnp.argsort(~kept, stable=True)[:size]
    return _placed(everyone, order, kept[order])


def _placed(members: Population, order: jax.Array, taken: jax.Array) -> Population:
    """Members in another order, in places of which some hold nobody."""
    empty = nobody(order.shape[0], members.x.shape[1])
    return Population(
        x=jnp.where(taken[:, None], members.x[order], empty.x),
        fitness=jnp.where(taken, members.fitness[order], empty.fitness),
        trial=jnp.where(taken, members.trial[order], empty.trial),
    )
