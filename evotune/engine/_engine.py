"""The engine: proposals in, outcomes out, a population trained in between."""

from __future__ import annotations

import collections
import concurrent.futures
import copy
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np

from evotune._cache import CachedFunction
from evotune._contracts import EMPTY, FRESH, Binding, Proposal
from evotune._errors import HyperparameterError, count_problems, raise_all
from evotune.engine._binding import Binder, extreme_values
from evotune.engine._costs import default_costs
from evotune.engine._devices import (
    local_mesh,
    one_cpu_device_per_core,
)
from evotune.engine._inputs import plain_config, searched_inputs
from evotune.engine._member import Trained
from evotune.engine._outcomes import Finished, OutcomeReader, host_array, host_row
from evotune.engine._plan import Plan
from evotune.engine._planning import make_plan
from evotune.engine._preparation import Preparation
from evotune.engine._program import Program
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task

_IN_FLIGHT = 2
"""Blocks given to the devices ahead of the one whose results are awaited."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Block:
    index: int
    rows: np.ndarray
    config: Mapping[str, np.ndarray]
    proposal: Proposal


class Engine:
    """Trains proposals: ``submit`` queues members, ``collect`` returns finished blocks.

    Args:
        task: What is trained.
        space: What is searched.
        rows: P, the most members of one proposal.
        seed: All randomness of training hangs on it and on trial numbers.
        value: Whether a member's value is that of its "last" or its "best" epoch.
        static: Names of hyperparameters that must be static.
        trainings: Expected number of trainings, which the plan weighs; None if unknown.
        max_programs: Most programs that padded sizes are spread over; None leaves it
            to the plan.
        on_event: Called with a line of text when something worth showing happens.

    Raises:
        HyperparameterError: If the space does not fit the task; nothing was compiled.
    """

    def __init__(
        self,
        task: Task,
        space: Space,
        *,
        rows: int,
        seed: int = 0,
        value: Literal["last", "best"] = "last",
        static: Collection[str] = (),
        trainings: int | None = None,
        max_programs: int | None = None,
        on_event: Callable[[str], None] | None = None,
    ):
        """See the class."""
        if value not in ("last", "best"):
            raise HyperparameterError(
                f"value must be 'last' or 'best', but got {value!r}. 'last' takes a "
                "member's last evaluation, 'best' its best one."
            )
        if max_programs is not None:
            fix = (
                "More programs pad less and compile longer; leave it out to let the "
                "plan weigh them."
            )
            problems = count_problems(fix, max_programs=max_programs)
            raise_all(problems, HyperparameterError, "Engine()")
        self.task, self.space, self.rows = task, space, rows
        self.metric, self.direction = task.metric, task.direction
        extremes = extreme_values(space)
        raise_all(task.check(extremes), HyperparameterError, "The space")
        one_cpu_device_per_core()
        self.on_event = on_event
        binder = Binder(task, space)
        self._metric_names = binder.recorded_names()
        self._inputs = searched_inputs(space, binder.bindings(static))
        self.points = max(extremes.get("epochs", (task.epochs,)))
        self._reader = OutcomeReader(
            rows=rows,
            points=self.points,
            metrics=self._metric_names,
            metric=task.metric,
            sign=1.0 if task.direction == "maximize" else -1.0,
            keep_best=value == "best",
        )
        self._mesh = local_mesh()
        device = self._mesh.devices.flat[0]
        self.plan: Plan = make_plan(
            task,
            space,
            self._inputs,
            rows=rows,
            trainings=trainings,
            devices=self._mesh.size,
            device_kind=device.device_kind,
            costs=default_costs(device.device_kind),
            max_programs=max_programs,
        )
        self._programs = [
            Program(
                spec,
                task,
                self._inputs,
                space,
                self._mesh,
                metrics=self._metric_names,
                points=self.points,
                keep_best=value == "best",
            )
            for spec in self.plan.programs
        ]
        self._begin(seed)

    def _begin(self, seed: int) -> None:
        """Sets all that hangs on the seed, with nothing trained yet."""
        self._seed = np.asarray([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
        self._preparation = Preparation(
            self.task, self._programs, self._mesh, self._seed, self._tell
        )
        self._waiting: collections.deque[_Block] = collections.deque()
        self._running: collections.deque[
            tuple[_Block, concurrent.futures.Future[Trained]]
        ] = collections.deque()
        # A call returns when CPU devices are done with it, so a thread makes the calls,
        # in turn, while this one reads what came out of the last.
        self._caller = concurrent.futures.ThreadPoolExecutor(1)
        self._members: dict[tuple[int, int], tuple[Any, int]] = {}
        self.run_seconds = 0.0

    @property
    def structural(self) -> tuple[str, ...]:
        """Names of searched hyperparameters that change shapes or programs."""
        return tuple(
            entry.name
            for entry in self._inputs
            if entry.is_size or entry.binding is Binding.STATIC
        )

    @property
    def pending(self) -> int:
        """Members submitted and not yet collected."""
        blocks = [*self._waiting, *(block for block, _ in self._running)]
        return sum(len(block.rows) for block in blocks)

    def params(self, x: np.ndarray) -> list[dict[str, Any]]:
        """Plain values of the active hyperparameters of each row of f32[P, D]."""
        return self.space.params(x)

    def submit(self, proposal: Proposal) -> None:
        """Queues the members of ``proposal``; EMPTY rows are ignored.

        A block starts when its own program is compiled, while others still are.

        Raises:
            NotImplementedError: If a member continues another's state.
        """
        host = jax.tree.map(np.asarray, proposal)
        rows = np.flatnonzero(host.trial != EMPTY)
        if np.any(host.source[rows] != FRESH) or np.any(np.isfinite(host.until[rows])):
            raise NotImplementedError(
                "This engine trains every member from its start to its own end: "
                "`source` must be FRESH and `until` FULL."
            )
        self._preparation.start_others()
        columns = self.space.decode(host.x)
        configs = [plain_config(columns, row) for row in range(len(host.trial))]
        groups: dict[int, list[int]] = {}
        for row in rows:
            groups.setdefault(self.plan.program_for(configs[row]), []).append(int(row))
        config = {name: np.asarray(column) for name, column in columns.items()}
        for index in sorted(groups):
            members = sorted(groups[index], key=lambda row: self._epochs(configs[row]))
            lanes = self._programs[index].spec.lanes
            for start in range(0, len(members), lanes):
                self._waiting.append(
                    _Block(
                        index=index,
                        rows=np.asarray(members[start : start + lanes]),
                        config=config,
                        proposal=host,
                    )
                )
        self._dispatch()

    def collect(self) -> Finished:
        """The next finished block, in the order of submission within each program.

        Raises:
            LookupError: If nothing is pending.
        """
        if not self._running:
            self._dispatch()
        if not self._running:
            raise LookupError("collect() without pending members. Call submit() first.")
        block, future = self._running.popleft()
        self._preparation.wait(block.index)
        start = time.perf_counter()
        trained = jax.block_until_ready(future.result())
        self._dispatch()
        self.run_seconds += time.perf_counter() - start
        if not self.pending:
            self._preparation.finish()  # so that no later generation compiles
        trials, replicas = (
            column[block.rows].tolist()
            for column in (block.proposal.trial, block.proposal.replica)
        )
        self._members = {
            member: (trained.state, lane)
            for lane, member in enumerate(zip(trials, replicas, strict=True))
        }
        configs = [plain_config(block.config, row) for row in block.rows]
        return self._reader.read(
            block.proposal,
            block.rows,
            host_array(trained.curves)[: len(block.rows)],
            epochs=np.asarray([self._epochs(config) for config in configs]),
        )

    def cancel(self) -> None:
        """Drops the members that no device has started on."""
        self._waiting.clear()

    def member(self, trial: int, replica: int = 0) -> Any:
        """The final state of a member of the last collected block, as numpy arrays.

        Raises:
            KeyError: If the member was not in that block.
        """
        state, lane = self._members[trial, replica]
        return jax.tree.map(lambda leaf: host_row(leaf, lane), state)

    def template(self, params: Mapping[str, Any]) -> Any:
        """Shapes and dtypes of what `member` returns for a trial; compiles nothing.

        Args:
            params: The active hyperparameters of the trial.
        """
        columns = self.space.decode(self.space.encode([dict(params)]))
        index = self.plan.program_for(plain_config(columns, 0))
        return self._programs[index].state(self.task.data())

    def test(
        self, params: Mapping[str, Any], states: Sequence[Any]
    ) -> list[dict[str, float]]:
        """Scores of trained members on data that the search never saw.

        Args:
            params: Their searched hyperparameters; constants are added.
            states: Their final states, as `member` returns them.
        """
        hp = {**self.space.constants, **params}
        score = CachedFunction(lambda state: dict(self.task.test(hp, state)))
        return [
            {name: float(value) for name, value in score(state).items()}
            for state in states
        ]

    def reseeded(self, seed: int) -> Engine:
        """The same programs under another seed, with queues of their own."""
        engine = copy.copy(self)
        engine._begin(seed)
        return engine

    def start_compiling(self) -> None:
        """Compiles the first program of the plan in a thread; `submit` starts the rest.

        `collect` waits for what it needs, and raises what went wrong.
        """
        self._preparation.start()

    @property
    def compile_seconds(self) -> float:
        """Seconds that members waited for programs to be traced and compiled."""
        return self._preparation.seconds

    def _tell(self, event: str) -> None:
        if self.on_event is not None:
            self.on_event(event)

    def _dispatch(self) -> None:
        while self._waiting and len(self._running) < _IN_FLIGHT:
            block = self._waiting.popleft()
            lanes = self._programs[block.index].spec.lanes
            filled = np.resize(block.rows, lanes)  # idle lanes repeat members
            leaves = {
                entry.name: entry.leaf(block.config[entry.name][filled])
                for entry in self._inputs
                if entry.binding is not Binding.STATIC
            }
            epochs = [self._epochs(plain_config(block.config, r)) for r in block.rows]
            trained = self._caller.submit(
                self._train, block, leaves, filled, max(epochs)
            )
            self._running.append((block, trained))

    def _train(
        self,
        block: _Block,
        leaves: Mapping[str, np.ndarray],
        filled: np.ndarray,
        epochs: int,
    ) -> Trained:
        """Calls the block's program as soon as it is there."""
        order = self._preparation.order(block.index)
        return self._programs[block.index](
            leaves,
            np.asarray(block.proposal.trial)[filled],
            np.asarray(block.proposal.replica)[filled],
            self._preparation.data,
            order,
            self._seed,
            np.asarray(epochs, np.int32),
        )

    def _epochs(self, config: Mapping[str, Any]) -> int:
        hp = Hyperparameters({**self.space.constants, **config})
        return int(hp.get("epochs", self.task.epochs))
