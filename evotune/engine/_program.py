"""A compiled program: a block of members trained at once on all devices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from evotune.engine._chunks import end_epoch, train_on_chunk
from evotune.engine._devices import (
    MEMBERS,
    REPLICATED,
    sharded,
    shares_host_memory,
)
from evotune.engine._epochs import Lesson, train_member
from evotune.engine._inputs import (
    Input,
    inactive_under,
    leaf_structs,
    member_values,
)
from evotune.engine._lanes import any_lane, gather, most, over_lanes
from evotune.engine._member import Member, start_member
from evotune.engine._order import trace_order
from evotune.engine._part import Part
from evotune.engine._plan import ProgramSpec, identifier
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task


class Program:
    """``lanes`` members in one call: vmap inside shard_map, epochs and steps in loops.

    The data, the seed and the numbers of epochs are arguments, so nothing but the
    shapes and the static values is compiled in.

    Attributes:
        spec: Its static values, capacities and lanes.
        start: Makes members before their first epoch.
        train: Trains members for a slice of epochs; on one chunk, where data come so.
        close: Ends an epoch whose data came in chunks; None where they are all there.
        gather: Fetches members from a block that was kept; compiled only where members
            continue others on an accelerator.
        gathers: Whether they do: whether states must not pass through the host.
        points: T, the length of the curves.
        stream: What brings the data in chunks; None where they are all there.
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
        self.points = points
        self._order: list[jax.stages.Traced | None] = []
        self.stream = task.stream()
        inactive = inactive_under(space, spec.static)
        entering = [entry for entry in inputs if entry.name not in inactive]
        static = {**space.constants, **spec.static}
        static = {name: static[name] for name in static if name not in inactive}

        def values(
            leaves: Mapping[str, jax.Array],
            most: Callable[[jax.Array], jax.Array] | None = None,
        ) -> Hyperparameters:
            return member_values(
                entering, leaves, static=static, capacity=spec.capacity, most=most
            )

        def start(
            leaves: Any, trial: jax.Array, replica: jax.Array, data: Any, seed: Any
        ) -> Member:
            return start_member(
                task,
                values(leaves),
                trial,
                replica,
                data,
                _key(seed),
                metrics=metrics,
                points=points,
                keep_best=keep_best,
                in_chunks=self.stream is not None,
            )

        def going_on(function: Callable[..., Member]) -> Callable[..., Member]:
            def go_on(
                member: Member,
                leaves: Any,
                trial: jax.Array,
                replica: jax.Array,
                stop: jax.Array,
                data: Any,
                order: Any,
                seed: Any,
                span: jax.Array,
            ) -> Member:
                hp = values(leaves, most)
                lesson = Lesson.of(task, hp, trial, replica, _key(seed), metrics)
                return function(lesson, member, stop, data, order, span)

            return over_lanes(go_on, mesh, members=5, shared=4)

        identity = (
            (spec.name, spec.lanes, spec.optimize, tuple(spec.capacity.items())),
            tuple((name, type(value), value) for name, value in static.items()),
            (tuple(entering), tuple(inputs)),
            (mesh, tuple(metrics), points, keep_best),
        )
        options: dict[str, Any] = {
            "task": task,
            "identity": identity,
            "devices": list(mesh.devices.flat),
        }
        self._values = values
        self.gathers = not shares_host_memory(mesh)
        self.start = Part(
            spec.name_of("start"),
            over_lanes(start, mesh, members=3, shared=2, in_turn=True),
            self._start_structs,
            optimize=False,
            **options,
        )
        training: dict[str, Any] = {
            "structs": self._train_structs,
            "optimize": spec.optimize,
            "donated": (0,),
            **options,
        }
        self.close: Part | None = None
        if self.stream is None:
            trains = functools.partial(train_member, any_lane=any_lane)
            self.train = Part(spec.name, going_on(trains), **training)
        else:
            trains = functools.partial(train_on_chunk, chunks=self.stream.chunks)
            self.train = Part(spec.name_of("chunk"), going_on(trains), **training)
            self.close = Part(spec.name_of("epoch"), going_on(end_epoch), **training)
        self.gather = Part(
            spec.name_of("gather"),
            gather,
            self._gather_structs,
            optimize=False,
            out_shardings=sharded(mesh, MEMBERS),
            **options,
        )

    @property
    def others(self) -> list[Part]:
        """What every block calls besides `train`."""
        return [self.start, *([] if self.close is None else [self.close])]

    def order(self, data: Any) -> jax.stages.Traced | None:
        """What draws the batches of all epochs, which calls take; see `trace_order`.

        None where data come in chunks, each of which has an order of its own.
        """
        if self.stream is not None:
            return None
        if not self._order:
            parts = ("order", *(f"{k}_{v}" for k, v in self.spec.static.items()))
            self._order.append(
                trace_order(
                    self._task,
                    self._values,
                    self._inputs,
                    data,
                    name=identifier(*parts),
                    points=self.points,
                    mesh=self._mesh,
                )
            )
        return self._order[0]

    def member(self, data: Any) -> Member:
        """Shapes and dtypes of one member, by tracing; compiles nothing."""
        block = self.start.trace(data).out_info
        member: Member = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), block
        )
        return member

    def put(self, rows: Any) -> Any:
        """Arrays with an axis of members, spread over the devices."""
        return jax.device_put(rows, sharded(self._mesh, MEMBERS))

    def share(self, values: Any) -> Any:
        """Arrays that all members share, a copy on every device."""
        return jax.device_put(values, sharded(self._mesh, REPLICATED))

    def _start_structs(self, data: Any) -> tuple[Any, ...]:
        """Leaves, trial and replica of a block, the data, the seed."""
        leaves = self._lanes(leaf_structs(self._inputs))
        number = self._lanes(jax.ShapeDtypeStruct((), np.int32))
        seed = jax.ShapeDtypeStruct((2,), np.uint32)
        return leaves, number, number, *self._placed((data, seed), REPLICATED)

    def _train_structs(self, data: Any) -> tuple[Any, ...]:
        """A block, its leaves, trial, replica and stop; data, order, seed and span."""
        block = self._block(data)
        leaves, number, _, data, seed = self._start_structs(data)
        order = self.order(data)
        batches = None if order is None else order.out_info
        words = 2 if self.stream is None else 3  # see `train_member`, `train_on_chunk`
        span = jax.ShapeDtypeStruct((words,), np.int32)
        batches, span = self._placed((batches, span), REPLICATED)
        rows = (block, leaves, number, number, number)
        return *rows, data, batches, seed, span

    def _gather_structs(self, data: Any) -> tuple[Any, ...]:
        """Two blocks, and an index and a mark for each lane."""
        block = self._block(data)
        index = self._lanes(jax.ShapeDtypeStruct((), np.int32))
        chosen = self._lanes(jax.ShapeDtypeStruct((), np.bool_))
        return block, block, index, chosen

    def _block(self, data: Any) -> Any:
        return self._placed(self.start.trace(data).out_info, MEMBERS)

    def _lanes(self, one: Any) -> Any:
        """Shapes of a block, from those of one member."""
        stacked = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((self.spec.lanes, *x.shape), x.dtype), one
        )
        return self._placed(stacked, MEMBERS)

    def _placed(self, structs: Any, spec: jax.sharding.PartitionSpec) -> Any:
        sharding = sharded(self._mesh, spec)
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), structs
        )


def _key(seed: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(seed, impl="threefry2x32")
