"""One member's training, from one stop to the next: no population yet."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evotune._signatures import call_by_name
from evotune.engine._patience import Patience
from evotune.tasks import Hyperparameters, Task

# What randomness is for, folded into keys, so that no draw depends on another's. A
# trial's key is fold_in(study, trial number), which never reaches that of the order.
_ORDER = 2**31
_INIT, _STEP, _EVALUATE, _PURPOSES = 0, 1, 2, 3


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
            state=_where(better, state, self.state),
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
    """

    state: Any
    best: Best | None
    patience: Patience | None
    curves: jax.Array

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
    """
    key = _purpose_key(seed_key, trial, replica, _INIT)
    state = Steps(task).init(hp, data, key)
    state = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), state)  # not weak
    sign = 1.0 if task.direction == "maximize" else -1.0
    objective = 1 + list(metrics).index(task.metric)
    return Member(
        state=state,
        best=Best.none(state, objective, sign) if keep_best else None,
        patience=Patience.of(hp),
        curves=jnp.full((points, 1 + len(metrics)), jnp.nan, jnp.float32),
    )


def train_member(
    task: Task,
    hp: Hyperparameters,
    trial: jax.Array,
    replica: jax.Array,
    member: Member,
    stop: jax.Array,
    data: Any,
    order: Any,
    seed_key: jax.Array,
    span: jax.Array,
    *,
    metrics: Sequence[str],
    any_lane: Callable[[jax.Array], jax.Array],
) -> Member:
    """Trains one member for a slice of its epochs.

    Args:
        task: What is trained.
        hp: The member's hyperparameters; values may be traced.
        trial: i32[] trial number, on which the member's randomness hangs.
        replica: i32[] seed or fold of the trial.
        member: Where it stands.
        stop: i32[] epochs after which it rests, cumulative; so does a member that has
            diverged, and one that its `patience` has stopped.
        data: What ``task.data()`` returned.
        order: What ``task.batches()`` returned in each epoch, stacked: leading axis T;
            None draws it here.
        seed_key: The study's key; the same for all members.
        span: i32[2] the first epoch of the slice and the one after its last; the same
            for all members.
        metrics: See `start_member`.
        any_lane: bool[] -> bool[], whether it is true of any member of the block.
    """
    steps = Steps(task)
    step_key, evaluate_key = (
        _purpose_key(seed_key, trial, replica, purpose)
        for purpose in (_STEP, _EVALUATE)
    )
    sign = 1.0 if task.direction == "maximize" else -1.0
    objective = 1 + list(metrics).index(task.metric)

    def epoch(index: jax.Array, state: Any) -> tuple[Any, jax.Array]:
        """The state after an epoch, and its row of the curves."""
        if order is None:
            epoch_order_key = jax.random.fold_in(order_key(seed_key), index)
            batches = steps.batches(hp, data, epoch_order_key)
        else:
            batches = jax.tree.map(lambda epochs: epochs[index], order)
        count = jax.tree.leaves(batches)[0].shape[0]
        epoch_key = jax.random.fold_in(step_key, index)

        def step(state: Any, inputs: tuple[Any, jax.Array]) -> tuple[Any, Any]:
            batch, number = inputs
            step_key = jax.random.fold_in(epoch_key, number)
            return steps.step(hp, state, data, batch, step_key)

        state, recorded = jax.lax.scan(step, state, (batches, jnp.arange(count)))
        score_key = jax.random.fold_in(evaluate_key, index)
        scores = steps.evaluate(hp, state, data, score_key)
        found = {name: jnp.mean(values) for name, values in recorded.items()} | scores
        row = [task.is_sound(state), *(found[name] for name in metrics)]
        return state, jnp.stack([jnp.asarray(x, jnp.float32) for x in row])

    def body(index: jax.Array, old: Member) -> Member:
        state, row = epoch(index, old.state)
        runs, best, patience = index < stop, old.best, old.patience
        if patience is not None:
            runs &= ~patience.is_over
            patience = _where(runs, patience.after(sign * row[objective]), patience)
        if best is not None:
            best = best.or_better(state, row, runs)
        row = jnp.where(runs, row, jnp.nan)
        curves = jax.lax.dynamic_update_index_in_dim(old.curves, row, index, 0)
        return Member(
            state=_where(runs, state, old.state),
            best=best,
            patience=patience,
            curves=curves,
        )

    if member.patience is None:
        return jax.lax.fori_loop(span[0], span[1], body, member)
    member = dataclasses.replace(member, patience=member.patience.under(hp))
    return _until_all_rest(body, member, stop, span, any_lane)


def _purpose_key(
    seed_key: jax.Array, trial: jax.Array, replica: jax.Array, purpose: int
) -> jax.Array:
    key = jax.random.fold_in(seed_key, trial)
    return jax.random.fold_in(key, _PURPOSES * replica + purpose)


def _until_all_rest(
    body: Callable[[jax.Array, Member], Member],
    member: Member,
    stop: jax.Array,
    span: jax.Array,
    any_lane: Callable[[jax.Array], jax.Array],
) -> Member:
    """`fori_loop` over ``span``, or to the epoch after which all members rest."""

    def goes_on(loop: tuple[jax.Array, jax.Array, Member]) -> jax.Array:
        index, awake, _ = loop
        return (index < span[1]) & awake

    def advance(loop: tuple[jax.Array, jax.Array, Member]) -> Any:
        index, _, member = loop
        member = body(index, member)
        assert member.patience is not None
        goes_on = ~member.patience.is_over & (index + 1 < stop)
        return index + 1, any_lane(goes_on), member

    start = span[0], jnp.asarray(True), member
    return jax.lax.while_loop(goes_on, advance, start)[2]


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
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
