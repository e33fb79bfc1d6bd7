"""Differential evolution."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry, Outcome, Proposal, fresh
from evotune._errors import raise_all
from evotune.algorithms._breeding import ATTEMPTS, renewed
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._differences import STRATEGIES, rivals
from evotune.algorithms._draws import key_after, uniforms
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._initial_design import initial_design
from evotune.algorithms._seats import Seats, contested, free_seats
from evotune.algorithms._settings import count_problem, name_problem, range_problem
from evotune.algorithms._sobol import scrambling
from evotune.algorithms._trials import advance, next_trials


@dataclasses.dataclass(frozen=True, kw_only=True)
class DifferentialState:
    """What differential evolution knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        seats: The best trial of each of N seats, and the F and CR that made it.
        seen: u32[H], a table of the trials told so far, pending ones too.
        seed: u32[D], which scrambling each dimension of the first points has.
    """

    geometry: Geometry
    next_trial: jax.Array
    seats: Seats
    seen: jax.Array
    seed: jax.Array


jax.tree_util.register_dataclass(
    DifferentialState, ["next_trial", "seats", "seen", "seed"], ["geometry"]
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DifferentialEvolution:
    """Adds differences of trials to trials, and keeps what is no worse: DE.

    Seat i of the population holds x_i. Its rival is made of other seats a and b,

        v = x_r + F (x_lead - x_r) + F (x_a - x_b),

    and takes each coordinate from v with chance CR, at least one, the others from x_i.
    It takes the seat if it is at least as good. By strategy, r and lead are: "rand", a
    third random seat and itself; "best", the best and itself; "current_to_best", i and
    the best; "current_to_pbest", i and one of the best 15 %. F and CR belong to seats
    and are drawn anew for one rival in ten, so that numbers that win stay (jDE).

    Along a categorical dimension each of the two differences acts with chance F: then
    the rival takes the category of lead, and of a where a and b differ. A rival that
    has been tried before is mutated.

    Trial t competes for seat t modulo N. Results may come back in any order, in parts,
    or with failures; a seat that nobody holds is sampled, and the first N trials are of
    a scrambled Sobol sequence. The first objective counts.

    Args:
        population_size: N, seats and rows of every proposal.
        strategy: "rand", "best", "current_to_best" or "current_to_pbest".
        differential_weight: F in [0, 2]; adapted if None.
        crossover_rate: CR in [0, 1]; adapted if None.

    Raises:
        ValueError: If a setting is out of range; all problems are listed.

    Example:
        >>> import jax
        >>> from evotune.testing import choice, cube, floating
        >>> search = DifferentialEvolution(population_size=8)
        >>> state = search.init(jax.random.key(0), cube(floating(), choice(3)))
        >>> search.ask(jax.random.key(1), state).x.shape
        (8, 2)

    Reference:
        Storn and Price (1997), "Differential evolution: a simple and efficient
        heuristic for global optimization over continuous spaces"; F and CR as Brest et
        al. (2006), "Self-adapting control parameters in differential evolution";
        current_to_pbest and the treatment of bounds, half way from x_i to the bound, as
        Zhang and Sanderson (2009), "JADE". Differs from the papers: the first
        trials are not random, seats are not filled generation by generation, categories
        are as told above, and repeats are mutated.
    """

    population_size: int = 64
    strategy: str = "current_to_pbest"
    differential_weight: float | None = None
    crossover_rate: float | None = None

    def __post_init__(self) -> None:
        problems = count_problem(
            "population_size", self.population_size, 4, "a seat and three others"
        )
        problems += name_problem("strategy", self.strategy, STRATEGIES)
        weight, rate = self.differential_weight, self.crossover_rate
        if weight is not None:
            problems += range_problem("differential_weight", weight, 0, 2, "0.5")
        if rate is not None:
            problems += range_problem("crossover_rate", rate, 0, 1, "0.9")
        raise_all(problems, ValueError, "DifferentialEvolution")

    @property
    def batch_size(self) -> int:
        """P, the rows of every proposal: the population size."""
        return self.population_size

    def init(self, key: jax.Array, geometry: Geometry) -> DifferentialState:
        """The state before anything is known.

        Args:
            key: Consumed; the first trials, F and CR are drawn with it.
            geometry: The space.
        """
        size = self.population_size
        words = scrambling(key, geometry.dimensions + 2)
        return DifferentialState(
            geometry=geometry,
            next_trial=jnp.zeros((), jnp.int32),
            seats=free_seats(words[-2:], size, size, geometry.dimensions),
            seen=jnp.zeros((HISTORY,), jnp.uint32),
            seed=words[:-2],
        )

    def ask(self, key: jax.Array, state: DifferentialState) -> Proposal:
        """One rival for each seat.

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
            *((rows, 5), shape, shape, shape, shape, tries, tries),
        )
        holders, seat = state.seats.holders, state.seats.seat(trial)
        known = jnp.isfinite(holders.fitness)
        bred = known[seat] & (jnp.sum(known, dtype=jnp.int32) >= 4)
        control = self._control(state.seats, trial)
        made = rivals(self.strategy, holders, geometry, seat, control, *draw[:4])
        first = initial_design(trial, rows, state.seed, draw[4])
        start = jnp.where(bred[:, None], made, first)
        x = renewed(start, draw[5], draw[6], geometry, state.seen)
        return fresh(x, trial)

    def tell(self, state: DifferentialState, outcome: Outcome) -> DifferentialState:
        """The state that knows ``outcome``.

        RUNNING rows are remembered, so that they are not proposed again, with the F and
        CR that they were made with.

        Args:
            state: The state before.
            outcome: Any rows, in any order.
        """
        x = canonicalise(outcome.x, state.geometry)
        return dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, outcome.trial),
            seats=contested(state.seats, outcome, x),
            seen=remember(state.seen, outcome.trial, fingerprint(x)),
        )

    def _control(self, seats: Seats, trial: jax.Array) -> jax.Array:
        """f32[P, 2], F and CR of some trials: as drawn, or as they were set."""
        control = seats.drawn(trial)
        for column, fixed in enumerate((self.differential_weight, self.crossover_rate)):
            if fixed is not None:
                control = control.at[:, column].set(fixed)
        return control
