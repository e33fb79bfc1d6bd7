"""The order of the data: drawn once for all epochs, and shared by all members."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from evotune.engine._compilation import compile_once
from evotune.engine._devices import REPLICATED, mesh_of, sharded
from evotune.engine._inputs import Input, leaf_structs
from evotune.engine._member import Steps, order_key
from evotune.tasks import Hyperparameters, Task

MOST_BYTES = 2**26
"""A longer order is drawn epoch by epoch, inside the program."""


def trace_order(
    task: Task,
    hyperparameters: Callable[[Mapping[str, jax.Array]], Hyperparameters],
    inputs: Sequence[Input],
    data: Any,
    *,
    name: str,
    points: int,
    mesh: Mesh,
) -> jax.stages.Traced | None:
    """A small program, (data, seed) -> the batches of ``points`` epochs, stacked.

    Drawn outside the program that trains, the order is shuffled once for a study
    instead of once for each block of members, and compiles while that one is traced.

    Args:
        task: What is trained.
        hyperparameters: From one member's leaves to what its task sees.
        inputs: How each searched hyperparameter is bound.
        data: The data, or its shapes.
        name: Of the compiled program.
        points: T, the number of epochs.
        mesh: The devices; each of them gets a copy.

    Returns:
        None where members need batches of their own, because these depend on a traced
        hyperparameter, or where the result is larger than `MOST_BYTES`.
    """
    steps = Steps(task)

    def of_member(leaves: Mapping[str, jax.Array], data: Any, seed: jax.Array) -> Any:
        key = order_key(jax.random.wrap_key_data(seed, impl="threefry2x32"))

        def of_epoch(index: jax.Array) -> Any:
            epoch_key = jax.random.fold_in(key, index)
            return steps.batches(hyperparameters(leaves), data, epoch_key)

        return jax.lax.map(of_epoch, jnp.arange(points))

    def order(data: Any, seed: jax.Array) -> Any:
        leaves = {
            leaf: jnp.zeros((1, *struct.shape), struct.dtype)
            for leaf, struct in leaf_structs(inputs).items()
        }
        # out_axes=None is refused where the result differs between members.
        shared = jax.vmap(of_member, in_axes=(0, None, None), out_axes=None)
        return shared(leaves, data, seed)

    order.__name__ = order.__qualname__ = name
    replicated = sharded(mesh, REPLICATED)
    structs = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=replicated),
        (data, jax.ShapeDtypeStruct((2,), np.uint32)),
    )
    try:
        traced = jax.jit(order, out_shardings=replicated).trace(*structs)
    except ValueError:  # of vmap, or of the task, which then raises it again
        return None
    size = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(traced.out_info))
    return traced if size <= MOST_BYTES else None


def order_identity(traced: jax.stages.Traced | None) -> Hashable:
    """Equal for two programs that draw the same order."""
    if traced is None:
        return None
    constants = tuple(np.asarray(value).tobytes() for value in traced.jaxpr.consts)
    return str(traced.jaxpr), constants


def draw_order(
    task: Task, traced: jax.stages.Traced | None, data: Any, seed: jax.Array
) -> Any:
    """The batches of all epochs, on every device; None where there is no program.

    Args:
        task: Keeps the compiled program.
        traced: What `trace_order` returned.
        data: The data, on every device.
        seed: u32[2] seed of the study, on every device.
    """
    if traced is None:
        return None
    compiled = compile_once(
        task,
        (order_identity(traced), seed.sharding),
        traced.lower,
        devices=list(mesh_of(seed).devices.flat),
        optimize=False,
    )
    return compiled(data, seed)
