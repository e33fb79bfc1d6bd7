"""One member's training, from one stop to the next: no population yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from evotune.engine._member import (
    EVALUATE,
    STEP,
    Member,
    Steps,
    order_key,
    purpose_key,
    where,
)
from evotune.tasks import Hyperparameters, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lesson:
    """What does not change while one member trains, and the pieces of an epoch.

    Attributes:
        task: What is trained.
        hp: The member's hyperparameters; values may be traced.
        seed_key: The study's key; the same for all members.
        step_key: The member's key for steps.
        evaluate_key: And for evaluations.
        metrics: Names of all that ``step`` and ``evaluate`` record, in the order of
            the curves' columns.
    """

    task: Task
    hp: Hyperparameters
    seed_key: jax.Array
    step_key: jax.Array
    evaluate_key: jax.Array
    metrics: Sequence[str]

    @classmethod
    def of(
        cls,
        task: Task,
        hp: Hyperparameters,
        trial: jax.Array,
        replica: jax.Array,
        seed_key: jax.Array,
        metrics: Sequence[str],
    ) -> Lesson:
        """That of a trial's replica.

        Args:
            task: What is trained.
            hp: The member's hyperparameters; values may be traced.
            trial: i32[] trial number, on which the member's randomness hangs.
            replica: i32[] seed or fold of the trial.
            seed_key: The study's key.
            metrics: See `start_member`.
        """
        step_key, evaluate_key = (
            purpose_key(seed_key, trial, replica, purpose)
            for purpose in (STEP, EVALUATE)
        )
        return cls(
            task=task,
            hp=hp,
            seed_key=seed_key,
            step_key=step_key,
            evaluate_key=evaluate_key,
            metrics=metrics,
        )

    def batches(
        self,
        data: Any,
        epoch: jax.Array,
        chunk: jax.Array | None = None,
    ) -> Any:
        """What each step of an epoch receives, or of a chunk of it.

        Args:
            data: What the task's ``batches`` reads.
            epoch: i32[] which, and so which key.
            chunk: i32[] whose key is folded in; None for that of the epoch itself.
        """
        key = jax.random.fold_in(order_key(self.seed_key), epoch)
        key = key if chunk is None else jax.random.fold_in(key, chunk)
        return Steps(self.task).batches(self.hp, data, key)

    def steps(
        self,
        state: Any,
        data: Any,
        batches: Any,
        epoch: jax.Array,
        first: jax.Array | None = None,
    ) -> tuple[Any, dict[str, jax.Array]]:
        """The state after S steps of an epoch, and f[S] by name what they recorded.

        Args:
            state: Before them.
            data: What the steps read.
            batches: What each of them receives, with a leading axis of steps.
            epoch: i32[] which.
            first: i32[] number of the first one in the epoch; None for 0.
        """
        count = jax.tree.leaves(batches)[0].shape[0]
        epoch_key = jax.random.fold_in(self.step_key, epoch)

        def step(state: Any, inputs: tuple[Any, jax.Array]) -> tuple[Any, Any]:
            batch, number = inputs
            step_key = jax.random.fold_in(epoch_key, number)
            return Steps(self.task).step(self.hp, state, data, batch, step_key)

        numbers = jnp.arange(count)
        numbers = numbers if first is None else first + numbers
        after: tuple[Any, Any] = jax.lax.scan(step, state, (batches, numbers))
        return after

    def row(
        self,
        state: Any,
        data: Any,
        recorded: Mapping[str, jax.Array],
        epoch: jax.Array,
    ) -> jax.Array:
        """f32[1 + metrics]: the row of the curves for a state after an epoch.

        Args:
            state: After the epoch.
            data: What the evaluation reads.
            recorded: f[S] by name, of which the means are noted.
            epoch: i32[] which.
        """
        key = jax.random.fold_in(self.evaluate_key, epoch)
        scores = Steps(self.task).evaluate(self.hp, state, data, key)
        found = {name: jnp.mean(values) for name, values in recorded.items()} | scores
        row = [self.task.is_sound(state), *(found[name] for name in self.metrics)]
        return jnp.stack([jnp.asarray(x, jnp.float32) for x in row])

    def after(
        self, old: Member, state: Any, row: jax.Array, epoch: jax.Array, stop: jax.Array
    ) -> Member:
        """The member after an epoch: unchanged where it rests by then.

        Args:
            old: The member before the epoch.
            state: After it.
            row: See `row`.
            epoch: i32[] which.
            stop: i32[] epochs after which it rests.
        """
        runs, best, patience = epoch < stop, old.best, old.patience
        if patience is not None:
            runs &= ~patience.is_over
            sign = 1.0 if self.task.direction == "maximize" else -1.0
            objective = 1 + list(self.metrics).index(self.task.metric)
            patience = where(runs, patience.after(sign * row[objective]), patience)
        if best is not None:
            best = best.or_better(state, row, runs)
        row = jnp.where(runs, row, jnp.nan)
        curves = jax.lax.dynamic_update_index_in_dim(old.curves, row, epoch, 0)
        return dataclasses.replace(
            old,
            state=where(runs, state, old.state),
            best=best,
            patience=patience,
            curves=curves,
        )


def train_member(
    lesson: Lesson,
    member: Member,
    stop: jax.Array,
    data: Any,
    order: Any,
    span: jax.Array,
    *,
    any_lane: Callable[[jax.Array], jax.Array],
) -> Member:
    """Trains one member for a slice of its epochs.

    Args:
        lesson: Of the member.
        member: Where it stands.
        stop: i32[] epochs after which it rests, cumulative; so does a member that has
            diverged, and one that its `patience` has stopped.
        data: What ``task.data()`` returned.
        order: What ``task.batches()`` returned in each epoch, stacked: leading axis T;
            None draws it here.
        span: i32[2] the first epoch of the slice and the one after its last; the same
            for all members.
        any_lane: bool[] -> bool[], whether it is true of any member of the block.
    """

    def body(index: jax.Array, old: Member) -> Member:
        if order is None:
            batches = lesson.batches(data, index)
        else:
            batches = jax.tree.map(lambda epochs: epochs[index], order)
        state, recorded = lesson.steps(old.state, data, batches, index)
        row = lesson.row(state, data, recorded, index)
        return lesson.after(old, state, row, index, stop)

    if member.patience is None:
        return jax.lax.fori_loop(span[0], span[1], body, member)
    member = dataclasses.replace(member, patience=member.patience.under(lesson.hp))
    return _until_all_rest(body, member, stop, span, any_lane)


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
