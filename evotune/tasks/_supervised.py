"""Training a network on labelled examples: what the tasks on data share."""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from evotune import nn, training
from evotune._contracts import Binding
from evotune._errors import HyperparameterError
from evotune.augmentation import BINDINGS as AUGMENTATION_BINDINGS
from evotune.augmentation import augment, check_augmentation, partners
from evotune.datasets import Dataset, Splits, split
from evotune.metrics import Metric
from evotune.models import Info, Network, as_model
from evotune.tasks._averaging import Average
from evotune.tasks._checks import check_lengths
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._metrics import (
    Monitored,
    check_traceable,
    objective_metric,
    recorded_metrics,
)
from evotune.tasks._preprocessing import Scaler, forward_in_chunks
from evotune.tasks._task import FittedModel, Task

DEFAULT_BATCH_SIZE = 64
DEFAULT_EPOCHS = 20
TRAIN_METRIC_ROWS = 10_000
"""Most training examples that `train_metrics=True` scores after an epoch."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainState:
    """All that belongs to one member in training.

    Attributes:
        variables: {"params": ..., further collections} of the network.
        optimizer: State of the optax optimiser.
        average: Moving average of the variables; None where the space has no `ema`.
        step: i32[] steps made so far; None where no rate changes over training.
    """

    variables: Any
    optimizer: Any
    average: Average | None = None
    step: jax.Array | None = None

    @property
    def evaluated(self) -> Any:
        """The variables that are scored and handed out: averaged where asked."""
        return self.variables if self.average is None else self.average.variables


class Supervised(Task):
    """A network, a loss, splits made once, and scores of the validation split.

    Subclasses give the loss of a batch and the metrics of a split.

    Attributes:
        metrics: All metrics that have a name in this kind of task.
        always: Names of those that are recorded in any case, "loss" among them, which
            shows every NaN; None for all.
        recorded: The metrics that are recorded, by name: those, the objective and the
            monitored ones.
        train_rows: Training examples that are scored after an epoch; 0 for none.
    """

    metrics: ClassVar[Mapping[str, Metric]] = {}
    always: ClassVar[tuple[str, ...] | None] = None
    epochs = DEFAULT_EPOCHS
    bindings: ClassVar[Mapping[str, Binding]] = {
        **training.BINDINGS,
        **AUGMENTATION_BINDINGS,
        "l1": Binding.TRACED,
        "l2": Binding.TRACED,
        "ema": Binding.TRACED,
        "patience": Binding.TRACED,
        "min_delta": Binding.TRACED,
        "batch_size": Binding.STATIC,
        "epochs": Binding.TRACED,
    }

    def __init__(
        self,
        dataset: Dataset,
        *,
        model: Any,
        metric: str | Metric,
        validation: float,
        test: float,
        split_seed: int,
        standardize: bool,
        num_outputs: int,
        monitor: Iterable[Monitored] = (),
        train_metrics: bool | int = False,
    ):
        """See the subclasses, whose arguments these are."""
        self.dataset = dataset
        self.model = as_model(model)
        always = self.metrics if self.always is None else self.always
        objective = objective_metric(metric, self.metrics)
        self.recorded = recorded_metrics(objective, monitor, always, self.metrics)
        self.metric = f"val_{objective.name}"
        self.direction = objective.direction
        self.splits: Splits = split(
            dataset, validation=validation, test=test, seed=split_seed
        )
        self.info = Info(
            input_shape=tuple(dataset.x.shape[1:]), num_outputs=num_outputs
        )
        self.scaler = Scaler.fit(self.splits.train.x) if standardize else None
        self.train_rows = _train_rows(train_metrics, len(self.splits.train))
        self._check_metrics([m for n, m in self.recorded.items() if n not in always])

    def _check_metrics(self, metrics: Iterable[Metric]) -> None:
        rows, columns = len(self.splits.validation), self.info.num_outputs
        outputs = jax.ShapeDtypeStruct((rows, columns), np.float32)
        labels = jax.ShapeDtypeStruct((rows,), np.int32)
        classes = self.dataset.n_classes is not None
        check_traceable(metrics, outputs, labels if classes else outputs)

    @abc.abstractmethod
    def loss(
        self, hp: Hyperparameters, outputs: jax.Array, targets: jax.Array
    ) -> jax.Array:
        """f32[]: what training minimises on a batch, without regularisation."""

    @functools.cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        train, validation = self.splits.train, self.splits.validation
        return {
            "train_x": self.preprocess(train.x),
            "train_y": self.targets(train.y),
            "validation_x": self.preprocess(validation.x),
            "validation_y": self.targets(validation.y),
        }

    def preprocess(self, x: Any) -> np.ndarray:
        """f32[N, *input_shape] as the network sees it: scaled by the training split."""
        x = np.asarray(x, np.float32)
        return x if self.scaler is None else self.scaler(x)

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Targets as `loss` and the metrics take them."""
        return y

    def data(self) -> dict[str, np.ndarray]:
        """The training and the validation split; never the test split."""
        return self._arrays

    @property
    def records(self) -> tuple[str, ...] | None:
        """The loss and the metrics; None for a user's own model, which is tried out."""
        if not self.model.bindings:
            return None
        names = [f"val_{name}" for name in self.recorded]
        if self.train_rows:
            names += [f"train_{name}" for name in self.recorded if name != "loss"]
        return ("train_loss", *names)

    def declared(self) -> Mapping[str, Binding]:
        """Bindings of training and of the model."""
        return {**self.model.bindings, **self.bindings}

    def batches(self, hp: Hyperparameters, key: jax.Array) -> jax.Array:
        """i32[S, B] rows of the training split: a new order in every epoch.

        The rows that do not fill a last batch are left out of this epoch.
        """
        size = hp.get("batch_size", DEFAULT_BATCH_SIZE)
        steps = len(self.splits.train) // size
        order = jax.random.permutation(key, len(self.splits.train))
        return order[: steps * size].reshape(steps, size)

    def network(self, hp: Hyperparameters) -> Network:
        """The network of one member."""
        return self.model.network(hp, self.info)

    def init(self, hp: Hyperparameters, key: jax.Array) -> TrainState:
        """Fresh variables and optimiser state. ``key`` is consumed."""
        variables = self.network(hp).init(key)
        return TrainState(
            variables=variables,
            optimizer=training.make_optimizer(hp).init(variables["params"]),
            average=Average.start(variables) if "ema" in hp else None,
            step=jnp.zeros((), jnp.int32) if training.is_scheduled(hp) else None,
        )

    def step(
        self,
        hp: Hyperparameters,
        state: TrainState,
        data: Mapping[str, jax.Array],
        batch: jax.Array,
        key: jax.Array,
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        """One step of the optimiser on the rows ``batch`` of the training split."""
        x, y = data["train_x"][batch], data["train_y"][batch]
        x, weight = augment(key, x, hp)
        now = training.at_step(hp, state.step, self._own_steps(hp))
        network, optimizer = self.network(hp), training.make_optimizer(now)

        def objective(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
            variables = {**state.variables, "params": params}
            outputs, variables = network.apply(variables, x, train=True, key=key)
            outputs = self._checked(outputs, len(batch))
            loss = self.loss(hp, outputs, y)
            if weight is not None:  # of mixup
                other = self.loss(hp, outputs, partners(y))
                loss = weight * loss + (1.0 - weight) * other
            return loss + _penalty(now, params), (loss, variables)

        params = state.variables["params"]
        gradients, (loss, variables) = jax.grad(objective, has_aux=True)(params)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, params)
        params = optax.apply_updates(params, updates)
        variables = {**variables, "params": params}
        average = state.average
        if average is not None:
            average = average.including(variables, hp["ema"])
        new = TrainState(
            variables=variables,
            optimizer=optimizer_state,
            average=average,
            step=None if state.step is None else state.step + 1,
        )
        return new, {"train_loss": loss}

    def _own_steps(self, hp: Mapping[str, Any]) -> Any:
        """Steps of a member's whole training, which schedules are laid out over."""
        size = hp.get("batch_size", DEFAULT_BATCH_SIZE)
        return hp.get("epochs", self.epochs) * (len(self.splits.train) // size)

    def is_sound(self, state: TrainState) -> bool:
        """True: the validation loss reads every weight, and so shows every NaN."""
        return True

    def evaluate(
        self, hp: Hyperparameters, state: TrainState, data: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """All recorded metrics on the validation split, as "val_accuracy" and the like.

        Where asked for, those of the training split, as "train_accuracy"; "train_loss"
        stays what the steps of the epoch had.
        """
        scores = self.score(
            hp, state.evaluated, data["validation_x"], data["validation_y"]
        )
        found = {f"val_{name}": value for name, value in scores.items()}
        if self.train_rows:
            # The training split is in a random order, so its first rows are a sample.
            x, y = (data[name][: self.train_rows] for name in ("train_x", "train_y"))
            scores = self.score(hp, state.evaluated, x, y)
            scores.pop("loss", None)
            found |= {f"train_{name}": value for name, value in scores.items()}
        return found

    def score(
        self, hp: Hyperparameters, variables: Any, x: jax.Array, y: jax.Array
    ) -> dict[str, jax.Array]:
        """All recorded metrics for preprocessed ``x`` and targets ``y``."""
        network = self.network(hp)
        outputs = forward_in_chunks(
            lambda rows: network.apply(variables, rows, train=False, key=None)[0], x
        )
        return self.measure(self._checked(outputs, x.shape[0]), y)

    def measure(self, outputs: jax.Array, targets: jax.Array) -> dict[str, jax.Array]:
        """All recorded metrics of a split's outputs and targets, by name."""
        return {
            name: metric(outputs, targets) for name, metric in self.recorded.items()
        }

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Task.check`."""
        problems = training.check_training(values) + self.model.check(
            {k: v for k, v in values.items() if k in self.model.bindings}
        )
        problems += check_augmentation(values, self.info.input_shape)
        return problems + check_lengths(values, rows=len(self.splits.train))

    def ignores(
        self, name: str, parent: str, option: Any, names: Collection[str]
    ) -> bool:
        """See `Task.ignores`."""
        return training.ignores(name, parent, option, names)

    def _checked(self, outputs: jax.Array, rows: int) -> jax.Array:
        """``outputs``, if their shape is [rows, num_outputs]; seen while tracing."""
        expected = (rows, self.info.num_outputs)
        if outputs.shape == expected:
            return outputs
        raise HyperparameterError(
            f"The model must return {expected[1]} outputs for each example, as many as "
            f"{self._what_outputs_are()}, but for {rows} examples it returns shape "
            f"{outputs.shape}. End it with a layer of `info.num_outputs` units: "
            "`model=lambda hp, info: Net(features=info.num_outputs)`."
        )

    def _what_outputs_are(self) -> str:
        return "there are targets"

    def multiply_adds(self, sizes: Mapping[str, Any]) -> float | None:
        """See `Task.multiply_adds`: training counts three forward passes."""
        one = self.model.multiply_adds(sizes, self.info)
        if one is None:
            return None
        scored = len(self.splits.validation) + self.train_rows
        return one * (3 * len(self.splits.train) + scored)

    def steps(self, sizes: Mapping[str, Any]) -> int:
        """See `Task.steps`."""
        size = Hyperparameters(sizes).get("batch_size", DEFAULT_BATCH_SIZE)
        return len(self.splits.train) // size

    def export(self, hp: Mapping[str, Any], state: TrainState) -> FittedModel:
        """The network of its true size, with ``predict`` on raw examples."""
        plain = Hyperparameters(hp)
        network = self.network(plain)
        variables = self.model.slice(state.evaluated, plain, self.info)

        def predict(x: Any) -> jax.Array:
            inputs = jnp.asarray(self.preprocess(x))
            raw, _ = network.apply(variables, inputs, train=False, key=None)
            return self.outputs(raw)

        return FittedModel(
            module=network.fitted(variables), variables=variables, predict=predict
        )

    def outputs(self, raw: jax.Array) -> jax.Array:
        """The network's outputs in the units of the targets."""
        return raw

    def test(self, hp: Mapping[str, Any], state: TrainState) -> dict[str, jax.Array]:
        """All recorded metrics on the test split, as "test_accuracy" and the like."""
        part = self.splits.test
        if not len(part):
            return {}
        plain = Hyperparameters(hp)
        variables = self.model.slice(state.evaluated, plain, self.info)
        x, y = self.preprocess(part.x), self.targets(part.y)
        scores = self.score(plain, variables, jnp.asarray(x), jnp.asarray(y))
        return {f"test_{name}": value for name, value in scores.items()}


def _train_rows(train_metrics: bool | int, rows: int) -> int:
    """Rows of the training split that are scored after an epoch."""
    if isinstance(train_metrics, bool):
        return min(rows, TRAIN_METRIC_ROWS) if train_metrics else 0
    if not isinstance(train_metrics, int) or train_metrics < 1:
        raise HyperparameterError(
            "train_metrics must be True, False or a number of examples of at least 1, "
            f"but got {train_metrics!r}. Use `train_metrics=True`."
        )
    return min(rows, train_metrics)


def _penalty(hp: Mapping[str, Any], params: Any) -> jax.Array | float:
    """l1 * sum |w| + l2 * sum w^2 over the kernels."""
    if "l1" not in hp and "l2" not in hp:
        return 0.0
    chosen = jax.tree.leaves(training.is_kernel(params))
    leaves = zip(jax.tree.leaves(params), chosen, strict=True)
    kernels = [leaf for leaf, is_chosen in leaves if is_chosen]
    total: jax.Array | float = 0.0
    if "l1" in hp:
        total += hp["l1"] * sum(nn.absolute_sum(w) for w in kernels)
    if "l2" in hp:
        total += hp["l2"] * sum(jnp.sum(jnp.square(w)) for w in kernels)
    return total
