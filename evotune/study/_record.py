"""What is known of every trial, in columns."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evotune._contracts import EMPTY, Status
from evotune.study._events import Added, Told
from evotune.study._frozen_trial import (
    STATE_OF_STATUS,
    STATUS_OF_STATE,
    FrozenTrial,
    TrialState,
)
from evotune.study._leaders import Leaders
from evotune.study._repeats import best_repeat
from evotune.study._rows import Row

_COLUMNS: dict[str, tuple[type, float]] = {
    "number": (np.int64, EMPTY),
    "generation": (np.int32, -1),
    "status": (np.int8, Status.RUNNING),
    "start": (np.float64, np.nan),
    "complete": (np.float64, np.nan),
}

_GOOD = (Status.COMPLETE, Status.PRUNED)


class Record:
    """One row a trial; `FrozenTrial`s are made only when somebody looks.

    Attributes:
        size: The number of trials.
        started: How many of them were handed out (the others were added by hand).
        finished: How many of them have a final state.
        leaders: The rows of the best trial, or of those that no other dominates; of
            complete trials that satisfy all constraints.
        last_told: Unix time of the last recorded result, seconds; NaN without one.
    """

    def __init__(
        self,
        dimensions: int,
        signs: Sequence[int],
        params: Callable[[np.ndarray], list[dict[str, Any]]],
    ) -> None:
        self.size = 0
        self.started = 0
        self.finished = 0
        self.last_told = math.nan
        self.leaders = Leaders(signs)
        self._params = params
        self._columns: dict[str, np.ndarray] = {
            name: np.zeros((0,), dtype) for name, (dtype, _) in _COLUMNS.items()
        }
        self._x = np.zeros((0, dimensions), np.float32)
        self._values = np.zeros((0, len(self.leaders.signs)))
        self._constraints: dict[int, tuple[float, ...]] = {}
        self._row_of: dict[int, int] = {}
        self._curves: list[tuple[dict[str, np.ndarray], int, int] | None] = []
        self._repeats: dict[int, np.ndarray] = {}
        self._attrs: dict[int, tuple[dict[str, Any], tuple[str, ...]]] = {}
        self._frozen: list[FrozenTrial | None] = []

    def column(self, name: str) -> np.ndarray:
        """A view of one column: number, generation, status, start, complete."""
        return self._columns[name][: self.size]

    @property
    def x(self) -> np.ndarray:
        """f32[N, D] the trials' coordinates."""
        return self._x[: self.size]

    @property
    def values(self) -> np.ndarray:
        """f64[N, M] the trials' values in the user's directions; NaN without."""
        return self._values[: self.size]

    @property
    def best(self) -> int:
        """Row of the one best trial; -1 without, and of several objectives."""
        single = len(self.leaders.signs) == 1 and self.leaders.rows
        return self.leaders.rows[0] if single else -1

    @property
    def leading(self) -> list[int]:
        """Numbers of the trials that lead, ascending."""
        rows = np.asarray(self.leaders.rows, np.int64)
        return sorted(self.column("number")[rows].tolist())

    def __contains__(self, number: int) -> bool:
        return number in self._row_of

    def row_of(self, number: int) -> int:
        """The row of trial ``number``."""
        return self._row_of[number]

    @property
    def last_number(self) -> int:
        """The largest trial number; -1 without one."""
        return int(self.column("number").max()) if self.size else -1

    def would_lead(self, event: Told) -> list[int]:
        """Numbers of the trials of ``event`` that will lead once it is told."""
        leaders, told = self.leaders.copy(), event.outcome
        first = self.size  # rows of the record never come so far
        good = np.asarray(told.status) == Status.COMPLETE
        good &= np.all(np.asarray(told.constraints) <= 0.0, axis=1)
        numbers, values = told.trial.tolist(), event.rows_of_values.tolist()
        for position in np.flatnonzero(good).tolist():
            leaders.offer(first + position, numbers[position], values[position])
        return sorted(numbers[row - first] for row in leaders.rows if row >= first)

    def start(self, row: Row, at: float) -> None:
        """Takes in a row that was handed out; a known trial goes on training."""
        if row.trial in self._row_of:
            index = self._row_of[row.trial]
            self.finished -= int(self._columns["status"][index] != Status.RUNNING)
        else:
            index = self._grow(row.trial, row.x)
            self.started += 1
            self._columns["start"][index] = at
            self._columns["generation"][index] = row.generation
        if row.user_attrs or row.fixed:
            self._attrs[index] = (row.user_attrs, row.fixed)
        self._columns["status"][index] = Status.RUNNING
        self._frozen[index] = None

    def tell(self, event: Told, repeats: np.ndarray | None = None) -> None:
        """Takes in results of trials that were handed out.

        Args:
            event: A row for each trial.
            repeats: f64[n, R, M] values of their repeats, if there are any.
        """
        lengths = event.outcome.curve_len.tolist()
        statuses = event.outcome.status.tolist()
        values = event.rows_of_values.tolist()
        constraints = event.outcome.constraints.tolist()
        for position, number in enumerate(event.outcome.trial.tolist()):
            index = self._row_of[number]
            if event.metrics:
                self._curves[index] = (event.metrics, position, lengths[position])
            if repeats is not None:
                self._repeats[index] = repeats[position]
            if constraints[position]:
                self._constraints[index] = tuple(constraints[position])
            self._close(index, statuses[position], values[position], event.at)
        self.last_told = event.at

    def add(self, event: Added) -> None:
        """Takes in a trial that was evaluated elsewhere."""
        index = self._grow(event.number, event.x)
        self._columns["start"][index] = event.start
        if event.user_attrs:
            self._attrs[index] = (dict(event.user_attrs), ())
        status = STATUS_OF_STATE[event.state]
        self._close(index, status, event.values, event.complete)

    def _close(
        self, index: int, status: int, values: Sequence[float], at: float
    ) -> None:
        columns = self._columns
        columns["status"][index] = status
        self._values[index] = values if status in _GOOD else math.nan
        columns["complete"][index] = at
        self._frozen[index] = None
        self.finished += int(status != Status.RUNNING)
        if index in self.leaders.rows:
            self._recount()
        elif status == Status.COMPLETE and self.is_feasible(index):
            self.leaders.offer(index, int(columns["number"][index]), values)

    def best_repeat(self, index: int) -> int:
        """Which repeat of the trial in a row has the best network; 0 of only one."""
        values = self._repeats.get(index)
        return 0 if values is None else best_repeat(values, self.leaders.signs[0])

    def is_feasible(self, index: int) -> bool:
        """Whether the trial in a row violates no constraint that is known."""
        return all(value <= 0.0 for value in self._constraints.get(index, ()))

    def _recount(self) -> None:
        """Finds the leaders anew: needed where one of them goes on training."""
        rows = np.flatnonzero(self.column("status") == Status.COMPLETE)
        feasible = [row for row in rows.tolist() if self.is_feasible(row)]
        rows = np.asarray(feasible, np.int64)
        self.leaders.recount(rows, self.column("number")[rows], self.values[rows])

    def _grow(self, number: int, x: np.ndarray) -> int:
        index, capacity = self.size, self._x.shape[0]
        if index == capacity:
            more = max(64, capacity)
            for name, (dtype, filler) in _COLUMNS.items():
                cells: np.ndarray = np.full((more,), filler, dtype)
                self._columns[name] = np.concatenate([self._columns[name], cells])
            rows = np.zeros((more, self._x.shape[1]), np.float32)
            self._x = np.concatenate([self._x, rows])
            nothing = np.full((more, self._values.shape[1]), np.nan)
            self._values = np.concatenate([self._values, nothing])
        self._columns["number"][index] = number
        self._x[index] = x
        self._row_of[number] = index
        self._curves.append(None)
        self._frozen.append(None)
        self.size += 1
        return index

    def freeze(
        self, indices: Sequence[int], waiting: frozenset[int] = frozenset()
    ) -> list[FrozenTrial]:
        """The trials of some rows, made once and kept.

        Args:
            indices: Rows of the record.
            waiting: Numbers of started trials that nobody is working on.
        """
        missing = [index for index in indices if self._frozen[index] is None]
        if missing:
            params = self._params(self._x[np.array(missing)])
            for index, values in zip(missing, params, strict=True):
                self._frozen[index] = self._freeze(index, values, waiting)
        frozen = [self._frozen[index] for index in indices]
        for index in missing:  # an open trial may change without being told
            if self._columns["status"][index] == Status.RUNNING:
                self._frozen[index] = None
        return [trial for trial in frozen if trial is not None]

    def _freeze(
        self, index: int, params: dict[str, Any], waiting: frozenset[int]
    ) -> FrozenTrial:
        cell = {name: column[index].item() for name, column in self._columns.items()}
        values = self._values[index].tolist()
        status = Status(cell["status"])
        state = STATE_OF_STATUS[status]
        if state is TrialState.RUNNING and cell["number"] in waiting:
            state = TrialState.WAITING
        user_attrs, fixed = self._attrs.get(index, ({}, ()))
        system_attrs: dict[str, Any] = {}
        if status is Status.DIVERGED:
            system_attrs["status"] = "diverged"
        if fixed:
            names = [name for name in fixed if name in params]
            system_attrs["fixed_params"] = {name: params[name] for name in names}
        if index in self._constraints:
            system_attrs["constraints"] = self._constraints[index]
        curves = {}
        if (block := self._curves[index]) is not None:
            metrics, position, length = block
            curves = {name: metrics[name][position, :length] for name in metrics}
        return FrozenTrial(
            number=cell["number"],
            state=state,
            values=None if any(map(math.isnan, values)) else tuple(values),
            params=params,
            curves=curves,
            datetime_start=_local_time(cell["start"]),
            datetime_complete=_local_time(cell["complete"]),
            generation=cell["generation"],
            user_attrs=dict(user_attrs),
            system_attrs=system_attrs,
            repeats=self._repeats_of(index),
        )

    def _repeats_of(self, index: int) -> tuple[Any, ...]:
        """See `FrozenTrial.repeats`; there is one NaN, so that equal ones are equal."""
        rows = [
            tuple(math.nan if math.isnan(value) else value for value in row)
            for row in self._repeats.get(index, np.zeros((0, 1))).tolist()
        ]
        return tuple(row[0] if len(row) == 1 else row for row in rows)


def _local_time(at: float) -> dt.datetime | None:
    """Unix time in seconds as a naive local time, as Optuna has it."""
    return None if math.isnan(at) else dt.datetime.fromtimestamp(at)
