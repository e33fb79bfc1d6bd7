"""NSGA-II, for several objectives and constraints."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._compromises import Compromises
from evotune.algorithms._dominance import crowding_distances, nondominated_ranks
from evotune.algorithms._draws import key_after
from evotune.algorithms._front_children import Operators
from evotune.algorithms._front_state import (
    FrontState,
    size_problems,
    start,
    with_results,
)
from evotune.algorithms._surrogate import SURROGATE, Surrogate, surrogate_problem
from evotune.algorithms._trials import next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class NSGA2:
    """Breeds from the best compromises, spread along their front: NSGA-II.

    Of the 2 N trials of the population and its children, N survive: those of the first
    fronts, and of the last front that fits in part those whose neighbours are furthest.
    Parents win tournaments of two by the same order; children are crossed (simulated
    binary crossover) and mutated (polynomial mutation).

    A trial that violates constraints less comes before one that violates them more,
    whatever its objectives; all constraints at 0 or below are satisfied.

    The first generation is of a scrambled Sobol sequence. Results may come back in any
    order within a generation, in parts, or with failures, which do not breed. A child
    that has been tried before is mutated further.

    While few trials are known, a Gaussian process of each objective (`Surrogate`)
    picks, of many more children than can be trained, those that are expected to add
    most to the hypervolume of the front, each in its own way; what is infeasible is to
    it worse than all else.

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
        surrogate: Chooses among the children, or None.

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
        paper: the index of crossover is 15, not 20; every coordinate crosses,
        categories are those of either parent or resampled, repeats are avoided, the
        first generation is not random, and a surrogate chooses among the first
        children; ``surrogate=None`` goes without.
    """

    population_size: int = 64
    objectives: int = 2
    crossover_rate: float = 0.9
    crossover_index: float = 15.0
    mutation_rate: float | None = None
    mutation_index: float = 20.0
    surrogate: Surrogate | None = SURROGATE

    def __post_init__(self) -> None:
        problems = size_problems(self.population_size, self.objectives)
        problems += self._operators.problems()
        problems += surrogate_problem(self.surrogate)
        raise_all(problems, ValueError, "NSGA2")

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: the population size."""
        return self.population_size

    @property
    def _operators(self) -> Operators:
        """How children come about."""
        return Operators(
            crossover_rate=self.crossover_rate,
            crossover_index=self.crossover_index,
            mutation_rate=self.mutation_rate,
            mutation_index=self.mutation_index,
        )

    def init(self, key: jax.Array, geometry: Geometry) -> FrontState:
        """The state before anything is known.

        Args:
            key: Consumed; it scrambles the first generation.
            geometry: The space.
        """
        sizes = self.population_size, self.objectives
        return start(key, geometry, *sizes, self.surrogate)

    def ask(self, key: jax.Array, state: FrontState) -> Proposal:
        """N children of the N that survive.

        Args:
            key: Consumed.
            state: Only read.
        """
        rows, operators = self.population_size, self._operators
        key = key_after(key, state.next_trial)
        told, chosen = survivors(state.members, state.members.trial.shape[0]), None
        if self.surrogate is not None:
            chosen = operators.chosen(key, state, self.surrogate, told)
        parents = jax.tree.map(lambda leaf: leaf[:rows], told)
        x = operators.children(key, state, parents, chosen=chosen)
        return fresh(x, next_trials(state.next_trial, rows))

    def tell(self, state: FrontState, outcome: Outcome) -> FrontState:
        """The state that knows ``outcome``.

        RUNNING rows are remembered, so that they are not proposed again.

        Args:
            state: The state before.
            outcome: Any rows; ``fitness`` must be f32[P, M].

        Raises:
            ValueError: If the outcome has another number of objectives.
        """
        return with_results(state, outcome, survivors, "NSGA2")


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
