"""How many members fit: what programs need, what devices have, what runs out."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from evotune._errors import EvotuneError
from evotune.engine._plan import Plan, ProgramSpec
from evotune.engine._program import Program
from evotune.tasks import Task

_SHARE = 0.9
"""Of a device's memory that a program may take; the rest is for results under way."""

_COPIES = 4
"""States of a block that a device has room for when lanes are planned.

Those that train and their gradients, those of a block that waits, of one that is read.
"""


def shapes_of(data: Any) -> Any:
    """Shapes and dtypes of a task's data, as JAX holds them."""
    return jax.eval_shape(lambda leaves: leaves, data)


def tree_bytes(structs: Any) -> int:
    """Bytes of arrays, or of their shapes and dtypes."""
    leaves = jax.tree.leaves(structs)
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def weighed(plan: Plan, programs: Sequence[Program], task: Task) -> Plan:
    """The plan, with the memory of a member of each program.

    Args:
        plan: Of ``programs``.
        programs: Are traced, where they are not yet; nothing is compiled.
        task: What they train; keeps what was found.
    """
    known: dict[Hashable, int] = vars(task).setdefault("_member_bytes", {})
    for program in programs:
        if program.start.identity not in known:
            member = program.member(shapes_of(task.data()))
            known[program.start.identity] = tree_bytes(member)
    specs = [
        dataclasses.replace(program.spec, member_bytes=known[program.start.identity])
        for program in programs
    ]
    return dataclasses.replace(plan, programs=tuple(specs))


def bound(
    plan: Plan,
    programs: list[Program],
    task: Task,
    make_program: Callable[[ProgramSpec], Program],
) -> Plan:
    """A plan for no more members than a device is expected to hold.

    What activations take is not known before a program is compiled; see `fits`.

    Args:
        plan: Of ``programs``.
        programs: Those that are to have fewer lanes are replaced.
        task: What they train.
        make_program: Describes a program of other lanes.
    """
    if plan.device_bytes is None:
        return plan
    plan = weighed(plan, programs, task)
    assert plan.device_bytes is not None
    room = _SHARE * plan.device_bytes - plan.data_bytes
    specs = []
    for index, spec in enumerate(plan.programs):
        most = max(1, int(room / (_COPIES * max(1, spec.member_bytes or 0))))
        lanes = plan.devices * min(spec.lanes // plan.devices, most)
        specs.append(dataclasses.replace(spec, lanes=lanes))
        if lanes != spec.lanes:
            programs[index] = make_program(specs[-1])
        programs[index].spec = specs[-1]
    return dataclasses.replace(plan, programs=tuple(specs))


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


def known_bytes(mesh: Mesh) -> float | None:
    """`device_bytes`; None where it is not known."""
    found = device_bytes(mesh)
    return found if math.isfinite(found) else None


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
