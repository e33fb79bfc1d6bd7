"""The Task: what is trained, written for ONE member."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp

from evotune._contracts import Binding
from evotune.tasks._stream import Stream

PyTree = Any
Metrics = Mapping[str, jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FittedModel:
    """A trained network of its true size, free of evotune's engine.

    Attributes:
        module: The plain Flax module (an nnx module holds its own variables).
        variables: Its variables, as ``module.apply(variables, x)`` takes them.
        predict: Maps raw examples to outputs (logits or targets in their own units),
            preprocessing included; of several heads a dict by head.
    """

    module: Any
    variables: PyTree
    predict: Callable[[Any], Any]

    def __iter__(self) -> Any:
        """Unpacks as ``module, variables = result.best_model()``."""
        return iter((self.module, self.variables))


class Task(abc.ABC):
    """What is trained, for one member: no population axis anywhere.

    A subclass writes ``init``, ``step`` and ``evaluate``. The engine vectorises them
    over members, so they must be traceable; where a value of ``hp`` does not trace, it
    becomes static and the task sees plain Python values. Arguments of all methods are
    matched by name, and those that are not needed may be left out.

    An epoch is ``steps_per_epoch`` steps and one evaluation. A member trains for
    ``hp.epochs`` epochs where the space has such a dimension, else for ``epochs``.

    Attributes:
        metric: The name, among those that ``evaluate`` returns, of the objective.
        direction: Whether the objective is maximised or minimised.
        objectives: The direction of each objective by name, where there are several:
            the first is ``metric``, which curves, early stopping and value="best"
            follow. Others are what `evaluate` returns or what `cost` knows.
        constraints: The largest value of what has such a name; larger ones are
            infeasible.
        epochs: Evaluations in a training, unless the space has ``epochs``.
        steps_per_epoch: Calls of ``step`` between two evaluations.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> import evotune as et
        >>> class Bowl(et.Task):
        ...     metric, direction = "height", "minimize"
        ...     epochs, steps_per_epoch = 3, 10
        ...     def init(self, hp, key):
        ...         return jax.random.normal(key, (2,))
        ...     def step(self, hp, state):
        ...         return state - hp.learning_rate * jax.grad(self.height)(state)
        ...     def evaluate(self, state):
        ...         return {"height": self.height(state)}
        ...     def height(self, point):
        ...         return jnp.sum(point**2)
    """

    metric: str = "value"
    direction: Literal["maximize", "minimize"] = "minimize"
    objectives: Mapping[str, Literal["maximize", "minimize"]] = {}
    constraints: Mapping[str, float] = {}
    epochs: int = 1
    steps_per_epoch: int = 1
    bindings: ClassVar[Mapping[str, Binding]] = {}

    @property
    def skips(self) -> Collection[str]:
        """Padded sizes of which nothing is computed that no block's member needs.

        The engine trains members with alike values of them together.
        """
        return ()

    @property
    def records(self) -> tuple[str, ...] | None:
        """All that `step` and `evaluate` record; None where it takes a trace to see."""
        return None

    @abc.abstractmethod
    def init(self, *args: Any, **kwargs: Any) -> PyTree:
        """The state before training.

        May take ``hp`` (a `Hyperparameters`), ``data`` (what `data` returned) and
        ``key``, which is the member's own and is consumed.
        """

    @abc.abstractmethod
    def step(self, *args: Any, **kwargs: Any) -> Any:
        """One step of training: the new state, or (state, dict of scalars to record).

        May take ``hp``, ``state``, ``data``, ``batch`` (the step's slice of what
        `batches` returned), ``key`` (the member's own, new in each step, consumed).
        """

    @abc.abstractmethod
    def evaluate(self, *args: Any, **kwargs: Any) -> Metrics:
        """Scalars by name, the objective among them, after an epoch.

        May take ``hp``, ``state``, ``data`` and ``key`` (the member's own, consumed).
        """

    def is_sound(self, state: PyTree) -> Any:
        """Whether training may go on: bool[], false once ``state`` holds a NaN.

        A member also counts as diverged when a metric is not finite. A task whose
        metrics show every NaN of its state can save the work and return True.
        """
        floats = [
            jnp.any(jnp.isnan(leaf))
            for leaf in jax.tree.leaves(state)
            if jnp.issubdtype(leaf.dtype, jnp.inexact)
        ]
        return ~jnp.any(jnp.stack(floats)) if floats else True

    def data(self) -> PyTree:
        """Arrays that every call may read; they enter programs as arguments."""
        return ()

    def stream(self) -> Stream | None:
        """Arrays of `data` that come in chunks; None where all are held at once."""
        return None

    def batches(self, *args: Any, **kwargs: Any) -> PyTree:
        """What each step of an epoch receives: arrays with a leading axis of steps.

        May take ``hp``, ``data`` and ``key``, which all members share in an epoch, so
        that they see the same data in the same order (common random numbers).
        """
        return jnp.arange(self.steps_per_epoch)

    def names(self) -> tuple[str, ...]:
        """Hyperparameters that the task knows by name."""
        return tuple(self.declared())

    def declared(self) -> Mapping[str, Binding]:
        """How the hyperparameters that the task knows by name are bound."""
        return self.bindings

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """Problems with a space, found before anything is compiled.

        Args:
            values: For each hyperparameter its bounds (low, high), its choices, or its
                constant (value,).

        Returns:
            One sentence or two for each problem: the rule, the value, the fix.
        """
        return []

    def ignores(
        self, name: str, parent: str, option: Any, names: Collection[str]
    ) -> bool:
        """Whether a member with ``option`` of ``parent`` never reads ``name``.

        Members of one program differ in a masked choice, and those in which ``name`` is
        inactive still carry some value of it. Where one of them would read it, the
        choice is compiled in instead.

        Args:
            name: A hyperparameter that is active under other options only.
            parent: The masked choice that it depends on.
            option: An option under which it is inactive.
            names: All hyperparameters of the space.
        """
        return True

    def in_float32(self) -> Task:
        """The same task in float32, whatever it computes in.

        What traces is compared with plain values in it: rounding to bfloat16 differs
        between two programs of the same meaning by more than a wrong binding may.
        """
        return self

    def cost(self, name: str, hp: Mapping[str, Any]) -> float | None:
        """What a member costs by its hyperparameters alone, such as "parameters".

        It is asked for names in `objectives` and `constraints` that nothing records.

        Args:
            name: Of the cost.
            hp: Plain Python values of all hyperparameters.

        Returns:
            The cost; None where there is none of that name.
        """
        return None

    def multiply_adds(self, sizes: Mapping[str, Any]) -> float | None:
        """Multiply-adds of an epoch's forward passes; None where unknown.

        Args:
            sizes: Plain values of all hyperparameters; masked ones at their capacity.
        """
        return None

    def updates(self, sizes: Mapping[str, Any]) -> float:
        """Weights that an epoch's steps move, each counted in every step.

        0 where unknown; it matters where batches are small.

        Args:
            sizes: See `multiply_adds`.
        """
        return 0.0

    def window_elements(self, sizes: Mapping[str, Any]) -> float:
        """Elements of the windows that an epoch's convolutions read; 0 without any.

        Args:
            sizes: As `multiply_adds` takes them.
        """
        return 0.0

    def evaluation_share(self, sizes: Mapping[str, Any]) -> float | None:
        """The share of `multiply_adds` that evaluation takes; None where unknown.

        Args:
            sizes: As `multiply_adds` takes them.
        """
        return None

    def steps(self, sizes: Mapping[str, Any]) -> int:
        """Steps in an epoch.

        Args:
            sizes: Plain values of all hyperparameters.
        """
        return self.steps_per_epoch

    def export(self, hp: Mapping[str, Any], state: PyTree) -> FittedModel:
        """The trained member as a plain model; ``hp`` holds plain Python values.

        Raises:
            NotImplementedError: If the task has no model to hand out.
        """
        raise NotImplementedError(
            f"{type(self).__name__} defines no `export`, so there is no model to hand "
            "out. `result.best_state` has the final training state; or define "
            "`def export(self, hp, state): return et.tasks.FittedModel(...)`."
        )

    def test(self, hp: Mapping[str, Any], state: PyTree) -> Metrics:
        """Scores on data that the search never saw; empty where there are none.

        Traceable in ``state``; ``hp`` holds plain Python values.
        """
        return {}
