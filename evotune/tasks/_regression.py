"""Regression: one or more quantities for each example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from evotune._errors import DataError
from evotune.datasets import Dataset
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._metrics import REGRESSION, Metric, mean_squared_error
from evotune.tasks._preprocessing import Scaler
from evotune.tasks._supervised import Supervised


class Regression(Supervised):
    """Trains a network to predict quantities, by squared error.

    The network learns targets scaled to zero mean and unit variance; "train_loss" and
    "loss" are squared errors of the scaled targets, "rmse" and "mae" are in the units
    of the targets where there is one target, else of the scaled ones.

    Hyperparameters known by name are those of `Classification` without
    label_smoothing.

    Args:
        dataset: Examples and targets f32[N] or f32[N, K].
        model: As for `Classification`.
        metric: "r2", "rmse", "mae" or "loss", of the validation split.
        validation: Fraction of the examples that the search is judged on.
        test: Fraction that only the winner is tested on.
        split_seed: Seed of the splits.
        standardize: Whether to scale inputs by statistics of the training split.

    Raises:
        DataError: If the dataset has class labels or cannot be split.
        HyperparameterError: If there is no such metric.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Regression(et.datasets.diabetes(), metric="r2")
    """

    metrics: ClassVar[Mapping[str, Metric]] = REGRESSION

    def __init__(
        self,
        dataset: Dataset,
        *,
        model: Any = None,
        metric: str = "rmse",
        validation: float = 0.2,
        test: float = 0.2,
        split_seed: int = 0,
        standardize: bool = True,
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
            validation=validation,
            test=test,
            split_seed=split_seed,
            standardize=standardize,
            num_outputs=columns,
        )
        self.target_scaler = Scaler.fit(_columns(self.splits.train.y))

    def targets(self, y: np.ndarray) -> np.ndarray:
        """f32[N, K] targets, scaled."""
        return self.target_scaler(_columns(y))

    def outputs(self, raw: jax.Array) -> jax.Array:
        """f32[N, K] in the targets' own units; f32[N] where they have one axis."""
        values = self.target_scaler.inverse(raw)
        return values[:, 0] if self.dataset.y.ndim == 1 else values

    def loss(
        self, hp: Hyperparameters, outputs: jax.Array, targets: jax.Array
    ) -> jax.Array:
        """Mean squared error of the batch, of scaled targets."""
        return mean_squared_error(outputs, targets)

    def score(
        self, hp: Hyperparameters, variables: Any, x: jax.Array, y: jax.Array
    ) -> dict[str, jax.Array]:
        """All metrics; rmse and mae of a single target in its own units."""
        scores = super().score(hp, variables, x, y)
        if self.info.num_outputs == 1:
            unit = float(self.target_scaler.scale[0])
            scores["rmse"] = scores["rmse"] * unit
            scores["mae"] = scores["mae"] * unit
        return scores


def _columns(y: np.ndarray) -> np.ndarray:
    return y[:, None] if y.ndim == 1 else y
