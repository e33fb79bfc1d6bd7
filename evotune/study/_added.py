"""Trials that were evaluated elsewhere: made, read and checked."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from evotune._contracts import Outcome, Status
from evotune.study._events import Added
from evotune.study._frozen_trial import STATUS_OF_STATE, FrozenTrial, TrialState
from evotune.study._rows import outcome
from evotune.study._told import as_state, judge


def create_trial(
    *,
    params: Mapping[str, Any],
    value: float | None = None,
    state: TrialState = TrialState.COMPLETE,
    user_attrs: Mapping[str, Any] | None = None,
) -> FrozenTrial:
    """A trial to pass to ``Study.add_trial``.

    Raises:
        ValueError: If the value does not go with the state.

    Example:
        >>> create_trial(params={"x": 0.5}, value=0.25).value
        0.25
    """
    state = as_state(state)
    judge(-1, value, state)
    now = dt.datetime.now()
    return FrozenTrial(
        state=state,
        value=value,
        params=dict(params),
        datetime_start=now,
        datetime_complete=now,
        user_attrs=dict(user_attrs or {}),
    )


def added(trial: Any, number: int, x: np.ndarray) -> Added:
    """The event of a trial of evotune or Optuna.

    Args:
        trial: A `FrozenTrial`, or anything with ``state``, ``value``, ``params``.
        number: The number that it gets here.
        x: f32[D], its parameters in the unit cube.

    Raises:
        ValueError: If it is not finished, or its value does not go with its state.
    """
    state = as_state(trial.state)
    status, value = judge(number, trial.value, state)
    return Added(
        number=number,
        x=np.asarray(x, np.float32) + np.float32(0),
        state=state,
        value=value if status is not Status.FAILED else math.nan,
        start=_unix_time(getattr(trial, "datetime_start", None)),
        complete=_unix_time(getattr(trial, "datetime_complete", None)),
        user_attrs=checked_attrs(getattr(trial, "user_attrs", None)),
    )


def added_outcome(event: Added, sign: int) -> Outcome:
    """What the algorithm is told of a trial from elsewhere."""
    fitness = np.float32(-np.inf if math.isnan(event.value) else sign * event.value)
    return outcome(
        trial=np.array([event.number], np.int32),
        x=event.x[None],
        fitness=np.array([[fitness]], np.float32),
        status=np.array([STATUS_OF_STATE[event.state]], np.int32),
    )


def checked_attrs(user_attrs: Mapping[str, Any] | None) -> dict[str, Any]:
    """``user_attrs`` as a dictionary that JSON can hold.

    Raises:
        TypeError: If JSON cannot hold it.
    """
    attrs = dict(user_attrs or {})
    try:
        json.dumps(attrs, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"user_attrs must be values that JSON can hold, but got {attrs!r}: {error}."
            " Use strings, finite numbers, booleans, None, lists and dicts of these."
        ) from error
    return attrs


def _unix_time(moment: dt.datetime | None) -> float:
    return math.nan if moment is None else moment.timestamp()
