"""From parents to children: the operators of a genetic algorithm at work."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import canonicalise, is_categorical
from evotune.algorithms._duplicates import fingerprint, repeats
from evotune.algorithms._mutation import resample_category
from evotune.algorithms._population import Population


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
        child = self.crossover(mix, first, second)
        # A blend of two categories is a third one: take that of either parent.
        either = jnp.where(mix < 0.5, first, second)
        between = is_categorical(geometry)[None] & (child != first)
        child = jnp.where(between & (child != second), either, child)
        return jnp.where(cross < self.crossover_rate, child, first)

    def strengths(self, population: Population, geometry: Geometry) -> jax.Array:
        """f32[1, D]; a step along a discrete dimension is one level, at least."""
        levels = np.asarray(geometry.levels, np.int32)
        ordered = (levels > 0) & ~is_categorical(geometry)
        cell = np.where(ordered, 1.0 / np.maximum(levels, 1), 0.0)
        strength = self.strength(population.x, population.fitness)
        return jnp.maximum(strength, cell.astype(np.float32)[None])

    def mutate(
        self,
        start: jax.Array,
        strength: jax.Array,
        geometry: Geometry,
        hits: jax.Array,
        steps: jax.Array,
        rate: jax.Array,
    ) -> jax.Array:
        """Rows with some coordinates mutated.

        Args:
            start: f32[R, D], rows before.
            strength: f32[1, D], from `strengths`.
            geometry: The space.
            hits: f32[R, D] uniform numbers that choose what is mutated.
            steps: f32[R, D] uniform numbers that choose how.
            rate: f32[R, 1] chances of a coordinate; 0 leaves a row as it is.

        Returns:
            f32[R, D], not yet canonical.
        """
        levels = np.asarray(geometry.levels, np.int32)
        moved = self.mutation(steps, start, strength)
        other = resample_category(steps, start, levels)
        moved = jnp.where(is_categorical(geometry)[None], other, moved)
        return jnp.where(hits < rate, moved, start)

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
        """Canonical rows to propose: mutated, and again where they repeat others.

        Args:
            population: Says how strong mutations are.
            start: f32[R, D], rows to mutate.
            bred: bool[R, 1], whether a row is mutated on the first attempt.
            seen: u32[H], the history of `remember`.
            geometry: The space.
            hits: f32[A, R, D], uniform numbers that choose what is mutated.
            steps: f32[A, R, D], uniform numbers that choose how.
        """
        attempts = hits.shape[0]
        strength = self.strengths(population, geometry)

        def attempt(
            carry: tuple[jax.Array, jax.Array, jax.Array],
        ) -> tuple[jax.Array, jax.Array, jax.Array]:
            number, rows, again = carry
            u, hit = steps[number], hits[number]
            chance = self.mutation_rate * 2.0 ** number.astype(jnp.float32)
            rate = jnp.where(bred | (number > 0), chance, 0.0)
            mutated = self.mutate(start, strength, geometry, hit, u, rate)
            afresh = (number > 0) & (number >= (attempts + 1) // 2)
            tried = jnp.where(afresh, u, mutated)
            rows = jnp.where(again[:, None], canonicalise(tried, geometry), rows)
            return number + 1, rows, repeats(fingerprint(rows), seen)

        def unfinished(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
            number, _, again = carry
            return (number < attempts) & again.any()

        everyone = jnp.ones(start.shape[0], bool)
        carry = (jnp.zeros((), jnp.int32), start, everyone)
        return jax.lax.while_loop(unfinished, attempt, carry)[1]
