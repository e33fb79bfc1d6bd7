"""Particle swarm optimisation."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._breeding import ATTEMPTS, renewed
from evotune.algorithms._cube import canonicalise, cell_walls, is_categorical
from evotune.algorithms._draws import key_after, uniforms
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._initial_design import initial_design
from evotune.algorithms._notes import Notes, no_notes, noted
from evotune.algorithms._population import Population, nobody, with_results
from evotune.algorithms._seats import seat_of, seated
from evotune.algorithms._settings import count_problem, range_problem
from evotune.algorithms._sobol import scrambling
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class SwarmState:
    """What a particle swarm knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        bests: The best trial of each of N particles, in their order.
        position: f32[N, D] with the trial that each particle has gone to last.
        velocity: f32[N, D], the step that led there.
        seen: u32[H], a table of the trials told so far, pending ones too.
        seed: u32[D], which scrambling each dimension of the first points has.
    """

    geometry: Geometry
    next_trial: jax.Array
    bests: Population
    position: Notes
    velocity: jax.Array
    seen: jax.Array
    seed: jax.Array


jax.tree_util.register_dataclass(
    SwarmState,
    ["next_trial", "bests", "position", "velocity", "seen", "seed"],
    ["geometry"],
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ParticleSwarm:
    """Particles that are drawn to their own best point and to that of all: PSO.

    From x, where it is, a particle takes the step

        v <- w v + c1 r1 (p - x) + c2 r2 (g - x),

    with p its own best point, g the best of all and r1, r2 uniform by coordinate; a
    step is no longer than ``max_velocity`` along any dimension, and ends at the walls.

    Along a discrete dimension a particle lands in one of the two levels about x + v, so
    that small steps add up on average. Along a categorical one it takes the category of
    x, p or g, with chances in proportion to w, c1 and c2. A point that has been tried
    before is mutated.

    Trial t is the next position of particle t modulo N. Results may come back in any
    order, in parts, or with failures; a particle without a position is sampled, and the
    first N trials are of a scrambled Sobol sequence. The first objective counts.

    Args:
        population_size: N, particles and rows of every proposal.
        inertia: w in [0, 1].
        own_pull: c1 in [0, 4].
        best_pull: c2 in [0, 4].
        max_velocity: The longest step along a dimension, in unit-cube lengths.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = ParticleSwarm(population_size=8)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (8, 2)

    Reference:
        Kennedy and Eberhart (1995), "Particle swarm optimization", with the constants
        of Clerc and Kennedy (2002), "The particle swarm: explosion, stability, and
        convergence in a multidimensional complex space". Differs from the papers:
        particles start at rest and not at random, v is measured from where a particle
        was sent, and discrete and categorical dimensions and repeats are treated as
        told above.
    """

    population_size: int = 64
    inertia: float = 0.7298
    own_pull: float = 1.49618
    best_pull: float = 1.49618
    max_velocity: float = 0.5

    def __post_init__(self) -> None:
        problems = count_problem("population_size", self.population_size, 2, "a swarm")
        problems += range_problem("inertia", self.inertia, 0, 1, "0.7298")
        problems += range_problem("own_pull", self.own_pull, 0, 4, "1.49618")
        problems += range_problem("best_pull", self.best_pull, 0, 4, "1.49618")
        problems += range_problem("max_velocity", self.max_velocity, 0, 1, "0.5")
        raise_all(problems, ValueError, "ParticleSwarm")

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: the population size."""
        return self.population_size

    def init(self, key: jax.Array, geometry: Geometry) -> SwarmState:
        """The state before anything is known.

        Args:
            key: Consumed; it scrambles the first trials.
            geometry: The space.
        """
        size, dimensions = self.population_size, geometry.dimensions
        return SwarmState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            bests=nobody(size, dimensions),
            position=no_notes(size, dimensions),
            velocity=jnp.zeros((size, dimensions), jnp.float32),
            seen=jnp.zeros((HISTORY,), jnp.uint32),
            seed=scrambling(key, dimensions),
        )

    def ask(self, key: jax.Array, state: SwarmState) -> Proposal:
        """The next position of each particle.

        Args:
            key: Consumed.
            state: Only read.
        """
        rows, geometry = self.population_size, state.geometry
        trial = next_trials(state.next_trial, rows)
        shape = (rows, geometry.dimensions)
        tries = (ATTEMPTS, *shape)
        draw = uniforms(
            key_after(key, state.next_trial),
            *(shape, shape, shape, shape, tries, tries),
        )
        seat = seat_of(trial, rows)
        placed = state.position.trial[seat] != EMPTY
        moves = placed & jnp.isfinite(state.bests.fitness).any()
        moved = self._moved(state, seat, *draw[:3])
        first = initial_design(trial, rows, state.seed, draw[3])
        start = jnp.where(moves[:, None], moved, first)
        x = renewed(start, draw[4], draw[5], geometry, state.seen)
        return fresh(x, trial)

    def tell(self, state: SwarmState, outcome: Outcome) -> SwarmState:
        """The state that knows ``outcome``.

        A particle moves when its trial is told, as RUNNING mostly, and knows whether
        that was any good when the result is told.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        x = canonicalise(outcome.x, state.geometry)
        before = state.position
        after = noted(before, outcome.trial, x)
        placed = (before.trial != EMPTY)[:, None]
        step = jnp.where(placed, after.value - before.value, 0.0)
        went = (after.trial != before.trial)[:, None]
        return dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, outcome.trial),
            bests=seated(with_results(state.bests, outcome, x), self.population_size),
            position=after,
            velocity=jnp.where(went, step, state.velocity),
            seen=remember(state.seen, outcome.trial, fingerprint(x)),
        )

    def _moved(
        self,
        state: SwarmState,
        seat: jax.Array,
        to_own: jax.Array,
        to_best: jax.Array,
        round_off: jax.Array,
    ) -> jax.Array:
        """Where some particles go, f32[P, D], before levels and categories are set.

        Args:
            state: Only read.
            seat: i32[P], which particles.
            to_own: f32[P, D], uniform numbers, r1.
            to_best: f32[P, D], uniform numbers, r2.
            round_off: f32[P, D], uniform numbers that choose levels and categories.
        """
        geometry, bests = state.geometry, state.bests
        x = state.position.value[seat]
        known = jnp.isfinite(bests.fitness[seat])[:, None]
        own = jnp.where(known, bests.x[seat], x)
        best = bests.x[jnp.argmax(bests.fitness)][None]
        v = self.inertia * state.velocity[seat]
        v = (
            v
            + self.own_pull * to_own * (own - x)
            + self.best_pull * to_best * (best - x)
        )
        moved = x + jnp.clip(v, -self.max_velocity, self.max_velocity)
        # A shift of up to half a cell, so that each level is as likely as it is near.
        low, high = cell_walls(jnp.clip(moved, 0.0, 1.0), geometry)
        discrete = np.asarray(geometry.levels)[None] > 0
        shift = jnp.where(discrete, (round_off - 0.5) * (high - low), 0.0)
        moved = jnp.clip(moved + shift, 0.0, 1.0)
        share = round_off * (self.inertia + self.own_pull + self.best_pull)
        other = jnp.where(share < self.inertia + self.own_pull, own, best)
        category = jnp.where(share < self.inertia, x, other)
        return jnp.where(is_categorical(geometry)[None], category, moved)
