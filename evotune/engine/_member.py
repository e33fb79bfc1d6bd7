"""One member's training, from its hyperparameters to its curves: no population yet."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evotune._signatures import call_by_name
from evotune.tasks import Hyperparameters, Task

# What randomness is for: folded into keys, so that no draw depends on another's.
_ORDER, _TRIAL = 0, 1
_INIT, _STEP, _EVALUATE = 0, 1, 2


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Trained:
    """What is left of one member's training.

    Attributes:
        curves: f32[T] by metric name, of each epoch; NaN where the member did not
            train, which the engine cuts off.
        length: i32[] epochs that count: until the end, or until it diverged.
        diverged: bool[] whether a number stopped to be finite.
        value: f32[] the objective, of the last epoch or of the best.
        state: The task's state that has this value.
    """

    curves: dict[str, jax.Array]
    length: jax.Array
    diverged: jax.Array
    value: jax.Array
    state: Any


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


def train_member(
    task: Task,
    hp: Hyperparameters,
    trial: jax.Array,
    replica: jax.Array,
    data: Any,
    seed_key: jax.Array,
    stop: jax.Array,
    *,
    metrics: Sequence[str],
    points: int,
    keep_best: bool,
) -> Trained:
    """Trains one member from its start to its own end.

    Args:
        task: What is trained.
        hp: The member's hyperparameters; values may be traced.
        trial: i32[] trial number, on which the member's randomness hangs.
        replica: i32[] seed or fold of the trial.
        data: What ``task.data()`` returned.
        seed_key: The study's key; the same for all members.
        stop: i32[] epochs to run; the same for all members, at least as many as
            each of them needs. A member that is at its end, or has diverged, rests.
        metrics: Names of all that ``step`` and ``evaluate`` record.
        points: T, the length of the curves; at least ``stop``.
        keep_best: Whether the value and the state are those of the best epoch.
    """
    steps = Steps(task)
    order_key = jax.random.fold_in(seed_key, _ORDER)
    key = jax.random.fold_in(jax.random.fold_in(seed_key, _TRIAL), trial)
    key = jax.random.fold_in(key, replica)
    step_key = jax.random.fold_in(key, _STEP)
    evaluate_key = jax.random.fold_in(key, _EVALUATE)
    own_end = jnp.asarray(hp.get("epochs", task.epochs), jnp.int32)
    sign = 1.0 if task.direction == "maximize" else -1.0

    def epoch(index: jax.Array, state: Any) -> tuple[Any, dict[str, jax.Array]]:
        batches = steps.batches(hp, data, jax.random.fold_in(order_key, index))
        count = jax.tree.leaves(batches)[0].shape[0]
        epoch_key = jax.random.fold_in(step_key, index)

        def step(state: Any, inputs: tuple[Any, jax.Array]) -> tuple[Any, Any]:
            batch, number = inputs
            return steps.step(
                hp, state, data, batch, jax.random.fold_in(epoch_key, number)
            )

        state, recorded = jax.lax.scan(step, state, (batches, jnp.arange(count)))
        scores = steps.evaluate(
            hp, state, data, jax.random.fold_in(evaluate_key, index)
        )
        means = {name: jnp.mean(values) for name, values in recorded.items()}
        return state, {**means, **scores}

    def body(index: jax.Array, member: Trained) -> Trained:
        state, scores = epoch(index, member.state[0] if keep_best else member.state)
        scores = {name: score.astype(jnp.float32) for name, score in scores.items()}
        finite = ~_any(jnp.isnan, state) & ~_any(_is_not_finite, scores)
        trains = (index < own_end) & ~member.diverged
        moves = trains & finite
        value = scores[task.metric]
        if keep_best:
            better = (sign * value > sign * member.value) | (member.length == 0)
            kept = (
                _where(moves, state, member.state[0]),
                _where(moves & better, state, member.state[1]),
            )
        else:
            better = jnp.asarray(True)
            kept = _where(moves, state, member.state)
        return Trained(
            curves={
                name: member.curves[name]
                .at[index]
                .set(jnp.where(moves, score, jnp.nan))
                for name, score in scores.items()
            },
            length=member.length + moves.astype(jnp.int32),
            diverged=member.diverged | (trains & ~finite),
            value=jnp.where(moves & better, value, member.value),
            state=kept,
        )

    state = steps.init(hp, data, jax.random.fold_in(key, _INIT))
    start = Trained(
        curves={name: jnp.full((points,), jnp.nan, jnp.float32) for name in metrics},
        length=jnp.zeros((), jnp.int32),
        diverged=jnp.asarray(False),
        value=jnp.asarray(jnp.nan, jnp.float32),
        state=(state, state) if keep_best else state,
    )
    done = jax.lax.fori_loop(0, stop, body, start)
    if keep_best:
        return dataclasses.replace(done, state=done.state[1])
    return done


def _where(condition: jax.Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(functools.partial(jnp.where, condition), yes, no)


def _any(predicate: Callable[[jax.Array], jax.Array], tree: Any) -> jax.Array:
    floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    flags = [jnp.any(predicate(x)) for x in floats]
    return jnp.any(jnp.stack(flags)) if flags else jnp.asarray(False)


def _is_not_finite(x: jax.Array) -> jax.Array:
    return ~jnp.isfinite(x)


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
