"""What `calibrate` has measured, beside what evotune ships."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from evotune.engine._costs import Costs
from evotune.engine._plan import table

_BUSY = 0.5
"""Of the cores that others may have used beforehand."""

_ROWS = {
    "multiply_add_seconds": ("ps a multiply-add", 1e12),
    "window_seconds": ("ps an element of a convolution's windows", 1e12),
    "update_seconds": ("ps a weight that a step moves", 1e12),
    "step_seconds": ("us a step of a block, besides", 1e6),
    "compile_seconds": ("s to compile a program well", 1.0),
    "fast_compile_seconds": ("s to compile it fast", 1.0),
    "fast_slowdown": ("times as long runs what is compiled fast", 1.0),
    "min_lanes": ("members of a device at once, where there are so many", 1.0),
    "max_lanes": ("members of a device at once, at most", 1.0),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
    """Costs of the devices at hand; ``print`` shows them.

    Attributes:
        measured: The costs that plans rest on from now on; what there was no time for
            is as shipped.
        shipped: The costs that evotune ships for devices of this kind.
        missing: Names of those that were not measured.
        device_kind: The kind of the devices, such as "cpu".
        devices: Their number.
        seconds: What measuring took.
        path: Where they are stored; None where they are not.
        load: Processes that wanted a core in the minute before; None if not known.
        cores: Of the machine, for this process.
    """

    measured: Costs
    shipped: Costs
    missing: tuple[str, ...]
    device_kind: str
    devices: int
    seconds: float
    path: Path | None
    load: float | None
    cores: int

    def __str__(self) -> str:
        plural = "s" * (self.devices != 1)
        where = "not stored" if self.path is None else f"stored in {self.path}"
        lines = [
            f"Calibration of {self.devices} {self.device_kind} device{plural} in "
            f"{self.seconds:.0f} s, {where}"
        ]
        rows = [
            (
                text,
                "-" if name in self.missing else _number(self.measured, name, unit),
                _number(self.shipped, name, unit),
            )
            for name, (text, unit) in _ROWS.items()
        ]
        lines += table(("", "measured", "shipped"), rows)
        if self.is_doubtful:
            lines.append(
                f"  The machine was busy before, with a load of {self.load:.1f} on "
                f"{self.cores} cores. Measure again when nothing else runs."
            )
        return "\n".join(lines)

    @property
    def is_doubtful(self) -> bool:
        """Whether something else was running, which makes everything look slow."""
        return self.load is not None and self.load > _BUSY * self.cores


def _number(costs: Costs, name: str, unit: float) -> str:
    return f"{unit * getattr(costs, name):.3g}"
