"""The plan: which programs a study compiles, and what it expects of them."""

from __future__ import annotations

import dataclasses
import json
import math
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
        evaluation: The share of them that is evaluation; None where it is not known.
        flops: Expected operations of one training, in matrix products and convolutions,
            padding included; a multiply-add counts as two.
        member_bytes: Memory of one member between two steps: its state, and its curves;
            None where nobody has looked yet.
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
    evaluation: float | None = None
    flops: float = 0.0
    member_bytes: int | None = None

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
        data_bytes: Memory of the data, of which every device has a copy.
        device_bytes: Memory of a device; of a CPU device its part of the host's. None
            where it is not known.
    """

    bindings: Mapping[str, Binding]
    programs: tuple[ProgramSpec, ...]
    devices: int
    device_kind: str
    rows: int
    trainings: int
    compile_seconds: float
    costs: Costs
    data_bytes: int = 0
    device_bytes: float | None = None

    def program_for(self, config: Mapping[str, Any]) -> int:
        """Index of the first, that is smallest, program that fits ``config``."""
        return next(i for i, spec in enumerate(self.programs) if spec.fits(config))

    @property
    def run_seconds(self) -> float:
        """Expected seconds of training."""
        return self.trainings * sum(spec.share * spec.seconds for spec in self.programs)

    @property
    def flops(self) -> float:
        """Expected operations in all, padding included; see `ProgramSpec.flops`."""
        return self.trainings * sum(spec.share * spec.flops for spec in self.programs)

    @property
    def waste(self) -> float:
        """Expected fraction of them that is padding."""
        padded = [spec.share * spec.flops * spec.waste for spec in self.programs]
        return self.trainings * sum(padded) / self.flops if self.flops else 0.0

    def to_json(self) -> str:
        """Everything in the plan, as text."""
        record = dataclasses.asdict(self)
        record["bindings"] = {k: v.value for k, v in self.bindings.items()}
        record["costs"] = self.costs.to_json()
        expected = ("run_seconds", "flops", "waste")
        record |= {name: getattr(self, name) for name in expected}
        return json.dumps(record, default=str)

    def __str__(self) -> str:
        lines = [
            f"Plan: {len(self.programs)} program{'s' * (len(self.programs) != 1)} on "
            f"{self.devices} {self.device_kind} device{'s' * (self.devices != 1)} for "
            f"{self.trainings:,} trainings; expected {self.compile_seconds:.0f} s of "
            f"compiling, {self.run_seconds:.1f} s of training"
        ]
        if self.flops:
            padding = f"{self.waste:.0%} of it padding"
            lines.append(f"  work    {_flops(self.flops)}, {padding}")
        if self.device_bytes is not None:
            room = _bytes(self.device_bytes)
            lines.append(f"  memory  {room} a device, data {_bytes(self.data_bytes)}")
        if self.costs != default_costs(self.device_kind):
            lines.append(f"  costs   calibrated, {self.costs.digest}")
        for binding in Binding:
            names = [name for name, kind in self.bindings.items() if kind is binding]
            if names:
                lines.append(f"  {binding.value:7} {', '.join(names)}")
        return "\n".join([*lines, *self._table()])

    def _table(self) -> list[str]:
        """A row for each program; a block's memory is that of one device."""
        header = ["program", "lanes", "share", "padding", "ms/training", "work"]
        shows_memory = any(spec.member_bytes for spec in self.programs)
        header += ["member", "block"] * shows_memory
        rows = []
        for spec in self.programs:
            row = [
                spec.name,
                str(spec.lanes),
                f"{spec.share:.0%}",
                f"{spec.waste:.0%}",
                f"{1e3 * spec.seconds:.1f}",
                _flops(self.trainings * spec.share * spec.flops),
            ]
            if shows_memory:
                member = spec.member_bytes or 0
                row += [_bytes(member), _bytes(member * spec.lanes // self.devices)]
            rows.append(row)
        return table(header, rows)


def _flops(count: float) -> str:
    """Operations, such as "3.1 TFLOP"; a dash where they are not known."""
    return f"{_scaled(count, 1000.0, 'kMGTPE')}FLOP" if count else "-"


def _bytes(count: float) -> str:
    """Bytes, such as "1.2 MiB"."""
    text = _scaled(count, 1024.0, "KMGTPE")
    return f"{text}iB" if text[-1].isalpha() else f"{text}B"


def _scaled(count: float, base: float, prefixes: str) -> str:
    """Three digits below a thousand, and the prefix of the power of ``base``."""
    power = min(int(math.log(max(count, 1.0), 1000.0)), len(prefixes))
    return f"{count / base**power:.3g} {['', *prefixes][power]}"


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
