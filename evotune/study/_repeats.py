"""Repeats: the trainings of a trial from several seeds, told as one result."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from evotune._contracts import DROP, FRESH, Status
from evotune._errors import HyperparameterError, count_problems, raise_all
from evotune.study._events import Told, cut
from evotune.study._rows import MISSING, Row, outcome

Key = tuple[int, int]
"""A trial's number, and the replica that its algorithm asked for."""


def check_repeats(repeats: object) -> None:
    """Refuses a number of repeats that is none.

    Raises:
        HyperparameterError: If it is no integer of at least 1.
    """
    fix = (
        "It is how many seeds every trial is trained from, and multiplies the "
        "trainings. Use repeats=3, or repeats=1 to train each once."
    )
    problems = count_problems(fix, repeats=repeats)
    raise_all(problems, HyperparameterError, "The number of repeats")


class Part(NamedTuple):
    """The result of one member: a row of what came back.

    Attributes:
        told: The event that brought it.
        position: Its row there.
        row: What was trained.
    """

    told: Told
    position: int
    row: Row


@dataclasses.dataclass(frozen=True, kw_only=True)
class Combined:
    """Trials of which every member has come back, one row each.

    Attributes:
        told: Their results, as if each were trained once.
        rows: n of them, as their algorithm asked for them.
        values: f64[n, R, M] in the user's sign, NaN where a member has none; None
            where every trial is trained once.
    """

    told: Told
    rows: list[Row]
    values: np.ndarray | None = None


class Repeats:
    """Trains every trial from R seeds: one row is handed out as R, and R make one.

    The members of a trial differ in ``replica`` alone, on which initial weights and all
    other draws hang; the order of the data is one for all members of a study. When the
    last of them is back, the algorithm is told one row:

        fitness             mean of f_1 .. f_R
        variance            s^2 / R, where s^2 = sum (f_j - mean)^2 / (R - 1)
        status              DIVERGED if any did, else FAILED, PRUNED or COMPLETE
        constraints, spent  means
        curve, metrics      means, epoch by epoch

    A trial with a diverged member has diverged, with fitness -inf: that is the mean by
    the rule that a diverged member has -inf, while the mean of the others would prefer
    a configuration that trains well or not at all to one that trains. Its variance is
    not known, so 0. In curves a member that has stopped early keeps its last point, as
    its weights keep; they end where the first member diverged.

    Attributes:
        count: R.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._under_way: dict[Key, list[Part]] = {}

    def key(self, row: Row) -> Key:
        """Which trial a member belongs to."""
        return row.trial, row.replica // self.count

    def members(self, row: Row) -> list[Row]:
        """The R members of a trial; each has slots of its own in the engine's pool."""

        def slot(own: int, none: int, index: int) -> int:
            return own if own == none else own * self.count + index

        return [
            dataclasses.replace(
                row,
                replica=row.replica * self.count + index,
                source=slot(row.source, FRESH, index),
                slot=slot(row.slot, DROP, index),
            )
            for index in range(self.count)
        ]

    def parts(self, event: Told, rows: Sequence[Row]) -> dict[Key, list[Part]]:
        """All that is back of the trials of ``event``, itself included.

        Args:
            event: What has just come back; it is not kept.
            rows: n of them, which it is the result of.
        """
        found: dict[Key, list[Part]] = {}
        for position, row in enumerate(rows):
            key = self.key(row)
            known = found.setdefault(key, list(self._under_way.get(key, ())))
            known.append(Part(event, position, row))
        return found

    def combine(self, event: Told, rows: Sequence[Row]) -> Combined:
        """The trials that ``event`` completes; changes nothing. See `take`."""
        if self.count == 1:
            return Combined(told=event, rows=list(rows))
        whole = [
            sorted(parts, key=lambda part: part.row.replica)
            for parts in self.parts(event, rows).values()
            if len(parts) == self.count
        ]
        done = [
            dataclasses.replace(parts[0].row, replica=self.key(parts[0].row)[1])
            for parts in whole
        ]
        told, values = _combined(whole, done, event, self.count)
        return Combined(told=told, rows=done, values=values)

    def take(self, event: Told, rows: Sequence[Row]) -> Combined:
        """The trials that ``event`` completes; what is back of others is kept.

        Args:
            event: Results of n members.
            rows: What they are the results of.
        """
        combined = self.combine(event, rows)
        if self.count > 1:
            for key, parts in self.parts(event, rows).items():
                self._under_way[key] = parts
                if len(parts) == self.count:
                    del self._under_way[key]
        return combined


def best_repeat(values: np.ndarray, sign: int) -> int:
    """Which member of a trial has the best network; the first of equals.

    Args:
        values: f64[R, M] of one trial.
        sign: 1 or -1: whether the first objective is to be maximised, or minimised.
    """
    worth = sign * values[:, 0]
    return int(np.argmax(np.where(np.isnan(worth), -np.inf, worth)))


def _combined(
    whole: Sequence[Sequence[Part]], rows: Sequence[Row], event: Told, count: int
) -> tuple[Told, np.ndarray]:
    """One row for each trial, and f64[n, R, M] the values of its members.

    Args:
        whole: The R parts of each of n trials, by replica.
        rows: The trials.
        event: The last of those that they came with.
        count: R.
    """
    events = list(
        {id(part.told): part.told for parts in whole for part in parts}.values()
    )
    events = events or [event]
    first = np.cumsum([0] + [len(told.values) for told in events])
    start = {
        id(told): place for told, place in zip(events, first.tolist(), strict=False)
    }
    index = np.array(
        [[start[id(part.told)] + part.position for part in parts] for parts in whole],
        np.int64,
    ).reshape(len(whole), count)

    def column(read: Callable[[Told], Any]) -> np.ndarray:
        """[n, R, ...] what the members have of a field."""
        found: np.ndarray = np.concatenate([read(told) for told in events])[index]
        return found

    def mean(field: str) -> np.ndarray:
        return _mean(column(lambda told: getattr(told.outcome, field)))

    status = column(lambda told: told.outcome.status)
    length = column(lambda told: told.outcome.curve_len)
    ends = _ends(status, length)
    curve = column(lambda told: _wide(told.outcome.curve, events, 0.0))
    fitness = column(lambda told: told.outcome.fitness)
    values = column(lambda told: told.rows_of_values).astype(np.float64)
    names = set.intersection(*(set(told.metrics) for told in events))
    metrics = {
        name: column(functools.partial(_metric, name, events))
        for name in events[0].metrics
        if name in names
    }
    means = np.mean(values, axis=1)
    told = Told(
        at=event.at,
        outcome=outcome(
            trial=np.array([row.trial for row in rows], np.int32),
            replica=np.array([row.replica for row in rows], np.int32),
            fitness=mean("fitness"),
            constraints=mean("constraints"),
            variance=_variance_of_mean(fitness),
            status=_status(status),
            spent=mean("spent"),
            curve=cut(_mean_curve(curve, length), ends, 0.0),
            curve_len=ends,
        ),
        values=means if event.values.ndim == 2 else means[:, 0],
        metrics={
            name: cut(_mean_curve(metric, length), ends)
            for name, metric in metrics.items()
        },
    )
    return told, values


def _metric(name: str, events: Sequence[Told], told: Told) -> np.ndarray:
    return _wide(told.metrics[name], events)


def _mean(members: np.ndarray) -> np.ndarray:
    """f32[n, ...] of f32[n, R, ...]."""
    return np.asarray(np.mean(members, axis=1, dtype=np.float64), np.float32)


def _status(status: np.ndarray) -> np.ndarray:
    """i32[n] what became of trials whose members i32[n, R] became this or that."""
    found = np.full(status.shape[:1], Status.COMPLETE, np.int32)
    for word in (Status.PRUNED, Status.FAILED, Status.DIVERGED):
        found[np.any(status == word, axis=1)] = word
    return found


def _variance_of_mean(fitness: np.ndarray) -> np.ndarray:
    """f32[n, M] of f32[n, R, M]: s^2 / R; 0 where a fitness is not finite."""
    sound = np.all(np.isfinite(fitness), axis=1)
    known = np.where(sound[:, None], fitness, 0.0).astype(np.float64)
    variance = np.var(known, axis=1, ddof=1) / fitness.shape[1]
    return np.minimum(variance, np.finfo(np.float32).max).astype(np.float32)


def _ends(status: np.ndarray, length: np.ndarray) -> np.ndarray:
    """i32[n] the length of mean curves, of members' status and length i32[n, R]."""
    bad = np.isin(status, (Status.DIVERGED, Status.FAILED)) | (length == 0)
    longest = np.max(length, axis=1, initial=0)
    shortest_bad = np.min(
        np.where(bad, length, longest[:, None]), axis=1, initial=2**30
    )
    return np.minimum(longest, shortest_bad).astype(np.int32)


def _mean_curve(curves: np.ndarray, length: np.ndarray) -> np.ndarray:
    """f32[n, T] of f32[n, R, T], each held at its last point from ``length`` on."""
    last = np.maximum(length - 1, 0)[:, :, None]
    held = np.take_along_axis(
        curves, np.minimum(np.arange(curves.shape[2]), last), axis=2
    )
    return _mean(held)


def _wide(
    curve: Any, events: Sequence[Told], filler: float = MISSING["metrics"]
) -> np.ndarray:
    """``curve`` f32[n, t] as wide as the widest of ``events``: f32[n, T]."""
    points = max(told.outcome.curve.shape[1] for told in events)
    missing = ((0, 0), (0, points - curve.shape[1]))
    return np.pad(curve, missing, constant_values=filler)
