"""Making the plan: compile seconds weighed against padded arithmetic."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evotune.engine._arithmetic import Epoch, count_epoch
from evotune.engine._costs import Costs
from evotune.engine._inputs import (
    Input,
    largest_size,
    plain_config,
    static_combinations,
)
from evotune.engine._plan import Plan, ProgramSpec, identifier
from evotune.space import Space
from evotune.tasks import Task

MAX_PROGRAMS = 32
"""Padded sizes are not cut further than into this many programs, unless asked to."""

_SAMPLES = 512
_QUANTILES = (0.25, 0.4, 0.5, 0.6, 0.75)
_REGISTER = 16  # numbers that a register of AVX-512 holds
_ASSUMED_TRAININGS = 1000
_ENOUGH = 32
"""Samples of a box whose arithmetic is looked at: padded, they are much alike."""


def make_plan(
    task: Task,
    space: Space,
    inputs: Sequence[Input],
    *,
    rows: int,
    trainings: int | None,
    devices: int,
    device_kind: str,
    costs: Costs,
    max_programs: int | None = None,
    data_bytes: int = 0,
    device_bytes: float | None = None,
) -> Plan:
    """Picks the programs: the padded sizes with the least expected seconds in all.

    Each combination of static values begins with one program that holds the largest
    sizes. Then the program is cut in two, at a quantile of one of the sizes that it
    holds, by which the most seconds are expected to be saved; and so on, for as long as
    any are. Expected seconds are those of compiling, of padded arithmetic, and of lanes
    left idle in a generation's last block. Deterministic: the same arguments give the
    same plan.

    Args:
        task: What is trained; its ``multiply_adds`` gives the arithmetic.
        space: What is searched.
        inputs: How each searched hyperparameter is bound.
        rows: P, members of one proposal.
        trainings: Expected number of trainings; None assumes a thousand.
        devices: Number of devices.
        device_kind: Their kind.
        costs: What compiling and arithmetic cost on them.
        max_programs: Sizes are not cut further than into this many programs; static
            values need one each in any case. None is `MAX_PROGRAMS`.
        data_bytes: Memory of the data; shown.
        device_bytes: Memory of a device, or None; shown.
    """
    total = max(trainings or _ASSUMED_TRAININGS, 1)
    planner = _Planner(
        task, space, inputs, rows=rows, trainings=total, devices=devices, costs=costs
    )
    boxes = [planner.whole(static) for static in static_combinations(space, inputs)]
    boxes = planner.cut(boxes, max_programs or MAX_PROGRAMS)
    programs = sorted((box.spec for box in boxes), key=lambda spec: spec.epoch_work)
    return Plan(
        bindings={entry.name: entry.binding for entry in inputs},
        programs=tuple(programs),
        devices=devices,
        device_kind=device_kind,
        rows=rows,
        trainings=total,
        compile_seconds=sum(planner.compile_seconds(spec) for spec in programs),
        costs=costs,
        data_bytes=data_bytes,
        device_bytes=device_bytes,
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Box:
    """Members of equal static values and of sizes up to those of ``spec``.

    Attributes:
        spec: The program that would train them.
        members: Which of the samples they are.
        seconds: Expected, of compiling and of training all of them.
    """

    spec: ProgramSpec
    members: Sequence[int]
    seconds: float


class _Planner:
    def __init__(
        self,
        task: Task,
        space: Space,
        inputs: Sequence[Input],
        *,
        rows: int,
        trainings: int,
        devices: int,
        costs: Costs,
    ):
        self._task = task
        self._space = space
        self._inputs = inputs
        self._sizes = [entry for entry in inputs if entry.is_size]
        self._cut = [
            entry.name for entry in self._sizes if entry.name not in task.skips
        ]
        self._trainings = trainings
        self._rows = rows
        self._devices = devices
        self._costs = costs
        draws = np.random.default_rng(0).random((_SAMPLES, len(space.axes)))
        x = space.draw(_SAMPLES, seed=0) if space.constraints else draws
        self._columns = space.decode(x.astype(np.float32))
        self._configs = [
            {**space.constants, **plain_config(self._columns, row)}
            for row in range(_SAMPLES)
        ]
        self._useful = [self._work(config) for config in self._configs]

    def whole(self, static: Mapping[str, Any]) -> _Box:
        """All members of these static values in one program."""
        capacity = {
            entry.name: largest_size(self._space, entry) for entry in self._sizes
        }
        shell = _shell(static, capacity)
        members = [i for i, config in enumerate(self._configs) if shell.fits(config)]
        return self._box(static, capacity, members)

    def cut(self, boxes: Sequence[_Box], most: int) -> list[_Box]:
        """The boxes, cut in two as long as that pays and they are not ``most``."""
        cuts = [(box, self._best_cut(box)) for box in boxes]
        while len(cuts) < most:
            saved = [_saved(box, halves) for box, halves in cuts]
            best = int(np.argmax(saved))
            if saved[best] <= 0.0:
                break
            halves = cuts.pop(best)[1]
            cuts += [(half, self._best_cut(half)) for half in halves]
        return [box for box, _ in cuts]

    def _best_cut(self, box: _Box) -> tuple[_Box, ...]:
        """The two halves with the least seconds; () where there are none."""
        if not box.members or self._useful[box.members[0]] is None:
            return ()
        halves = [
            self._halves(box, name, size)
            for name in self._cut
            for size in self._cut_points(box, name)
        ]
        return min(halves, key=_seconds, default=())

    def _cut_points(self, box: _Box, name: str) -> list[int]:
        """Sizes at quantiles of those in the box, without its largest.

        Sizes that are not small are rounded up, so that rows fill whole registers: a
        width of 56 takes half as long again as one of 64 on CPU.
        """
        sizes = [self._configs[i][name] for i in box.members]
        quantiles = np.quantile(sizes, _QUANTILES, method="higher")
        rounded = [
            math.ceil(size / _REGISTER) * _REGISTER if size > _REGISTER else int(size)
            for size in quantiles
        ]
        largest = box.spec.capacity[name]
        return sorted({size for size in rounded if size < largest})

    def _halves(self, box: _Box, name: str, size: int) -> tuple[_Box, ...]:
        static, capacity = box.spec.static, box.spec.capacity
        small = [i for i in box.members if self._configs[i][name] <= size]
        large = [i for i in box.members if self._configs[i][name] > size]
        return (
            self._box(static, {**capacity, name: size}, small),
            self._box(static, capacity, large),
        )

    def compile_seconds(self, spec: ProgramSpec) -> float:
        """Expected seconds of compiling a program."""
        if spec.optimize:
            return self._costs.compile_seconds
        return self._costs.fast_compile_seconds

    def _run_seconds(self, spec: ProgramSpec) -> float:
        """Expected seconds of its trainings, and of lanes idle in last blocks."""
        generations = max(1.0, self._trainings / self._rows)
        idle = 0.5 * generations * spec.lanes if spec.share else 0.0
        return (spec.share * self._trainings + idle) * spec.seconds

    def _box(
        self, static: Mapping[str, Any], capacity: Mapping[str, int], members: list[int]
    ) -> _Box:
        spec = self._spec(static, capacity, members)
        seconds = self.compile_seconds(spec) + self._run_seconds(spec)
        return _Box(spec=spec, members=members, seconds=seconds)

    def _spec(
        self,
        static: Mapping[str, Any],
        capacity: Mapping[str, int],
        members: Sequence[int],
    ) -> ProgramSpec:
        share = len(members) / _SAMPLES
        sample = [self._configs[i] for i in members] or [
            {**self._configs[0], **static, **capacity}
        ]
        epochs = float(np.mean([self._epochs(config) for config in sample]))
        steps = float(np.mean([self._task.steps(config) for config in sample]))
        computed = {name: capacity[name] for name in self._cut}
        padded = [{**config, **computed} for config in sample[:_ENOUGH]]
        epoch = Epoch.mean(self._task, padded)
        if epoch is None:
            epoch = count_epoch(self._task, self._space, self._inputs, static)
            steps = float(epoch.steps)
        work = epoch.work.multiply_adds
        dense = self._costs.dense(work, epoch.work.windows, epoch.work.updates)
        steps, padded_work = max(1.0, steps), work * epochs
        useful = [self._useful[i] or 0.0 for i in members]
        lanes = self._costs.lanes(
            dense / steps, members=share * self._rows, devices=self._devices
        )
        waste = 0.0
        if padded_work and any(useful):
            waste = max(0.0, 1.0 - float(np.mean(useful)) / padded_work)
        spec = _shell(
            static,
            capacity,
            lanes=lanes,
            share=share,
            seconds=self._costs.training_seconds(
                dense * epochs,
                steps=steps * epochs,
                lanes=lanes,
                devices=self._devices,
            ),
            waste=waste,
            epoch_work=work,
            evaluation=epoch.evaluation,
            flops=2.0 * padded_work,
        )
        # The constants are those of perceptrons, whose weights the task counts. What
        # else there is takes several times as long, GRUs above all what compiled fast.
        known = bool(work and epoch.work.updates)
        if known and self._costs.compiles_fast(self._run_seconds(spec)):
            slower = spec.seconds * self._costs.fast_slowdown
            return dataclasses.replace(spec, optimize=False, seconds=slower)
        return spec

    def _work(self, config: Mapping[str, Any]) -> float | None:
        """Multiply-adds of a whole training; None where the task does not know."""
        epoch = self._task.multiply_adds(config)
        return None if epoch is None else epoch * self._epochs(config)

    def _epochs(self, config: Mapping[str, Any]) -> int:
        return int(config.get("epochs", self._task.epochs))


def _seconds(boxes: Sequence[_Box]) -> float:
    return sum(box.seconds for box in boxes)


def _saved(box: _Box, halves: Sequence[_Box]) -> float:
    """Seconds that are saved by its halves; less than none where there are none."""
    return box.seconds - _seconds(halves) if halves else -1.0


def _shell(
    static: Mapping[str, Any], capacity: Mapping[str, int], **expected: Any
) -> ProgramSpec:
    """A program of a name; what is ``expected`` of it is nothing unless given."""
    parts = [f"{key}_{value}" for key, value in {**static, **capacity}.items()]
    nothing = {"share": 0.0, "seconds": 0.0, "waste": 0.0, "epoch_work": 0.0}
    return ProgramSpec(
        name=identifier("train", *parts),
        static=static,
        capacity=capacity,
        optimize=True,
        **{"lanes": 0, **nothing, **expected},
    )
