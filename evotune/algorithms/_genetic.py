"""The genetic algorithm."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._adaptation import ADAPTATIONS, Adaptation, constant_strength
from evotune.algorithms._archive import Archive, empty_archive, file
from evotune.algorithms._breeding import Breeding
from evotune.algorithms._children import children_of_seats
from evotune.algorithms._crossover import CROSSOVERS, Crossover
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._draws import key_after, uniforms
from evotune.algorithms._duplicates import fingerprint, remember
from evotune.algorithms._initial_design import initial_design
from evotune.algorithms._mutation import MUTATIONS, Mutation
from evotune.algorithms._niching import niche_problems, standing
from evotune.algorithms._seats import Seats, begun_again, contested, free_seats
from evotune.algorithms._selection import (
    SELECTIONS,
    Selection,
    tournament_selection,
)
from evotune.algorithms._settings import (
    choice_problem,
    count_problem,
    named,
    range_problem,
)
from evotune.algorithms._sobol import scrambling
from evotune.algorithms._surrogate import (
    SURROGATE,
    Chosen,
    Surrogate,
    surrogate_problem,
)
from evotune.algorithms._trials import advance, next_trials

_SLOW = 8
"""Generations over which differences come to their share: at first they are steps of
the size of the cube."""

_BORN, _CHOSEN = -1, -(1 << 30)
"""Counters that no trial has, for keys that no other `ask` has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneticState:
    """What the genetic algorithm knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        seats: The trials that may breed.
        seen: u32[H], a table of the trials told so far, pending ones too.
        seed: u32[D], which scrambling each dimension of the first points has.
        archive: What the surrogate learns from; None where there is none.
    """

    geometry: Geometry
    next_trial: jax.Array
    seats: Seats
    seen: jax.Array
    seed: jax.Array
    archive: Archive | None = None


jax.tree_util.register_dataclass(
    GeneticState, ["next_trial", "seats", "seen", "seed", "archive"], ["geometry"]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GeneticAlgorithm:
    """Breeds new trials from the best ones, and tries the children that promise most.

    The first generation is of a scrambled Sobol sequence. Each trial competes for a
    seat of the population, its number modulo N, and takes it if it is at least as good
    as who holds it: the best are never lost and never trained again, and no family
    takes all seats at once. Half of the children are crossed and mutated from selected
    parents, half are moved by differences between holders, as in differential
    evolution, by weights that adapt themselves; of the first eight generations fewer
    are. A child that has been tried before, or is twice in the batch, is mutated
    further.

    While few trials are known, many more children are born than can be trained, and a
    Gaussian process of all trials so far (`Surrogate`) picks those that it expects to
    improve on the best, each in its own way.

    After ``patience`` generations without a better trial the search starts again
    elsewhere, with twice the seats and without a surrogate: where one is, its optimum
    has been found, and a larger population sees further.

    Results may come back in any order, in parts, or with failures; `ask` breeds from
    what is known. A trial that diverged, failed, was pruned or is infeasible does not
    breed; the surrogate learns from those that diverged or are infeasible to keep
    away. The first objective counts.

    Args:
        population_size: N, trials of a generation and seats of the first population.
        selection: "tournament", "linear_rank", "roulette" or "truncation", or a
            function ``(u, fitness) -> places``.
        tournament_size: Contestants of each tournament, for selection "tournament".
        crossover: "blend", "simulated_binary", "uniform", "one_point" or "two_point",
            or a function ``(u, a, b) -> children``.
        crossover_rate: The chance that a child has two parents, not one.
        mutation: "gaussian" or "polynomial", or a function ``(u, x, strength) -> x``.
            Categorical coordinates are resampled.
        mutation_rate: The chance that a coordinate is mutated; 0.8 / D if None.
        mutation_strength: The size of a step in unit-cube lengths: "spread" follows the
            population, "constant" or a number stays, or a function ``(x, fitness) ->
            f32[1, D]``.
        differing: The share of children that are moved by differences, in [0, 1].
        attempts: How often a repeated row is changed before it is proposed as it is:
            the first half of the attempts mutate, each at twice the rate, the others
            sample afresh. 1 allows duplicates.
        history_size: H, the places of the table of past trials: n trials later, one of
            them is forgotten with a chance of about n / H.
        patience: Generations without a better trial after which the search starts
            again; None for never.
        doublings: How often the number of seats doubles; later starts keep it.
        surrogate: Chooses among the children, or None.
        niche_radius: Of trials within this distance of a better one, the root mean
            square over dimensions in unit-cube lengths, none is selected and none takes
            the seat of the best of another niche, so that several peaks are kept; 0 for
            no niches. Only without a surrogate, which looks elsewhere by itself; what
            is proposed can hang on the order in which results came.

    Raises:
        ValueError: If a setting is out of range or an operator's name is unknown; all
            problems are listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = GeneticAlgorithm(population_size=8, selection="truncation")
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (8, 2)

    Reference:
        Goldberg (1989), "Genetic Algorithms in Search, Optimization and Machine
        Learning"; seats and differences as Storn and Price (1997), "Differential
        evolution"; restarts as Auger and Hansen (2005), "A restart CMA evolution
        strategy with increasing population size"; each operator names its own. Differs
        from the book: a steady stream of results takes the place of generations, a
        child replaces the holder of its seat and not its parents, and a surrogate
        chooses among the first children.
    """

    population_size: int = 64
    selection: str | Selection = "tournament"
    tournament_size: int = 8
    crossover: str | Crossover = "blend"
    crossover_rate: float = 1.0
    mutation: str | Mutation = "gaussian"
    mutation_rate: float | None = None
    mutation_strength: str | float | Adaptation = "spread"
    differing: float = 0.5
    attempts: int = 8
    history_size: int = 65536
    patience: int | None = 16
    doublings: int = 2
    surrogate: Surrogate | None = SURROGATE
    niche_radius: float = 0.0

    def __post_init__(self) -> None:
        raise_all(self._problems(), ValueError, "GeneticAlgorithm")

    def _problems(self) -> list[str]:
        """What is wrong with the settings."""
        problems = count_problem(
            "population_size", self.population_size, 2, "two parents to a child"
        )
        problems += choice_problem("selection", self.selection, SELECTIONS)
        problems += choice_problem("crossover", self.crossover, CROSSOVERS)
        problems += choice_problem("mutation", self.mutation, MUTATIONS)
        for name in ("crossover_rate", "mutation_rate", "differing"):
            if getattr(self, name) is not None:
                problems += range_problem(name, getattr(self, name), 0, 1, "0.5")
        if isinstance(self.mutation_strength, int | float):
            strength = self.mutation_strength
            problems += range_problem("mutation_strength", strength, 0, 1, "0.1")
        else:
            problems += choice_problem(
                "mutation_strength", self.mutation_strength, ADAPTATIONS
            )
        problems += surrogate_problem(self.surrogate)
        problems += niche_problems(self.niche_radius, self.surrogate)
        for name in ("tournament_size", "attempts", "history_size"):
            problems += count_problem(name, getattr(self, name), 1, "to mean anything")
        problems += count_problem("doublings", self.doublings, 0, "of the seats")
        if self.patience is not None:
            problems += count_problem("patience", self.patience, 1, "or None for ever")
        return problems

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: the population size."""
        return self.population_size

    def init(self, key: jax.Array, geometry: Geometry) -> GeneticState:
        """The state before anything is known.

        Args:
            key: Consumed; the first trials, F and CR of differences are drawn with it.
            geometry: The space.
        """
        size, dimensions, archive = self.population_size, geometry.dimensions, None
        if self.surrogate is not None:
            archive = empty_archive(self.surrogate.trials, size, dimensions)
        words = scrambling(key, dimensions + 2)
        most = size if self.patience is None else size * 2**self.doublings
        return GeneticState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            seats=free_seats(words[-2:], size, most, dimensions),
            seen=jnp.zeros((self.history_size,), jnp.uint32),
            seed=words[:-2],
            archive=archive,
        )

    def ask(self, key: jax.Array, state: GeneticState) -> Proposal:
        """The next generation; as much of it as is known enough for is bred.

        Args:
            key: Consumed.
            state: Only read.
        """
        rows, geometry = self.population_size, state.geometry
        trial = next_trials(state.next_trial, rows)
        breeding = self._breeding(geometry.dimensions)
        shape, tries = (rows, geometry.dimensions), (self.attempts, rows)
        # The counter goes in, so that a second ask with one key differs.
        key = key_after(key, state.next_trial)
        u = uniforms(key, shape, (*tries, shape[1]), (*tries, shape[1]))
        born = children_of_seats(
            *(key_after(key, jnp.int32(_BORN)), state.seats, trial),
            *(breeding, geometry, self._differing(state.seats, trial)),
            niche_radius=self.niche_radius,
        )
        first = initial_design(
            *(trial, state.seats.size, state.seed, u[0]), start=state.seats.start
        )
        start = jnp.where(born.ready[:, None], born.x, first)
        bred = born.ready & born.crossed
        if self.surrogate is not None:
            chosen = self._chosen(self.surrogate, key, state, trial)
            start = jnp.where(chosen.places[:, None], chosen.x, start)
            bred &= ~chosen.places
        x = breeding.mutate_until_new(
            *(state.seats.ranked(), start, bred[:, None], state.seen, geometry),
            *u[1:],
        )
        return fresh(x, trial)

    def _chosen(
        self,
        surrogate: Surrogate,
        key: jax.Array,
        state: GeneticState,
        trial: jax.Array,
    ) -> Chosen:
        """What the surrogate chooses: nothing after the first contest."""
        archive, geometry = state.archive, state.geometry
        assert archive is not None, "an archive belongs to a surrogate"
        told = jnp.sum(archive.told.trial != EMPTY, dtype=jnp.int32)
        own = key_after(key, jnp.int32(_CHOSEN))
        breeding = self._breeding(geometry.dimensions)
        return surrogate.choice(
            trial,
            jnp.where(state.seats.start == 0, told, 0),
            lambda: surrogate.propose(
                *(own, archive, state.seen, breeding, geometry, trial.shape[0])
            ),
            geometry.dimensions,
        )

    def tell(self, state: GeneticState, outcome: Outcome) -> GeneticState:
        """The state that knows ``outcome``.

        RUNNING rows are remembered, so that they are not proposed again.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        x = canonicalise(outcome.x, state.geometry)
        next_trial = advance(state.next_trial, outcome.trial)
        by = functools.partial(
            standing, geometry=state.geometry, radius=self.niche_radius
        )
        seats = contested(state.seats, outcome, x, by if self.niche_radius else None)
        archive = state.archive
        if self.patience is not None:
            patience = self.patience * self.population_size
            seats = begun_again(seats, outcome, next_trial, patience)
        return dataclasses.replace(
            state,
            next_trial=next_trial,
            seats=seats,
            seen=remember(state.seen, outcome.trial, fingerprint(x)),
            archive=None if archive is None else file(archive, outcome, x),
        )

    def _differing(self, seats: Seats, trial: jax.Array) -> jax.Array:
        """f32[P], the chance of trials to be made by differences."""
        age = (trial - seats.start).astype(jnp.float32)
        slow = jnp.minimum(age / (_SLOW * self.population_size), 1.0)
        return self.differing * slow

    def _breeding(self, dimensions: int) -> Breeding:
        """The operators that the settings name."""
        selection, strength = self.selection, self.mutation_strength
        if selection == "tournament":
            size = self.tournament_size
            selection = functools.partial(tournament_selection, size=size)
        if isinstance(strength, int | float):
            strength = functools.partial(constant_strength, strength=float(strength))
        rate = self.mutation_rate
        return Breeding(
            selection=named(selection, SELECTIONS),
            crossover=named(self.crossover, CROSSOVERS),
            crossover_rate=self.crossover_rate,
            mutation=named(self.mutation, MUTATIONS),
            mutation_rate=0.8 / dimensions if rate is None else rate,
            strength=named(strength, ADAPTATIONS),
        )
