"""Generations that have been asked for and are not learnt from yet."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Outcome, Status

WAVES = 4
"""How many generations may be under way; the next one drives out the oldest."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Waves:
    """The newest W generations of P trials; the n-th asked for is at place n modulo W.

    Attributes:
        number: i32[W], how many were asked for before it.
        first: i32[W], the number of its first trial; EMPTY where there is none.
        point: f32[W, P, D], where its trials are, as the strategy sees it.
        loss: f32[W, P], smaller is better; infinite where a trial failed.
        told: bool[W, P], whose results have come.
    """

    number: jax.Array
    first: jax.Array
    point: jax.Array
    loss: jax.Array
    told: jax.Array

    def seats(self, trial: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The seat of each trial, its generation's place times P plus its row.

        Args:
            trial: i32[R].

        Returns:
            i32[R], and bool[R], whether it is a trial of any generation.
        """
        rows = self.told.shape[1]
        past = trial[:, None] - self.first[None]
        known = (trial[:, None] != EMPTY) & (self.first[None] != EMPTY)
        holds = known & (past >= 0) & (past < rows)
        wave = jnp.argmax(holds, axis=1).astype(jnp.int32)
        found = holds.any(axis=1)
        return jnp.where(found, wave * rows + trial - self.first[wave], 0), found

    def points_of(self, trial: jax.Array) -> jax.Array:
        """f32[R, D], where the strategy wanted some trials; anywhere for others."""
        seat, _ = self.seats(trial)
        return self.point.reshape(-1, self.point.shape[2])[seat]


jax.tree_util.register_dataclass(
    Waves, [field.name for field in dataclasses.fields(Waves)], []
)


def no_waves(rows: int, dimensions: int) -> Waves:
    """No generation under way."""
    return Waves(
        number=jnp.zeros((WAVES,), jnp.int32),
        first=jnp.full((WAVES,), EMPTY, jnp.int32),
        point=jnp.zeros((WAVES, rows, dimensions), jnp.float32),
        loss=jnp.full((WAVES, rows), jnp.inf, jnp.float32),
        told=jnp.zeros((WAVES, rows), bool),
    )


def opened(
    waves: Waves, number: jax.Array, first: jax.Array, point: jax.Array
) -> Waves:
    """The generations with one more, in the place of the oldest.

    Args:
        waves: Before.
        number: i32[], how many were asked for before it.
        first: i32[], the number of its first trial.
        point: f32[P, D].
    """
    place = jnp.remainder(number, jnp.int32(WAVES))
    return Waves(
        number=waves.number.at[place].set(number),
        first=waves.first.at[place].set(first),
        point=waves.point.at[place].set(point),
        loss=waves.loss.at[place].set(jnp.inf),
        told=waves.told.at[place].set(False),
    )


def closed(waves: Waves, place: jax.Array) -> Waves:
    """The generations without the one at ``place`` (i32[])."""
    return dataclasses.replace(
        waves,
        first=waves.first.at[place].set(EMPTY),
        told=waves.told.at[place].set(False),
    )


def with_results(
    waves: Waves, outcome: Outcome, loss: jax.Array, point: jax.Array
) -> Waves:
    """The generations with the results among some rows.

    Args:
        waves: Before.
        outcome: R rows; RUNNING ones and trials of no generation are ignored.
        loss: f32[R].
        point: f32[R, D], where they were tried.
    """
    places, rows = waves.told.shape
    goal, found = waves.seats(outcome.trial)
    ended = found & (outcome.status != Status.RUNNING)
    # Of two rows for one trial the later counts, on every device.
    seat = jnp.arange(places * rows, dtype=jnp.int32)
    row = jnp.arange(goal.shape[0], dtype=jnp.int32)
    mine = (goal[None] == seat[:, None]) & ended[None]
    newest = jnp.max(jnp.where(mine, row[None], jnp.int32(-1)), axis=1)
    came = (newest >= 0).reshape(places, rows)
    source = jnp.maximum(newest, 0)
    return dataclasses.replace(
        waves,
        point=jnp.where(
            came[:, :, None], point[source].reshape(waves.point.shape), waves.point
        ),
        loss=jnp.where(came, loss[source].reshape(places, rows), waves.loss),
        told=waves.told | came,
    )


def losses(outcome: Outcome) -> jax.Array:
    """f32[R], smaller is better; infinite for all but feasible, complete rows."""
    fitness = outcome.fitness[:, 0]
    feasible = (outcome.constraints <= 0.0).all(axis=1)
    good = (outcome.status == Status.COMPLETE) & feasible & jnp.isfinite(fitness)
    return jnp.where(good & (outcome.trial != EMPTY), -fitness, jnp.inf)
