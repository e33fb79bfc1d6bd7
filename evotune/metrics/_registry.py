"""Metrics by name, for each kind of task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

from evotune._errors import HyperparameterError, nearest
from evotune.metrics import _classification as classes
from evotune.metrics import _multilabel as labels
from evotune.metrics import _regression as quantities
from evotune.metrics._calibration import brier_score, expected_calibration_error
from evotune.metrics._confusion import cohen_kappa, matthews
from evotune.metrics._metric import Metric
from evotune.metrics._ranking import average_precision, roc_auc

Function = Callable[..., Any]


def _metrics(
    direction: Literal["maximize", "minimize"],
    functions: Mapping[str, Function],
    *,
    degree: int | None = None,
) -> dict[str, Metric]:
    return {
        name: Metric(function, direction, name, degree=degree)
        for name, function in functions.items()
    }


def _averages(
    averages: Iterable[str], **functions: Function
) -> dict[str, partial[Function]]:
    """The functions with each of ``averages``, under names such as "f1_macro"."""
    return {
        f"{name}_{average}": partial(function, average=average)
        for name, function in functions.items()
        for average in averages
    }


CLASSIFICATION: Mapping[str, Metric] = {
    **_metrics(
        "maximize",
        {
            "accuracy": classes.accuracy,
            "balanced_accuracy": classes.balanced_accuracy,
            "top_2_accuracy": partial(classes.top_k_accuracy, k=2),
            "top_3_accuracy": partial(classes.top_k_accuracy, k=3),
            "top_5_accuracy": partial(classes.top_k_accuracy, k=5),
            "precision": partial(classes.precision, average="binary"),
            "recall": partial(classes.recall, average="binary"),
            "f1": partial(classes.f1, average="binary"),
            **_averages(
                ("micro", "macro", "weighted"),
                precision=classes.precision,
                recall=classes.recall,
                f1=classes.f1,
            ),
            "roc_auc": roc_auc,
            "average_precision": average_precision,
            "matthews": matthews,
            "cohen_kappa": cohen_kappa,
            "quadratic_kappa": partial(cohen_kappa, weights="quadratic"),
        },
    ),
    **_metrics(
        "minimize",
        {
            "loss": classes.log_loss,
            "perplexity": classes.perplexity,
            "brier_score": brier_score,
            "expected_calibration_error": expected_calibration_error,
        },
    ),
}
"""Of logits f32[N, C] and labels i32[N]; "f1" and the like are of class 1 of two."""

REGRESSION: Mapping[str, Metric] = {
    **_metrics("minimize", {"loss": quantities.mean_squared_error}),
    **_metrics("minimize", {"mse": quantities.mean_squared_error}, degree=2),
    **_metrics(
        "minimize",
        {
            "rmse": quantities.root_mean_squared_error,
            "mae": quantities.mean_absolute_error,
            "median_absolute_error": quantities.median_absolute_error,
            "max_error": quantities.max_error,
        },
        degree=1,
    ),
    **_metrics("maximize", {"r2": quantities.r2}, degree=0),
    **_metrics("minimize", {"mape": quantities.mean_absolute_percentage_error}),
}
"""Of outputs and targets f32[N, K]."""

MULTILABEL: Mapping[str, Metric] = {
    **_metrics(
        "maximize",
        {
            "subset_accuracy": labels.subset_accuracy,
            **_averages(
                ("micro", "macro", "weighted", "samples"),
                precision=labels.multilabel_precision,
                recall=labels.multilabel_recall,
                f1=labels.multilabel_f1,
            ),
            "roc_auc": labels.multilabel_roc_auc,
            "average_precision": labels.multilabel_average_precision,
        },
    ),
    **_metrics(
        "minimize",
        {"loss": labels.binary_cross_entropy, "hamming_loss": labels.hamming_loss},
    ),
}
"""Of logits f32[N, L] and targets [N, L], 1 for a label that an example has."""


def find(name: str, known: Mapping[str, Metric]) -> Metric:
    """The metric called ``name``, with or without "val_" before it.

    Args:
        name: Such as "f1_macro".
        known: `CLASSIFICATION`, `REGRESSION` or `MULTILABEL`.

    Raises:
        HyperparameterError: If there is none; names the nearest.

    Example:
        >>> find("f1_macro", CLASSIFICATION).direction
        'maximize'
    """
    short = name.removeprefix("val_")
    if short not in known:
        listed = ", ".join(repr(each) for each in known)
        raise HyperparameterError(
            f"metric must be one of {listed}, but got {name!r}."
            f"{nearest(short, known)} For a function of your own use "
            "`metric=et.metrics.Metric(fn, 'maximize')`."
        )
    return known[short]
