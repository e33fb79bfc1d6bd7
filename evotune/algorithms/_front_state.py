"""What searches for several objectives know, and what they learn of results."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry, Outcome, Status
from evotune.algorithms._compromises import (
    Compromises,
    Survivors,
    compromises,
    lessons,
    no_compromises,
    with_new,
)
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._duplicates import HISTORY, fingerprint, remember
from evotune.algorithms._population import Population, merge, nobody
from evotune.algorithms._settings import count_problem
from evotune.algorithms._sobol import scrambling
from evotune.algorithms._surrogate import Surrogate
from evotune.algorithms._trials import advance


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontState:
    """What a search for several objectives knows.

    Attributes:
        geometry: The space, static.
        next_trial: i32[], the next free trial number.
        members: Places for survivors and what came after them: 2 N, or as many trials
            as the surrogate knows.
        seen: u32[H], a table of the trials told so far, pending ones too.
        seed: u32[D], which scrambling each dimension of the first points has.
        running: The newest trials under way, for the surrogate; None without it.
    """

    geometry: Geometry
    next_trial: jax.Array
    members: Compromises
    seen: jax.Array
    seed: jax.Array
    running: Population | None = None

    @property
    def underway(self) -> Population:
        """The newest trials under way; nobody where none are remembered."""
        return self.running or nobody(1, self.geometry.dimensions)


jax.tree_util.register_dataclass(
    FrontState, ["next_trial", "members", "seen", "seed", "running"], ["geometry"]
)


def size_problems(population_size: int, objectives: int) -> list[str]:
    """What is wrong with the sizes that every such search has."""
    problems = count_problem(
        "population_size", population_size, 2, "two parents to a child"
    )
    return problems + count_problem("objectives", objectives, 1, "columns to rank")


def start(
    key: jax.Array,
    geometry: Geometry,
    population_size: int,
    objectives: int,
    surrogate: Surrogate | None = None,
) -> FrontState:
    """The state before anything is known; the key scrambles the first generation."""
    dimensions, places, running = geometry.dimensions, 2 * population_size, None
    if surrogate is not None:
        places = max(places, surrogate.trials)
        running = nobody(population_size, dimensions)
    return FrontState(
        geometry=geometry,
        next_trial=jnp.zeros((), jnp.int32),
        members=no_compromises(places, dimensions, objectives),
        seen=jnp.zeros((HISTORY,), jnp.uint32),
        seed=scrambling(key, dimensions),
        running=running,
    )


def with_results(
    state: FrontState, outcome: Outcome, survivors: Survivors, name: str
) -> FrontState:
    """The state that knows ``outcome``.

    Args:
        state: Before.
        outcome: Any rows; ``fitness`` must be f32[P, M].
        survivors: Who stays once there is no place for what comes.
        name: Of the algorithm.

    Raises:
        ValueError: If the outcome has another number of objectives.
    """
    told, objectives = outcome.fitness.shape[1], state.members.fitness.shape[1]
    if told != objectives:
        raise ValueError(
            f"An outcome must have as many objectives as the algorithm ranks, but "
            f"got {told} and `objectives={objectives}`. Use "
            f"`{name}(objectives={told})`."
        )
    x = canonicalise(outcome.x, state.geometry)
    running, new = state.running, compromises(outcome, x)
    if running is not None:
        new = lessons(outcome, x)
        # A trial that has ended enters with -inf, which drives out what it was before.
        runs = outcome.status == Status.RUNNING
        underway = jnp.where(runs, jnp.float32(0.0), -jnp.inf)
        running = merge(running, outcome.trial, underway, x, 0)
    return dataclasses.replace(
        state,
        next_trial=advance(state.next_trial, outcome.trial),
        members=with_new(state.members, new, outcome, survivors),
        running=running,
        seen=remember(state.seen, outcome.trial, fingerprint(x)),
    )
