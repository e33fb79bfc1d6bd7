"""NSGA-II, for several objectives and constraints."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, Status, fresh
from evotune._errors import raise_all
from evotune.algorithms._breeding import ATTEMPTS, CHILDREN, crossed, mutate_until_new
from evotune.algorithms._crossover import simulated_binary_crossover
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._dominance import crowding_distances, nondominated_ranks
from evotune.algorithms._draws import key_after, latin_hypercube, uniforms
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._mutation import polynomial_mutation
from evotune.algorithms._selection import tournament_selection
from evotune.algorithms._settings import count_problem, range_problem
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compromises:
    """Trials of several objectives, in R places, the newest first.

    Attributes:
        x: f32[R, D], canonical.
        fitness: f32[R, M], larger is better; 0 where a place holds nobody.
        violation: f32[R], how far constraints are violated, in all; inf for nobody.
        trial: i32[R], EMPTY where a place holds nobody.
    """

    x: jax.Array
    fitness: jax.Array
    violation: jax.Array
    trial: jax.Array

    @property
    def known(self) -> jax.Array:
        """bool[R], whether a place holds somebody."""
        return jnp.isfinite(self.violation)


jax.tree_util.register_dataclass(
    Compromises, ["x", "fitness", "violation", "trial"], []
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NSGA2State:
    """What NSGA-II knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        members: 2 N places for survivors and what came after them.
        seen: u32[H], a table of the trials told so far, pending ones too.
    """

    geometry: Geometry
    next_trial: jax.Array
    members: Compromises
    seen: jax.Array


jax.tree_util.register_dataclass(
    NSGA2State, ["next_trial", "members", "seen"], ["geometry"]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NSGA2:
    """Breeds from the best compromises, spread along their front: NSGA-II.

    Of the 2 N trials of the population and its children, N survive: those of the first
    fronts, and of the last front that fits in part those whose neighbours are furthest.
    Parents win tournaments of two by the same order; children are crossed (simulated
    binary crossover) and mutated (polynomial mutation).

    A trial that violates constraints less comes before one that violates them more,
    whatever its objectives; all constraints at 0 or below are satisfied.

    The first generation is a Latin hypercube. Results may come back in any order within
    a generation, in parts, or with failures, which do not breed. A child that has been
    tried before is mutated further.

    Outcomes, RUNNING ones too, must have M columns of fitness: make those that are
    under way by ``pending(proposal, objectives=M)``.

    Args:
        population_size: N, survivors and rows of every proposal.
        objectives: M, the columns of the fitness that is told.
        crossover_rate: The chance that a child has two parents.
        crossover_index: The distribution index of crossover; large ones keep children
            near their parents.
        mutation_rate: The chance that a coordinate is mutated; 1 / D if None.
        mutation_index: The distribution index of mutation.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = NSGA2(population_size=8)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (8, 2)

    Reference:
        Deb, Pratap, Agarwal and Meyarivan (2002), "A fast and elitist multiobjective
        genetic algorithm: NSGA-II", with its operators and numbers. Differs from the
        paper: every coordinate crosses, categories are those of either parent or
        resampled, repeats are avoided, and the first generation is stratified.
    """

    population_size: int = 64
    objectives: int = 2
    crossover_rate: float = 0.9
    crossover_index: float = 20.0
    mutation_rate: float | None = None
    mutation_index: float = 20.0

    def __post_init__(self) -> None:
        size = self.population_size
        problems = count_problem("population_size", size, 2, "two parents to a child")
        problems += count_problem("objectives", self.objectives, 1, "columns to rank")
        problems += range_problem("crossover_rate", self.crossover_rate, 0, 1, "0.9")
        rate = self.mutation_rate
        if rate is not None:
            problems += range_problem("mutation_rate", rate, 0, 1, "0.1")
        for name in ("crossover_index", "mutation_index"):
            problems += range_problem(name, getattr(self, name), 0, 1000, "20.0")
        raise_all(problems, ValueError, "NSGA2")

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: the population size."""
        return self.population_size

    def init(self, key: jax.Array, geometry: Geometry) -> NSGA2State:
        """The state before anything is known.

        Args:
            key: Consumed; nothing is drawn from it.
            geometry: The space.
        """
        del key
        places, dimensions = 2 * self.population_size, geometry.dimensions
        return NSGA2State(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            members=Compromises(
                x=jnp.full((places, dimensions), 0.5, jnp.float32),
                fitness=jnp.zeros((places, self.objectives), jnp.float32),
                violation=jnp.full((places,), jnp.inf, jnp.float32),
                trial=jnp.full((places,), EMPTY, jnp.int32),
            ),
            seen=jnp.zeros((HISTORY,), jnp.uint32),
        )

    def ask(self, key: jax.Array, state: NSGA2State) -> Proposal:
        """N children of the N that survive.

        Args:
            key: Consumed.
            state: Only read.
        """
        rows, geometry = self.population_size, state.geometry
        shape = (rows, geometry.dimensions)
        tries = (ATTEMPTS, *shape)
        choose, cross, mix, order, jitter, hits, steps = uniforms(
            key_after(key, state.next_trial),
            *((2 * rows,), (rows, 1), shape, shape, shape, tries, tries),
        )
        parents = survivors(state.members, rows)
        fitness = jnp.where(parents.known, 0.0, -jnp.inf)  # their order is what counts
        places = tournament_selection(choose, fitness, size=2.0)
        first, second = parents.x[places.reshape(2, -1)]
        crossover = functools.partial(
            simulated_binary_crossover, eta=self.crossover_index
        )
        child = crossed(mix, first, second, crossover, geometry)
        child = jnp.where(cross < self.crossover_rate, child, first)
        row = next_trials(jnp.int32(0), rows)
        bred = (row < CHILDREN * jnp.sum(parents.known, dtype=jnp.int32))[:, None]
        rate = self.mutation_rate
        x = mutate_until_new(
            jnp.where(bred, child, latin_hypercube(order, jitter)),
            hits,
            steps,
            geometry=geometry,
            seen=state.seen,
            bred=bred,
            rate=1.0 / geometry.dimensions if rate is None else rate,
            mutation=polynomial_mutation,
            # The operator knows its index n as a strength, 1 / (n + 1).
            strength=jnp.full(
                (1, geometry.dimensions), 1.0 / (self.mutation_index + 1.0), jnp.float32
            ),
        )
        return fresh(x, next_trials(state.next_trial, rows))

    def tell(self, state: NSGA2State, outcome: Outcome) -> NSGA2State:
        """The state that knows ``outcome``.

        RUNNING rows are remembered, so that they are not proposed again.

        Args:
            state: The state before.
            outcome: Any rows; ``fitness`` must be f32[P, M].

        Raises:
            ValueError: If the outcome has another number of objectives.
        """
        told = outcome.fitness.shape[1]
        if told != self.objectives:
            raise ValueError(
                f"An outcome must have as many objectives as the algorithm ranks, but "
                f"got {told} and `objectives={self.objectives}`. Use "
                f"`NSGA2(objectives={told})`."
            )
        x = canonicalise(outcome.x, state.geometry)
        new = _compromises(outcome, x)
        members, size = state.members, self.population_size
        # What came before is cut down to N once there is no place for what comes now.
        wanted = jnp.sum(members.known) + jnp.sum(new.known)
        members = jax.lax.cond(
            wanted > 2 * size, lambda all_: _cut(all_, size), lambda all_: all_, members
        )
        return dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, outcome.trial),
            members=_joined(members, new, outcome),
            seen=remember(state.seen, outcome.trial, fingerprint(x)),
        )


def survivors(members: Compromises, size: int) -> Compromises:
    """The ``size`` best, the best first: by front, then by crowding, then the newer.

    Args:
        members: R places.
        size: N, at most R.
    """
    rank = nondominated_ranks(members.fitness, members.violation)
    crowding = crowding_distances(members.fitness, rank)
    order = jnp.lexsort((-members.trial, -crowding, rank, ~members.known))[:size]
    return jax.tree.map(lambda leaf: leaf[order], members)


def _cut(members: Compromises, size: int) -> Compromises:
    """The survivors, in as many places as before, the newest first."""
    best = survivors(members, size)
    rest = jax.tree.map(lambda leaf: leaf[size:], members)
    nobody = dataclasses.replace(
        rest,
        violation=jnp.full_like(rest.violation, jnp.inf),
        trial=jnp.full_like(rest.trial, EMPTY),
    )
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), best, nobody)
    return _newest(joined, members.trial.shape[0])


def _newest(members: Compromises, places: int) -> Compromises:
    """The newest, and then nobody: an order that hangs on who is there alone."""
    order = jnp.argsort(jnp.where(members.known, -members.trial, 1), stable=True)
    return jax.tree.map(lambda leaf: leaf[order[:places]], members)


def _compromises(outcome: Outcome, x: jax.Array) -> Compromises:
    """The rows that may breed: COMPLETE and finite, feasible or not."""
    good = (outcome.status == Status.COMPLETE) & (outcome.trial != EMPTY)
    good &= jnp.isfinite(outcome.fitness).all(axis=1)
    violation = jnp.sum(jnp.maximum(outcome.constraints, 0.0), axis=1)
    good &= jnp.isfinite(violation)
    return Compromises(
        x=x,
        fitness=jnp.where(good[:, None], outcome.fitness, 0.0),
        violation=jnp.where(good, violation, jnp.inf),
        trial=jnp.where(good, outcome.trial, EMPTY),
    )


def _joined(members: Compromises, new: Compromises, outcome: Outcome) -> Compromises:
    """Members and new ones; a trial that is told again replaces what it was."""
    told = (outcome.trial != EMPTY) & (outcome.status != Status.RUNNING)
    again = ((members.trial[:, None] == outcome.trial[None]) & told[None]).any(axis=1)
    kept = dataclasses.replace(
        members,
        violation=jnp.where(again, jnp.inf, members.violation),
        trial=jnp.where(again, EMPTY, members.trial),
    )
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), kept, new)
    return _newest(joined, members.trial.shape[0])
