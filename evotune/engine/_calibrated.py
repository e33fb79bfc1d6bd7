"""Where costs come from: a study's record, the user's folder, or evotune itself."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import jax
import jaxlib.version
from jax.sharding import Mesh

from evotune._cache import user_folder
from evotune._files import write_atomically
from evotune._machine import cores, processor
from evotune.engine._costs import Costs, default_costs
from evotune.engine._plan import identifier

SCHEMA_VERSION = 1
"""Of the files; one of another version is passed by."""


def recorded_costs(plan: Mapping[str, Any] | None, device_kind: str) -> Costs | None:
    """The costs that a study was planned with; None where its plan says nothing here.

    Args:
        plan: What `Plan.to_json` made, as JSON values; of a version without costs in
            it, the shipped ones count.
        device_kind: Of the devices at hand; a plan for other devices does not count.
    """
    if not _is_for(plan, device_kind):
        return None
    if "costs" not in plan:
        return default_costs(device_kind)
    return Costs.from_json(plan["costs"])


def recorded_memory(plan: Mapping[str, Any] | None, device_kind: str) -> float | None:
    """The memory of a device, in bytes, that it was planned with; None likewise."""
    return plan.get("device_bytes") if _is_for(plan, device_kind) else None


def _is_for(
    plan: Mapping[str, Any] | None, device_kind: str
) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(plan, Mapping) and plan.get("device_kind") == device_kind


def stored_costs(mesh: Mesh) -> Costs | None:
    """The costs that `calibrate` has stored for these devices; None without any.

    A file that cannot be read costs a warning.
    """
    path = path_of(mesh)
    if path is None or not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = {name: record.get(name) for name in machine(mesh)}
        return Costs.from_json(record["costs"]) if found == machine(mesh) else None
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        warnings.warn(
            f"The calibration {str(path)!r} cannot be read ({error!r}), so plans rest "
            "on the costs that ship with evotune. Measure again: et.calibrate().",
            stacklevel=2,
        )
        return None


def store_costs(mesh: Mesh, costs: Costs) -> Path | None:
    """Keeps costs for later studies on these devices; None where nothing is kept.

    Raises:
        OSError: If the folder cannot be written.
    """
    path = path_of(mesh)
    if path is None:
        return None
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    record = {**machine(mesh), "costs": costs.to_json()}
    write_atomically(path, (json.dumps(record, indent=2) + "\n").encode())
    return path


def path_of(mesh: Mesh) -> Path | None:
    """The file of these devices, there or not; None where nothing is kept."""
    folder = user_folder("calibration")
    if folder is None:
        return None
    known = machine(mesh)
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return folder / f"{identifier(known['device_kind'])}_{digest[:16]}.json"


def machine(mesh: Mesh) -> dict[str, Any]:
    """What measured costs hold for, as JSON values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "device_kind": mesh.devices.flat[0].device_kind,
        "devices": int(mesh.size),
        "processor": list(processor()),
        "cores": cores(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.version.__version__,
    }
