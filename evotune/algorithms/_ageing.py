"""Ageing evolution, also called regularised evolution."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._adaptation import constant_strength
from evotune.algorithms._breeding import mutate_until_new
from evotune.algorithms._cube import active, canonicalise, levels_of
from evotune.algorithms._draws import key_after, uniforms
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._initial_design import initial_design
from evotune.algorithms._mutation import gaussian_mutation
from evotune.algorithms._population import Population, nobody, survive
from evotune.algorithms._selection import tournament_selection
from evotune.algorithms._settings import count_problem, range_problem
from evotune.algorithms._sobol import scrambling
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgeingState:
    """What ageing evolution knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        population: The newest trials, best first.
        seen: u32[H], a table of the trials told so far, pending ones too.
        seed: u32[D], which scrambling each dimension of the first points has.
    """

    geometry: Geometry
    next_trial: jax.Array
    population: Population
    seen: jax.Array
    seed: jax.Array


jax.tree_util.register_dataclass(
    AgeingState, ["next_trial", "population", "seen", "seed"], ["geometry"]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AgeingEvolution:
    """Changes one thing about a good young trial; the oldest die, however good.

    The first N trials are of a scrambled Sobol sequence. After them each row has one
    parent, the best of S drawn with replacement from the N newest trials, and differs
    from it in one dimension: a random one of those that are active. A category is
    resampled, a number takes a normal step. As nobody stays for ever, a trial that was
    merely lucky is forgotten, unless its children are good as well.

    Results may come back in any order, in parts, or with failures, which take no place
    in the population. A row that has been tried before is changed in more dimensions.
    The first objective counts.

    Args:
        population_size: N, how many of the newest trials may breed.
        sample_size: S, the contestants of a tournament.
        mutation_strength: Standard deviation of a step, in unit-cube lengths; a step
            along a discrete dimension is one level at least.
        batch_size: P, the rows of every proposal.
        attempts: How often a repeated row is changed before it is proposed as it is.
        history_size: H, the places of the table of past trials.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = AgeingEvolution(population_size=16, batch_size=4)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (4, 2)

    Reference:
        Real, Aggarwal, Huang and Le (2019), "Regularized evolution for image classifier
        architecture search", with its population of 100 and samples of 25. Differs from
        the paper: the first trials are not random, numbers take steps where it has
        choices only, P children have parents from one population, and repeats are
        avoided.
    """

    population_size: int = 100
    sample_size: int = 25
    mutation_strength: float = 0.2
    batch_size: int = 64
    attempts: int = 8
    history_size: int = HISTORY

    def __post_init__(self) -> None:
        problems = []
        for name in ("population_size", "sample_size", "batch_size"):
            problems += count_problem(name, getattr(self, name), 1, "to breed from")
        for name in ("attempts", "history_size"):
            problems += count_problem(name, getattr(self, name), 1, "to mean anything")
        strength = self.mutation_strength
        problems += range_problem("mutation_strength", strength, 0, 1, "0.2")
        raise_all(problems, ValueError, "AgeingEvolution")

    def init(self, key: jax.Array, geometry: Geometry) -> AgeingState:
        """The state before anything is known.

        Args:
            key: Consumed; it scrambles the first N trials.
            geometry: The space.
        """
        return AgeingState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            population=nobody(self.population_size, geometry.dimensions),
            seen=jnp.zeros((self.history_size,), jnp.uint32),
            seed=scrambling(key, geometry.dimensions),
        )

    def ask(self, key: jax.Array, state: AgeingState) -> Proposal:
        """P children of the population, or samples where it is not complete.

        Args:
            key: Consumed.
            state: Only read.
        """
        geometry, population = state.geometry, state.population
        shape = (self.batch_size, geometry.dimensions)
        tries = (self.attempts, *shape)
        choose, sample, hits, steps = uniforms(
            key_after(key, state.next_trial), shape[:1], shape, tries, tries
        )
        select = functools.partial(tournament_selection, size=self.sample_size)
        parents = population.x[select(choose, population.fitness)]
        trial = next_trials(state.next_trial, self.batch_size)
        bred = (trial >= self.population_size) & jnp.isfinite(population.fitness[0])
        first = initial_design(trial, self.population_size, state.seed, sample)
        start = jnp.where(bred[:, None], parents, first)
        x = mutate_until_new(
            start,
            one_at_first(hits, start, geometry),
            steps,
            geometry=geometry,
            seen=state.seen,
            bred=bred[:, None],
            rate=1.0 / geometry.dimensions,
            mutation=gaussian_mutation,
            strength=constant_strength(
                start, population.fitness, strength=self.mutation_strength
            ),
        )
        return fresh(x, trial)

    def tell(self, state: AgeingState, outcome: Outcome) -> AgeingState:
        """The state that knows ``outcome``.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        x = canonicalise(outcome.x, state.geometry)
        return dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, outcome.trial),
            population=survive(state.population, outcome, x, elites=0),
            seen=remember(state.seen, outcome.trial, fingerprint(x)),
        )


def one_at_first(u: jax.Array, x: jax.Array, geometry: Geometry) -> jax.Array:
    """Numbers of which the first attempt's choose one dimension that can change.

    Args:
        u: f32[A, P, D] in [0, 1); the dimension with the smallest is chosen.
        x: f32[P, D], the rows.
        geometry: The space.

    Returns:
        f32[A, P, D]: on the first attempt 0 where chosen, else 1; then ``u``.
    """
    levels = jnp.asarray(geometry.levels, jnp.int32)[None]
    live = active(levels_of(x, geometry), geometry) & (levels != 1)
    least = jnp.argmin(jnp.where(live, u[0], 2.0), axis=1)[:, None]
    chosen = jnp.arange(x.shape[1])[None] == least
    return u.at[0].set(jnp.where(chosen, 0.0, 1.0))
