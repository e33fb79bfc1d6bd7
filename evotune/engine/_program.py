"""A compiled program: a block of members trained at once on all devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from evotune.engine._devices import (
    MEMBERS,
    REPLICATED,
    sharded,
    shares_host_memory,
)
from evotune.engine._inputs import (
    Input,
    inactive_under,
    leaf_structs,
    member_values,
)
from evotune.engine._member import Member, start_member, train_member
from evotune.engine._order import trace_order
from evotune.engine._part import Part
from evotune.engine._plan import ProgramSpec, identifier
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task

_LANES = "lanes"
"""The axis of the members that one device trains."""


class Program:
    """``lanes`` members in one call: vmap inside shard_map, epochs and steps in loops.

    The data, the seed and the numbers of epochs are arguments, so nothing but the
    shapes and the static values is compiled in.

    Attributes:
        spec: Its static values, capacities and lanes.
        start: Makes members before their first epoch.
        train: Trains members for a slice of epochs.
        gather: Fetches members from a block that was kept; compiled only where members
            continue others on an accelerator.
        gathers: Whether they do: whether states must not pass through the host.
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
        self._points = points
        self._order: list[jax.stages.Traced | None] = []
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
            )

        def train(
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
            return train_member(
                task,
                values(leaves, _most),
                trial,
                replica,
                member,
                stop,
                data,
                order,
                _key(seed),
                span,
                metrics=metrics,
                any_lane=_any_lane,
            )

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
            self._over_lanes(start, members=3, shared=2, in_turn=True),
            self._start_structs,
            optimize=False,
            **options,
        )
        self.train = Part(
            spec.name,
            self._over_lanes(train, members=5, shared=4),
            self._train_structs,
            optimize=spec.optimize,
            donated=(0,),
            **options,
        )
        self.gather = Part(
            spec.name_of("gather"),
            _gather,
            self._gather_structs,
            optimize=False,
            out_shardings=sharded(mesh, MEMBERS),
            **options,
        )

    def order(self, data: Any) -> jax.stages.Traced | None:
        """What draws the batches of all epochs, which calls take; see `trace_order`."""
        if not self._order:
            parts = ("order", *(f"{k}_{v}" for k, v in self.spec.static.items()))
            self._order.append(
                trace_order(
                    self._task,
                    self._values,
                    self._inputs,
                    data,
                    name=identifier(*parts),
                    points=self._points,
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

    def _over_lanes(
        self,
        function: Callable[..., Member],
        *,
        members: int,
        shared: int,
        in_turn: bool = False,
    ) -> Callable[..., Member]:
        """``function`` of one member, for all lanes of all devices.

        Args:
            function: Its first arguments have an axis of members, the last ones none.
            members: How many of the first.
            shared: How many of the last.
            in_turn: Whether CPU devices take one member after the other. XLA's runtime
                of jax 0.10 waits forever for several batched QR decompositions in one
                program on several CPU devices; initial weights are full of them.
        """
        axes = (0,) * members + (None,) * shared
        over_lanes = jax.vmap(function, in_axes=axes, axis_name=_LANES)
        if in_turn and shares_host_memory(self._mesh):

            def over_lanes(*arguments: Any) -> Member:
                rows, rest = arguments[:members], arguments[members:]
                made: Member = jax.lax.map(lambda row: function(*row, *rest), rows)
                return made

        return jax.shard_map(
            over_lanes,
            mesh=self._mesh,
            in_specs=(*[MEMBERS] * members, *[REPLICATED] * shared),
            out_specs=MEMBERS,
            check_vma=False,
        )

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
        span = jax.ShapeDtypeStruct((2,), np.int32)
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


def _gather(into: Member, kept: Member, index: jax.Array, chosen: jax.Array) -> Member:
    """``into``, with ``kept[index]`` in the lanes that are chosen."""

    def leaf(old: jax.Array, source: jax.Array) -> jax.Array:
        lanes = chosen.reshape(-1, *[1] * (old.ndim - 1))
        return jnp.where(lanes, jnp.take(source, index, axis=0), old)

    gathered: Member = jax.tree.map(leaf, into, kept)
    return gathered


def _key(seed: jax.Array) -> jax.Array:
    return jax.random.wrap_key_data(seed, impl="threefry2x32")


def _most(size: jax.Array) -> jax.Array:
    """i32[] the largest of the members on this device; no other one is asked."""
    return jax.lax.pmax(size, _LANES)


def _any_lane(condition: jax.Array) -> jax.Array:
    """Whether bool[] holds for any member on this device; no other one is asked."""
    return jax.lax.pmax(condition.astype(jnp.int32), _LANES) > 0
