"""Who leaves an island, and whose place a migrant takes on the next."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Outcome, Status
from evotune.algorithms._compromises import Compromises, compromises
from evotune.algorithms._nsga2 import survivors


def led(leaders: Compromises, outcome: Outcome, own: jax.Array) -> Compromises:
    """The best of an island among its leaders and some of the rows of ``outcome``.

    Args:
        leaders: R places, the best first.
        outcome: P rows; RUNNING and EMPTY ones are ignored.
        own: bool[P], which of them are of that island.

    Returns:
        R places. A trial that is told again replaces what it was.
    """
    ended = (outcome.status != Status.RUNNING) & (outcome.trial != EMPTY)
    again = (leaders.trial[:, None] == outcome.trial[None]) & ended[None]
    everyone = jax.tree.map(
        lambda a, b: jnp.concatenate([a, b]),
        _only(leaders, ~again.any(axis=1)),
        _only(compromises(outcome, outcome.x), own),
    )
    return survivors(everyone, leaders.trial.shape[0])


def with_guests(outcome: Outcome, guests: Compromises, due: jax.Array) -> Outcome:
    """The outcome with migrants in the place of those due rows that are worse.

    Args:
        outcome: P rows; RUNNING ones stay.
        guests: P migrants, each for one row.
        due: bool[P], which rows have to give way.
    """
    ended = outcome.status != Status.RUNNING
    own = compromises(outcome, outcome.x)
    lands = due & ended & guests.known & ~_at_least_as_good(own, guests)

    def replaced(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(lands.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    # Only the sum of violations is known: all of it stands in the first column.
    first = jnp.arange(outcome.constraints.shape[1]) == 0
    violation = jnp.where(first[None], guests.violation[:, None], 0.0)
    return dataclasses.replace(
        outcome,
        x=replaced(guests.x, outcome.x),
        fitness=replaced(guests.fitness, outcome.fitness),
        constraints=replaced(violation, outcome.constraints),
        variance=replaced(jnp.zeros_like(outcome.variance), outcome.variance),
        status=replaced(jnp.full_like(outcome.status, Status.COMPLETE), outcome.status),
        curve_len=replaced(jnp.zeros_like(outcome.curve_len), outcome.curve_len),
    )


def _only(members: Compromises, stays: jax.Array) -> Compromises:
    """Members of which those that do not stay are nobody."""
    return dataclasses.replace(
        members,
        violation=jnp.where(stays, members.violation, jnp.inf),
        trial=jnp.where(stays, members.trial, EMPTY),
    )


def _at_least_as_good(own: Compromises, guests: Compromises) -> jax.Array:
    """bool[P], whether rows violate no more than others, and are nowhere worse."""
    nowhere_worse = (own.fitness >= guests.fitness).all(axis=1)
    legal = own.feasible & guests.feasible
    no_more = own.violation <= guests.violation
    return own.known & jnp.where(legal, nowhere_worse, no_more)
