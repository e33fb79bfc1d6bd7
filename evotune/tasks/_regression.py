"""Regression: one or more quantities for each example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from evotune._errors import DataError
from evotune.datasets import Dataset
from evotune.metrics import REGRESSION, Metric, mean_squared_error
from evotune.models import Precision
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._metrics import Monitored
from evotune.tasks._objectives import Objective
from evotune.tasks._preprocessing import Scaler
from evotune.tasks._supervised import Supervised
from evotune.training import Regularize


class Regression(Supervised):
    """Trains a network to predict quantities, by squared error.

    The network learns targets scaled to zero mean and unit variance; "train_loss" and
    "loss" are squared errors of the scaled targets. "rmse", "mae" and the like are in
    the units of the targets where there is one target, else of the scaled ones; "mape"
    and functions of your own get outputs and targets f32[N, K] in the targets' units.

    Hyperparameters known by name are those of `Classification` without
    label_smoothing.

    Args:
        dataset: Examples and targets f32[N] or f32[N, K].
        model: As for `Classification`.
        metric: A name in `et.metrics.REGRESSION`, such as "r2" or "rmse", or an
            `et.metrics.Metric`; of the validation split.
        objectives: As for `Classification`.
        constraints: As for `Classification`.
        monitor: As for `Classification`; "loss", "rmse", "mae" and "r2" always are.
        train_metrics: As for `Classification`.
        regularize: As for `Classification`.
        validation: Fraction of the examples that the search is judged on.
        test: Fraction that only the winner is tested on.
        split_seed: Seed of the splits.
        standardize: Whether to scale inputs by statistics of the training split.
        precision: As for `Classification`.

    Raises:
        DataError: If the dataset has class labels or cannot be split.
        HyperparameterError: If there is no such metric, or one cannot be computed.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Regression(et.datasets.diabetes(), metric="r2")
    """

    metrics: ClassVar[Mapping[str, Metric]] = REGRESSION
    always: ClassVar[tuple[str, ...] | None] = ("loss", "rmse", "mae", "r2")

    def __init__(
        self,
        dataset: Dataset,
        *,
        model: Any = None,
        metric: str | Metric = "rmse",
        objectives: Iterable[Objective] = (),
        constraints: Mapping[str, float] | None = None,
        monitor: Iterable[Monitored] = (),
        train_metrics: bool | int = False,
        regularize: Regularize = "kernels",
        validation: float = 0.2,
        test: float = 0.2,
        split_seed: int = 0,
        standardize: bool = True,
        precision: Precision = "float32",
    ):
        """See the class."""
        if dataset.n_classes is not None:
            raise DataError(
                f"Regression needs quantities, but dataset {dataset.name!r} has class "
                "labels. Use `et.tasks.Classification(...)`, or make the targets "
                "floats: `et.datasets.arrays(x, y.astype(float), regression=True)`."
            )
        columns = 1 if dataset.y.ndim == 1 else dataset.y.shape[1]
        super().__init__(
            dataset,
            model=model,
            metric=metric,
            objectives=objectives,
            constraints=constraints,
            monitor=monitor,
            train_metrics=train_metrics,
            regularize=regularize,
            validation=validation,
            test=test,
            split_seed=split_seed,
            standardize=standardize,
            precision=precision,
            num_outputs=columns,
        )
        self.target_scaler = Scaler.fit(as_columns(self.splits.train.y))

    def targets(self, y: np.ndarray) -> np.ndarray:
        """f32[N, K] targets, scaled."""
        return self.target_scaler(as_columns(y))

    def outputs(self, raw: jax.Array) -> jax.Array:
        """f32[N, K] in the targets' own units; f32[N] where they have one axis."""
        values = self.target_scaler.inverse(raw)
        return values[:, 0] if self.dataset.y.ndim == 1 else values

    def loss(
        self,
        hp: Hyperparameters,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """Mean squared error of the batch, of scaled targets."""
        return mean_squared_error(outputs, targets, sample_weight)

    def measure(
        self,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> dict[str, jax.Array]:
        """All recorded metrics of scaled outputs and targets, in their own units."""
        return {
            name: in_units(metric, self.target_scaler, outputs, targets, sample_weight)
            for name, metric in self.recorded.items()
        }


def in_units(
    metric: Metric,
    scaler: Scaler,
    outputs: jax.Array,
    targets: jax.Array,
    sample_weight: jax.Array | None = None,
) -> jax.Array:
    """f32[]: ``metric`` of scaled outputs and targets f32[N, K], in their own units.

    "loss" is of the scaled ones, and so are metrics with a unit where K > 1, as several
    targets have no unit in common.
    """
    if metric is REGRESSION["loss"]:
        return metric(outputs, targets, sample_weight)
    if metric.degree is None:
        outputs, targets = map(scaler.inverse, (outputs, targets))
        return metric(outputs, targets, sample_weight)
    unit = float(scaler.scale[0]) if len(scaler.scale) == 1 else 1.0
    return metric(outputs, targets, sample_weight) * unit**metric.degree


def as_columns(y: np.ndarray) -> np.ndarray:
    """f32[N, K] of targets f32[N] or f32[N, K]."""
    return y[:, None] if y.ndim == 1 else y
