"""Members under one seed: those that wait, those that train, states that are kept."""

from __future__ import annotations

import collections
import concurrent.futures
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from evotune._contracts import DROP
from evotune.engine._devices import room_for_states
from evotune.engine._execution import Execution
from evotune.engine._inputs import Input
from evotune.engine._member import Member
from evotune.engine._memory import fits, halved, ran_out
from evotune.engine._outcomes import Finished, OutcomeReader
from evotune.engine._plan import ProgramSpec
from evotune.engine._pool import Kept, Pool
from evotune.engine._preparation import Preparation
from evotune.engine._profile import Profile
from evotune.engine._program import Program
from evotune.engine._schedule import Block, Job, Schedule

_IN_FLIGHT = 2
"""Blocks given to the devices ahead of the one whose results are awaited."""


class Session:
    """Jobs in, finished members out, on the programs of a plan.

    Attributes:
        preparation: Compiles the programs, and has the data.
        pool: States that members may go on from.
        profile: What the programs have done.
    """

    def __init__(
        self,
        programs: list[Program],
        inputs: Sequence[Input],
        reader: OutcomeReader,
        preparation: Preparation,
        mesh: Mesh,
        seed: np.ndarray,
        *,
        slice_epochs: Sequence[int | None],
        alike: Sequence[str],
        make_program: Callable[[ProgramSpec], Program],
        on_event: Callable[[str], None],
    ):
        """Nothing has been trained yet.

        Args:
            programs: Of the plan, in its order; one that does not fit into memory is
                replaced there.
            inputs: How each searched hyperparameter is bound.
            reader: Makes outcomes of what programs return.
            preparation: Compiles ``programs``.
            mesh: The devices.
            seed: u32[2] on which all randomness of training hangs.
            slice_epochs: See `Schedule`.
            alike: See `Schedule`.
            make_program: Describes a program of other lanes.
            on_event: Called with a line of text when something worth showing happens.
        """
        self._programs, self._reader, self._mesh = programs, reader, mesh
        self._slices = any(slice_epochs)
        self._make_program, self._tell = make_program, on_event
        specs = [program.spec for program in programs]
        self.preparation = preparation
        self.pool = Pool(room_for_states(mesh))
        self.profile = Profile(specs)
        self._schedule = Schedule(
            [min(spec.lanes, reader.rows) for spec in specs],
            slice_epochs=slice_epochs,
            alike=alike,
        )
        self._execution = Execution(programs, inputs, preparation, seed, self.profile)
        self._running: collections.deque[
            tuple[Block, concurrent.futures.Future[Member]]
        ] = collections.deque()
        # A call returns when CPU devices are done with it, so a thread makes the calls,
        # in turn, while this one reads what came out of the last.
        self._caller = concurrent.futures.ThreadPoolExecutor(1)
        self._fitting: set[int] = set()
        self._members: dict[tuple[int, int], tuple[Kept, int]] = {}

    @property
    def pending(self) -> int:
        """Jobs submitted and not yet collected."""
        return len(self._schedule) + sum(len(b.jobs) for b, _ in self._running)

    def submit(self, jobs: Collection[Job]) -> None:
        """Queues jobs; a block starts when its own program is compiled."""
        keeps = any(job.slot != DROP for job in jobs)
        self.preparation.start_others(gather=self._slices or keeps)
        self._schedule.add(jobs)
        self._dispatch()

    def collect(self) -> Finished:
        """The next members that have finished, in an order of counted steps.

        Raises:
            LookupError: If nothing is pending.
        """
        while True:
            self._dispatch()
            if not self._running:
                raise LookupError(
                    "collect() without pending members. Call submit() first."
                )
            block, future = self._running.popleft()
            try:
                kept = Kept(future.result(), block.program)
            except jax.errors.JaxRuntimeError as error:
                if not ran_out(error):
                    raise
                self._make_room(block)
                continue
            curves, trained, rests = self._reader.progress(
                kept.block, len(block.jobs), block.stop
            )
            done = [
                lane
                for lane, job in enumerate(block.jobs)
                if rests[lane] or job.stop <= block.stop
            ]
            self.profile.count(block, trained, len(done))
            self._put_back(block, kept, done)
            self._dispatch()
            if not self.pending:  # so that no later generation compiles
                self.preparation.finish(gather=False)
            if done:
                return self._finish(block, kept, done, trained, curves)

    def cancel(self) -> None:
        """Drops the jobs that no device has started on."""
        self._schedule.clear()

    def member(self, trial: int, replica: int) -> Any:
        """The final state of a member of the last collected block, as numpy arrays.

        Raises:
            KeyError: If the member was not in that block.
        """
        kept, lane = self._members[trial, replica]
        return kept.row(lane).result

    def _dispatch(self) -> None:
        while len(self._running) < _IN_FLIGHT:
            block = self._schedule.next([running for running, _ in self._running])
            if block is None:
                return
            self.preparation.wait(block.program)
            if not self._fits(block.program):
                self._schedule.add(block.jobs)  # to be packed for fewer lanes
                continue
            self._running.append((block, self._caller.submit(self._execution, block)))

    def _put_back(self, block: Block, kept: Kept, done: Collection[int]) -> None:
        """Queues the members of a block that have not come to their stop."""
        self._schedule.add(
            [
                job.moved(kept, lane, block.stop)
                for lane, job in enumerate(block.jobs)
                if lane not in done
            ]
        )

    def _finish(
        self,
        block: Block,
        kept: Kept,
        done: Sequence[int],
        trained: np.ndarray,
        curves: np.ndarray,
    ) -> Finished:
        """The results of the members of a block that have come to their stop."""
        jobs = [block.jobs[lane] for lane in done]
        for lane, job in zip(done, jobs, strict=True):
            if job.slot != DROP:
                place = job.moved(kept, lane, int(trained[lane])).place
                assert place is not None
                self.pool.keep(job.slot, place)
        self._members = {
            job.member: (kept, lane) for lane, job in zip(done, jobs, strict=True)
        }
        return self._reader.read(
            trial=np.asarray([job.member[0] for job in jobs], np.int32),
            replica=np.asarray([job.member[1] for job in jobs], np.int32),
            x=np.stack([job.proposal.x[job.row] for job in jobs]),
            table=curves[list(done)],
            epochs=np.asarray([job.stop for job in jobs]),
        )

    def _fits(self, index: int) -> bool:
        """Whether XLA says that a program fits; else its lanes are halved until so.

        It is asked once for each program: the answer takes XLA some milliseconds.
        """
        if index in self._fitting:
            return True
        lanes, stream = self._programs[index].spec.lanes, self._programs[index].stream
        beside = 0 if stream is None else stream.nbytes
        while not fits(self._programs[index].train.compiled, self._mesh, beside=beside):
            self._halve(index)
        self._fitting.add(index)
        return self._programs[index].spec.lanes == lanes

    def _make_room(self, block: Block) -> None:
        """Trains ``block`` again, which found no memory, in blocks of half its size."""
        ahead = list(self._running)
        self._running.clear()
        for other, future in ahead:
            if future.cancel():
                self._schedule.add(other.jobs)
            else:
                self._running.append((other, future))
        if self._programs[block.program].spec.lanes >= block.lanes:
            self._halve(block.program)
        self._schedule.add(block.jobs)

    def _halve(self, index: int) -> None:
        """Compiles a program anew for half as many members, and tells so."""
        spec = halved(self._programs[index].spec, self._mesh.size)
        self._tell(
            f"out of memory: {spec.name} goes on with {spec.lanes} lanes, half as many"
        )
        self._programs[index] = self._make_program(spec)
        self.preparation.compile_again(index)
        self._schedule.lanes[index] = min(spec.lanes, self._reader.rows)
