"""The machine that this process runs on: its cores and its processor."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_TELLING = ("model name", "flags", "Features", "CPU part", "CPU variant")


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> float | None:
    """Processes that wanted a core in the last minute; None where nobody counts."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # Windows has none
        return None


@functools.cache
def processor() -> tuple[str, ...]:
    """Its architecture, model and instructions, as far as the system says them."""
    described = (platform.system(), platform.machine(), platform.processor())
    if not _CPUINFO.exists():
        return described
    text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    first, _, _ = text.partition("\n\n")
    telling = (line for line in first.splitlines() if line.startswith(_TELLING))
    return (*described, *telling)
