"""A ranked population of bounded size: who may breed, and who is forgotten."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Outcome, Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Population:
    """N places, best first; of two that are equally fit, the newer trial first.

    Attributes:
        x: f32[N, D], canonical.
        fitness: f32[N], -inf where a place holds nobody.
        trial: i32[N], EMPTY where a place holds nobody.
    """

    x: jax.Array
    fitness: jax.Array
    trial: jax.Array


jax.tree_util.register_dataclass(Population, ["x", "fitness", "trial"], [])


def nobody(size: int, dimensions: int) -> Population:
    """A population of ``size`` empty places."""
    return Population(
        x=jnp.full((size, dimensions), 0.5, jnp.float32),
        fitness=jnp.full((size,), -jnp.inf, jnp.float32),
        trial=jnp.full((size,), EMPTY, jnp.int32),
    )


def score(outcome: Outcome) -> jax.Array:
    """f32[P], the first objective of rows that may breed, else -inf.

    A row may breed if it is COMPLETE, finite and feasible.
    """
    fitness = outcome.fitness[:, 0]
    feasible = (outcome.constraints <= 0.0).all(axis=1)
    complete = (outcome.status == Status.COMPLETE) & (outcome.trial != EMPTY)
    return jnp.where(complete & feasible & jnp.isfinite(fitness), fitness, -jnp.inf)


def told_trials(outcome: Outcome) -> jax.Array:
    """i32[P], the trials of rows that are results; EMPTY for others."""
    told = (outcome.trial != EMPTY) & (outcome.status != Status.RUNNING)
    return jnp.where(told, outcome.trial, EMPTY)


def joined(
    population: Population, trial: jax.Array, fitness: jax.Array, x: jax.Array
) -> Population:
    """The population and some trials, one after the other, in N + P places.

    A trial that is told again has fitness -inf in the place that it had before.

    Args:
        population: N places.
        trial: i32[P]; EMPTY rows are ignored.
        fitness: f32[P].
        x: f32[P, D], canonical.
    """
    trial = jnp.concatenate([population.trial, trial])
    fitness = jnp.concatenate([population.fitness, fitness])
    rows = jnp.concatenate([population.x, x])

    place = jnp.arange(trial.shape[0], dtype=jnp.int32)
    later = (trial[None] == trial[:, None]) & (place[None] > place[:, None])
    fitness = jnp.where(later.any(axis=1), -jnp.inf, fitness)
    return Population(x=rows, fitness=fitness, trial=trial)


def with_results(population: Population, outcome: Outcome, x: jax.Array) -> Population:
    """`joined` with the results among the rows of ``outcome``.

    Args:
        population: N places.
        outcome: P rows; RUNNING and EMPTY ones are ignored.
        x: f32[P, D], the canonical rows of the outcome.
    """
    return joined(population, told_trials(outcome), score(outcome), x)


def survive(
    population: Population, outcome: Outcome, x: jax.Array, elites: int
) -> Population:
    """The population after some results, of which those that may breed take places.

    Args:
        population: Before.
        outcome: P rows; RUNNING and EMPTY ones are ignored.
        x: f32[P, D], the canonical rows of the outcome.
        elites: How many of the best stay whatever their age.

    Returns:
        A population of the same size.
    """
    return merge(population, told_trials(outcome), score(outcome), x, elites)


def merge(
    population: Population,
    trial: jax.Array,
    fitness: jax.Array,
    x: jax.Array,
    elites: int,
) -> Population:
    """The population with some trials more.

    The ``elites`` best trials ever told stay, and the newest others fill the remaining
    places. Both are properties of the set of trials told, so results may come in any
    order and in any parts. A trial that is told again replaces what it was.

    Args:
        population: Before.
        trial: i32[P]; EMPTY rows are ignored.
        fitness: f32[P]; with -inf a trial has no place, and loses the one that it had.
        x: f32[P, D], canonical.
        elites: How many of the best stay whatever their age.

    Returns:
        A population of the same size.
    """
    size = population.trial.shape[0]
    everyone = joined(population, trial, fitness, x)
    place = jnp.arange(everyone.trial.shape[0], dtype=jnp.int32)
    ranked = jax.lax.sort((-everyone.fitness, -everyone.trial, place), num_keys=2)
    known, trial, order = jnp.isfinite(ranked[0]), -ranked[1], ranked[2]
    elite = place < elites
    kept = known & elite
    if elites < size:
        others = jnp.where(known & ~elite, trial, EMPTY)
        oldest = jax.lax.top_k(others, size - elites)[0][-1]
        kept |= known & (trial >= oldest)

    # Who is kept comes first, in the same order.
    source = jax.lax.top_k(jnp.where(kept, -place, -place - trial.shape[0]), size)[1]
    taken = jnp.arange(size) < jnp.sum(kept, dtype=jnp.int32)
    return placed(everyone, order[source], taken)


def placed(everyone: Population, place: jax.Array, taken: jax.Array) -> Population:
    """Members in other places, some of which hold nobody.

    Args:
        everyone: R places.
        place: i32[N], whom each place holds.
        taken: bool[N], which of them hold anybody.
    """
    empty = nobody(place.shape[0], everyone.x.shape[1])
    return Population(
        x=jnp.where(taken[:, None], everyone.x[place], empty.x),
        fitness=jnp.where(taken, everyone.fitness[place], empty.fitness),
        trial=jnp.where(taken, everyone.trial[place], empty.trial),
    )
