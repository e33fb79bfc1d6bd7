"""Looking at a task from outside: what one step reads, records and computes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._cache import CachedFunction
from evotune._contracts import Binding
from evotune.engine._inputs import (
    Input,
    largest_size,
    leaf_structs,
    member_values,
    plain_config,
    seen_by_task,
    struct_of,
)
from evotune.engine._member import Steps, same_tree
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task

SAMPLES = 8
"""Configurations that a task is tried with."""

_KEY = jax.ShapeDtypeStruct((2,), np.uint32)
_TOLERANCE: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5, "equal_nan": True}
_SHARE = 0.8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """What one step makes, as shapes or as numbers.

    Attributes:
        start: The state before it.
        recorded: What the step records.
        state: The state after it.
        scores: What an evaluation records.
    """

    start: Any
    recorded: dict[str, Any]
    state: Any
    scores: dict[str, Any]


class Probe:
    """Takes one step of a task with sampled hyperparameters, traced or plain."""

    def __init__(self, task: Task, space: Space):
        """Samples `SAMPLES` configurations of ``space``; runs nothing."""
        self._task = task
        self._space = space
        self._steps, self._exact = Steps(task), Steps(task.in_float32())
        self._data = jax.tree.map(struct_of, task.data())
        draws = np.random.default_rng(0).random((SAMPLES, len(space.axes)))
        x = space.draw(SAMPLES, seed=0) if space.constraints else draws
        self._columns = space.decode(x.astype(np.float32))

    def config(self, row: int) -> dict[str, Any]:
        """Plain values of all hyperparameters of a sampled configuration."""
        return {**self._space.constants, **plain_config(self._columns, row)}

    def plain_step(self, row: int, read: set[str] | None = None) -> Step:
        """Shapes of a step with plain values; names that it looks up go to ``read``.

        Raises:
            Exception: What the task raises, which is the user's to see.
        """
        hp = Hyperparameters(seen_by_task(self._space, self.config(row)), read)
        return self._shapes(lambda _: hp, {})

    def traces(self, inputs: Sequence[Input]) -> bool:
        """Whether the task can be traced under the bindings of ``inputs``."""
        try:
            for row in self._static_rows(inputs):
                make = self._traced(inputs, self.config(row))
                self._shapes(make, leaf_structs(inputs))
        except Exception:
            # Any exception under a tracer means that the value must be static.
            return False
        return True

    def agrees(self, inputs: Sequence[Input]) -> bool:
        """Whether a traced step computes what plain Python values do, at two settings.

        Compiles one traced and two plain steps, without optimisation, in float32.
        """
        static = {e.name for e in inputs if e.binding is Binding.STATIC}
        first = self.config(0)
        configs = [first, *self._others(first, static)[:1]]
        step = functools.partial(self._one_step, self._exact)
        traced = _jit(step, self._traced(inputs, first))
        padded = any(entry.is_size for entry in inputs)
        arguments = (self._task.data(), np.asarray([0, 1], np.uint32))
        for config in configs:
            leaves = {
                entry.name: entry.leaf([config[entry.name]])[0]
                for entry in inputs
                if entry.name not in static
            }
            seen = seen_by_task(self._space, config)
            plain = _jit(step, _constant(Hyperparameters(seen)))
            got, expected = traced(leaves, *arguments), plain({}, *arguments)
            if not _agree(got, expected, padded=padded):
                return False
        return True

    def _others(
        self, first: Mapping[str, Any], static: Collection[str]
    ) -> list[dict[str, Any]]:
        """Other configurations of the sample, the last first, with ``first``'s statics.

        Those that the constraints of the space forbid are left out.
        """
        fixed = {name: first[name] for name in static}
        mixed = [{**self.config(row), **fixed} for row in range(SAMPLES - 1, 0, -1)]
        if not self._space.constraints:
            return mixed
        return [config for config in mixed if config in self._space]

    def _traced(
        self, inputs: Sequence[Input], config: Mapping[str, Any]
    ) -> Callable[[Mapping[str, jax.Array]], Hyperparameters]:
        capacity = {e.name: largest_size(self._space, e) for e in inputs if e.is_size}
        return lambda leaves: member_values(
            inputs, leaves, static=config, capacity=capacity
        )

    def _static_rows(self, inputs: Sequence[Input]) -> list[int]:
        """Rows of the sample that between them show each static combination once."""
        static = [entry.name for entry in inputs if entry.binding is Binding.STATIC]
        few = [n for n in static if self._space.dimensions[n].size <= SAMPLES]
        seen: dict[tuple[Any, ...], int] = {}
        for row in range(SAMPLES):
            config = self.config(row)
            seen.setdefault(tuple(config[name] for name in few), row)
        return list(seen.values())

    def _shapes(self, make: Callable[[Any], Hyperparameters], leaves: Any) -> Step:
        return jax.eval_shape(
            lambda values, data, key: self._one_step(
                self._steps, make(values), data, key
            ),
            leaves,
            self._data,
            _KEY,
        )

    @staticmethod
    def _one_step(
        steps: Steps, hp: Hyperparameters, data: Any, key_data: jax.Array
    ) -> Step:
        key = jax.random.wrap_key_data(key_data, impl="threefry2x32")
        keys = jax.random.split(key, 4)
        start = state = steps.init(hp, data, keys[0])
        batches = steps.batches(hp, data, keys[1])
        recorded: dict[str, jax.Array] = {}
        leaves = jax.tree.leaves(batches)
        if leaves and leaves[0].shape[0]:
            batch = jax.tree.map(lambda x: x[0], batches)
            state, recorded = steps.step(hp, state, data, batch, keys[2])
        scores = steps.evaluate(hp, state, data, keys[3])
        return Step(start=start, recorded=recorded, state=state, scores=scores)


def _jit(
    step: Callable[..., Step], make: Callable[[Any], Hyperparameters]
) -> Callable[..., Step]:
    """``step`` compiled quickly, with hyperparameters made from its first argument."""
    on_cpu = jax.default_backend() == "cpu"
    return CachedFunction(
        lambda leaves, data, key: step(make(leaves), data, key),
        options={"xla_backend_optimization_level": 0} if on_cpu else None,
    )


def _constant(hp: Hyperparameters) -> Callable[[Any], Hyperparameters]:
    return lambda _: hp


def _agree(got: Step, expected: Step, *, padded: bool) -> bool:
    """Whether two ways to compute the same step mean the same.

    Weights after the step are compared by the share that is close: where the true
    gradient is zero, as for a bias before batch norm, an optimiser such as Adam turns
    the sign of a rounding error into a whole step. Padded weights have other shapes,
    so there what was recorded decides.
    """
    same_loss = _share_close(got.recorded, expected.recorded) == 1.0
    if padded:
        return same_loss
    return (
        same_loss
        and _share_close(got.start, expected.start) == 1.0
        and _share_close(got.state, expected.state) >= _SHARE
        and same_tree(got.scores, expected.scores)
    )


def _share_close(got: Any, expected: Any) -> float:
    """Fraction of the numbers that are close; 0 where structures or dtypes differ."""
    if not same_tree(got, expected):
        return 0.0
    pairs = list(zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True))
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
        return 0.0
    close = [
        np.isclose(np.asarray(a, np.float64), np.asarray(b, np.float64), **_TOLERANCE)
        for a, b in pairs
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key)
    ]
    return float(np.mean(np.concatenate([c.ravel() for c in close]))) if close else 1.0
