"""Classification: one label for each example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from evotune._contracts import Binding
from evotune._errors import DataError
from evotune.datasets import Dataset
from evotune.metrics import CLASSIFICATION, Metric, weighted_mean
from evotune.models import Precision
from evotune.tasks._class_weight import class_weights
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._losses import check_smoothing, smoothed_cross_entropy
from evotune.tasks._metrics import Monitored
from evotune.tasks._objectives import Objective
from evotune.tasks._supervised import Supervised
from evotune.training import Regularize


class Classification(Supervised):
    """Trains a network to tell classes apart, by cross-entropy.

    Hyperparameters known by name: those of `evotune.training` (optimizer,
    learning_rate, schedule, warmup, weight_decay, gradient_clip and more), those of
    `evotune.augmentation` (flip, shift, mixup and more), l1, l2, label_smoothing,
    batch_size, epochs, ema, patience, min_delta, and those of the model; a user's own
    model adds any name that it reads. ``docs/api.md`` lists all of them.

    Args:
        dataset: Examples and labels. Examples may be series of symbols,
            `et.datasets.arrays(codes, y, vocabulary=words)`: they are not scaled, and
            `et.models.RNN` and `et.models.Transformer` embed them.
        model: `et.models.MLP()`, or a function of any of ``hp``, ``info``, ``rngs``
            that returns a Flax module, linen or nnx.
        metric: A name in `et.metrics.CLASSIFICATION`, such as "accuracy", "loss",
            "f1_macro" or "roc_auc", or an `et.metrics.Metric` of your own; of the
            validation split.
        objectives: Several objectives, in place of ``metric``: names or Metrics as for
            it, "parameters", how many numbers the network of its true size trains, or
            "multiply_adds" of one example's forward pass; the first is the metric.
        constraints: The largest value of what has such a name, as
            ``{"parameters": 10_000}``. A trial with more is not among the best ones;
            `et.algorithms.NSGA2` searches where there are none.
        monitor: Further metrics that every epoch records: names, Metrics, functions, or
            a `WeightSparsity`. "accuracy" and "loss" always are.
        train_metrics: Whether the metrics are recorded for the training split, too, as
            "train_accuracy" and the like, the loss as "train_evaluated_loss": of the
            same 10,000 examples in every epoch where it has more, or of as many as
            given.
        class_weight: Weights of the examples of each class in the loss that training
            minimises, by class name, 1 where there is none. "balanced" takes
            N / (C * examples of the class), from the training split. The metrics,
            "val_loss" among them, are not weighted.
        regularize: Which weights weight_decay, l1 and l2 act on: "kernels", that is,
            arrays of two or more axes, "all", a regular expression that is searched in
            paths such as "hidden_0/kernel", or a function (path, parameter) -> bool;
            see `et.training.regularized`.
        validation: Fraction of the examples that the search is judged on.
        test: Fraction that only the winner is tested on; a published test set is used
            instead where the dataset has one.
        split_seed: Seed of the stratified splits.
        standardize: Whether to scale inputs to zero mean and unit variance by
            statistics of the training split.
        precision: "bfloat16" computes the network in bfloat16, in training and in its
            scores; weights, optimiser, losses and metrics stay float32, and so do the
            best model and its test scores.

    Raises:
        DataError: If the dataset is for regression or cannot be split.
        HyperparameterError: If there is no such metric, one cannot be computed, or a
            class weight does not fit.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
        >>> task.metric, task.direction
        ('val_accuracy', 'maximize')
        >>> small = et.tasks.Classification(
        ...     et.datasets.digits(), objectives=["accuracy", "parameters"]
        ... )
        >>> small.objectives
        {'val_accuracy': 'maximize', 'parameters': 'minimize'}
    """

    metrics: ClassVar[Mapping[str, Metric]] = CLASSIFICATION
    always: ClassVar[tuple[str, ...] | None] = ("accuracy", "loss")
    bindings: ClassVar[Mapping[str, Binding]] = {
        **Supervised.bindings,
        "label_smoothing": Binding.TRACED,
    }

    def __init__(
        self,
        dataset: Dataset,
        *,
        model: Any = None,
        metric: str | Metric = "accuracy",
        objectives: Iterable[Objective] = (),
        constraints: Mapping[str, float] | None = None,
        monitor: Iterable[Monitored] = (),
        train_metrics: bool | int = False,
        regularize: Regularize = "kernels",
        class_weight: Literal["balanced"] | Mapping[Any, float] | None = None,
        validation: float = 0.2,
        test: float = 0.2,
        split_seed: int = 0,
        standardize: bool = True,
        precision: Precision = "float32",
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
            num_outputs=dataset.n_classes,
        )
        self.class_weights = class_weights(
            class_weight, dataset.class_names or (), self.splits.train.y
        )

    def loss(
        self,
        hp: Hyperparameters,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """Mean cross-entropy of the batch, in nats: smoothed, weighted where asked.

        With weights of classes it is sum_i w_i loss_i / B, so that an example weighs
        the same in every batch; with weights s_i of examples it is sum_i s_i w_i loss_i
        / sum_i s_i.
        """
        losses = smoothed_cross_entropy(hp, outputs, targets)
        if self.class_weights is not None:
            labels = jax.nn.one_hot(targets, self.info.num_outputs, dtype=outputs.dtype)
            losses *= labels @ jnp.asarray(self.class_weights, outputs.dtype)
        return weighted_mean(losses, sample_weight)

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Task.check`."""
        return super().check(values) + check_smoothing(values)

    def _what_outputs_are(self) -> str:
        return f"there are classes in dataset {self.dataset.name!r}"
