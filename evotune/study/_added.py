"""Trials that were evaluated elsewhere: made, read and checked."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
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
    values: Sequence[float] | None = None,
    state: TrialState = TrialState.COMPLETE,
    user_attrs: Mapping[str, Any] | None = None,
) -> FrozenTrial:
    """A trial to pass to ``Study.add_trial``.

    Args:
        params: Plain values by name.
        value: In the study's direction.
        values: One for each objective of the study, in place of ``value``.
        state: What became of it.
        user_attrs: What JSON can hold.

    Raises:
        ValueError: If the value does not go with the state, or both ``value`` and
            ``values`` are given.

    Example:
        >>> create_trial(params={"x": 0.5}, value=0.25).value
        0.25
    """
    state = as_state(state)
    if value is not None and values is not None:
        raise ValueError(
            "A trial has a value or values, but got both: "
            f"value={value!r}, values={values!r}. Leave one of them out."
        )
    if values is None:
        judge(-1, value, state)
    else:
        judge(-1, values, state, len(values))
    now = dt.datetime.now()
    return FrozenTrial(
        state=state,
        value=value,
        values=None if values is None else tuple(map(float, values)),
        params=dict(params),
        datetime_start=now,
        datetime_complete=now,
        user_attrs=dict(user_attrs or {}),
    )


def added(trial: Any, number: int, x: np.ndarray, objectives: int) -> Added:
    """The event of a trial of evotune or Optuna.

    Args:
        trial: A `FrozenTrial`, or anything with ``state``, ``value`` (``values``, of
            several objectives) and ``params``.
        number: The number that it gets here.
        x: f32[D], its parameters in the unit cube.
        objectives: M, how many values it must have.

    Raises:
        ValueError: If it is not finished, or its value does not go with its state.
    """
    state = as_state(trial.state)
    told = trial.value if objectives == 1 else trial.values
    status, values = judge(number, told, state, objectives)
    return Added(
        number=number,
        x=np.asarray(x, np.float32) + np.float32(0),
        state=state,
        values=values if status is not Status.FAILED else (math.nan,) * objectives,
        start=_unix_time(getattr(trial, "datetime_start", None)),
        complete=_unix_time(getattr(trial, "datetime_complete", None)),
        user_attrs=checked_attrs(getattr(trial, "user_attrs", None)),
    )


def added_outcome(event: Added, signs: Sequence[int], constraints: int) -> Outcome:
    """What the algorithm is told of a trial from elsewhere.

    Args:
        event: The trial.
        signs: 1 or -1 for each objective.
        constraints: K of the study, all taken to be satisfied.
    """
    values = np.asarray(signs) * np.asarray(event.values, np.float64)
    fitness = np.where(np.isnan(values), -np.inf, values).astype(np.float32)
    return outcome(
        trial=np.array([event.number], np.int32),
        x=event.x[None],
        fitness=fitness[None],
        constraints=np.zeros((1, constraints), np.float32),
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
