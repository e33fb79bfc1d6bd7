"""A network on examples, and how it is scored: what the tasks on data share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Binding
from evotune.datasets import Corpus, Dataset
from evotune.metrics import Metric
from evotune.models import (
    Info,
    Network,
    Precision,
    as_model,
    check_precision,
    in_precision,
    parameter_count,
)
from evotune.tasks._checks import check_model, check_outputs
from evotune.tasks._examples import Examples
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._metrics import (
    Monitored,
    check_traceable,
    recorded_metrics,
    rows_to_score,
)
from evotune.tasks._objectives import RATES, Goals, Objective, default_metric
from evotune.tasks._preprocessing import CHUNK, STEPS, Scaler, forward_in_chunks
from evotune.tasks._sparsity import SPARSITY, split_monitor
from evotune.tasks._stream import Cut, check_sample
from evotune.tasks._task import FittedModel
from evotune.tasks._train_state import TrainState


class Scored(Examples):
    """A network, splits made once, and scores of the validation split.

    `Supervised` adds how it is trained; subclasses of that give the loss of a batch and
    the metrics of a split.

    Attributes:
        metrics: All metrics that have a name in this kind of task.
        always: Names of those that are recorded in any case, "loss" among them, which
            shows every NaN; None for all.
        recorded: The metrics that are recorded, by name: those, the objective and the
            monitored ones.
        train_rows: Training examples that are scored after an epoch; 0 for none.
        sparsity: Which weights count as zero; None where nobody asked.
        each_step: Whether the network has outputs at every step of a series.
        precision: What the network is computed in, in training and its scores.

    Further attributes are those of `Examples`.
    """

    metrics: ClassVar[Mapping[str, Metric]] = {}
    always: ClassVar[tuple[str, ...] | None] = None
    each_step: ClassVar[bool] = False

    def __init__(
        self,
        dataset: Dataset | Corpus,
        *,
        model: Any,
        metric: str | Metric,
        validation: float,
        test: float,
        split_seed: int,
        standardize: bool,
        num_outputs: int,
        objectives: Iterable[Objective] = (),
        constraints: Mapping[str, float] | None = None,
        monitor: Iterable[Monitored] = (),
        train_metrics: bool | int = False,
        precision: Precision = "float32",
    ):
        """See the subclasses, whose arguments these are."""
        self.precision = check_precision(precision)
        self.dataset = dataset
        self.model = as_model(model)
        always = self.metrics if self.always is None else self.always
        goals = Goals.of(
            metric, objectives, constraints, self.metrics, default_metric(type(self))
        )
        monitor, self.sparsity = split_monitor(monitor)
        self.recorded = recorded_metrics(goals.metrics, monitor, always, self.metrics)
        self.metric = f"val_{goals.metrics[0].name}"
        self.direction = goals.metrics[0].direction
        self.objectives, self.constraints = goals.directions, goals.bounds
        self._counted: dict[str, int] = {}
        self.splits = self._split(validation=validation, test=test, seed=split_seed)
        symbols = dataset.vocabulary
        self.info = Info(
            input_shape=tuple(self.splits.train.x.shape[1:]),
            num_outputs=num_outputs,
            vocab_size=None if symbols is None else len(symbols),
            each_step=self.each_step,
        )
        check_model(self.model, self.info)
        scales = standardize and symbols is None
        self.cut = Cut.of(self.splits.train)
        self.scaler = Scaler.fit(self.splits.train.x) if scales else None
        self.train_rows = rows_to_score(train_metrics, len(self.splits.train))
        check_sample(self.train_rows, self.cut, self.dataset.name)
        self._check_metrics([m for n, m in self.recorded.items() if n not in always])

    def _check_metrics(self, metrics: Iterable[Metric]) -> None:
        labels = self.splits.validation.y
        columns = self.info.num_outputs
        outputs = jax.ShapeDtypeStruct((labels.size, columns), np.float32)
        if labels.dtype.kind == "i":
            targets = jax.ShapeDtypeStruct((labels.size,), np.int32)
        else:
            targets = outputs = jax.ShapeDtypeStruct((len(labels), columns), np.float32)
        check_traceable(metrics, outputs, targets)

    @property
    def records(self) -> tuple[str, ...] | None:
        """The loss and the metrics; None for a user's own model, which is tried out."""
        if not self.model.bindings:
            return None
        names = [f"val_{name}" for name in self.recorded]
        if self.train_rows:
            names += [_train_name(name) for name in self.recorded]
        if self.sparsity is not None:
            names.append(SPARSITY)
        return ("train_loss", *names)

    @property
    def skips(self) -> Collection[str]:
        """See `Task.skips`."""
        return getattr(self.model, "skips", ())

    def network(self, hp: Hyperparameters) -> Network:
        """The network of one member."""
        return self.model.network(hp, self.info)

    def computed(self, hp: Hyperparameters) -> Network:
        """`network` as it is trained and scored, at the task's precision."""
        return in_precision(self.network(hp), self.precision)

    def in_float32(self) -> Scored:
        """See `Task.in_float32`."""
        if self.precision == "float32":
            return self
        exact = copy.copy(self)
        exact.precision = "float32"
        return exact

    def is_sound(self, state: TrainState) -> bool:
        """True: the validation loss reads every weight, and so shows every NaN."""
        return True

    def evaluate(
        self, hp: Hyperparameters, state: TrainState, data: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """All recorded metrics on the validation split, as "val_accuracy" and the like.

        Where asked for, those of the training split, as "train_accuracy"; "train_loss"
        stays what the steps of the epoch had, so that the loss evaluated as that of the
        validation split is goes by "train_evaluated_loss".
        """
        scores = self.score(
            hp,
            state.evaluated,
            data["validation_x"],
            data["validation_y"],
            data.get("validation_weight"),
        )
        found = {f"val_{name}": value for name, value in scores.items()}
        if self.train_rows:
            # The training split is in a random order, so its first rows are a sample.
            x, y, weight = (
                jax.tree.map(lambda array: array[: self.train_rows], data.get(name))
                for name in ("train_x", "train_y", "train_weight")
            )
            scores = self.score(hp, state.evaluated, x, y, weight)
            found |= {_train_name(name): value for name, value in scores.items()}
        if self.sparsity is not None:
            found[SPARSITY] = self.sparsity(self.network(hp), state.evaluated)
        return found

    def score(
        self,
        hp: Hyperparameters,
        variables: Any,
        x: jax.Array,
        y: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> dict[str, jax.Array]:
        """All recorded metrics for preprocessed ``x`` and targets ``y``."""
        network = self.computed(hp)
        outputs = forward_in_chunks(
            lambda rows: network.apply(variables, rows, train=False, key=None)[0],
            x,
            at_once=CHUNK if not self.each_step else -(-STEPS // x.shape[1]),
        )
        return self.measure(self._checked(outputs, x.shape[0]), y, sample_weight)

    def measure(
        self,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> dict[str, jax.Array]:
        """All recorded metrics of a split's outputs and targets, by name."""
        return {
            name: metric(outputs, targets, sample_weight)
            for name, metric in self.recorded.items()
        }

    def _checked(self, outputs: jax.Array, rows: int) -> jax.Array:
        steps = self.info.input_shape if self.each_step else ()
        expected = (rows, *steps, self.info.num_outputs)
        check_outputs(outputs.shape, expected, self._what_outputs_are())
        return outputs

    def _what_outputs_are(self) -> str:
        return "there are targets"

    def cost(self, name: str, hp: Mapping[str, Any]) -> float | None:
        """The "parameters" or "multiply_adds" of the network of its true size.

        Multiply-adds are those of one example's forward pass, and not known of a
        user's own model.
        """
        if name == "parameters":
            key = self._shapes_by(hp)
            if key not in self._counted:
                self._counted[key] = parameter_count(self.model, hp, self.info)
            return self._counted[key]
        if name == "multiply_adds":
            return self.model.multiply_adds(hp, self.info)
        return None

    def _shapes_by(self, hp: Mapping[str, Any]) -> str:
        """All in ``hp`` that the shapes of parameters can hang on."""
        own, declared = self.model.bindings, self.declared()
        names = {name: name.rpartition(".")[2] for name in hp}
        return repr(
            {
                name: hp[name]
                for name, last in names.items()
                if (last in own and last not in RATES)
                or (not own and declared.get(last) is not Binding.TRACED)
            }
        )

    def export(self, hp: Mapping[str, Any], state: TrainState) -> FittedModel:
        """The network of its true size, in float32, with ``predict`` on examples."""
        module, variables, forward = self._exported(hp, state)

        def predict(x: Any) -> jax.Array:
            return self.outputs(forward(jnp.asarray(self.preprocess(x))))

        return FittedModel(module=module, variables=variables, predict=predict)

    def _exported(
        self, hp: Mapping[str, Any], state: TrainState
    ) -> tuple[Any, Any, Callable[[jax.Array], jax.Array]]:
        """The module, its variables, and both as a function of preprocessed x."""
        plain = Hyperparameters(hp)
        network = self.network(plain)
        variables = self.model.slice(state.evaluated, plain, self.info)

        def forward(x: jax.Array) -> jax.Array:
            return network.apply(variables, x, train=False, key=None)[0]

        return network.fitted(variables), variables, forward

    def outputs(self, raw: jax.Array) -> jax.Array:
        """The network's outputs in the units of the targets."""
        return raw

    def test(self, hp: Mapping[str, Any], state: TrainState) -> dict[str, jax.Array]:
        """All recorded metrics on the test split, as "test_accuracy" and the like.

        They are those of the model that `export` hands out, which is float32.
        """
        part = self.splits.test
        if not len(part):
            return {}
        plain = Hyperparameters(hp)
        variables = self.model.slice(state.evaluated, plain, self.info)
        arrays = self.preprocess(part.x), self.targets(part.y), part.weight
        x, y, weight = jax.tree.map(jnp.asarray, arrays)
        scores = self.in_float32().score(plain, variables, x, y, weight)
        return {f"test_{name}": value for name, value in scores.items()}


def _train_name(metric: str) -> str:
    """What a metric of the training split, evaluated after an epoch, is recorded as."""
    return "train_evaluated_loss" if metric == "loss" else f"train_{metric}"
