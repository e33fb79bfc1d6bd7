"""Which metrics a task records: the objective, the monitored, and the usual ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax

from evotune._errors import HyperparameterError
from evotune.metrics import Metric, find
from evotune.tasks._sparsity import WeightSparsity

TRAIN_METRIC_ROWS = 10_000
"""Most training examples that `train_metrics=True` scores after an epoch."""

Monitored = str | Metric | WeightSparsity | Callable[[jax.Array, jax.Array], Any]


def objective_metric(metric: Any, known: Mapping[str, Metric]) -> Metric:
    """What ``metric=`` of a task means: a name among ``known``, or a Metric.

    Raises:
        HyperparameterError: If it is neither, or a function without a direction.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        return find(metric, known)
    if callable(metric):
        raise HyperparameterError(
            "A function as metric needs the direction in which it gets better, but got "
            f"{metric!r} alone. Use `metric=et.metrics.Metric(fn, 'maximize')`."
        )
    raise HyperparameterError(
        f"metric must be a name such as 'accuracy' or a Metric, but got {metric!r}. "
        "Use `metric='loss'`, or `metric=et.metrics.Metric(fn, 'maximize')`."
    )


def recorded_metrics(
    objectives: Iterable[Metric],
    monitor: Iterable[Monitored],
    always: Iterable[str],
    known: Mapping[str, Metric],
) -> dict[str, Metric]:
    """All metrics that a task records, by name.

    Args:
        objectives: What the search is about.
        monitor: Further metrics: names, Metrics, or functions, whose direction nobody
            needs.
        always: Names among ``known`` that are recorded in any case.
        known: The metrics that have a name in this kind of task.

    Raises:
        HyperparameterError: If two different metrics would have one name.
    """
    if isinstance(monitor, (str, Metric)) or callable(monitor):
        raise HyperparameterError(
            f"monitor must be a list of metrics, but got {monitor!r}. "
            f"Use `monitor=[{monitor!r}]`."
        )
    further = [_monitored(each, known) for each in monitor]
    found = {name: known[name] for name in always}
    for metric in (*objectives, *further):
        if found.setdefault(metric.name, metric) != metric:
            raise HyperparameterError(
                f"Recorded metrics must differ in their names, but {metric.name!r} "
                "stands for two. Name yours: "
                f"`et.metrics.Metric(fn, {metric.direction!r}, name='my_score')`."
            )
    return found


def _monitored(metric: Any, known: Mapping[str, Metric]) -> Metric:
    if callable(metric) and not isinstance(metric, Metric):
        return Metric(metric, "maximize")
    return objective_metric(metric, known)


def check_traceable(
    metrics: Iterable[Metric],
    outputs: jax.ShapeDtypeStruct,
    targets: Any,
) -> None:
    """Traces each metric once; runs nothing.

    Raises:
        HyperparameterError: If one cannot be computed of such outputs and targets, or
            is not a scalar.
    """
    for metric in metrics:
        try:
            jax.eval_shape(metric, outputs, targets)
        except HyperparameterError:
            raise
        except Exception as error:
            described = ", ".join(map(_words, jax.tree.leaves(targets)))
            raise HyperparameterError(
                f"Metric {metric.name!r} cannot be computed of outputs "
                f"{_words(outputs)} and targets {described}: {error} A function "
                "of your own must be one that JAX can trace: jax.numpy instead of "
                "numpy, and no `if` on values."
            ) from error


def _words(struct: jax.ShapeDtypeStruct) -> str:
    return f"{struct.dtype}[{', '.join(map(str, struct.shape))}]"


def rows_to_score(train_metrics: bool | int, rows: int) -> int:
    """How many of ``rows`` of the training split are scored after an epoch.

    Raises:
        HyperparameterError: If ``train_metrics`` is neither a bool nor a number.
    """
    if isinstance(train_metrics, bool):
        return min(rows, TRAIN_METRIC_ROWS) if train_metrics else 0
    if not isinstance(train_metrics, int) or train_metrics < 1:
        raise HyperparameterError(
            "train_metrics must be True, False or a number of examples of at least 1, "
            f"but got {train_metrics!r}. Use `train_metrics=True`."
        )
    return min(rows, train_metrics)
