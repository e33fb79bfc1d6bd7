"""Trials of several objectives: who is remembered, in places of a fixed number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import EMPTY, Outcome, Status


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

    @property
    def feasible(self) -> jax.Array:
        """bool[R], whether it holds somebody who violates no constraint."""
        return self.violation <= 0.0


jax.tree_util.register_dataclass(
    Compromises, ["x", "fitness", "violation", "trial"], []
)

DIVERGED = np.float32(3e38)
"""The violation of a trial that diverged: beyond every other."""

Survivors = Callable[[Compromises, int], Compromises]
"""The best of some, so many of them, the best first."""


def no_compromises(places: int, dimensions: int, objectives: int) -> Compromises:
    """R = ``places`` places that hold nobody."""
    return Compromises(
        x=jnp.full((places, dimensions), 0.5, jnp.float32),
        fitness=jnp.zeros((places, objectives), jnp.float32),
        violation=jnp.full((places,), jnp.inf, jnp.float32),
        trial=jnp.full((places,), EMPTY, jnp.int32),
    )


def compromises(outcome: Outcome, x: jax.Array) -> Compromises:
    """The rows that may breed: COMPLETE and finite, feasible or not.

    Args:
        outcome: P rows.
        x: f32[P, D], the canonical rows of the outcome.
    """
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


def lessons(outcome: Outcome, x: jax.Array) -> Compromises:
    """`compromises`, and those that diverged, as what violates most.

    Args:
        outcome: P rows.
        x: f32[P, D], the canonical rows of the outcome.
    """
    new, status = compromises(outcome, x), outcome.status
    lost = (status == Status.COMPLETE) & (outcome.fitness == -jnp.inf).any(axis=1)
    bad = (lost | (status == Status.DIVERGED)) & (outcome.trial != EMPTY)
    return dataclasses.replace(
        new,
        violation=jnp.where(bad, DIVERGED, new.violation),
        trial=jnp.where(bad, outcome.trial, new.trial),
    )


def with_new(
    members: Compromises,
    new: Compromises,
    outcome: Outcome,
    survivors: Survivors,
) -> Compromises:
    """Members and new ones, in as many places as before.

    What came before is cut down to its better half once there is no place for what
    comes now. A trial that is told again replaces what it was.

    Args:
        members: R places.
        new: What the outcome says, P places.
        outcome: P rows; RUNNING ones change nothing.
        survivors: Who are the better half.
    """
    size = members.trial.shape[0] // 2
    wanted = jnp.sum(members.known) + jnp.sum(new.known)
    members = jax.lax.cond(
        wanted > members.trial.shape[0],
        lambda all_: _cut(all_, size, survivors),
        lambda all_: all_,
        members,
    )
    told = (outcome.trial != EMPTY) & (outcome.status != Status.RUNNING)
    again = ((members.trial[:, None] == outcome.trial[None]) & told[None]).any(axis=1)
    joined = jax.tree.map(
        lambda a, b: jnp.concatenate([a, b]), _without(members, again), new
    )
    return _newest(joined, members.trial.shape[0])


def _cut(members: Compromises, size: int, survivors: Survivors) -> Compromises:
    """The survivors, in as many places as before, the newest first."""
    best = survivors(members, size)
    rest = jax.tree.map(lambda leaf: leaf[size:], members)
    nobody = _without(rest, jnp.ones(rest.trial.shape, bool))
    joined = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), best, nobody)
    return _newest(joined, members.trial.shape[0])


def _without(members: Compromises, gone: jax.Array) -> Compromises:
    """Members of which some are nobody."""
    return dataclasses.replace(
        members,
        violation=jnp.where(gone, jnp.inf, members.violation),
        trial=jnp.where(gone, EMPTY, members.trial),
    )


def _newest(members: Compromises, places: int) -> Compromises:
    """The newest, and then nobody: an order that hangs on who is there alone."""
    order = jnp.argsort(jnp.where(members.known, -members.trial, 1), stable=True)
    return jax.tree.map(lambda leaf: leaf[order[:places]], members)
