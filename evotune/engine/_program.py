"""A compiled program: a block of members trained at once on all devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from evotune.engine._compilation import compile_once, compiled_programs
from evotune.engine._devices import MEMBERS, REPLICATED, sharded
from evotune.engine._inputs import (
    Input,
    inactive_under,
    leaf_structs,
    member_values,
)
from evotune.engine._member import Steps, Trained, train_member
from evotune.engine._order import trace_order
from evotune.engine._plan import ProgramSpec, identifier
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task

_LANES = "lanes"
"""The axis of the members that one device trains."""


class Program:
    """``lanes`` members in one call: vmap inside shard_map, whole trainings in a loop.

    The data, the seed and the number of epochs are arguments, so nothing but the shapes
    and the static values is compiled in.
    """

    def __init__(
        self,
        spec: ProgramSpec,
        task: Task,
        inputs: Sequence[Input],
        space: Space,
        mesh: Mesh,
        *,
        metrics: Sequence[str],
        points: int,
        keep_best: bool,
    ):
        """Describes the program; nothing is compiled yet.

        Args:
            spec: Its static values, capacities and lanes.
            task: What is trained.
            inputs: How each searched hyperparameter is bound.
            space: What is searched, and the constants.
            mesh: The devices.
            metrics: Names of all that a step and an evaluation record.
            points: T, the length of the curves.
            keep_best: Whether members report their best epoch instead of the last.
        """
        self.spec = spec
        self._inputs = inputs
        self._mesh = mesh
        self._task = task
        self._compiled: jax.stages.Compiled | None = None
        inactive = inactive_under(space, spec.static)
        entering = [entry for entry in inputs if entry.name not in inactive]
        static = {**space.constants, **spec.static}
        static = {name: static[name] for name in static if name not in inactive}
        self._identity = (
            (spec.name, spec.lanes, spec.optimize, tuple(spec.capacity.items())),
            tuple((name, type(value), value) for name, value in static.items()),
            (tuple(entering), tuple(inputs)),
            (mesh, tuple(metrics), points, keep_best),
        )

        def hyperparameters(leaves: Mapping[str, jax.Array]) -> Hyperparameters:
            return member_values(
                entering, leaves, static=static, capacity=spec.capacity
            )

        def start(leaves: Mapping[str, jax.Array], data: Any, seed: jax.Array) -> Any:
            key = jax.random.wrap_key_data(seed, impl="threefry2x32")
            return Steps(task).init(hyperparameters(leaves), data, key)

        def one(
            leaves: Mapping[str, jax.Array],
            trial: jax.Array,
            replica: jax.Array,
            data: Any,
            order: Any,
            seed: jax.Array,
            stop: jax.Array,
        ) -> Trained:
            hp = hyperparameters(leaves)
            key = jax.random.wrap_key_data(seed, impl="threefry2x32")
            return train_member(
                task,
                hp,
                trial,
                replica,
                data,
                order,
                key,
                stop,
                metrics=metrics,
                points=points,
                keep_best=keep_best,
                any_lane=_any_lane,
            )

        self._start = start
        self._hyperparameters = hyperparameters
        self._points = points
        self._order: list[jax.stages.Traced | None] = []
        self._function = jax.shard_map(
            jax.vmap(one, in_axes=(0, 0, 0, None, None, None, None), axis_name=_LANES),
            mesh=mesh,
            in_specs=(*[MEMBERS] * 3, *[REPLICATED] * 4),
            out_specs=MEMBERS,
            check_vma=False,
        )

    def order(self, data: Any) -> jax.stages.Traced | None:
        """What draws the batches of all epochs, which calls take; see `trace_order`."""
        if not self._order:
            parts = ("order", *(f"{k}_{v}" for k, v in self.spec.static.items()))
            self._order.append(
                trace_order(
                    self._task,
                    self._hyperparameters,
                    self._inputs,
                    data,
                    name=identifier(*parts),
                    points=self._points,
                    mesh=self._mesh,
                )
            )
        return self._order[0]

    def compile(self, data: Any, lowered: jax.stages.Lowered | None = None) -> None:
        """Compiles ahead of time; ``data`` gives shapes only.

        A program is compiled once for its task: later studies of the same shape, with
        other seeds and other bounds, find it there.
        """
        self._compiled = compile_once(
            self._task,
            self._identity,
            lambda: self.lower(data) if lowered is None else lowered,
            devices=list(self._mesh.devices.flat),
            optimize=self.spec.optimize,
        )

    @property
    def is_compiled(self) -> bool:
        """Whether this study or an earlier one of the task has compiled it."""
        return self._identity in compiled_programs(self._task)

    def lower(self, data: Any) -> jax.stages.Lowered:
        """The program before compilation, for its text and its cost analysis."""

        def named(*arguments: Any) -> Trained:
            return self._function(*arguments)

        named.__name__ = named.__qualname__ = self.spec.name
        return jax.jit(named).lower(*self._structs(data))

    def state(self, data: Any) -> Any:
        """Shapes and dtypes of one member's state, by tracing; compiles nothing."""
        seed = jax.ShapeDtypeStruct((2,), np.uint32)
        return jax.eval_shape(self._start, leaf_structs(self._inputs), data, seed)

    def _structs(self, data: Any) -> tuple[Any, ...]:
        members, replicated = (sharded(self._mesh, s) for s in (MEMBERS, REPLICATED))
        order = self.order(data)
        lanes = (self.spec.lanes,)

        def struct(shape: tuple[int, ...], dtype: Any, sharding: Any) -> Any:
            return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

        leaves = {
            name: struct(lanes, leaf.dtype, members)
            for name, leaf in leaf_structs(self._inputs).items()
        }
        number = struct(lanes, np.int32, members)
        data, batches = jax.tree.map(
            lambda x: struct(x.shape, x.dtype, replicated),
            (data, None if order is None else order.out_info),
        )
        seed = struct((2,), np.uint32, replicated)
        stop = struct((), np.int32, replicated)
        return leaves, number, number, data, batches, seed, stop

    def __call__(
        self,
        leaves: Mapping[str, np.ndarray],
        trial: np.ndarray,
        replica: np.ndarray,
        data: Any,
        order: Any,
        seed: Any,
        stop: Any,
    ) -> Trained:
        """Starts training a block; returns at once, with arrays that are on their way.

        Args:
            leaves: [lanes] array of each searched hyperparameter that is not static.
            trial: i32[lanes] trial numbers.
            replica: i32[lanes] seeds or folds.
            data: The data, already on every device.
            order: What `order` draws for ``data`` and ``seed``; None where it is None.
            seed: u32[2] seed of the study.
            stop: i32[] epochs to run.
        """
        assert self._compiled is not None
        members = sharded(self._mesh, MEMBERS)
        rows = jax.device_put((dict(leaves), trial, replica), members)
        shared = jax.device_put((seed, stop), sharded(self._mesh, REPLICATED))
        return self._compiled(*rows, data, order, *shared)


def _any_lane(condition: jax.Array) -> jax.Array:
    """Whether bool[] holds for any member on this device; no other one is asked."""
    return jax.lax.pmax(condition.astype(jnp.int32), _LANES) > 0
