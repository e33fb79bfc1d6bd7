"""Making the plan: compile seconds weighed against padded arithmetic."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evotune._contracts import Binding
from evotune.engine._arithmetic import count_epoch
from evotune.engine._costs import Costs
from evotune.engine._inputs import (
    Input,
    inactive_under,
    largest_size,
    plain_config,
)
from evotune.engine._plan import Plan, ProgramSpec, identifier
from evotune.space import Space
from evotune.tasks import Task

MAX_PROGRAMS = 6
"""Padded sizes are not cut further than into this many programs, unless asked to."""

_SAMPLES = 512
_QUANTILES = (0.25, 0.4, 0.5, 0.6, 0.75)
_ASSUMED_TRAININGS = 1000


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
) -> Plan:
    """Picks the programs: the padded sizes with the least expected seconds in all.

    Sizes are cut at quantiles of what the space samples. Expected seconds are those of
    compiling, of padded arithmetic, and of lanes left idle in a generation's last
    block. Deterministic: the same arguments give the same plan.

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
    """
    total = max(trainings or _ASSUMED_TRAININGS, 1)
    planner = _Planner(
        task, space, inputs, rows=rows, trainings=total, devices=devices, costs=costs
    )
    combinations = list(_static_combinations(space, inputs))
    sizes = [entry for entry in inputs if entry.is_size]
    allowed = max(1, (max_programs or MAX_PROGRAMS) // max(1, len(combinations)))
    options = planner.cuts(sizes, allowed)
    best = min(
        (planner.programs(combinations, cuts) for cuts in options),
        key=planner.seconds,
    )
    return Plan(
        bindings={entry.name: entry.binding for entry in inputs},
        programs=tuple(best),
        devices=devices,
        device_kind=device_kind,
        rows=rows,
        trainings=total,
        compile_seconds=sum(planner.compile_seconds(spec) for spec in best),
    )


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
        self._inputs = inputs
        self._trainings = trainings
        self._rows = rows
        self._devices = devices
        self._costs = costs
        draws = np.random.default_rng(0).random((_SAMPLES, len(space.names)))
        self._columns = space.decode(draws.astype(np.float32))
        self._configs = [
            {**space.constants, **plain_config(self._columns, row)}
            for row in range(_SAMPLES)
        ]
        self._space = space

    def cuts(
        self, sizes: Sequence[Input], allowed: int
    ) -> Iterator[dict[str, tuple[int, ...]]]:
        """Ways to cut the padded sizes into boxes; the first leaves each one whole."""
        known = self._work(self._configs[0]) is not None
        options = [self._cuts_of(entry, allowed if known else 1) for entry in sizes]
        names = [entry.name for entry in sizes]
        for option in _at_most(options, allowed):
            yield dict(zip(names, option, strict=True))

    def _cuts_of(self, entry: Input, most: int) -> list[tuple[int, ...]]:
        largest = largest_size(self._space, entry)
        column = np.asarray(self._columns[entry.name])
        quantiles = np.quantile(column, _QUANTILES, method="higher")
        inner = sorted({int(size) for size in quantiles if size < largest})
        cuts: list[tuple[int, ...]] = []
        for count in range(min(most, 4)):
            cuts += [(*cut, largest) for cut in itertools.combinations(inner, count)]
        return cuts

    def programs(
        self,
        combinations: Sequence[Mapping[str, Any]],
        cuts: Mapping[str, tuple[int, ...]],
    ) -> list[ProgramSpec]:
        """One program for each static combination and each box of sizes."""
        boxes = [
            dict(zip(cuts, sizes, strict=True))
            for sizes in itertools.product(*cuts.values())
        ]
        specs = [
            (static, box)
            for box in sorted(
                boxes, key=lambda box: self._work({**self._configs[0], **box}) or 0
            )
            for static in combinations
        ]
        members: list[list[Mapping[str, Any]]] = [[] for _ in specs]
        shells = [_shell(static, box) for static, box in specs]
        for config in self._configs:
            index = next(i for i, shell in enumerate(shells) if shell.fits(config))
            members[index].append(config)
        return [
            self._spec(static, box, inside)
            for (static, box), inside in zip(specs, members, strict=True)
        ]

    def seconds(self, programs: Sequence[ProgramSpec]) -> float:
        """Expected seconds of compiling and training, idle lanes included."""
        return sum(
            self.compile_seconds(spec) + self._run_seconds(spec.share, spec)
            for spec in programs
        )

    def compile_seconds(self, spec: ProgramSpec) -> float:
        """Expected seconds of compiling a program."""
        if spec.optimize:
            return self._costs.compile_seconds
        return self._costs.fast_compile_seconds

    def _run_seconds(self, share: float, spec: ProgramSpec) -> float:
        """Expected seconds of its trainings, and of lanes idle in last blocks."""
        generations = max(1.0, self._trainings / self._rows)
        idle = 0.5 * generations * spec.lanes if share else 0.0
        return (share * self._trainings + idle) * spec.seconds

    def _spec(
        self,
        static: Mapping[str, Any],
        box: Mapping[str, int],
        members: Sequence[Mapping[str, Any]],
    ) -> ProgramSpec:
        share = len(members) / _SAMPLES
        sample = members or [{**self._configs[0], **static, **box}]
        padded = [self._work({**config, **box}) or 0.0 for config in sample]
        useful = [self._work(config) or 0.0 for config in sample]
        steps = [self._task.steps(config) * self._epochs(config) for config in sample]
        work, step_count = float(np.mean(padded)), max(1.0, float(np.mean(steps)))
        epochs = float(np.mean([self._epochs(config) for config in sample]))
        if self._work(sample[0]) is None:
            counted = count_epoch(self._task, self._space, self._inputs, static)
            work, step_count = counted[0] * epochs, max(1.0, counted[1] * epochs)
        lanes = self._costs.lanes(
            work / step_count, members=share * self._rows, devices=self._devices
        )
        spec = _shell(
            static,
            box,
            lanes=lanes,
            share=share,
            seconds=self._costs.training_seconds(
                work, steps=step_count, lanes=lanes, devices=self._devices
            ),
            waste=1.0 - sum(useful) / sum(padded) if any(padded) else 0.0,
            epoch_work=work / epochs,
        )
        fast = self._costs.compiles_fast(self._run_seconds(share, spec))
        if fast and work:
            slower = spec.seconds * self._costs.fast_slowdown
            return dataclasses.replace(spec, optimize=False, seconds=slower)
        return spec

    def _work(self, config: Mapping[str, Any]) -> float | None:
        """Multiply-adds of a whole training; None where the task does not know."""
        epoch = self._task.multiply_adds(config)
        return None if epoch is None else epoch * self._epochs(config)

    def _epochs(self, config: Mapping[str, Any]) -> int:
        return int(config.get("epochs", self._task.epochs))


def _at_most(
    options: Sequence[Sequence[tuple[int, ...]]], most: int
) -> Iterator[tuple[tuple[int, ...], ...]]:
    """The product of ``options``, without those that make more than ``most`` boxes.

    Cut short early: with many sizes the whole product has millions of entries.
    """
    if not options:
        yield ()
        return
    for cut in options[0]:
        if len(cut) <= most:
            for rest in _at_most(options[1:], most // len(cut)):
                yield (cut, *rest)


def _static_combinations(
    space: Space, inputs: Sequence[Input]
) -> Iterator[dict[str, Any]]:
    """All values of the static dimensions; inactive ones only at their canonical."""
    static = [entry for entry in inputs if entry.binding is Binding.STATIC]
    values = [space.dimensions[entry.name].values for entry in static]
    middle = np.asarray([space.geometry().canonical], np.float32)
    canonical = plain_config(space.decode(middle), 0)
    for chosen in itertools.product(*values):
        combination = {e.name: v for e, v in zip(static, chosen, strict=True)}
        inactive = inactive_under(space, combination) & combination.keys()
        if all(combination[name] == canonical[name] for name in inactive):
            yield combination


def _shell(
    static: Mapping[str, Any],
    box: Mapping[str, int],
    *,
    lanes: int = 0,
    share: float = 0.0,
    seconds: float = 0.0,
    waste: float = 0.0,
    epoch_work: float = 0.0,
) -> ProgramSpec:
    parts = [f"{key}_{value}" for key, value in {**static, **box}.items()]
    return ProgramSpec(
        name=identifier("train", *parts),
        static=static,
        capacity=box,
        optimize=True,
        lanes=lanes,
        share=share,
        seconds=seconds,
        waste=waste,
        epoch_work=epoch_work,
    )
