"""Training a network on labelled examples, one step at a time."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from evotune import training
from evotune._contracts import Binding
from evotune.augmentation import BINDINGS as AUGMENTATION_BINDINGS
from evotune.augmentation import augment, check_augmentation, partners
from evotune.datasets import Corpus, Dataset
from evotune.models import Network
from evotune.tasks._averaging import Average
from evotune.tasks._checks import check_lengths, check_symbols
from evotune.tasks._hyperparameters import Hyperparameters
from evotune.tasks._penalty import penalty
from evotune.tasks._scored import Scored
from evotune.tasks._train_state import TrainState

DEFAULT_BATCH_SIZE = 64
DEFAULT_EPOCHS = 20


class Supervised(Scored):
    """A network and a loss, trained on the rows of the training split.

    Subclasses give the loss of a batch and the metrics of a split.

    Attributes:
        regularized: The weights that weight_decay, l1 and l2 act on, as a tree of bools
            for a tree of parameters.
    """

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
        dataset: Dataset | Corpus,
        *,
        regularize: training.Regularize = "kernels",
        **settings: Any,
    ):
        """See the subclasses; ``settings`` are those of `Scored`."""
        super().__init__(dataset, **settings)
        self.regularized = training.regularized(regularize)

    def _stepper(self, hp: Mapping[str, Any], network: Network) -> training.Stepper:
        return training.Stepper(hp=hp, decayed=self.regularized, layers=network.layers)

    @abc.abstractmethod
    def loss(
        self,
        hp: Hyperparameters,
        outputs: jax.Array,
        targets: jax.Array,
        sample_weight: jax.Array | None = None,
    ) -> jax.Array:
        """f32[]: what training minimises on a batch, without regularisation.

        Args:
            hp: The member's hyperparameters.
            outputs: Of the network, for the batch.
            targets: As `targets` returned them.
            sample_weight: f32[B] how much each example counts; None for all the same.
        """

    def declared(self) -> Mapping[str, Binding]:
        """Bindings of training and of the model."""
        return {**self.model.bindings, **self.bindings}

    def batches(self, hp: Hyperparameters, key: jax.Array) -> jax.Array:
        """i32[S, B] rows of the training split: a new order in every epoch.

        The rows that do not fill a last batch are left out of this epoch. Of a split
        that is cut into chunks they are rows of one chunk, left out likewise.
        """
        size = hp.get("batch_size", DEFAULT_BATCH_SIZE)
        steps = self.cut.rows // size
        order = jax.random.permutation(key, self.cut.rows)
        return order[: steps * size].reshape(steps, size)

    def init(self, hp: Hyperparameters, key: jax.Array) -> TrainState:
        """Fresh variables and optimiser state. ``key`` is consumed."""
        network = self.network(hp)
        variables = network.init(key)
        return TrainState(
            variables=variables,
            optimizer=self._stepper(hp, network).init(variables["params"]),
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
        x, *examples = (
            jax.tree.map(lambda array: array[batch], data[name])
            for name in ("train_x", "train_y", "train_weight")
            if name in data
        )
        x, weight = augment(key, x, hp)
        now = training.at_step(hp, state.step, self._own_steps(hp))
        network = self.computed(hp)

        def objective(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
            variables = {**state.variables, "params": params}
            outputs, variables = network.apply(variables, x, train=True, key=key)
            outputs = self._checked(outputs, len(batch))
            loss = self.loss(hp, outputs, *examples)
            if weight is not None:  # of mixup
                other = self.loss(hp, outputs, *jax.tree.map(partners, examples))
                loss = weight * loss + (1.0 - weight) * other
            return loss + penalty(now, params, self.regularized), (loss, variables)

        ema = hp["ema"] if state.average is not None else None
        new, loss = state.after(objective, self._stepper(now, network), ema)
        return new, {"train_loss": loss}

    def _own_steps(self, hp: Mapping[str, Any]) -> Any:
        """Steps of a member's whole training, which schedules are laid out over."""
        size = hp.get("batch_size", DEFAULT_BATCH_SIZE)
        return hp.get("epochs", self.epochs) * self._steps_of(size)

    def _steps_of(self, batch_size: int) -> int:
        """Steps in an epoch: whole batches of every chunk."""
        return self.cut.chunks * (self.cut.rows // batch_size)

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Task.check`."""
        problems = training.check_training(values) + self.model.check(
            {k: v for k, v in values.items() if k in self.model.bindings}
        )
        if self.info.vocab_size is None:
            problems += check_augmentation(values, self.info.input_shape)
        else:
            problems += check_symbols(values, AUGMENTATION_BINDINGS)
        return problems + check_lengths(
            values, rows=self.cut.rows, chunks=self.cut.chunks
        )

    def ignores(
        self, name: str, parent: str, option: Any, names: Collection[str]
    ) -> bool:
        """See `Task.ignores`."""
        return training.ignores(name, parent, option, names)

    def multiply_adds(self, sizes: Mapping[str, Any]) -> float | None:
        """See `Task.multiply_adds`: training counts three forward passes."""
        one = self.model.multiply_adds(sizes, self.info)
        return None if one is None else one * self._passes

    def updates(self, sizes: Mapping[str, Any]) -> float:
        """See `Task.updates`."""
        count = getattr(self.model, "weights", None)
        return 0.0 if count is None else count(sizes, self.info) * self.steps(sizes)

    def window_elements(self, sizes: Mapping[str, Any]) -> float:
        """See `Task.window_elements`: gradients read as many twice."""
        count = getattr(self.model, "window_elements", None)
        return 0.0 if count is None else count(sizes, self.info) * self._passes

    def evaluation_share(self, sizes: Mapping[str, Any]) -> float:
        """See `Task.evaluation_share`."""
        return self._scored_rows / self._passes

    @property
    def _scored_rows(self) -> int:
        return len(self.splits.validation) + self.train_rows

    @property
    def _passes(self) -> int:
        """Forward passes of an example that cost as much as an epoch."""
        return 3 * len(self.splits.train) + self._scored_rows

    def steps(self, sizes: Mapping[str, Any]) -> int:
        """See `Task.steps`."""
        size = Hyperparameters(sizes).get("batch_size", DEFAULT_BATCH_SIZE)
        return self._steps_of(size)
