"""`calibrate`: measures what plans rest on, and keeps it for later studies."""

from __future__ import annotations

import dataclasses
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from evotune._cache import VARIABLE
from evotune._errors import HyperparameterError
from evotune._machine import cores, load
from evotune.engine._calibrated import store_costs
from evotune.engine._calibration import Calibration
from evotune.engine._costs import Costs, default_costs
from evotune.engine._devices import (
    local_mesh,
    one_cpu_device_per_core,
    shares_host_memory,
)
from evotune.engine._experiments import (
    Experiment,
    Measured,
    cnn,
    fitted,
    in_small_batches,
    mlp,
    run,
)

_WITHIN = 1.1
"""Members take at most so many times as long in a block of the most lanes."""


def calibrate(
    *, timeout: float = 60.0, store: bool = True, progress: bool = True
) -> Calibration:
    """Measures what compiling and training cost here, for the plans of later studies.

    Plans weigh seconds of compiling against seconds of training. Without a
    calibration they rest on figures that ship for the kind of device; with one, on
    those of the devices at hand, from the next `evotune.tune` or `evotune.plan` on.
    It holds for this kind and number of devices, this processor and this version of
    JAX, and lies as a small file in the user's cache folder (``evotune/calibration``,
    or where ``EVOTUNE_CACHE`` says; see `set_compile_cache`). Delete it to go back to
    the shipped figures.

    A study records the costs that it was planned with, and goes on with these when it
    is resumed: a calibration never changes a study that has begun.

    Small populations of networks are compiled and trained on noise: perceptrons of
    several sizes, convolutional networks, programs compiled well and fast, and, on CPU,
    several numbers of members at once. Nothing else should run meanwhile: where the
    machine was busy just before, the result says so.

    Args:
        timeout: Seconds after which no further measurement begins; what is missing then
            stays as shipped. The most important come first.
        store: Whether later studies are to use it.
        progress: Whether to say on the standard error stream what is going on.

    Returns:
        The costs; ``print`` shows them beside the shipped ones.

    Raises:
        HyperparameterError: If ``timeout`` is not positive.

    Example:
        >>> import evotune as et
        >>> print(et.calibrate())  # doctest: +SKIP
        Calibration of 2 cpu devices in 45 s, stored in ...
    """
    if not timeout > 0:
        raise HyperparameterError(
            f"timeout must be a positive number of seconds, but got {timeout!r}. Use "
            "et.calibrate(timeout=60)."
        )
    began, busy = time.monotonic(), load()
    one_cpu_device_per_core()
    mesh = local_mesh()
    kind = mesh.devices.flat[0].device_kind
    shipped, cpu = default_costs(kind), shares_host_memory(mesh)
    planned = _cpu_experiments() if cpu else _accelerator_experiments()
    results: dict[str, Measured] = {}
    for number, (name, experiment) in enumerate(planned.items(), start=1):
        if results and time.monotonic() - began > timeout:
            break
        if progress:
            text = f"calibrating, {number} of {len(planned)}: {experiment.name}"
            print(text, file=sys.stderr, flush=True)
        results[name] = run(experiment, shipped)
    found = measured_costs(results, {n: e.lanes for n, e in planned.items()})
    measured = dataclasses.replace(shipped, **found)
    return Calibration(
        measured=measured,
        shipped=shipped,
        missing=tuple(sorted(shipped.to_json().keys() - found.keys())),
        device_kind=kind,
        devices=mesh.size,
        seconds=time.monotonic() - began,
        path=_stored(mesh, measured) if store else None,
        load=busy,
        cores=cores(),
    )


def _cpu_experiments() -> dict[str, Experiment]:
    """What is measured on CPU, the most important first."""
    return {
        "fit step": mlp(8, lanes=1),
        "fit typical": mlp(64, lanes=8),
        "fit cnn": cnn(8, lanes=2),
        "fast": mlp(64, lanes=8, optimize=False),
        "fit wide": mlp(192, lanes=2),
        "fit small batches": in_small_batches(mlp(192, lanes=2)),
        "fit cnn wide": cnn(32, lanes=1),
        "alone": mlp(192, lanes=1),
        **{
            f"lanes {count}": mlp(32, lanes=count, optimize=False)
            for count in (8, 16, 32, 64)
        },
    }


def _accelerator_experiments() -> dict[str, Experiment]:
    """What is measured on other devices, where memory bounds the lanes, not a cache."""
    return {
        "fit step": mlp(8, lanes=1),
        "fit typical": mlp(64, lanes=256),
        "fit wide": mlp(256, lanes=64),
        "fit small batches": in_small_batches(mlp(256, lanes=64)),
        "fit cnn": cnn(8, lanes=64),
        "fit cnn wide": cnn(32, lanes=32),
    }


def measured_costs(
    results: Mapping[str, Measured], lanes: Mapping[str, int]
) -> dict[str, Any]:
    """The costs that experiments show, by name; without those that they do not.

    Args:
        results: Those of "fit ..." give the seconds of training, "fit typical" and
            "fast" those of compiling, "lanes ..." the most members at once, and "alone"
            beside "fit wide" the fewest.
        lanes: Of each experiment.
    """
    fits = [one for name, one in results.items() if name.startswith("fit")]
    costs: dict[str, Any] = {}
    if len(fits) > 1:
        # Where noise has drowned a cost, the fit says 0, which only that of windows is.
        costs |= {n: v for n, v in fitted(fits).items() if v or n == "window_seconds"}
    typical, fast = results.get("fit typical"), results.get("fast")
    if typical is not None:
        costs["compile_seconds"] = typical.compile_seconds
    if typical is not None and fast is not None:
        slowdown = fast.epoch_seconds / typical.epoch_seconds
        costs["fast_slowdown"] = max(1.0, slowdown)
        costs["fast_compile_seconds"] = fast.compile_seconds
    alone, together = results.get("alone"), results.get("fit wide")
    if alone is not None and together is not None:
        pays = together.epoch_seconds < lanes["fit wide"] * alone.epoch_seconds
        costs["min_lanes"] = lanes["fit wide"] if pays else 1
    sweep = [name for name in lanes if name.startswith("lanes")]
    if sweep and all(name in results for name in sweep):
        costs["max_lanes"] = _most_lanes(
            [(lanes[name], results[name].epoch_seconds / lanes[name]) for name in sweep]
        )
    return costs


def _most_lanes(member_seconds: Sequence[tuple[int, float]]) -> int:
    """The most lanes whose members take little longer than in the best number."""
    best = min(seconds for _, seconds in member_seconds)
    return max(n for n, seconds in member_seconds if seconds <= _WITHIN * best)


def _stored(mesh: Mesh, costs: Costs) -> Path | None:
    """Where the costs are kept now; None, and a warning, where they cannot be."""
    try:
        path = store_costs(mesh, costs)
    except OSError as error:
        reason = str(error)
    else:
        if path is not None:
            return path
        reason = f"the environment variable {VARIABLE} is off, or there is no home"
    warnings.warn(
        f"The calibration is not stored ({reason}), so that later studies rest on the "
        f"shipped costs. Set {VARIABLE} to a folder that can be written, or take "
        "store=False.",
        stacklevel=3,
    )
    return None
