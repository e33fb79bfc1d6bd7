"""Everything that can happen to a study.

A study is a fold over its events: what runs live first writes an event to the journal,
then applies it, and resuming applies the recorded ones by the same code. Nothing else
changes a study, so a resumed one cannot differ from one that was never stopped.

    Ran       an engine took over: what it measures, its plan
    Asked     the algorithm proposed rows
    Enqueued  the user named a configuration to try next
    Started   the next rows were handed out for evaluation
    Told      rows came back with results
    Added     the user added a trial that was evaluated elsewhere
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from evotune._contracts import EMPTY, Outcome, Proposal
from evotune.study._frozen_trial import TrialState
from evotune.study._protocols import Finished
from evotune.study._rows import MISSING, finite, outcome


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """An engine took over.

    Attributes:
        at: Unix time, seconds.
        metric: What a trial's value is, such as "val_accuracy"; the first of several.
        points: T, the points of a learning curve.
        structural: The dimensions that change the shape of what is trained.
        plan: The plan as JSON values, or None.
        objectives: What all values of a trial are, where it has several; else ().
        constraints: What must not exceed a bound, by name.
    """

    at: float
    metric: str
    points: int
    structural: tuple[str, ...]
    plan: Any = None
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """What the M values of a trial are."""
        return self.objectives or (self.metric,)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The algorithm proposed rows, in numpy; none of them is handed out yet."""

    proposal: Proposal


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Enqueued:
    """The user named a configuration to try next.

    Attributes:
        x: f32[D] in the unit cube; NaN where the proposed row's own value stays.
        fixed: The names that the user set.
        user_attrs: Attached to the trial.
    """

    x: np.ndarray
    fixed: tuple[str, ...]
    user_attrs: dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The next ``count`` proposed rows were handed out at Unix time ``at``."""

    at: float
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """Rows came back.

    Attributes:
        at: Unix time, seconds.
        outcome: Numpy rows without padding; ``x`` is left to the record, which has it.
        values: f64[n] in the user's sign, or f64[n, M] of several objectives; NaN
            without one.
        metrics: f32[n, T] curves in the user's sign; NaN where not finite.
    """

    at: float
    outcome: Outcome
    values: np.ndarray
    metrics: dict[str, np.ndarray]

    @property
    def rows_of_values(self) -> np.ndarray:
        """f64[n, M]: the values, also where M is 1."""
        return self.values if self.values.ndim == 2 else self.values[:, None]

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Trial number and replica of each row."""
        trials, replicas = self.outcome.trial, self.outcome.replica
        return list(zip(trials.tolist(), replicas.tolist(), strict=True))

    @classmethod
    def of(cls, finished: Finished, *, at: float) -> Told:
        """What the engine brought home, cleaned and without its padding."""
        raw = finished.outcome
        rows = np.flatnonzero(np.asarray(raw.trial) != EMPTY)

        def take(field: str) -> np.ndarray:
            return np.asarray(getattr(raw, field))[rows]

        length = take("curve_len").astype(np.int32)
        told = outcome(
            trial=take("trial").astype(np.int32),
            replica=take("replica").astype(np.int32),
            x=take("x").astype(np.float32),
            status=take("status").astype(np.int32),
            curve_len=length,
            curve=cut(finite(take("curve"), "curve"), length, 0.0),
            **{
                field: finite(take(field), field)
                for field in ("fitness", "constraints", "variance", "spent")
            },
        )
        metrics = {
            name: cut(finite(np.asarray(curve)[rows], "metrics"), length)
            for name, curve in finished.metrics.items()
        }
        values = finite(np.asarray(finished.values)[rows], "value", np.float64)
        return cls(at=at, outcome=told, values=values, metrics=metrics)


def cut(
    curve: np.ndarray, length: np.ndarray, filler: float = MISSING["metrics"]
) -> np.ndarray:
    """``curve`` f32[n, T] with ``filler`` from each row's ``length`` i32[n] on."""
    beyond = np.arange(curve.shape[1]) >= length[:, None]
    return np.where(beyond, np.float32(filler), curve)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """The user added a trial that was evaluated elsewhere.

    Attributes:
        number: The number that it gets.
        x: f32[D] in the unit cube.
        state: COMPLETE, PRUNED or FAIL.
        values: M of them in the user's sign; NaN without.
        start: Unix time, seconds; NaN if not known.
        complete: Unix time, seconds; NaN if not known.
        user_attrs: Attached to the trial.
    """

    number: int
    x: np.ndarray
    state: TrialState
    values: tuple[float, ...]
    start: float
    complete: float
    user_attrs: Mapping[str, Any]


Event = Ran | Asked | Enqueued | Started | Told | Added
