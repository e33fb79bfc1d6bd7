"""Multi-label classification: any number of labels for each example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from evotune._errors import DataError
from evotune.datasets import Dataset
from evotune.metrics import MULTILABEL, Metric, binary_cross_entropy
from evotune.models import Precision
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._metrics import Monitored
from evotune.tasks._objectives import Objective
from evotune.tasks._supervised import Supervised
from evotune.training import Regularize


class MultiLabelClassification(Supervised):
    """Trains a network to tell for each label whether an example has it.

    The loss is sigmoid cross-entropy, averaged over labels; a label is predicted where
    its logit is above 0. Hyperparameters known by name are those of `Classification`
    without label_smoothing.

    Args:
        dataset: Examples and targets f32[N, L] of zeros and ones:
            `et.datasets.arrays(x, y, regression=True)`.
        model: As for `Classification`.
        metric: A name in `et.metrics.MULTILABEL`, such as "f1_micro" or "roc_auc", or
            an `et.metrics.Metric`; of the validation split.
        objectives: As for `Classification`.
        constraints: As for `Classification`.
        monitor: As for `Classification`; "loss" and "f1_micro" always are.
        train_metrics: As for `Classification`.
        regularize: As for `Classification`.
        validation: Fraction of the examples that the search is judged on.
        test: Fraction that only the winner is tested on.
        split_seed: Seed of the splits, which are not stratified.
        standardize: Whether to scale inputs by statistics of the training split.
        precision: As for `Classification`.

    Raises:
        DataError: If targets are not zeros and ones, or the dataset cannot be split.
        HyperparameterError: If there is no such metric, or one cannot be computed.

    Example:
        >>> import numpy as np
        >>> import evotune as et
        >>> x = np.random.default_rng(0).normal(size=(100, 4))
        >>> data = et.datasets.arrays(x, (x[:, :3] > 0).astype(float), regression=True)
        >>> et.tasks.MultiLabelClassification(data, metric="f1_macro").metric
        'val_f1_macro'
    """

    metrics: ClassVar[Mapping[str, Metric]] = MULTILABEL
    always: ClassVar[tuple[str, ...] | None] = ("loss", "f1_micro")

    def __init__(
        self,
        dataset: Dataset,
        *,
        model: Any = None,
        metric: str | Metric = "f1_micro",
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
                "MultiLabelClassification needs targets of shape [N, labels], but "
                f"dataset {dataset.name!r} has one class for each example. Use "
                "`et.tasks.Classification(...)`."
            )
        parts = [y for y in (dataset.y, dataset.y_test) if y is not None]
        strange = np.setdiff1d(np.concatenate([y.ravel() for y in parts]), [0.0, 1.0])
        if strange.size:
            raise DataError(
                "Targets of MultiLabelClassification must be 0 or 1, but dataset "
                f"{dataset.name!r} has {strange[0]:g}. Use `et.tasks.Regression(...)` "
                "for quantities, or make them zeros and ones: `y > 0`."
            )
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
            num_outputs=1 if dataset.y.ndim == 1 else dataset.y.shape[1],
        )

    def targets(self, y: np.ndarray) -> np.ndarray:
        """f32[N, L] of zeros and ones."""
        return y[:, None] if y.ndim == 1 else y

    def loss(
        self,
        hp: Hyperparameters,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """Mean sigmoid cross-entropy of the batch, in nats."""
        return binary_cross_entropy(outputs, targets, sample_weight)

    def _what_outputs_are(self) -> str:
        return f"there are labels in dataset {self.dataset.name!r}"
