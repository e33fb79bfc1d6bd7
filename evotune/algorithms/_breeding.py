"""From parents to rows that are worth a training: crossed, mutated, and new."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import canonicalise, is_categorical
from evotune.algorithms._duplicates import fingerprint, repeats
from evotune.algorithms._mutation import gaussian_mutation, other_category
from evotune.algorithms._population import Population

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


def mutated(
    start: jax.Array,
    hits: jax.Array,
    steps: jax.Array,
    *,
    geometry: Geometry,
    rate: jax.Array,
    mutation: Callable[..., jax.Array],
    strength: jax.Array,
) -> jax.Array:
    """Rows with some coordinates mutated.

    Args:
        start: f32[R, D], rows before.
        hits: f32[R, D] uniform numbers that choose what is mutated.
        steps: f32[R, D] uniform numbers that choose how.
        geometry: The space.
        rate: f32[R, 1] chances of a coordinate; 0 leaves a row as it is.
        mutation: The operator of ordered dimensions; others are resampled.
        strength: f32[1, D], the size of its steps; that of a level at least.

    Returns:
        f32[R, D], not yet canonical.
    """
    levels = np.asarray(geometry.levels, np.int32)
    unordered = is_categorical(geometry)
    # A step along a discrete dimension is that of one level, at least.
    ordered = (levels > 0) & ~unordered
    cell = np.where(ordered, 1.0 / np.maximum(levels, 1), 0.0).astype(np.float32)
    moved = mutation(steps, start, jnp.maximum(strength, cell[None]))
    other = other_category(steps, start, geometry)
    moved = jnp.where(unordered[None], other, moved)
    return jnp.where(hits < rate, moved, start)


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

    def attempt(
        carry: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        number, rows, again = carry
        u, chance = steps[number], rate * 2.0 ** number.astype(jnp.float32)
        changed = mutated(
            start,
            hits[number],
            u,
            geometry=geometry,
            rate=jnp.where(bred | (number > 0), chance, 0.0),
            mutation=mutation,
            strength=strength,
        )
        afresh = (number > 0) & (number >= (attempts + 1) // 2)
        tried = jnp.where(afresh, u, changed)
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breeding:
    """The operators and rates of a genetic algorithm.

    Attributes:
        selection: ``(u, fitness) -> places``.
        crossover: ``(u, a, b) -> children``.
        crossover_rate: The chance that a child has two parents, not one.
        mutation: ``(u, x, strength) -> x``.
        mutation_rate: The chance that a coordinate is mutated.
        strength: ``(x, fitness) -> f32[1, D]``, in unit-cube lengths.
    """

    selection: Callable[..., jax.Array]
    crossover: Callable[..., jax.Array]
    crossover_rate: float
    mutation: Callable[..., jax.Array]
    mutation_rate: float
    strength: Callable[..., jax.Array]

    def cross(
        self,
        population: Population,
        geometry: Geometry,
        choose: jax.Array,
        cross: jax.Array,
        mix: jax.Array,
    ) -> jax.Array:
        """R children before mutation.

        Args:
            population: The parents.
            geometry: The space.
            choose: f32[2 R] uniform numbers that choose parents.
            cross: f32[R, 1] uniform numbers that say who has two of them.
            mix: f32[R, D] uniform numbers that mix their coordinates.

        Returns:
            f32[R, D].
        """
        parents = self.selection(choose, population.fitness)
        first, second = population.x[parents.reshape(2, -1)]
        child = crossed(mix, first, second, self.crossover, geometry)
        return jnp.where(cross < self.crossover_rate, child, first)

    def mutate(
        self,
        population: Population,
        start: jax.Array,
        geometry: Geometry,
        hits: jax.Array,
        steps: jax.Array,
        rate: jax.Array,
    ) -> jax.Array:
        """`mutated`, as strongly as the population says."""
        return mutated(
            start,
            hits,
            steps,
            geometry=geometry,
            rate=rate,
            mutation=self.mutation,
            strength=self.strength(population.x, population.fitness),
        )

    def mutate_until_new(
        self,
        population: Population,
        start: jax.Array,
        bred: jax.Array,
        seen: jax.Array,
        geometry: Geometry,
        hits: jax.Array,
        steps: jax.Array,
    ) -> jax.Array:
        """`mutate_until_new`, as strongly as the population says."""
        return mutate_until_new(
            start,
            hits,
            steps,
            geometry=geometry,
            seen=seen,
            bred=bred,
            rate=self.mutation_rate,
            mutation=self.mutation,
            strength=self.strength(population.x, population.fitness),
        )
