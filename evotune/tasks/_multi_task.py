"""Several tasks learnt by one network, with a head and a metric each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Binding
from evotune._errors import HyperparameterError, nearest
from evotune.datasets import Dataset, Part, Splits, split
from evotune.metrics import Metric
from evotune.models import Precision
from evotune.tasks._head_checks import check_heads
from evotune.tasks._heads import Head
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._losses import check_smoothing
from evotune.tasks._metrics import check_traceable
from evotune.tasks._objectives import COSTS
from evotune.tasks._supervised import Supervised
from evotune.training import Regularize

_WEIGHT = "loss_weight_"


class MultiTask(Supervised):
    """Trains one network to tell several things of the same examples.

    Each head is a dataset with the same examples and targets of its own: classes, which
    are told apart by cross-entropy, or quantities, which are scaled and predicted by
    squared error. The heads share the network, whose last layer has the outputs of all
    of them side by side. What training minimises is sum_h w_h loss_h.

    Every epoch records the loss and the metric of each head, as "val_digit_loss" and
    "val_digit_accuracy" of a head called "digit", and "val_loss", the sum of w_h
    loss_h with the constant ``weights``, so that members can be compared.

    Hyperparameters known by name are those of `Classification`, and "loss_weight_digit"
    of a head called "digit": its w_h, traced, instead of the constant one.

    Args:
        heads: Datasets by the heads' names, all with the same examples. Rows are split
            as those of the first: stratified where it has classes. ``sample_weight`` of
            a dataset is that of its head: 0 where a target is not known.
        model: As for `Classification`. The best model's ``predict`` returns outputs by
            head, those to regress on in their own units.
        metrics: A metric for any of the heads, a name or an `et.metrics.Metric`;
            "accuracy" or "r2" where there is none.
        objective: What the search is about: a head's name, for its metric; "mean" of
            the metrics, which must get better in one direction; or "loss".
        objectives: Several of these, or "parameters" or "multiply_adds", in place of
            ``objective``; the first is the metric.
        constraints: The largest "parameters" or "multiply_adds".
        weights: w_h, finite and at least 0, by head; 1 where there is none.
        train_metrics: As for `Classification`.
        regularize: As for `Classification`.
        validation: Fraction of the examples that the search is judged on.
        test: Fraction that only the winner is tested on.
        split_seed: Seed of the splits.
        standardize: Whether to scale inputs by statistics of the training split.
        precision: As for `Classification`.

    Raises:
        DataError: If examples differ between heads, or cannot be split.
        HyperparameterError: If a name, metric, weight or objective does not fit; lists
            everything found.

    Reference:
        Caruana (1997), Multitask learning.

    Example:
        >>> import evotune as et
        >>> digits = et.datasets.digits()
        >>> ink = et.datasets.arrays(digits.x, digits.x.mean(axis=1))
        >>> task = et.tasks.MultiTask({"digit": digits, "ink": ink}, objective="digit")
        >>> task.metric, sorted(task.recorded)
        ('val_digit_accuracy', ['digit_accuracy', 'digit_loss', 'ink_loss', 'ink_r2',
        'loss'])
        >>> space = et.Space(loss_weight_ink=et.Float(0.01, 1.0, log=True))
    """

    always: ClassVar[tuple[str, ...] | None] = ()
    bindings: ClassVar[Mapping[str, Binding]] = {
        **Supervised.bindings,
        "label_smoothing": Binding.TRACED,
    }

    def __init__(
        self,
        heads: Mapping[str, Dataset],
        *,
        model: Any = None,
        metrics: Mapping[str, str | Metric] | None = None,
        objective: str = "mean",
        objectives: Iterable[str] = (),
        constraints: Mapping[str, float] | None = None,
        weights: Mapping[str, float] | None = None,
        train_metrics: bool | int = False,
        regularize: Regularize = "kernels",
        validation: float = 0.2,
        test: float = 0.2,
        split_seed: int = 0,
        standardize: bool = True,
        precision: Precision = "float32",
    ):
        """See the class."""
        metrics, weights = dict(metrics or {}), dict(weights or {})
        check_heads(heads, metrics, weights)
        first = next(iter(heads.values()))
        rows = split(first, validation=validation, test=test, seed=split_seed)
        self.heads: dict[str, Head] = {}
        column = 0
        for name, dataset in heads.items():
            head = Head.of(
                name, dataset, metrics.get(name), first=column, train=rows.train.index
            )
            self.heads[name], column = head, head.columns.stop
        self.weights = {name: float(weights.get(name, 1.0)) for name in heads}
        recorded, goals = self._metrics(), tuple(objectives)
        super().__init__(
            first,
            model=model,
            metric=self._objective(goals[0] if goals else objective, recorded),
            objectives=[
                goal if goal in COSTS else self._objective(goal, recorded)
                for goal in goals
            ],
            constraints=constraints,
            monitor=recorded.values(),
            train_metrics=train_metrics,
            regularize=regularize,
            validation=validation,
            test=test,
            split_seed=split_seed,
            standardize=standardize,
            precision=precision,
            num_outputs=column,
        )

    def _metrics(self) -> dict[str, Metric]:
        """All metrics, of outputs f32[N, all columns] and targets by head."""

        def of_head(function: Any, name: str) -> Any:
            def own(outputs: jax.Array, targets: Any, sample_weight: Any = None) -> Any:
                return function(outputs, targets[name], _of(sample_weight, name))

            return own

        found: dict[str, Metric] = {}
        for name, head in self.heads.items():
            score, kind = of_head(head.score, name), head.metric
            loss = of_head(head.plain_loss, name)
            both = {
                f"{name}_{kind.name}": Metric(
                    score, kind.direction, f"{name}_{kind.name}"
                ),
                f"{name}_loss": Metric(loss, "minimize", f"{name}_loss"),
            }
            found |= both
        return {**found, "loss": Metric(self._total, "minimize", "loss")}

    def _total(
        self, outputs: jax.Array, targets: Any, sample_weight: Any = None
    ) -> jax.Array:
        losses = [
            self.weights[name]
            * head.plain_loss(outputs, targets[name], _of(sample_weight, name))
            for name, head in self.heads.items()
        ]
        return jnp.sum(jnp.stack(losses))

    def _objective(self, objective: str, recorded: Mapping[str, Metric]) -> Metric:
        if objective == "loss":
            return recorded["loss"]
        if objective in self.heads:
            return recorded[f"{objective}_{self.heads[objective].metric.name}"]
        known = [*self.heads, "mean", "loss"]
        if objective != "mean":
            raise HyperparameterError(
                f"objective must be one of {known}, but got {objective!r}."
                f"{nearest(str(objective), known)}"
            )
        kinds = {name: head.metric for name, head in self.heads.items()}
        directions = {kind.direction for kind in kinds.values()}
        if len(directions) > 1:
            listed = ", ".join(
                f"{n}: {k.name} ({k.direction})" for n, k in kinds.items()
            )
            raise HyperparameterError(
                "The heads' metrics must get better in one direction for "
                f"objective='mean', but are {listed}. Use `objective={known[0]!r}`, or "
                "other `metrics`."
            )

        def mean(
            outputs: jax.Array, targets: Any, sample_weight: Any = None
        ) -> jax.Array:
            scores = [
                head.score(outputs, targets[name], _of(sample_weight, name))
                for name, head in self.heads.items()
            ]
            return jnp.mean(jnp.stack(scores))

        return Metric(mean, directions.pop(), "mean")

    def _split(self, *, validation: float, test: float, seed: int) -> Splits:
        rows = split(self.dataset, validation=validation, test=test, seed=seed)
        published = self.dataset.x_test is not None

        def with_targets(part: Part, *, of_test: bool) -> Part:
            y: Any = {
                name: (head.dataset.y_test if of_test else head.dataset.y)[part.index]  # type: ignore[index]
                for name, head in self.heads.items()
            }
            weights = {
                name: weight[part.index]
                for name, head in self.heads.items()
                for weight in [
                    head.dataset.sample_weight_test
                    if of_test
                    else head.dataset.sample_weight
                ]
                if weight is not None
            }
            weight: Any = weights or None
            return dataclasses.replace(part, y=y, weight=weight)

        return Splits(
            train=with_targets(rows.train, of_test=False),
            validation=with_targets(rows.validation, of_test=False),
            test=with_targets(rows.test, of_test=published),
        )

    def _check_metrics(self, metrics: Any) -> None:
        rows = len(self.splits.validation)
        outputs = jax.ShapeDtypeStruct((rows, self.info.num_outputs), np.float32)
        check_traceable(metrics, outputs, self.targets(self.splits.validation.y))

    def targets(self, y: Any) -> Any:
        """Targets by head, those to regress on scaled."""
        return {name: head.targets(y[name]) for name, head in self.heads.items()}

    def outputs(self, raw: jax.Array) -> Any:
        """Outputs by head, those to regress on in the targets' own units."""
        return {name: head.outputs(raw) for name, head in self.heads.items()}

    def declared(self) -> Mapping[str, Binding]:
        """See `Task.declared`."""
        weights = [f"{_WEIGHT}{name}" for name in self.heads]
        return {**super().declared(), **dict.fromkeys(weights, Binding.TRACED)}

    def loss(
        self,
        hp: Hyperparameters,
        outputs: jax.Array,
        targets: Any,
        sample_weight: Any = None,
    ) -> jax.Array:
        """sum_h w_h loss_h of the batch."""
        losses = [
            hp.get(f"{_WEIGHT}{name}", self.weights[name])
            * head.loss(hp, outputs, targets[name], _of(sample_weight, name))
            for name, head in self.heads.items()
        ]
        return jnp.sum(jnp.stack(losses))

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Task.check`."""
        problems = super().check(values) + check_smoothing(values)
        return problems + [
            f"{_WEIGHT}{name} must be at least 0, but may be {value!r}. "
            f"Use `{_WEIGHT}{name}=Float(0.01, 1.0, log=True)`."
            for name in self.heads
            for value in values.get(f"{_WEIGHT}{name}", ())
            if not value >= 0
        ]

    def _what_outputs_are(self) -> str:
        return f"the heads {', '.join(self.heads)} have together"


def _of(sample_weight: Mapping[str, jax.Array] | None, name: str) -> jax.Array | None:
    """Weights of the examples for one head, where its dataset has some."""
    return None if sample_weight is None else sample_weight.get(name)
