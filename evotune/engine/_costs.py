"""What compiling and arithmetic cost, by kind of device."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, Self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Costs:
    """Rough costs that plans are weighed by; ratios matter, not absolute seconds.

    Attributes:
        compile_seconds: To trace and compile one program.
        multiply_add_seconds: Of one device, in small batched matrix products.
        window_seconds: Of one device, for each element of the windows that convolutions
            read, besides their products: windows are laid side by side beforehand.
        update_seconds: Of one device, for each weight that a step moves: its moments
            are read and written, whatever the batch.
        step_seconds: Of one training step of a block besides its arithmetic.
        fast_compile_seconds: Likewise, without the slowest passes of the compiler.
        fast_slowdown: How much longer a program compiled that way runs.
        min_lanes: Fewest members of one device in one call, where there are so many: a
            single one may take XLA longer than its share of two.
        max_lanes: Most members of one device in one call, which bounds the block's
            working set to the cache on CPU, and memory on accelerators.
    """

    compile_seconds: float
    multiply_add_seconds: float
    step_seconds: float
    max_lanes: int
    min_lanes: int = 1
    fast_compile_seconds: float = math.inf
    fast_slowdown: float = 1.0
    window_seconds: float = 0.0
    update_seconds: float = 0.0

    def to_json(self) -> dict[str, float | None]:
        """JSON values by name; None where one is infinite."""
        values = dataclasses.asdict(self)
        return {k: v if math.isfinite(v) else None for k, v in values.items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """What `to_json` made, now or in an earlier version.

        Raises:
            ValueError: If a cost is missing that has no default, or is no number, or
                negative.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {
            name: math.inf if value is None else value
            for name, value in record.items()
            if name in known
        }
        for name, value in values.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or math.isnan(value) or value < 0:
                raise ValueError(f"{name} must be a number >= 0, but is {value!r}.")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"A cost is missing: {error}.") from error

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that other costs do not have."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def dense(
        self, multiply_adds: float, windows: float = 0.0, updates: float = 0.0
    ) -> float:
        """Multiply-adds of dense products that take as long as all of this.

        Args:
            multiply_adds: Of products and convolutions.
            windows: Elements of the windows that the convolutions read.
            updates: Weights that are moved, each counted in every step.
        """
        more = windows * self.window_seconds + updates * self.update_seconds
        return multiply_adds + more / self.multiply_add_seconds

    def compiles_fast(self, run_seconds: float) -> bool:
        """Whether a program that runs for so long is better compiled the fast way."""
        saved = self.compile_seconds - self.fast_compile_seconds
        return run_seconds * (self.fast_slowdown - 1.0) < saved

    def training_seconds(
        self, multiply_adds: float, *, steps: float, lanes: int, devices: int
    ) -> float:
        """Expected seconds of one training in a full call over all devices."""
        on_device = lanes / devices
        block = steps * self.step_seconds + on_device * (
            multiply_adds * self.multiply_add_seconds
        )
        return block / lanes

    def lanes(self, step_work: float, *, members: float, devices: int) -> int:
        """Members of one call: enough to bury the cost of a step, and few left idle.

        Between three and five quarters of what buries it, the number is taken that
        trains a generation soonest, its last block included.

        Args:
            step_work: Multiply-adds of one member's step; 0 where unknown.
            members: Members expected in a generation.
            devices: Number of devices.
        """
        member_seconds = step_work * self.multiply_add_seconds
        wanted = self.max_lanes
        if step_work:
            burying = math.ceil(_BURY * self.step_seconds / member_seconds)
            wanted = min(wanted, max(burying, self.min_lanes))
        on_device = max(1, math.ceil(members / devices))
        most = min(math.ceil(_SLACK * wanted), self.max_lanes, on_device)
        least = min(math.ceil(0.75 * wanted), most)

        def seconds(lanes: int) -> float:
            blocks = math.ceil(on_device / lanes)
            return blocks * (self.step_seconds + lanes * member_seconds)

        return devices * min(range(most, least - 1, -1), key=seconds)


_BURY = 12.0  # a block's arithmetic is to be this many times its cost of a step
_SLACK = 1.25  # a block may be larger than that by this factor

CPU = Costs(
    compile_seconds=2.2,
    fast_compile_seconds=1.5,
    fast_slowdown=1.35,
    multiply_add_seconds=3e-11,
    update_seconds=3e-9,
    step_seconds=5e-5,
    min_lanes=2,
    max_lanes=16,
)
ACCELERATOR = Costs(
    compile_seconds=6.0,
    multiply_add_seconds=4e-13,
    step_seconds=2e-4,
    max_lanes=1024,
)


def default_costs(device_kind: str) -> Costs:
    """Costs that ship for a kind of device."""
    return CPU if device_kind == "cpu" else ACCELERATOR
