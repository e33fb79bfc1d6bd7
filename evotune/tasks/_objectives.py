"""What a network is judged by: metrics, and what it costs to have it."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

from evotune._errors import HyperparameterError, nearest
from evotune.metrics import Metric
from evotune.tasks._metrics import objective_metric

COSTS = ("parameters", "multiply_adds")
"""What is known of a network without training it; less is better."""

RATES = ("dropout", "attention_dropout", "drop_path", "init_scale", "activation")
"""Hyperparameters of a model that its parameters' shapes never hang on."""

Objective = str | Metric
"""A metric's name, a Metric, or one of `COSTS`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Goals:
    """Objectives and constraints of a task, as its users name them.

    Attributes:
        metrics: All metrics among them, the leading one first.
        directions: That of each objective, by the name that it is recorded as; empty
            where one metric is all that counts.
        bounds: What must not be exceeded, by the name that it is recorded as.
    """

    metrics: tuple[Metric, ...]
    directions: Mapping[str, Any]
    bounds: Mapping[str, float]

    @classmethod
    def of(
        cls,
        metric: Any,
        objectives: Iterable[Objective],
        constraints: Mapping[str, float] | None,
        known: Mapping[str, Metric],
        usual: Any,
    ) -> Goals:
        """What the arguments of a task mean.

        Args:
            metric: The one objective, unless there are ``objectives``.
            objectives: Names among ``known``, Metrics, or names of costs.
            constraints: The largest value of what has one of these names.
            known: The metrics that have a name in this kind of task.
            usual: The default of ``metric``.

        Raises:
            HyperparameterError: If one is unknown or there twice, a cost comes first,
                a bound is no finite number, or ``metric`` says something else.
        """
        if isinstance(objectives, (str, Metric)):
            raise HyperparameterError(
                f"objectives must be a list of metrics, but got {objectives!r}. Use "
                f"`metric={objectives!r}` for one objective."
            )
        goals = [_goal(each, known) for each in objectives]
        names = [_recorded_as(goal) for goal in goals]
        leading = objective_metric(metric, known)
        if goals:
            _check(goals, names, leading, metric == usual)
        metrics = [goal for goal in goals if isinstance(goal, Metric)] or [leading]
        bounds = {}
        for name, bound in (constraints or {}).items():
            goal = _goal(name, known)
            bounds[_recorded_as(goal)] = _checked_bound(name, bound)
            metrics += [goal] if isinstance(goal, Metric) else []
        return cls(
            metrics=tuple(metrics),
            directions={
                name: goal.direction if isinstance(goal, Metric) else "minimize"
                for name, goal in zip(names, goals, strict=True)
            },
            bounds=bounds,
        )


def default_metric(task: type) -> Any:
    """The default of ``metric`` of a kind of task; None if it has none."""
    parameter = inspect.signature(task).parameters.get("metric")
    return None if parameter is None else parameter.default


def _goal(goal: Any, known: Mapping[str, Metric]) -> Metric | str:
    if isinstance(goal, str) and goal in COSTS:
        return goal
    if isinstance(goal, str) and goal.removeprefix("val_") not in known:
        names = (*known, *COSTS)
        raise HyperparameterError(
            f"There is no objective or constraint {goal!r}.{nearest(goal, names)} "
            f"There are {', '.join(sorted(names))}; or pass "
            "`et.metrics.Metric(fn, 'maximize')`."
        )
    return objective_metric(goal, known)


def _recorded_as(goal: Metric | str) -> str:
    return f"val_{goal.name}" if isinstance(goal, Metric) else goal


def _check(
    goals: list[Metric | str], names: list[str], leading: Metric, is_usual: bool
) -> None:
    if len(set(names)) < len(names):
        raise HyperparameterError(
            f"objectives must differ, but got {', '.join(names)}. Name each once."
        )
    if not isinstance(goals[0], Metric):
        raise HyperparameterError(
            "The first of the objectives must be a metric, which curves, early stopping"
            f" and value='best' follow, but got {goals[0]!r}. Put one before "
            f"it: `objectives=[{leading.name!r}, {goals[0]!r}]`."
        )
    if not is_usual and leading != goals[0]:
        raise HyperparameterError(
            "The first of the objectives is the metric, but got "
            f"metric={leading.name!r} and {goals[0].name!r} first. Leave `metric` out, "
            "or put it first."
        )


def _checked_bound(name: str, bound: Any) -> float:
    number = isinstance(bound, (int, float)) and not isinstance(bound, bool)
    if not number or not math.isfinite(bound):
        raise HyperparameterError(
            f"A constraint is a largest value, but got {bound!r} for {name!r}. Use "
            f"`constraints={{{name!r}: 10_000}}`."
        )
    return float(bound)
