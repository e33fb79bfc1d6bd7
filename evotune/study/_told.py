"""What the user may tell: Optuna's rules for values and states."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evotune._contracts import Outcome, Status
from evotune.study._events import Told
from evotune.study._frozen_trial import STATUS_OF_STATE, TrialState
from evotune.study._rows import Row, outcome


def as_state(state: Any) -> TrialState:
    """A `TrialState` from itself, from its name, or from Optuna's.

    Raises:
        ValueError: If there is no such state.
    """
    name = getattr(state, "name", state)
    if not isinstance(name, str) or name not in TrialState.__members__:
        raise ValueError(
            f"state must be one of {', '.join(TrialState.__members__)}, but got "
            f"{state!r}. Use evotune.TrialState.COMPLETE, .PRUNED or .FAIL."
        )
    return TrialState[name]


def number_of(values: Any) -> float:
    """The one number in what was told as a value; NaN where it is no finite number."""
    if isinstance(values, Sequence) and not isinstance(values, str):
        values = values[0] if len(values) == 1 else None
    try:
        value = float(values)
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def judge(number: int, values: Any, state: Any) -> tuple[Status, float]:
    """Status and value of a trial that the user tells about.

    Without a state, a finite number is COMPLETE and anything else FAIL, as in Optuna.

    Raises:
        ValueError: If the state does not go with the value.
    """
    value = number_of(values)
    if state is None:
        good = not math.isnan(value)
        return (Status.COMPLETE if good else Status.FAILED), value
    state = as_state(state)
    if state not in STATUS_OF_STATE:
        raise ValueError(
            f"A trial is told as COMPLETE, PRUNED or FAIL, but trial {number} got "
            f"{state.name}. Leave it untold while it runs."
        )
    if state is TrialState.COMPLETE and math.isnan(value):
        raise ValueError(
            f"A COMPLETE trial needs a finite value, but trial {number} got "
            f"{values!r}. Use state=TrialState.FAIL, or leave the state out."
        )
    if state is TrialState.FAIL and values is not None:
        raise ValueError(
            f"A FAIL trial has no value, but trial {number} got {values!r}. Leave the "
            "value out: study.tell(trial, state=TrialState.FAIL)."
        )
    return STATUS_OF_STATE[state], value


def told(
    rows: Sequence[Row], verdicts: Sequence[tuple[Status, float]], sign: int, at: float
) -> Told:
    """The event of ``rows`` that got these verdicts."""
    values = np.array([value for _, value in verdicts], np.float64)
    fitness = (sign * values).astype(np.float32)
    return Told(
        at=at,
        outcome=outcome(
            trial=np.array([row.trial for row in rows], np.int32),
            replica=np.array([row.replica for row in rows], np.int32),
            fitness=np.where(np.isfinite(fitness), fitness, -np.inf)[:, None] + 0,
            status=np.array([int(status) for status, _ in verdicts], np.int32),
        ),
        values=values,
        metrics={},
    )


def with_x(event: Told, rows: Sequence[Row]) -> Outcome:
    """The event's outcome with the coordinates that were handed out."""
    x: Any = np.stack([row.x for row in rows])
    return dataclasses.replace(event.outcome, x=x)


def spread(values: Any, size: int, name: str) -> list[Any]:
    """``values`` as ``size`` of them; None stands for as many Nones.

    Raises:
        ValueError: If there is another number of them.
    """
    if values is None or isinstance(values, (str, TrialState)):
        return [values] * size
    listed = list(values)
    if len(listed) != size:
        raise ValueError(
            f"{name} must have one entry for each trial, but got {len(listed)} for "
            f"{size} trials."
        )
    return listed
