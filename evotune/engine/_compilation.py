"""Compiling a lowered program well, and never twice for one task."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax

from evotune._cache import compile_cached
from evotune.tasks import Task

# Level 1 halves XLA's compile time on CPU and runs as fast. Without fusion emitters and
# with all code in two modules, it takes two thirds of that, but runs a third longer.
_CPU_OPTIONS: dict[str, Any] = {"xla_backend_optimization_level": 1}
_CPU_FAST_OPTIONS = {
    **_CPU_OPTIONS,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 2,
}


def compile_once(
    task: Task,
    identity: Hashable,
    lower: Callable[[], jax.stages.Lowered],
    *,
    devices: Sequence[jax.Device],
    optimize: bool,
) -> jax.stages.Compiled:
    """The program ``identity`` of ``task``, of this or an earlier study or process.

    Args:
        task: Keeps its programs for as long as it lives.
        identity: All that the program depends on besides the task.
        lower: Makes the program; not called where it is known.
        devices: What it runs on, in the order of its mesh.
        optimize: Whether it is worth the time to compile it well.
    """
    known = compiled_programs(task)
    if identity not in known:
        known[identity] = _compile(lower(), devices, optimize)
    return known[identity]


def compiled_programs(task: Task) -> dict[Hashable, jax.stages.Compiled]:
    """What has been compiled for ``task`` so far, by identity."""
    known: dict[Hashable, jax.stages.Compiled]
    known = vars(task).setdefault("_compiled_programs", {})
    return known


def _compile(
    lowered: jax.stages.Lowered, devices: Sequence[jax.Device], optimize: bool
) -> jax.stages.Compiled:
    """Compiles with the options that suit the devices."""
    if devices[0].platform != "cpu":
        return compile_cached(lowered, devices=devices)
    options = _CPU_OPTIONS if optimize else _CPU_FAST_OPTIONS
    return compile_cached(lowered, options, devices=devices)
