"""A population of seats: every trial competes for one, whenever its result comes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Outcome, Status
from evotune.algorithms._draws import salted_key, trial_uniforms
from evotune.algorithms._notes import Notes, look_up, no_notes, noted
from evotune.algorithms._population import (
    Population,
    nobody,
    placed,
    told_trials,
    with_results,
)

_PENDING = 4
"""Generations under way at once whose control numbers are remembered."""

_FIRST = (0.5, 0.9)
"""F and CR to begin with."""

_ANEW = 0.1
"""How often each of the two is drawn anew."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seats:
    """The best trial of each seat, and the F and CR that it was made with.

    Trial t competes for seat (t - start) modulo size. Trials from before the start do
    not: they belong to a contest that is over.

    Attributes:
        holders: M places, in the order of seats, of which the first ``size`` count.
        control: f32[M, 2], F and CR that the holder of each seat was made with.
        planned: F and CR of trials under way.
        salt: u32[2], the key that control numbers are drawn with.
        start: i32[], the first trial of this contest.
        size: i32[], N, the seats that trials compete for.
        best: f32[], the best fitness of this contest; -inf before the first.
        since: i32[], the first trial that had it.
    """

    holders: Population
    control: jax.Array
    planned: Notes
    salt: jax.Array
    start: jax.Array
    size: jax.Array
    best: jax.Array
    since: jax.Array

    def seat(self, trial: jax.Array) -> jax.Array:
        """The seats that trials compete for, i32[P]."""
        return jnp.remainder(trial - self.start, self.size)

    def ranked(self) -> Population:
        """The holders, the best first; those seats last that nobody holds."""
        order = jnp.argsort(-self.holders.fitness)
        return jax.tree.map(lambda leaf: leaf[order], self.holders)

    def drawn(self, trial: jax.Array) -> jax.Array:
        """f32[P, 2], F and CR of trials that are made of these seats.

        They are those of the seat's holder, each drawn anew for one trial in ten.

        Reference:
            Brest et al. (2006), "Self-adapting control parameters in differential
            evolution". Differs from the paper: none.
        """
        u = trial_uniforms(salted_key(self.salt), trial, 4)
        anew = u[:, :2] * jnp.asarray([[0.9, 1.0]]) + jnp.asarray([[0.1, 0.0]])
        return jnp.where(u[:, 2:] < _ANEW, anew, self.control[self.seat(trial)])


jax.tree_util.register_dataclass(
    Seats, [field.name for field in dataclasses.fields(Seats)], []
)


def seat_of(trial: jax.Array, seats: int) -> jax.Array:
    """The seat that a trial competes for: its number modulo ``seats``, i32[P]."""
    return jnp.remainder(trial, jnp.int32(seats))


def free_seats(salt: jax.Array, size: int, most: int, dimensions: int) -> Seats:
    """Seats that nobody holds.

    Args:
        salt: u32[2], random words.
        size: N, of the first contest.
        most: M, of any later one.
        dimensions: D.
    """
    return Seats(
        holders=nobody(most, dimensions),
        control=_first_control(most),
        planned=no_notes(_PENDING * most, 2),
        salt=salt,
        start=jnp.zeros((), jnp.int32),
        size=jnp.full((), size, jnp.int32),
        best=jnp.full((), -jnp.inf, jnp.float32),
        since=jnp.zeros((), jnp.int32),
    )


def contested(
    seats: Seats,
    outcome: Outcome,
    x: jax.Array,
    standing: Callable[[Population], jax.Array] | None = None,
) -> Seats:
    """The seats after some results.

    Who holds a seat is a property of the set of trials told, so results may come in any
    order.

    Args:
        seats: Before.
        outcome: P rows; RUNNING ones are remembered with the F and CR that they were
            made with.
        x: f32[P, D], the canonical rows of the outcome.
        standing: What trials compete with, of everyone; their fitness if None.
    """
    running = (outcome.status == Status.RUNNING) & (outcome.trial != EMPTY)
    own = seats.drawn(outcome.trial)
    planned, found = look_up(seats.planned, outcome.trial)
    used = jnp.where(found[:, None], planned, own)
    everyone = with_results(seats.holders, outcome, x)
    competes = jnp.isfinite(everyone.fitness) & (everyone.trial >= seats.start)
    seat, most = seats.seat(everyone.trial), seats.control.shape[0]
    ranked = dataclasses.replace(
        everyone, fitness=jnp.where(competes, everyone.fitness, -jnp.inf)
    )
    if standing is not None:
        ranked = dataclasses.replace(ranked, fitness=standing(ranked))
    place, taken = holders(ranked, seat, competes, most)
    control = jnp.concatenate([seats.control, used])[place]
    best, since = _best(seats, everyone, competes)
    return dataclasses.replace(
        seats,
        holders=placed(everyone, place, taken),
        control=jnp.where(taken[:, None], control, seats.control),
        planned=noted(seats.planned, jnp.where(running, outcome.trial, EMPTY), own),
        best=best,
        since=since,
    )


def begun_again(
    seats: Seats, outcome: Outcome, next_trial: jax.Array, patience: int
) -> Seats:
    """The seats; all are free, and there are twice as many, if the contest is stale.

    Args:
        seats: After `contested`.
        outcome: P rows; where none is a result, there is no reason to give up.
        next_trial: i32[], the first trial of a new contest.
        patience: Trials without a better one, after which a contest is over.

    Reference:
        Auger and Hansen (2005), "A restart CMA evolution strategy with increasing
        population size". Differs from the paper: a population of seats takes the place
        of the distribution, and the number stays once it has reached the most.
    """
    most, dimensions = seats.holders.x.shape
    told = (told_trials(outcome) != EMPTY).any()
    stale = told & (next_trial - seats.since > patience)
    again = dataclasses.replace(
        seats,
        holders=nobody(most, dimensions),
        control=_first_control(most),
        start=next_trial,
        size=jnp.minimum(2 * seats.size, most),
        best=jnp.full((), -jnp.inf, jnp.float32),
        since=next_trial,
    )
    return jax.tree.map(lambda new, old: jnp.where(stale, new, old), again, seats)


def holders(
    everyone: Population, seat: jax.Array, competes: jax.Array, most: int
) -> tuple[jax.Array, jax.Array]:
    """Who holds each seat: the best of those that compete for it, of equals the newer.

    Args:
        everyone: R places, from `evotune.algorithms._population.joined`.
        seat: i32[R], what each competes for.
        competes: bool[R], who does.
        most: M, how many seats there are.

    Returns:
        i32[M], the place of each seat's holder, and bool[M], whether there is one.
    """
    number = jnp.arange(most, dtype=jnp.int32)[:, None]
    # Comparing all with all compiles in a fraction of the time that scatters take.
    rivals = (seat[None] == number) & competes[None]
    fitness = jnp.where(rivals, everyone.fitness[None], -jnp.inf)
    equals = rivals & (fitness == jnp.max(fitness, axis=1, keepdims=True))
    newest = jnp.where(equals, everyone.trial[None], jnp.int32(-1))
    return jnp.argmax(newest, axis=1), rivals.any(axis=1)


def seated(everyone: Population, seats: int) -> Population:
    """The holders of all seats, in the order of seats; nobody where there is none.

    Args:
        everyone: R places, from `evotune.algorithms._population.joined`.
        seats: N.
    """
    competes = jnp.isfinite(everyone.fitness)
    return placed(
        everyone, *holders(everyone, seat_of(everyone.trial, seats), competes, seats)
    )


def _best(
    seats: Seats, everyone: Population, competes: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The best fitness of the contest so far, and the first trial that had it."""
    best = jnp.max(jnp.where(competes, everyone.fitness, -jnp.inf))
    equals = competes & (everyone.fitness == best)
    first = jnp.min(jnp.where(equals, everyone.trial, jnp.int32(2**31 - 1)))
    since = jnp.where(best > seats.best, first, seats.since)
    since = jnp.where(best == seats.best, jnp.minimum(first, since), since)
    return jnp.maximum(best, seats.best), since


def _first_control(seats: int) -> jax.Array:
    """f32[M, 2], F and CR before any trial has won."""
    return jnp.tile(jnp.asarray([_FIRST], jnp.float32), (seats, 1))
