"""What the user may tell: Optuna's rules for values and states."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
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


def numbers_of(values: Any, objectives: int, number: int) -> tuple[float, ...]:
    """The M numbers in what was told; all NaN unless each is a finite number.

    Raises:
        ValueError: If there are several objectives, and another number of values.
    """
    if objectives == 1:
        return (number_of(values),)
    if values is None:
        return (math.nan,) * objectives
    listed = list(values) if isinstance(values, Iterable) else [values]
    if len(listed) != objectives:
        shown = ", ".join(["..."] * objectives)
        raise ValueError(
            f"A trial has a value for each of the study's {objectives} objectives, but "
            f"trial {number} got {values!r}. Tell as many in the order of its "
            f"directions: `study.tell(trial, ({shown}))`."
        )
    found = tuple(map(number_of, listed))
    return found if not any(map(math.isnan, found)) else (math.nan,) * objectives


def judge(
    number: int, values: Any, state: Any, objectives: int = 1
) -> tuple[Status, tuple[float, ...]]:
    """Status and M values of a trial that the user tells about.

    Without a state, finite numbers are COMPLETE and anything else FAIL, as in Optuna.

    Raises:
        ValueError: If the state does not go with the value, or there are not as many
            values as objectives.
    """
    found = numbers_of(values, objectives, number)
    missing = math.isnan(found[0])
    if state is None:
        return (Status.FAILED if missing else Status.COMPLETE), found
    state = as_state(state)
    if state not in STATUS_OF_STATE:
        raise ValueError(
            f"A trial is told as COMPLETE, PRUNED or FAIL, but trial {number} got "
            f"{state.name}. Leave it untold while it runs."
        )
    if state is TrialState.COMPLETE and missing:
        raise ValueError(
            f"A COMPLETE trial needs a finite value, but trial {number} got "
            f"{values!r}. Use state=TrialState.FAIL, or leave the state out."
        )
    if state is TrialState.FAIL and values is not None:
        raise ValueError(
            f"A FAIL trial has no value, but trial {number} got {values!r}. Leave the "
            "value out: study.tell(trial, state=TrialState.FAIL)."
        )
    return STATUS_OF_STATE[state], found


def judge_repeats(
    members: Sequence[Row], values: Any, state: Any, objectives: int = 1
) -> list[tuple[Status, tuple[float, ...]]]:
    """See `judge`, for each member of a trial that is trained from several seeds.

    Args:
        members: R of them; a single one takes a value that is not in a sequence.
        values: R values, each as `judge` takes it, or None.
        state: Of the trial.
        objectives: M.

    Raises:
        ValueError: See `judge`; or if there are not as many values as members.
    """
    number, count = members[0].trial, len(members)
    if count == 1:
        return [judge(number, values, state, objectives)]
    if values is None:
        return [judge(number, None, state, objectives)] * count
    listed = list(values) if isinstance(values, Iterable) else [values]
    if len(listed) != count:
        raise ValueError(
            f"With repeats={count} a trial has {count} values, one from each seed, but "
            f"trial {number} got {values!r}. Evaluate it for each of its replicas: "
            "`study.tell(trial, [objective(trial, seed) for seed in trial.replicas])`."
        )
    return [judge(number, value, state, objectives) for value in listed]


def told(
    rows: Sequence[Row],
    verdicts: Sequence[tuple[Status, tuple[float, ...]]],
    signs: Sequence[int],
    at: float,
) -> Told:
    """The event of ``rows`` that got these verdicts.

    Args:
        rows: n of them.
        verdicts: Status and M values of each.
        signs: 1 or -1 for each objective.
        at: Unix time, seconds.
    """
    values = np.array([values for _, values in verdicts], np.float64)
    fitness = (np.asarray(signs) * values).astype(np.float32)
    return Told(
        at=at,
        outcome=outcome(
            trial=np.array([row.trial for row in rows], np.int32),
            replica=np.array([row.replica for row in rows], np.int32),
            fitness=np.where(np.isfinite(fitness), fitness, np.float32(-np.inf)) + 0,
            status=np.array([int(status) for status, _ in verdicts], np.int32),
        ),
        values=values if len(signs) > 1 else values[:, 0],
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
