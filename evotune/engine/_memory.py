"""How many members fit: what programs need, what devices have, what runs out."""

from __future__ import annotations

import dataclasses
import os

import jax
from jax.sharding import Mesh

from evotune._errors import EvotuneError
from evotune.engine._plan import ProgramSpec

_SHARE = 0.9
"""Of a device's memory that a program may take; the rest is for results under way."""


def fits(compiled: jax.stages.Compiled, mesh: Mesh, *, beside: int = 0) -> bool:
    """Whether XLA's own figures say that a program fits into the memory of a device.

    Args:
        compiled: The program.
        mesh: The devices.
        beside: Bytes that must fit in addition, such as a chunk that is on its way.
    """
    stats = compiled.memory_analysis()
    if stats is None:
        return True
    needed = (
        beside
        + stats.argument_size_in_bytes
        + stats.output_size_in_bytes
        + stats.temp_size_in_bytes
        - stats.alias_size_in_bytes
    )
    return bool(needed <= _SHARE * device_bytes(mesh))


def device_bytes(mesh: Mesh) -> float:
    """Memory of one device; CPU devices share that of the host evenly."""
    device = mesh.devices.flat[0]
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return float(stats["bytes_limit"])
    if device.platform != "cpu" or "SC_PHYS_PAGES" not in os.sysconf_names:
        return float("inf")
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return float(pages / mesh.size)


def ran_out(error: Exception) -> bool:
    """Whether a device had no memory left."""
    return "RESOURCE_EXHAUSTED" in str(error)


def halved(spec: ProgramSpec, devices: int) -> ProgramSpec:
    """The same program for half as many members.

    Raises:
        EvotuneError: If a device holds a single member already.
    """
    on_device = spec.lanes // devices
    if on_device <= 1:
        raise EvotuneError(
            f"A device must hold at least one member, but {spec.name} runs out of "
            "memory with one a device. Likely cause: a large network, batch or set of "
            "data. Lower batch_size or the largest sizes of the space, or train on "
            "fewer examples."
        )
    return dataclasses.replace(spec, lanes=devices * (on_device // 2))
