"""The plan: which programs a study compiles, and what it expects of them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from evotune._contracts import Binding
from evotune.engine._costs import Costs, default_costs


@dataclasses.dataclass(frozen=True, kw_only=True)
class ProgramSpec:
    """One program: members of equal static values and of sizes up to a capacity.

    Attributes:
        name: The name that compilations are counted by.
        static: Plain values of the static hyperparameters.
        capacity: What each masked size is padded to.
        optimize: Whether XLA takes the time to compile it well; a short run is over
            sooner without.
        lanes: Members that one call trains, over all devices.
        share: Expected fraction of the trainings.
        seconds: Expected seconds of one training in a full call.
        waste: Expected fraction of its arithmetic that is padding.
        epoch_work: Expected multiply-adds of one member's epoch, padding included; 0
            where the task's arithmetic is not known.
    """

    name: str
    static: Mapping[str, Any]
    capacity: Mapping[str, int]
    optimize: bool
    lanes: int
    share: float
    seconds: float
    waste: float
    epoch_work: float

    def name_of(self, part: str) -> str:
        """The name of another part of the program, such as "start"."""
        return self.name.replace("train", part, 1)

    def fits(self, config: Mapping[str, Any]) -> bool:
        """Whether a member of these plain values can train in the program."""
        return all(
            _same(config[name], value) for name, value in self.static.items()
        ) and all(config[name] <= size for name, size in self.capacity.items())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What the engine compiles for a study; a function of what it records.

    Attributes:
        bindings: How each searched hyperparameter is bound.
        programs: The programs, in the order in which they run; smaller sizes first.
        devices: Number of devices.
        device_kind: Their kind, such as "cpu".
        rows: Members of one proposal.
        trainings: Number of trainings that it was made for.
        compile_seconds: Expected seconds to compile everything.
        costs: What compiling and arithmetic were taken to cost.
    """

    bindings: Mapping[str, Binding]
    programs: tuple[ProgramSpec, ...]
    devices: int
    device_kind: str
    rows: int
    trainings: int
    compile_seconds: float
    costs: Costs

    def program_for(self, config: Mapping[str, Any]) -> int:
        """Index of the first, that is smallest, program that fits ``config``."""
        return next(i for i, spec in enumerate(self.programs) if spec.fits(config))

    @property
    def run_seconds(self) -> float:
        """Expected seconds of training."""
        return self.trainings * sum(spec.share * spec.seconds for spec in self.programs)

    def to_json(self) -> str:
        """Everything in the plan, as text."""
        record = dataclasses.asdict(self)
        record["bindings"] = {k: v.value for k, v in self.bindings.items()}
        record["costs"] = self.costs.to_json()
        return json.dumps(record, default=str)

    def __str__(self) -> str:
        lines = [
            f"Plan: {len(self.programs)} program{'s' * (len(self.programs) != 1)} on "
            f"{self.devices} {self.device_kind} device{'s' * (self.devices != 1)} for "
            f"{self.trainings:,} trainings; expected {self.compile_seconds:.0f} s of "
            f"compiling, {self.run_seconds:.1f} s of training"
        ]
        if self.costs != default_costs(self.device_kind):
            lines.append(f"  costs   calibrated, {self.costs.digest}")
        for binding in Binding:
            names = [name for name, kind in self.bindings.items() if kind is binding]
            if names:
                lines.append(f"  {binding.value:7} {', '.join(names)}")
        header = ("program", "lanes", "share", "padding", "ms/training")
        rows = [
            (
                spec.name,
                str(spec.lanes),
                f"{spec.share:.0%}",
                f"{spec.waste:.0%}",
                f"{1e3 * spec.seconds:.1f}",
            )
            for spec in self.programs
        ]
        return "\n".join([*lines, *table(header, rows)])


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column on the left, the others on the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        first, *rest = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(w) for text, w in rest)]
        lines.append("  " + "  ".join(cells))
    return lines


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)


def identifier(*parts: str) -> str:
    """The name of a program, from what sets it apart from others."""
    return re.sub(r"[^0-9A-Za-z]+", "_", "_".join(parts))
