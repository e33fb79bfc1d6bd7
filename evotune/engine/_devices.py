"""The devices that a population is spread over."""

from __future__ import annotations

import math
import os
import warnings

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from evotune._machine import cores as cores

AXIS = "members"
"""Name of the mesh axis that the population is sharded over."""

MEMBERS = PartitionSpec(AXIS)
REPLICATED = PartitionSpec()


def one_cpu_device_per_core() -> None:
    """Makes JAX see each CPU core as a device, if it has not started yet.

    XLA splits the operations of small networks badly between threads; one device per
    core with its own members trains 1.7 times as many on two cores. A number that the
    user has set, in `jax_num_cpu_devices` or XLA_FLAGS, is left alone. Where JAX has
    started already with one CPU device, a warning says how to do better.
    """
    chosen = getattr(jax.config, "jax_num_cpu_devices", -1) != -1
    in_flags = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if chosen or in_flags or cores() == 1:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores())
    except RuntimeError:
        if jax.default_backend() == "cpu" and jax.local_device_count() == 1:
            warnings.warn(
                f"JAX started with one CPU device, so evotune uses one of {cores()} "
                "cores well. Likely cause: an array was made before the study. Put "
                f'`jax.config.update("jax_num_cpu_devices", {cores()})` at the top of '
                "the program.",
                stacklevel=3,
            )


def local_mesh() -> Mesh:
    """A mesh of one axis over all devices of this process."""
    return Mesh(np.asarray(jax.local_devices()), (AXIS,))


def mesh_of(array: jax.Array) -> Mesh:
    """The mesh of an array that `sharded` has placed."""
    assert isinstance(array.sharding, NamedSharding)
    mesh = array.sharding.mesh
    assert isinstance(mesh, Mesh)
    return mesh


def sharded(mesh: Mesh, spec: PartitionSpec) -> NamedSharding:
    """Where an array lives: split over members, or a copy on every device."""
    return NamedSharding(mesh, spec)


def shares_host_memory(mesh: Mesh) -> bool:
    """Whether the host reads and writes the memory of the devices itself."""
    return bool(mesh.devices.flat[0].platform == "cpu")


def room_for_states(mesh: Mesh) -> float:
    """Bytes that states of members may take on all devices while nobody trains them.

    A third of the memory of accelerators. CPU devices share the memory of the host, so
    that moving states there would free nothing: no limit.
    """
    stats = [device.memory_stats() or {} for device in mesh.devices.flat]
    limits = [found.get("bytes_limit", math.inf) for found in stats]
    return sum(limits) / 3
