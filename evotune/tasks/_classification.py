"""Classification: one label for each example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax

from evotune._contracts import Binding
from evotune._errors import DataError
from evotune.datasets import Dataset
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._metrics import CLASSIFICATION, Metric, log_loss
from evotune.tasks._supervised import Supervised


class Classification(Supervised):
    """Trains a network to tell classes apart, by cross-entropy.

    Hyperparameters known by name: optimizer, learning_rate, momentum, nesterov, b1, b2,
    weight_decay, gradient_clip, l1, l2, label_smoothing, batch_size, epochs, ema,
    patience, min_delta; flip, shift, rotation, scale, brightness, cutout, input_noise,
    mixup, augmentation_probability; and those of the model; a user's own model adds any
    name that it reads.

    Args:
        dataset: Examples and labels.
        model: `et.models.MLP()`, or a function of any of ``hp``, ``info``, ``rngs``
            that returns a Flax module, linen or nnx.
        metric: "accuracy" or "loss", of the validation split.
        validation: Fraction of the examples that the search is judged on.
        test: Fraction that only the winner is tested on; a published test set is used
            instead where the dataset has one.
        split_seed: Seed of the stratified splits.
        standardize: Whether to scale inputs to zero mean and unit variance by
            statistics of the training split.

    Raises:
        DataError: If the dataset is for regression or cannot be split.
        HyperparameterError: If there is no such metric.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
        >>> task.metric, task.direction
        ('val_accuracy', 'maximize')
    """

    metrics: ClassVar[Mapping[str, Metric]] = CLASSIFICATION
    bindings: ClassVar[Mapping[str, Binding]] = {
        **Supervised.bindings,
        "label_smoothing": Binding.TRACED,
    }

    def __init__(
        self,
        dataset: Dataset,
        *,
        model: Any = None,
        metric: str = "accuracy",
        validation: float = 0.2,
        test: float = 0.2,
        split_seed: int = 0,
        standardize: bool = True,
    ):
        """See the class."""
        if dataset.n_classes is None:
            raise DataError(
                f"Classification needs class labels, but dataset {dataset.name!r} has "
                "targets to regress on. Use `et.tasks.Regression(...)`, or make the "
                "labels integers or strings."
            )
        super().__init__(
            dataset,
            model=model,
            metric=metric,
            validation=validation,
            test=test,
            split_seed=split_seed,
            standardize=standardize,
            num_outputs=dataset.n_classes,
        )

    def loss(
        self, hp: Hyperparameters, outputs: jax.Array, targets: jax.Array
    ) -> jax.Array:
        """Mean cross-entropy of the batch, in nats; labels smoothed where asked."""
        if "label_smoothing" not in hp:
            return log_loss(outputs, targets)
        labels = jax.nn.one_hot(targets, self.info.num_outputs, dtype=outputs.dtype)
        smoothing = jnp.asarray(hp["label_smoothing"], outputs.dtype)
        labels = optax.losses.smooth_labels(labels, smoothing)
        return jnp.mean(optax.losses.softmax_cross_entropy(outputs, labels))

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Task.check`."""
        return super().check(values) + [
            f"label_smoothing must lie in [0, 1), but may be {value!r}. "
            "Use `label_smoothing=Float(0.0, 0.2)`."
            for value in values.get("label_smoothing", ())
            if not 0 <= value < 1
        ]

    def _what_outputs_are(self) -> str:
        return f"there are classes in dataset {self.dataset.name!r}"
