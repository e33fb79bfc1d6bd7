"""Differential evolution."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, Status, fresh
from evotune._errors import raise_all
from evotune.algorithms._breeding import ATTEMPTS, renewed
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._differences import STRATEGIES, rivals
from evotune.algorithms._draws import key_after, salted_key, trial_uniforms, uniforms
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._initial_design import initial_design
from evotune.algorithms._notes import Notes, look_up, no_notes, noted
from evotune.algorithms._population import Population, nobody, with_results
from evotune.algorithms._seats import holders, seat_of, seated
from evotune.algorithms._settings import count_problem, name_problem, range_problem
from evotune.algorithms._sobol import scrambling
from evotune.algorithms._trials import advance, next_trials

_PENDING = 4
"""Generations under way at once whose control numbers are remembered."""

_FIRST = (0.5, 0.9)
"""F and CR to begin with."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DifferentialState:
    """What differential evolution knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        population: The best trial of each of N seats, in the order of seats.
        control: f32[N, 2], F and CR that the holder of each seat was made with.
        planned: F and CR of trials under way.
        seen: u32[H], a table of the trials told so far, pending ones too.
        seed: u32[D], which scrambling each dimension of the first points has.
        salt: u32[2], the key that control numbers are drawn with.
    """

    geometry: Geometry
    next_trial: jax.Array
    population: Population
    control: jax.Array
    planned: Notes
    seen: jax.Array
    seed: jax.Array
    salt: jax.Array


jax.tree_util.register_dataclass(
    DifferentialState,
    ["next_trial", "population", "control", "planned", "seen", "seed", "salt"],
    ["geometry"],
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
            population=nobody(size, geometry.dimensions),
            control=jnp.tile(jnp.asarray([_FIRST], jnp.float32), (size, 1)),
            planned=no_notes(_PENDING * size, 2),
            seen=jnp.zeros((HISTORY,), jnp.uint32),
            seed=words[:-2],
            salt=words[-2:],
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
        seat = seat_of(trial, rows)
        known = jnp.isfinite(state.population.fitness)
        bred = known[seat] & (jnp.sum(known, dtype=jnp.int32) >= 4)
        control = self._control(state, trial)
        made = rivals(
            self.strategy, state.population, geometry, seat, control, *draw[:4]
        )
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
        seats = self.population_size
        x = canonicalise(outcome.x, state.geometry)
        running = (outcome.status == Status.RUNNING) & (outcome.trial != EMPTY)
        own = self._control(state, outcome.trial)
        noted_control, found = look_up(state.planned, outcome.trial)
        used = jnp.where(found[:, None], noted_control, own)
        everyone = with_results(state.population, outcome, x)
        place, taken = holders(everyone, seats)
        control = jnp.concatenate([state.control, used])[place]
        return dataclasses.replace(
            state,
            next_trial=advance(state.next_trial, outcome.trial),
            population=seated(everyone, seats),
            control=jnp.where(taken[:, None], control, state.control),
            planned=noted(state.planned, jnp.where(running, outcome.trial, EMPTY), own),
            seen=remember(state.seen, outcome.trial, fingerprint(x)),
        )

    def _control(self, state: DifferentialState, trial: jax.Array) -> jax.Array:
        """f32[P, 2], F and CR of the trials that `ask` makes of ``state``."""
        u = trial_uniforms(salted_key(state.salt), trial, 4)
        seat = seat_of(trial, self.population_size)
        anew = u[:, :2] * jnp.asarray([[0.9, 1.0]]) + jnp.asarray([[0.1, 0.0]])
        control = jnp.where(u[:, 2:] < 0.1, anew, state.control[seat])
        for column, fixed in enumerate((self.differential_weight, self.crossover_rate)):
            if fixed is not None:
                control = control.at[:, column].set(fixed)
        return control
