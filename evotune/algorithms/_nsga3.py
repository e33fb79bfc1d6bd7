"""NSGA-III, for three objectives and more, and constraints."""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._compromises import Compromises
from evotune.algorithms._dominance import nondominated_ranks
from evotune.algorithms._draws import key_after
from evotune.algorithms._front_children import Operators
from evotune.algorithms._front_state import (
    FrontState,
    size_problems,
    start,
    with_results,
)
from evotune.algorithms._niches import (
    associated,
    most_divisions,
    normalised,
    simplex_lattice,
    turns,
)
from evotune.algorithms._settings import count_problem
from evotune.algorithms._trials import next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class NSGA3:
    """Breeds from compromises near evenly spread directions: NSGA-III.

    As `NSGA2`, but of the last front that fits in part those survive whose directions
    have the fewest members so far, the nearest first: distances between neighbours say
    little where a front has many dimensions. Directions go from the best value of each
    objective to a lattice on the plane through the extreme points of the front, so that
    objectives may have any scale. Of two that are drawn to breed, one that violates
    constraints less is taken; else it is chance alone.

    Args:
        population_size: N, survivors and rows of every proposal.
        objectives: M, the columns of the fitness that is told.
        divisions: p, of each edge of the lattice, which has (p + M - 1) over (M - 1)
            directions; the most that N members can fill if None.
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
        >>> search = NSGA3(population_size=8, objectives=3)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (8, 2)
        >>> search.directions.shape
        (6, 3)

    Reference:
        Deb and Jain (2014), "An evolutionary many-objective optimization algorithm
        using reference-point-based nondominated sorting approach, part I"; constraints
        as in part II, Jain and Deb (2014). Differs from the papers: where they draw
        lots, for a niche or for one of its members, the nearest is taken; extreme
        points and best values are those of the members, not of all trials ever, the
        extreme ones of the first front and in its units, so that no objective's scale
        counts; directions have one layer; every coordinate crosses; repeats are
        avoided, and the first generation is not random.
    """

    population_size: int = 64
    objectives: int = 3
    divisions: int | None = None
    crossover_rate: float = 1.0
    crossover_index: float = 30.0
    mutation_rate: float | None = None
    mutation_index: float = 20.0

    def __post_init__(self) -> None:
        problems = size_problems(self.population_size, self.objectives)
        if self.divisions is not None:
            sizes = not problems
            problems += count_problem("divisions", self.divisions, 1, "of each edge")
            problems += self._lattice_problems() if sizes and not problems else []
        problems += self._operators.problems()
        raise_all(problems, ValueError, "NSGA3")

    def _lattice_problems(self) -> list[str]:
        """A problem if there are more directions than members."""
        size, objectives = self.population_size, self.objectives
        count = math.comb((self.divisions or 1) + objectives - 1, objectives - 1)
        if count <= size:
            return []
        return [
            f"Each direction must have a member, so that there are at most as many of "
            f"them as `population_size={size}`, but got {count} of "
            f"`divisions={self.divisions}`. Use `population_size={count}` or "
            f"`divisions={most_divisions(objectives, size)}`."
        ]

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: the population size."""
        return self.population_size

    @property
    def directions(self) -> np.ndarray:
        """f32[H, M] points of the plane on which all normalised losses add up to 1."""
        most = most_divisions(self.objectives, self.population_size)
        return simplex_lattice(self.objectives, self.divisions or most)

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
        return start(key, geometry, self.population_size, self.objectives)

    def ask(self, key: jax.Array, state: FrontState) -> Proposal:
        """N children of the N that survive.

        Args:
            key: Consumed.
            state: Only read.
        """
        rows = self.population_size
        parents = near_directions(state.members, rows, directions=self.directions)
        key = key_after(key, state.next_trial)
        x = self._operators.children(key, state, parents, fair=True)
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
        survivors = functools.partial(near_directions, directions=self.directions)
        return with_results(state, outcome, survivors, "NSGA3")


def near_directions(
    members: Compromises, size: int, *, directions: np.ndarray
) -> Compromises:
    """The ``size`` best, the best first: by front, the last of them by its niches.

    Args:
        members: R places.
        size: N, at most R.
        directions: f32[H, M].
    """
    known, losses = members.known, -members.fitness
    rank = nondominated_ranks(members.fitness, members.violation)
    upto = jnp.sum((rank[None] <= rank[:, None]) & known[None], axis=1)
    before = jnp.sum((rank[None] < rank[:, None]) & known[None], axis=1)
    whole, split = known & (upto <= size), known & (before < size) & (upto > size)
    # What is infeasible has no say in scales, unless there is nothing else.
    counts = jnp.where(members.feasible.any(), members.feasible, known)
    points = normalised(losses, counts, counts & (rank == 0))
    niche, far = associated(points, directions)
    turn = turns(niche, far, whole, split)
    turn = jnp.where(split, turn, 0)
    order = jnp.lexsort((-members.trial, far, turn, rank, ~known))[:size]
    return jax.tree.map(lambda leaf: leaf[order], members)
