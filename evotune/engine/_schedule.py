"""Which members share a block, and when: counted, never timed."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from evotune._contracts import Proposal
from evotune.engine._pool import Kept, Place


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Job:
    """One row of a proposal, from where it stands to where it is to report.

    Attributes:
        proposal: As numpy arrays.
        row: Its row there.
        program: Index of the program that trains it.
        values: Plain values of its hyperparameters.
        structure: Those of them that change shapes or programs.
        start: Epochs that it has trained.
        stop: Epochs after which it reports, cumulative; more than ``start``.
        place: Where its state is; None before the first epoch.
    """

    proposal: Proposal
    row: int
    program: int
    values: Mapping[str, Any]
    structure: Mapping[str, Any]
    start: int
    stop: int
    place: Place | None

    @property
    def member(self) -> tuple[int, int]:
        """Its trial number and replica."""
        proposal = self.proposal
        return int(proposal.trial[self.row]), int(proposal.replica[self.row])

    @property
    def slot(self) -> int:
        """The slot that keeps its state, or DROP."""
        return int(self.proposal.slot[self.row])

    def moved(self, kept: Kept, lane: int, spent: int) -> Job:
        """The same job, after ``spent`` epochs, in a lane of a block that is kept."""
        place = Place(kept=kept, lane=lane, spent=spent, structure=self.structure)
        return dataclasses.replace(self, start=spent, place=place)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Jobs of one program that go through the same epochs in one call.

    All of them are in phase, so that each batch of data is read once for all lanes.

    Attributes:
        jobs: At most as many as the program has lanes.
        lanes: Lanes of the program when the block was made.
        start: The first epoch of the slice.
        stop: The epoch after its last.
    """

    jobs: Sequence[Job]
    lanes: int
    start: int
    stop: int

    @property
    def program(self) -> int:
        """Index of the program."""
        return self.jobs[0].program

    @property
    def epochs(self) -> int:
        """Epochs of the slice."""
        return self.stop - self.start


class Schedule:
    """Jobs that wait for a lane, grouped by program and by how far they have come."""

    def __init__(
        self,
        lanes: Sequence[int],
        *,
        slice_epochs: Sequence[int | None],
        alike: Sequence[str] = (),
    ):
        """Nothing waits yet.

        Args:
            lanes: Most members of a block of each program.
            slice_epochs: Most epochs of a block of each program, after which those that
                go on are packed anew; None trains each block to its members' stops.
                Slices pay where members stop at different epochs, and the lanes of the
                first would stay idle.
            alike: Hyperparameters that the members of a block are to agree on as far as
                they can; see `Task.skips`.
        """
        self.lanes = list(lanes)
        self._slices, self._alike = list(slice_epochs), alike
        self._waiting: dict[tuple[int, int], list[Job]] = {}

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def add(self, jobs: Collection[Job]) -> None:
        """Queues jobs behind those of their group."""
        for job in sorted(jobs, key=lambda job: (job.program, job.start, job.stop)):
            self._waiting.setdefault((job.program, job.start), []).append(job)

    def clear(self) -> None:
        """Drops all that waits."""
        self._waiting.clear()

    def next(self, running: Collection[Block] = ()) -> Block | None:
        """The next block, of the group that has waited longest; None where none is due.

        A group that does not fill the lanes waits for members that are behind it. Of a
        group, the members of a block end as near to each other as they can, after they
        agree on what they are to agree on.

        Args:
            running: Blocks whose members may go on.
        """
        due = (
            group
            for group, jobs in self._waiting.items()
            if len(jobs) >= self.lanes[group[0]] or not self._grows(group, running)
        )
        group = next(due, None)
        if group is None:
            return None
        jobs = self._packed(self._waiting.pop(group))
        program, start = group
        chosen, rest = jobs[: self.lanes[program]], jobs[self.lanes[program] :]
        if rest:
            self._waiting = {group: rest, **self._waiting}
        stop = max(job.stop for job in chosen)
        most = self._slices[program]
        if most is not None:
            stop = min(stop, start + most)
        return Block(jobs=chosen, lanes=self.lanes[program], start=start, stop=stop)

    def _grows(self, group: tuple[int, int], running: Collection[Block]) -> bool:
        """Whether members may yet come up to where a group is."""
        program, start = group
        behind = any(p == program and s < start for p, s in self._waiting)
        return behind or any(
            block.program == program
            and block.stop <= start
            and any(job.stop > block.stop for job in block.jobs)
            for block in running
        )

    def _packed(self, jobs: Collection[Job]) -> list[Job]:
        """Jobs in an order in which neighbours are alike.

        Stops rise and fall in turn, so that they are near each other as well where one
        set of values ends and the next begins.
        """
        sets: dict[tuple[Any, ...], list[Job]] = {}
        for job in jobs:
            values = tuple(job.values[name] for name in self._alike)
            sets.setdefault(values, []).append(job)
        return [
            job
            for number, values in enumerate(sorted(sets))
            for job in sorted(
                sets[values], key=lambda job: job.stop, reverse=number % 2 == 1
            )
        ]
