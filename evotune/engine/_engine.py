"""The engine: proposals in, outcomes out, a population trained in between."""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np

from evotune._cache import CachedFunction
from evotune._contracts import Binding, Proposal
from evotune._errors import HyperparameterError, count_problems, raise_all
from evotune.engine._binding import Binder, extreme_values
from evotune.engine._calibrated import (
    recorded_costs,
    recorded_memory,
    stored_costs,
)
from evotune.engine._costs import Costs, default_costs
from evotune.engine._devices import (
    local_mesh,
    one_cpu_device_per_core,
    shares_host_memory,
)
from evotune.engine._feed import check_room
from evotune.engine._inputs import plain_config, searched_inputs, seen_by_task
from evotune.engine._intake import Intake
from evotune.engine._memory import (
    bound,
    device_bytes,
    known_bytes,
    shapes_of,
    tree_bytes,
    weighed,
)
from evotune.engine._objectives import Objectives
from evotune.engine._outcomes import Finished, OutcomeReader
from evotune.engine._plan import Plan, ProgramSpec
from evotune.engine._planning import make_plan
from evotune.engine._preparation import Preparation
from evotune.engine._profile import Profile
from evotune.engine._program import Program
from evotune.engine._session import Session
from evotune.space import Space
from evotune.tasks import Task

_SLICES = 8
"""Most slices of a training whose members stop at different epochs: they rest for half
of a slice in the mean."""

_SLICE_SECONDS = 0.05
"""Shorter slices of a block are not worth packing members anew, which takes some 10 ms,
where their epochs are known beforehand."""


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
        recorded_plan: What `Plan.to_json` made of the plan of a study that goes on, as
            JSON values: its costs count, if it was made for the same kind of device.
        costs: What the plan rests on. None takes those of ``recorded_plan``, else those
            that `calibrate` has stored for these devices, else those that ship.
        on_event: Called with a line of text when something worth showing happens.

    Raises:
        HyperparameterError: If the space does not fit the task; nothing was compiled.
        DataError: If data that come in chunks leave no room on a device.
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
        recorded_plan: Mapping[str, Any] | None = None,
        costs: Costs | None = None,
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
        self._mesh = local_mesh()
        check_room(task.stream(), device_bytes(self._mesh))
        self.on_event = on_event
        binder = Binder(task, space)
        self._metric_names = binder.recorded_names()
        self._inputs = searched_inputs(space, binder.bindings(static))
        self.points = max(extremes.get("epochs", (task.epochs,)))
        self._objectives = Objectives.of(
            task,
            space,
            self._metric_names,
            keep_best=value == "best",
        )
        self._reader = OutcomeReader(
            rows=rows,
            points=self.points,
            metrics=self._metric_names,
            metric=task.metric,
            sign=1.0 if task.direction == "maximize" else -1.0,
            keep_best=value == "best",
        )
        mesh = self._mesh
        kind = mesh.devices.flat[0].device_kind
        if costs is None:
            costs = recorded_costs(recorded_plan, kind) or stored_costs(mesh)
        self._plan = make_plan(
            task,
            space,
            self._inputs,
            rows=rows,
            trainings=trainings,
            devices=mesh.size,
            device_kind=kind,
            costs=costs or default_costs(kind),
            max_programs=max_programs,
            data_bytes=tree_bytes(shapes_of(task.data())),
            device_bytes=recorded_memory(recorded_plan, kind) or known_bytes(mesh),
        )
        self._keep_best = value == "best"
        self._programs = [self._program(spec) for spec in self._plan.programs]
        if not shares_host_memory(mesh):
            self._plan = bound(self._plan, self._programs, task, self._program)
        self._intake = Intake(task, space, self._plan, structural=self.structural)
        self._slice_epochs = [self._slice(spec) for spec in self._plan.programs]
        self._begin(seed)

    def _begin(self, seed: int) -> None:
        """Sets all that hangs on the seed, with nothing trained yet."""
        self._seed = np.asarray([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
        preparation = Preparation(
            self.task, self._programs, self._mesh, self._seed, self._tell
        )
        self._session = Session(
            self._programs,
            self._inputs,
            self._reader,
            preparation,
            self._mesh,
            self._seed,
            slice_epochs=self._slice_epochs,
            alike=self._skipped(),
            make_program=self._program,
            on_event=self._tell,
        )
        self.run_seconds = 0.0

    @property
    def plan(self) -> Plan:
        """What is compiled, lanes that were halved for want of memory included.

        What a member takes is in it on accelerators only; see `whole_plan`.
        """
        programs = tuple(program.spec for program in self._programs)
        return dataclasses.replace(self._plan, programs=programs)

    def whole_plan(self) -> Plan:
        """The plan with the memory of members, for which all programs are traced."""
        return weighed(self.plan, self._programs, self.task)

    @property
    def profile(self) -> Profile:
        """Where the time of training went, by program."""
        profile = self._session.profile
        profile.compiling = self._session.preparation.span
        return profile

    @property
    def objectives(self) -> Mapping[str, str]:
        """The direction of each objective by name, the task's metric first."""
        return self._objectives.directions

    @property
    def constraints(self) -> tuple[str, ...]:
        """What must hold, such as "parameters <= 50000"; () without."""
        return self._objectives.constraints

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
        return self._session.pending

    def params(self, x: np.ndarray) -> list[dict[str, Any]]:
        """Plain values of the active hyperparameters of each row of f32[P, D]."""
        return self.space.params(x)

    def submit(self, proposal: Proposal) -> None:
        """Queues the members of ``proposal``; EMPTY rows are ignored.

        A block starts when its own program is compiled, while others still are.

        Raises:
            LookupError: If a member is to continue a state that no slot holds.
            ValueError: If it cannot continue it: other sizes, or nothing left to train.
        """
        host = jax.tree.map(np.asarray, proposal)
        self._session.submit(self._intake.jobs(host, self._session.pool))

    def collect(self) -> Finished:
        """The next members that have finished, in an order of counted steps.

        Raises:
            LookupError: If nothing is pending.
        """
        start = time.perf_counter()
        finished = self._objectives.judged(self._session.collect())
        self.run_seconds += time.perf_counter() - start
        return finished

    def cancel(self) -> None:
        """Drops the members that no device has started on."""
        self._session.cancel()

    def member(self, trial: int, replica: int = 0) -> Any:
        """The final state of a member of the last collected block, as numpy arrays.

        Raises:
            KeyError: If the member was not in that block.
        """
        return self._session.member(trial, replica)

    def template(self, params: Mapping[str, Any]) -> Any:
        """Shapes and dtypes of what `member` returns for a trial; compiles nothing.

        Args:
            params: The active hyperparameters of the trial.
        """
        columns = self.space.decode(self.space.encode([dict(params)]))
        index = self._plan.program_for(plain_config(columns, 0))
        return self._programs[index].member(self.task.data()).result

    def test(
        self, params: Mapping[str, Any], states: Sequence[Any]
    ) -> list[dict[str, float]]:
        """Scores of trained members on data that the search never saw.

        Args:
            params: Their searched hyperparameters; constants are added.
            states: Their final states, as `member` returns them.
        """
        hp = self.seen_by_task({**self.space.constants, **params})
        score = CachedFunction(lambda state: dict(self.task.test(hp, state)))
        return [
            {name: float(value) for name, value in score(state).items()}
            for state in states
        ]

    def seen_by_task(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Plain values as the task sees them: permutations as i32[n] positions."""
        return seen_by_task(self.space, params)

    def reseeded(self, seed: int) -> Engine:
        """The same programs under another seed, with queues of their own."""
        engine = copy.copy(self)
        engine._begin(seed)
        return engine

    def start_compiling(self) -> None:
        """Compiles the first program of the plan in a thread; `submit` starts the rest.

        Who needs one waits for it, and raises what went wrong.
        """
        self._session.preparation.start()

    @property
    def compile_seconds(self) -> float:
        """Seconds from the start of tracing to the end of the last compilation."""
        return self._session.preparation.seconds

    def _slice(self, spec: ProgramSpec) -> int | None:
        """Epochs after which the members of a program are packed anew."""
        names = {*self.space.names, *self.space.constants}
        worth = int(spec.seconds * spec.lanes / _SLICE_SECONDS)
        if "patience" in names:
            slices = _SLICES
        elif "epochs" in self.space.names and worth > 1:
            slices = min(_SLICES, worth)
        else:
            return None
        return -(-self.points // slices)

    def _skipped(self) -> list[str]:
        """Sizes of which nothing is computed that no member of a block needs."""
        sizes = [entry.name for entry in self._inputs if entry.is_size]
        return [name for name in sizes if name in self.task.skips]

    def _tell(self, event: str) -> None:
        if self.on_event is not None:
            self.on_event(event)

    def _program(self, spec: ProgramSpec) -> Program:
        return Program(
            spec,
            self.task,
            self._inputs,
            self.space,
            self._mesh,
            metrics=self._metric_names,
            points=self.points,
            keep_best=self._keep_best,
        )
