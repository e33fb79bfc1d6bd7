"""A compiled program: a block of members trained at once on all devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from evotune.engine._devices import MEMBERS, REPLICATED, sharded
from evotune.engine._inputs import (
    Input,
    inactive_under,
    leaf_structs,
    member_values,
)
from evotune.engine._member import Steps, Trained, train_member
from evotune.engine._plan import ProgramSpec
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task

# Level 1 halves XLA's compile time on CPU and runs as fast; without fusion emitters it
# compiles in two thirds of that, and runs a quarter longer.
_CPU_OPTIONS: dict[str, Any] = {"xla_backend_optimization_level": 1}
_CPU_FAST_OPTIONS = {**_CPU_OPTIONS, "xla_cpu_use_fusion_emitters": False}


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
                key,
                stop,
                metrics=metrics,
                points=points,
                keep_best=keep_best,
            )

        self._start = start
        self._function = jax.shard_map(
            jax.vmap(one, in_axes=(0, 0, 0, None, None, None)),
            mesh=mesh,
            in_specs=(MEMBERS, MEMBERS, MEMBERS, REPLICATED, REPLICATED, REPLICATED),
            out_specs=MEMBERS,
            check_vma=False,
        )

    def compile(self, data: Any, lowered: jax.stages.Lowered | None = None) -> None:
        """Compiles ahead of time; ``data`` gives shapes only.

        A program is compiled once for its task: later studies of the same shape, with
        other seeds and other bounds, find it there.
        """
        if not self.is_compiled:
            lowered = self.lower(data) if lowered is None else lowered
            self._known[self._identity] = self._compile(lowered)
        self._compiled = self._known[self._identity]

    @property
    def is_compiled(self) -> bool:
        """Whether this study or an earlier one of the task has compiled it."""
        return self._identity in self._known

    @property
    def _known(self) -> dict[Any, jax.stages.Compiled]:
        return vars(self._task).setdefault("_compiled_programs", {})

    def _compile(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compiles with the best options that this XLA knows."""
        options: list[dict[str, Any] | None] = [None]
        if self._mesh.devices.flat[0].platform == "cpu":
            options.insert(0, _CPU_OPTIONS)
            if not self.spec.optimize:
                options.insert(0, _CPU_FAST_OPTIONS)
        for chosen in options[:-1]:
            try:
                return lowered.compile(chosen)
            except jax.errors.JaxRuntimeError as error:
                if "No such compile option" not in str(error):
                    raise
        return lowered.compile(options[-1])

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
        lanes = (self.spec.lanes,)

        def struct(shape: tuple[int, ...], dtype: Any, sharding: Any) -> Any:
            return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

        leaves = {
            name: struct(lanes, leaf.dtype, members)
            for name, leaf in leaf_structs(self._inputs).items()
        }
        number = struct(lanes, np.int32, members)
        data = jax.tree.map(lambda x: struct(x.shape, x.dtype, replicated), data)
        seed = struct((2,), np.uint32, replicated)
        stop = struct((), np.int32, replicated)
        return leaves, number, number, data, seed, stop

    def __call__(
        self,
        leaves: Mapping[str, np.ndarray],
        trial: np.ndarray,
        replica: np.ndarray,
        data: Any,
        seed: Any,
        stop: Any,
    ) -> Trained:
        """Starts training a block; returns at once, with arrays that are on their way.

        Args:
            leaves: [lanes] array of each searched hyperparameter that is not static.
            trial: i32[lanes] trial numbers.
            replica: i32[lanes] seeds or folds.
            data: The data, already on every device.
            seed: u32[2] seed of the study.
            stop: i32[] epochs to run.
        """
        assert self._compiled is not None
        members = sharded(self._mesh, MEMBERS)
        rows = jax.device_put((dict(leaves), trial, replica), members)
        shared = jax.device_put((seed, stop), sharded(self._mesh, REPLICATED))
        return self._compiled(*rows, data, *shared)
