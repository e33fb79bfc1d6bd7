"""Several objectives, and constraints: from curves, and from what a network costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from evotune._contracts import EMPTY, Status
from evotune._errors import HyperparameterError, nearest, raise_all
from evotune.engine._inputs import plain_config, seen_by_task
from evotune.engine._outcomes import Finished
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task

_SIGNS = {"maximize": 1.0, "minimize": -1.0}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Objectives:
    """What a member is judged by.

    What a step or an evaluation records is read from its curve, at the epoch that
    counts; anything else is what `Task.cost` knows of a member's plain hyperparameters,
    on the host. So a network's size as an objective changes no program.

    Attributes:
        task: What is trained.
        space: What is searched.
        directions: "maximize" or "minimize" for each of M objectives by name; the first
            is the task's metric.
        bounds: What each of K recorded metrics or costs must not exceed.
        recorded: Names of all that steps and evaluations record.
        keep_best: Whether the epoch that counts is the best one, by the first
            objective, and not the last one.
    """

    task: Task
    space: Space
    directions: Mapping[str, str]
    bounds: Mapping[str, float]
    recorded: Collection[str]
    keep_best: bool

    @classmethod
    def of(
        cls, task: Task, space: Space, recorded: Collection[str], **settings: Any
    ) -> Objectives:
        """Those of a task.

        Raises:
            HyperparameterError: If the first is not the task's metric, a direction is
                none, or there is nothing of a name.
        """
        directions = dict(task.objectives) or {task.metric: task.direction}
        found = cls(
            task=task,
            space=space,
            directions=directions,
            bounds={name: float(bound) for name, bound in task.constraints.items()},
            recorded=recorded,
            **settings,
        )
        raise_all(found._problems(), HyperparameterError, "The task")
        return found

    def _problems(self) -> list[str]:
        problems = []
        first, direction = next(iter(self.directions.items()))
        if (first, direction) != (self.task.metric, self.task.direction):
            problems.append(
                "A task's `metric` and `direction` must be the first of its "
                f"`objectives`, which curves and early stopping follow, but got "
                f"{self.task.metric!r}, {self.task.direction!r} and "
                f"{dict(self.directions)!r}. Put it first, or change `metric`."
            )
        problems += [
            f"The direction of objective {name!r} must be 'maximize' or "
            f"'minimize', but got {each!r}."
            for name, each in self.directions.items()
            if each not in _SIGNS
        ]
        middle = np.full((1, len(self.space.axes)), 0.5, np.float32)
        for name in {**self.directions, **self.bounds}:
            if name not in self.recorded and self._costs(name, middle) is None:
                problems.append(
                    f"There is no objective or constraint {name!r}: the task records "
                    f"{', '.join(sorted(self.recorded))}."
                    f"{nearest(name, self.recorded)} Return it from `evaluate`, or "
                    "define `cost(name, hp)`."
                )
        return problems

    @property
    def is_plain(self) -> bool:
        """Whether one recorded metric is all that counts."""
        return len(self.directions) == 1 and not self.bounds

    @property
    def constraints(self) -> tuple[str, ...]:
        """What is bounded and by what, in words."""
        return tuple(f"{name} <= {bound:g}" for name, bound in self.bounds.items())

    def judged(self, finished: Finished) -> Finished:
        """A block with all M values, and how far it exceeds K bounds.

        Bounds other than 0 are taken as units, so that those of different quantities
        may be added: (v - b) / abs(b).
        """
        if self.is_plain:
            return finished
        outcome = finished.outcome
        rows = np.flatnonzero(np.asarray(outcome.trial) != EMPTY)
        sound = rows[np.asarray(outcome.status)[rows] == Status.COMPLETE]
        values = np.full((len(outcome.trial), len(self.directions)), np.nan)
        beyond = np.zeros((len(outcome.trial), len(self.bounds)))
        beyond[rows] = np.inf
        for column, name in enumerate(self.directions):
            values[sound, column] = self._measured(name, finished, sound)
        for column, (name, bound) in enumerate(self.bounds.items()):
            excess = self._measured(name, finished, sound) - bound
            beyond[sound, column] = excess / (abs(bound) or 1.0)
        signs = [_SIGNS[direction] for direction in self.directions.values()]
        fitness = np.where(np.isnan(values), -np.inf, values * signs)
        beyond = np.where(np.isnan(beyond), np.inf, beyond)
        more: dict[str, Any] = {
            "fitness": fitness.astype(np.float32),
            "constraints": beyond.astype(np.float32),
            "variance": np.zeros(fitness.shape, np.float32),
        }
        return Finished(
            outcome=dataclasses.replace(outcome, **more),
            values=values if len(signs) > 1 else finished.values,
            metrics=finished.metrics,
        )

    def _measured(self, name: str, finished: Finished, rows: np.ndarray) -> np.ndarray:
        """f64[n] what ``rows`` of a block have of one metric or cost."""
        if name not in self.recorded:
            costs = self._costs(name, np.asarray(finished.outcome.x)[rows])
            assert costs is not None
            return costs
        curves = np.asarray(finished.metrics[name], np.float64)[rows]
        epoch = np.maximum(np.asarray(finished.outcome.curve_len)[rows] - 1, 0)
        if self.keep_best:
            first, direction = next(iter(self.directions.items()))
            worth = _SIGNS[direction] * np.asarray(finished.metrics[first])[rows]
            epoch = np.argmax(np.where(np.isnan(worth), -np.inf, worth), axis=1)
        return curves[np.arange(len(rows)), epoch]

    def _costs(self, name: str, x: np.ndarray) -> np.ndarray | None:
        """f64[n] costs at f32[n, D] points; None if the task knows no such cost."""
        columns = self.space.decode(x)
        costs = np.zeros(len(x))
        for row in range(len(x)):
            values = seen_by_task(self.space, plain_config(columns, row))
            hp = Hyperparameters({**self.space.constants, **values})
            cost = self.task.cost(name, hp)
            if cost is None:
                return None
            costs[row] = cost
        return costs
