"""The record of one trial, in Optuna's words."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from typing import Any

import numpy as np

from evotune._contracts import Status


class TrialState(enum.IntEnum):
    """What became of a trial, with Optuna's names and numbers.

    A trial that diverged is FAIL, with ``system_attrs["status"] == "diverged"``.
    WAITING is a trial that was proposed and started, and then dropped before it was
    trained: by a timeout, by Ctrl-C or by a kill. It is the next to be trained.
    """

    RUNNING = 0
    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    WAITING = 4

    def is_finished(self) -> bool:
        """Whether nothing more will be heard of the trial."""
        return self not in (TrialState.RUNNING, TrialState.WAITING)


STATE_OF_STATUS = {
    Status.RUNNING: TrialState.RUNNING,
    Status.COMPLETE: TrialState.COMPLETE,
    Status.PRUNED: TrialState.PRUNED,
    Status.DIVERGED: TrialState.FAIL,
    Status.FAILED: TrialState.FAIL,
}
"""The user's word for what an algorithm is told."""

STATUS_OF_STATE = {
    TrialState.COMPLETE: Status.COMPLETE,
    TrialState.PRUNED: Status.PRUNED,
    TrialState.FAIL: Status.FAILED,
}
"""What an algorithm is told for the user's word."""


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class FrozenTrial:
    """What is known of one trial; never changes.

    Attributes:
        number: The trial's number in its study, from 0.
        state: What became of it.
        value: Its objective value in the user's direction; None without one, and of a
            trial with several, which are in ``values``.
        params: Plain Python values of the searched dimensions that were active.
        curves: f32[T] of every metric after each unit of resource (an epoch), by name.
        datetime_start: When it was handed out, in local time.
        datetime_complete: When its result was recorded; None before that.
        generation: How many proposals were asked for before the trial's own; -1 for a
            trial added by hand.
        user_attrs: What the user attached to it.
        system_attrs: What evotune attached to it, such as its exact status, and how far
            it exceeds each constraint, as "constraints" (satisfied at <= 0).
        values: All of its objective values, in the user's directions; None without.
        repeats: The value of each of its R trainings, in a study with ``repeats=``, of
            several objectives the M values of each; NaN where one diverged. The trial's
            value is their mean, and so are its curves. () where it was trained once,
            and until all are there.

    Example:
        >>> trial = FrozenTrial(params={"x": 0.5}, value=0.25)
        >>> trial.state.name, trial.values
        ('COMPLETE', (0.25,))
    """

    number: int = -1
    state: TrialState = TrialState.COMPLETE
    value: float | None = None
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    curves: dict[str, np.ndarray] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )
    datetime_start: dt.datetime | None = None
    datetime_complete: dt.datetime | None = None
    generation: int = -1
    user_attrs: dict[str, Any] = dataclasses.field(default_factory=dict)
    system_attrs: dict[str, Any] = dataclasses.field(default_factory=dict)
    values: tuple[float, ...] | None = None
    repeats: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "values", (self.value,))
        elif self.values is not None and len(self.values) == 1:
            object.__setattr__(self, "value", self.values[0])

    @property
    def spread(self) -> float | tuple[float, ...] | None:
        """Standard deviation of the repeats (R - 1 degrees); None without them.

        Of several objectives one for each; NaN where a repeat diverged.
        """
        if not self.repeats:
            return None
        found = np.std(np.asarray(self.repeats, np.float64), axis=0, ddof=1)
        return tuple(found.tolist()) if found.ndim else float(found)

    @property
    def duration(self) -> dt.timedelta | None:
        """From hand-out to recorded result; None before the result is there.

        Members train side by side, so durations of one generation overlap.
        """
        if self.datetime_start is None or self.datetime_complete is None:
            return None
        return self.datetime_complete - self.datetime_start
