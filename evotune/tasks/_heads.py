"""One head of a network with several: its columns, loss and metric."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from evotune.datasets import Dataset
from evotune.metrics import (
    CLASSIFICATION,
    REGRESSION,
    Metric,
    log_loss,
    mean_squared_error,
    weighted_mean,
)
from evotune.tasks._losses import smoothed_cross_entropy
from evotune.tasks._metrics import objective_metric
from evotune.tasks._preprocessing import Scaler
from evotune.tasks._regression import as_columns, in_units


@dataclasses.dataclass(frozen=True, kw_only=True)
class Head:
    """What one dataset asks of a network that serves several.

    Attributes:
        name: Its name.
        dataset: Where its targets come from.
        columns: Those of the network's outputs that are its own.
        metric: Its metric, of its own outputs and targets.
        scaler: Of targets to regress on, fitted to the training split; None of classes.
    """

    name: str
    dataset: Dataset
    columns: slice
    metric: Metric
    scaler: Scaler | None

    @classmethod
    def of(
        cls, name: str, dataset: Dataset, metric: Any, *, first: int, train: np.ndarray
    ) -> Head:
        """The head for ``dataset``, whose outputs begin at column ``first``.

        Args:
            name: Its name.
            dataset: Its classes or quantities.
            metric: A name or a Metric; None is "accuracy" of classes, "r2" of others.
            first: Column of the network's outputs.
            train: Rows of the training split.

        Raises:
            HyperparameterError: If there is no such metric.
        """
        count = dataset.n_classes
        if count is None:
            known, usual = REGRESSION, "r2"
            columns = as_columns(dataset.y)
            scaler, count = Scaler.fit(columns[train]), columns.shape[1]
        else:
            known, usual, scaler = CLASSIFICATION, "accuracy", None
        return cls(
            name=name,
            dataset=dataset,
            columns=slice(first, first + count),
            metric=objective_metric(usual if metric is None else metric, known),
            scaler=scaler,
        )

    def targets(self, y: np.ndarray) -> np.ndarray:
        """i32[N] labels as they are, or f32[N, K] quantities, scaled."""
        return y if self.scaler is None else self.scaler(as_columns(y))

    def loss(
        self,
        hp: Mapping[str, Any],
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """f32[]: mean cross-entropy, or squared error of scaled targets.

        Args:
            hp: ``label_smoothing`` is read where it is there.
            outputs: f32[B, all columns] of the network.
            targets: Of this head.
            sample_weight: f32[B] how much each example counts for this head.
        """
        own = outputs[:, self.columns]
        if self.scaler is None:
            losses = smoothed_cross_entropy(hp, own, targets)
            return weighted_mean(losses, sample_weight)
        return mean_squared_error(own, targets, sample_weight)

    def plain_loss(
        self,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """f32[]: `loss` without smoothing, of a split."""
        own = outputs[:, self.columns]
        loss = log_loss if self.scaler is None else mean_squared_error
        return loss(own, targets, sample_weight)

    def score(
        self,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """f32[]: the metric, of quantities in their own units."""
        own = outputs[:, self.columns]
        if self.scaler is None:
            return self.metric(own, targets, sample_weight)
        return in_units(self.metric, self.scaler, own, targets, sample_weight)

    def outputs(self, raw: jax.Array) -> jax.Array:
        """f32[N, C] logits, or f32[N, K] or f32[N] in the units of the targets."""
        own = raw[:, self.columns]
        if self.scaler is None:
            return own
        values = self.scaler.inverse(own)
        return values[:, 0] if self.dataset.y.ndim == 1 else values
