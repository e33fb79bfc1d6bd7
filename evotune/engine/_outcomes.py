"""From a block's table of curves to outcomes, on the host, in numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from evotune._contracts import EMPTY, Outcome, Proposal, Status


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A block of members that has been trained.

    Attributes:
        outcome: Their results as numpy arrays, padded with EMPTY to P rows.
        values: f32[P] objective in the user's sign; NaN for a diverged member.
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

    def read(
        self,
        proposal: Proposal,
        rows: np.ndarray,
        table: np.ndarray,
        *,
        epochs: np.ndarray,
    ) -> Finished:
        """The outcome of a block.

        Args:
            proposal: Where its members come from, as numpy arrays.
            rows: i64[N] the members' rows in it.
            table: f32[N, T, 1 + metrics] as `Trained.curves`.
            epochs: i64[N] epochs that each member was to train; one that its `patience`
                stopped has NaN in the rows that it did not run.
        """
        count = len(rows)
        epochs = np.minimum(epochs, np.sum(~np.isnan(table[:, :, 0]), axis=1))
        runs = np.arange(self.points) < epochs[:, None]
        sound = np.all(np.isfinite(table), axis=2) & (table[:, :, 0] == 1.0)
        trained_until = np.cumprod(sound & runs, axis=1, dtype=bool)
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
            trial=padded(proposal.trial[rows], EMPTY, np.int32),
            replica=padded(proposal.replica[rows], 0, np.int32),
            x=padded(proposal.x[rows], 0.0, np.float32),
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


def host_array(array: jax.Array) -> np.ndarray:
    """A small sharded array as one numpy array."""
    return np.concatenate([np.asarray(shard.data) for shard in _shards(array)])


def host_row(array: jax.Array, lane: int) -> np.ndarray:
    """One lane, read from the device that holds it, without compiling a slice."""
    for shard in _shards(array):
        rows = shard.data.shape[0]
        if lane < rows:
            return np.array(np.asarray(shard.data)[lane])
        lane -= rows
    raise IndexError(lane)


def _shards(array: jax.Array) -> list[Any]:
    return sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
