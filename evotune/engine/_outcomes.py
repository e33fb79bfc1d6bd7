"""From a block's table of curves to outcomes, on the host, in numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from evotune._contracts import EMPTY, Outcome, Status
from evotune.engine._member import Member


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A block of members that has been trained.

    Attributes:
        outcome: Their results as numpy arrays, padded with EMPTY to P rows.
        values: f32[P] objective in the user's sign, or f64[P, M] of several; NaN for a
            diverged member.
        metrics: f32[P, T] by name, what each epoch recorded; NaN beyond the curve's
            length.
    """

    outcome: Outcome
    values: np.ndarray
    metrics: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutcomeReader:
    """Makes sense of what programs return.

    Attributes:
        rows: P, to which outcomes are padded.
        points: T, the length of the curves.
        metrics: Names of the table's columns after the first.
        metric: The objective among them.
        sign: 1 if it is maximised, -1 if it is minimised.
        keep_best: Whether a member's value is that of its best epoch.
    """

    rows: int
    points: int
    metrics: Sequence[str]
    metric: str
    sign: float
    keep_best: bool

    def progress(
        self, block: Member, members: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """How far a block has come, and which of its members go no further.

        Args:
            block: What came out of a program.
            members: N, its first lanes that are members; the others are idle.
            stop: The epochs that they would have trained by now.

        Returns:
            f32[N, T, 1 + metrics] their curves, i64[N] epochs that each has trained,
            and bool[N] whether it rests for good: its `patience` is over, or it has
            diverged.
        """
        table = host_array(block.curves)[:members]
        trained = np.sum(~np.isnan(table[:, :, 0]), axis=1)
        runs = np.arange(self.points) < trained[:, None]
        rests = np.any(runs & ~_sound(table), axis=1) | (trained < stop)
        if block.patience is not None:
            waited = host_array(block.patience.waited)[:members]
            rests |= (
                waited >= np.maximum(host_array(block.patience.epochs), 1)[:members]
            )
        return table, trained, rests

    def read(
        self,
        *,
        trial: np.ndarray,
        replica: np.ndarray,
        x: np.ndarray,
        table: np.ndarray,
        epochs: np.ndarray,
    ) -> Finished:
        """The outcome of N members.

        Args:
            trial: i32[N] trial numbers.
            replica: i32[N] seeds or folds.
            x: f32[N, D] where they are in the unit cube.
            table: f32[N, T, 1 + metrics] as `Member.curves`.
            epochs: i64[N] epochs that each member was to train; one that its `patience`
                stopped has NaN in the rows that it did not run.
        """
        count = len(trial)
        epochs = np.minimum(epochs, np.sum(~np.isnan(table[:, :, 0]), axis=1))
        runs = np.arange(self.points) < epochs[:, None]
        trained_until = np.cumprod(_sound(table) & runs, axis=1, dtype=bool)
        length = np.sum(trained_until, axis=1)
        diverged = length < epochs
        curves = {
            name: np.where(trained_until, table[:, :, 1 + column], np.nan)
            for column, name in enumerate(self.metrics)
        }
        value = np.where(diverged, np.nan, self._value(curves[self.metric], length))
        objective = self.sign * np.nan_to_num(curves[self.metric], nan=0.0)

        def padded(values: Any, fill: Any, dtype: Any) -> Any:
            values = np.asarray(values, dtype)
            result = np.full((self.rows, *values.shape[1:]), fill, dtype)
            result[:count] = values
            return result

        status = np.where(diverged, Status.DIVERGED, Status.COMPLETE)
        fitness = np.where(diverged, -np.inf, self.sign * value)
        outcome = Outcome(
            trial=padded(trial, EMPTY, np.int32),
            replica=padded(replica, 0, np.int32),
            x=padded(x, 0.0, np.float32),
            fitness=padded(fitness[:, None], -np.inf, np.float32),
            constraints=padded(np.zeros((count, 0)), 0.0, np.float32),
            variance=padded(np.zeros((count, 1)), 0.0, np.float32),
            status=padded(status, Status.RUNNING, np.int32),
            spent=padded(length, 0.0, np.float32),
            curve=padded(objective, 0.0, np.float32),
            curve_len=padded(length, 0, np.int32),
        )
        return Finished(
            outcome=outcome,
            values=padded(value, np.nan, np.float32),
            metrics={k: padded(v, np.nan, np.float32) for k, v in curves.items()},
        )

    def _value(self, curves: np.ndarray, length: np.ndarray) -> np.ndarray:
        """f32[P] the objective of each member's last or best epoch."""
        if not self.keep_best:
            return curves[np.arange(len(curves)), np.maximum(length - 1, 0)]
        worst = np.where(np.isnan(curves), -np.inf, self.sign * curves)
        return self.sign * np.max(worst, axis=1)


def _sound(table: np.ndarray) -> np.ndarray:
    """bool[N, T]: whether an epoch left only finite numbers behind."""
    return np.all(np.isfinite(table), axis=2) & (table[:, :, 0] == 1.0)


def host_array(array: jax.Array) -> np.ndarray:
    """A small sharded array as one numpy array."""
    return np.concatenate([np.asarray(shard.data) for shard in _shards(array)])


def host_row(array: jax.Array | np.ndarray, lane: int) -> np.ndarray:
    """One lane, read from the device that holds it, without compiling a slice.

    Args:
        array: [lanes, ...] on the devices, or on the host.
        lane: Which.
    """
    if isinstance(array, np.ndarray):
        return np.array(array[lane])
    for shard in _shards(array):
        rows = shard.data.shape[0]
        if lane < rows:
            return np.array(np.asarray(shard.data)[lane])
        lane -= rows
    raise IndexError(lane)


def host_lanes(array: jax.Array | np.ndarray) -> list[np.ndarray]:
    """All lanes of [lanes, ...]; on CPU devices, and on the host, they are views."""
    if isinstance(array, np.ndarray):
        return list(array)
    return [row for shard in _shards(array) for row in np.asarray(shard.data)]


def _shards(array: jax.Array) -> list[Any]:
    return sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
