"""Children of compromises: bred, or chosen by a surrogate."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from evotune.algorithms._adaptation import constant_strength
from evotune.algorithms._breeding import (
    ATTEMPTS,
    Breeding,
    crossed,
    mutate_until_new,
)
from evotune.algorithms._compromises import Compromises
from evotune.algorithms._crossover import Crossover, simulated_binary_crossover
from evotune.algorithms._draws import key_after, uniforms
from evotune.algorithms._front_state import FrontState
from evotune.algorithms._front_surrogate import widening_rows
from evotune.algorithms._initial_design import initial_design
from evotune.algorithms._mutation import polynomial_mutation
from evotune.algorithms._selection import tournament_selection
from evotune.algorithms._settings import range_problem
from evotune.algorithms._surrogate import Chosen, Surrogate
from evotune.algorithms._trials import next_trials

_CHILDREN = 4
"""Children of each known parent, at most, while few are known; the rest is sampled."""

_SURROGATE = 1 << 29
"""Makes a second key of one; no trial has this number."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operators:
    """How children come about: SBX and polynomial mutation.

    Attributes:
        crossover_rate: The chance that a child has two parents.
        crossover_index: The distribution index of crossover.
        mutation_rate: The chance that a coordinate is mutated; 1 / D if None.
        mutation_index: The distribution index of mutation.
    """

    crossover_rate: float
    crossover_index: float
    mutation_rate: float | None
    mutation_index: float

    def problems(self) -> list[str]:
        """What is wrong with the settings."""
        problems = range_problem("crossover_rate", self.crossover_rate, 0, 1, "0.9")
        if self.mutation_rate is not None:
            problems += range_problem("mutation_rate", self.mutation_rate, 0, 1, "0.1")
        for name in ("crossover_index", "mutation_index"):
            problems += range_problem(name, getattr(self, name), 0, 1000, "20.0")
        return problems

    @property
    def crossover(self) -> Crossover:
        """SBX with its index."""
        return functools.partial(simulated_binary_crossover, eta=self.crossover_index)

    @property
    def strength(self) -> float:
        """Polynomial mutation knows its index n as a strength, 1 / (n + 1)."""
        return 1.0 / (self.mutation_index + 1.0)

    def children(
        self,
        key: jax.Array,
        state: FrontState,
        parents: Compromises,
        *,
        fair: bool = False,
        chosen: Chosen | None = None,
    ) -> jax.Array:
        """As many children as there are parents, all of them new.

        The first generation is of a scrambled Sobol sequence; later, while few parents
        are known, the rest is uniform.

        Args:
            key: Consumed.
            state: Only read.
            parents: N places, the best first.
            fair: Whether a tournament of two is decided by violations alone, not by
                the order of the parents.
            chosen: What a surrogate has chosen in the place of children.

        Returns:
            f32[N, D], canonical.
        """
        geometry, rows = state.geometry, parents.trial.shape[0]
        shape = (rows, geometry.dimensions)
        tries = (ATTEMPTS, *shape)
        choose, cross, mix, sample, hits, steps = uniforms(
            key,
            *((2, 2 * rows), (rows, 1), shape, shape, tries, tries),
        )
        known = jnp.sum(parents.known, dtype=jnp.int32)
        first, second = parents.x[_winners(choose, parents, known, fair)]
        child = crossed(mix, first, second, self.crossover, geometry)
        child = jnp.where(cross < self.crossover_rate, child, first)
        bred = (next_trials(jnp.int32(0), rows) < _CHILDREN * known)[:, None]
        trial = next_trials(state.next_trial, rows)
        sampled = initial_design(trial, rows, state.seed, sample)
        rate, start = self.mutation_rate, jnp.where(bred, child, sampled)
        if chosen is not None:
            start = jnp.where(chosen.places[:, None], chosen.x, start)
            bred &= ~chosen.places[:, None]
        return mutate_until_new(
            start,
            hits,
            steps,
            geometry=geometry,
            seen=state.seen,
            bred=bred,
            rate=1.0 / geometry.dimensions if rate is None else rate,
            mutation=polynomial_mutation,
            strength=jnp.full((1, geometry.dimensions), self.strength, jnp.float32),
        )

    def breeding(self, dimensions: int) -> Breeding:
        """The operators as a surrogate takes them."""
        rate = self.mutation_rate
        return Breeding(
            selection=tournament_selection,
            crossover=self.crossover,
            crossover_rate=self.crossover_rate,
            mutation=polynomial_mutation,
            mutation_rate=1.0 / dimensions if rate is None else rate,
            strength=functools.partial(constant_strength, strength=self.strength),
        )

    def chosen(
        self,
        key: jax.Array,
        state: FrontState,
        surrogate: Surrogate,
        told: Compromises,
    ) -> Chosen:
        """The rows of a generation that a surrogate chooses, none of the first one.

        Args:
            key: Consumed.
            state: Only read; it knows who is under way.
            surrogate: Chooses.
            told: All that it knows, the best first.
        """
        rows, dimensions = state.underway.trial.shape[0], state.geometry.dimensions
        own = key_after(key, jnp.int32(_SURROGATE))
        breeding = self.breeding(dimensions)
        return surrogate.choice(
            next_trials(state.next_trial, rows),
            jnp.sum(told.known, dtype=jnp.int32),
            lambda: widening_rows(surrogate, own, state, breeding, told),
            dimensions,
        )


def _winners(
    choose: jax.Array, parents: Compromises, known: jax.Array, fair: bool
) -> jax.Array:
    """i32[2, N], who wins tournaments of two drawn by ``choose``, f32[2, 2 N]."""
    last = jnp.maximum(known - 1, 0)
    drawn = jnp.minimum((choose * known.astype(jnp.float32)).astype(jnp.int32), last)
    winner = jnp.min(drawn, axis=0)
    if fair:
        first, second = parents.violation[drawn]
        winner = jnp.where(first == second, drawn[0], winner)
    return winner.reshape(2, -1)
