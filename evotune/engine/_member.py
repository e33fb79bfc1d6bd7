"""One member of a population, and all that its training needs to go on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evotune._signatures import call_by_name
from evotune.engine._patience import Patience
from evotune.tasks import Hyperparameters, Task

# What randomness is for, folded into keys, so that no draw depends on another's. A
# trial's key is fold_in(study, trial number), which never reaches that of the order.
_ORDER = 2**31
INIT, STEP, EVALUATE, _PURPOSES = 0, 1, 2, 3


class Steps:
    """The task's methods with all their arguments, and metrics of one form."""

    def __init__(self, task: Task):
        """Wraps ``task``, whose methods may leave arguments out."""
        self._task = task

    def init(self, hp: Hyperparameters, data: Any, key: jax.Array) -> Any:
        """The state before training, as arrays."""
        state = call_by_name(self._task.init, hp=hp, data=data, key=key)
        return jax.tree.map(jnp.asarray, state)

    def batches(self, hp: Hyperparameters, data: Any, key: jax.Array) -> Any:
        """What each step of an epoch receives, with a leading axis of steps."""
        return call_by_name(self._task.batches, hp=hp, data=data, key=key)

    def step(
        self, hp: Hyperparameters, state: Any, data: Any, batch: Any, key: jax.Array
    ) -> tuple[Any, dict[str, jax.Array]]:
        """The next state, with the dtypes of the last, and what the step records."""
        result = call_by_name(
            self._task.step, hp=hp, state=state, data=data, batch=batch, key=key
        )
        is_pair = isinstance(result, tuple) and len(result) == 2
        if is_pair and isinstance(result[1], Mapping) and not same_tree(result, state):
            new, metrics = result
        else:
            new, metrics = result, {}
        if not same_tree(new, state):
            raise TypeError(
                f"step must return a state of the same structure as it got, "
                f"{jax.tree.structure(state)}, but returned {jax.tree.structure(new)}. "
                "Return the new state alone, or `(state, {'train_loss': loss})`."
            )
        return new, _scalars(metrics, "step")

    def evaluate(
        self, hp: Hyperparameters, state: Any, data: Any, key: jax.Array
    ) -> dict[str, jax.Array]:
        """Scalars by name after an epoch."""
        return _scalars(
            call_by_name(self._task.evaluate, hp=hp, state=state, data=data, key=key),
            "evaluate",
        )


def order_key(seed_key: jax.Array) -> jax.Array:
    """The key of the data's order, which all members share."""
    return jax.random.fold_in(seed_key, _ORDER)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["fitness", "state", "broken"],
    meta_fields=["objective", "sign"],
)
@dataclasses.dataclass(frozen=True, kw_only=True)
class Best:
    """The best epoch so far.

    Attributes:
        fitness: f32[] objective, larger is better; -inf before the first epoch.
        state: The state that has it.
        broken: bool[] whether a number has stopped to be finite.
        objective: Column of the objective in a row of the curves.
        sign: 1 to maximise, -1 to minimise.
    """

    fitness: jax.Array
    state: Any
    broken: jax.Array
    objective: int
    sign: float

    @classmethod
    def none(cls, state: Any, objective: int, sign: float) -> Best:
        """Before the first epoch."""
        return cls(
            fitness=jnp.asarray(-jnp.inf, jnp.float32),
            state=state,
            broken=jnp.asarray(False),
            objective=objective,
            sign=sign,
        )

    def or_better(self, state: Any, row: jax.Array, runs: jax.Array) -> Best:
        """This, or an epoch that ``runs`` and is better, as long as nothing broke."""
        breaks = ~jnp.all(jnp.isfinite(row)) | (row[0] < 1.0)
        broken = self.broken | (runs & breaks)
        fitness = self.sign * row[self.objective]
        better = runs & ~broken & (fitness > self.fitness)
        return dataclasses.replace(
            self,
            fitness=jnp.where(better, fitness, self.fitness),
            state=where(better, state, self.state),
            broken=broken,
        )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """One member between two stops: all that its training needs to go on.

    Attributes:
        state: The task's state after the epochs trained so far.
        best: The best epoch so far; None where the last one counts.
        patience: How long it has waited to improve; None without early stopping.
        curves: f32[T, 1 + number of metrics]: for each epoch whether the state was
            free of NaN (1 or 0), then the metrics in their given order; NaN in epochs
            that were not run.
        recorded: f32[number of metrics]: means of what the steps of the epoch under way
            have recorded; None where an epoch is trained in one go.
    """

    state: Any
    best: Best | None
    patience: Patience | None
    curves: jax.Array
    recorded: jax.Array | None = None

    @property
    def result(self) -> Any:
        """The task's state that counts: the last one, or that of the best epoch."""
        return self.state if self.best is None else self.best.state


def start_member(
    task: Task,
    hp: Hyperparameters,
    trial: jax.Array,
    replica: jax.Array,
    data: Any,
    seed_key: jax.Array,
    *,
    metrics: Sequence[str],
    points: int,
    keep_best: bool,
    in_chunks: bool = False,
) -> Member:
    """A member before its first epoch.

    Args:
        task: What is trained.
        hp: The member's hyperparameters; values may be traced.
        trial: i32[] trial number, on which the member's randomness hangs.
        replica: i32[] seed or fold of the trial.
        data: What ``task.data()`` returned.
        seed_key: The study's key; the same for all members.
        metrics: Names of all that ``step`` and ``evaluate`` record, in the order of
            the curves' columns.
        points: T, the length of the curves.
        keep_best: Whether the value and the state are those of the best epoch.
        in_chunks: Whether the data of an epoch come in chunks.
    """
    key = purpose_key(seed_key, trial, replica, INIT)
    state = Steps(task).init(hp, data, key)
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), state)  # not weak
    sign = 1.0 if task.direction == "maximize" else -1.0
    objective = 1 + list(metrics).index(task.metric)
    return Member(
        state=state,
        best=Best.none(state, objective, sign) if keep_best else None,
        patience=Patience.of(hp),
        curves=jnp.full((points, 1 + len(metrics)), jnp.nan, jnp.float32),
        recorded=jnp.zeros((len(metrics),), jnp.float32) if in_chunks else None,
    )


def purpose_key(
    seed_key: jax.Array, trial: jax.Array, replica: jax.Array, purpose: int
) -> jax.Array:
    """The key of a member for a purpose: `INIT`, `STEP` or `EVALUATE`."""
    key = jax.random.fold_in(seed_key, trial)
    return jax.random.fold_in(key, _PURPOSES * replica + purpose)


def where(condition: jax.Array, yes: Any, no: Any) -> Any:
    """``yes`` if bool[] ``condition`` holds, else ``no``: trees of one structure."""
    return jax.tree.map(functools.partial(jnp.where, condition), yes, no)


def same_tree(tree: Any, like: Any) -> bool:
    """Whether two pytrees have the same structure."""
    structure: Any = jax.tree.structure(tree)
    return bool(structure == jax.tree.structure(like))


def _scalars(metrics: Any, method: str) -> dict[str, jax.Array]:
    if not isinstance(metrics, Mapping):
        raise TypeError(
            f"{method} must return a dict of scalars by name, but returned "
            f"{type(metrics).__name__}. Write `return {{'loss': loss}}`."
        )
    arrays = {str(name): jnp.asarray(value) for name, value in metrics.items()}
    for name, value in arrays.items():
        if value.shape:
            raise TypeError(
                f"{method} must return scalars, but {name!r} has shape {value.shape}. "
                "Reduce it, for instance with `jnp.mean`."
            )
    return arrays
