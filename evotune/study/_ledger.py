"""The study's state: a fold over its events, on disk before they count."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune._contracts import EMPTY, Algorithm
from evotune._errors import EvotuneError, JournalError, SpaceError
from evotune.study._added import added_outcome
from evotune.study._best_state import BestState
from evotune.study._candidates import Candidates
from evotune.study._events import Added, Asked, Enqueued, Event, Ran, Started, Told
from evotune.study._frozen_trial import FrozenTrial
from evotune.study._journal import Journal
from evotune.study._protocols import Engine, Finished
from evotune.study._queue import Queue
from evotune.study._record import Record
from evotune.study._redraw import refused
from evotune.study._repeats import Repeats
from evotune.study._rows import Row, pack, running
from evotune.study._search import Search
from evotune.study._told import with_x

if TYPE_CHECKING:
    from evotune.space import Space


_MOST_REFUSED = 2**20
"""Forbidden rows in a row, of which none could be drawn again: no grid has more."""


class Ledger:
    """What `Study` and its loop stand on: every change goes through `do`.

    Attributes:
        space: What may vary.
        signs: For each of M objectives 1 to maximise it, -1 to minimise it.
        rows: P, the algorithm's batch size; 0 without an algorithm.
        repeats: Trains every trial from R seeds.
        metrics: What the last engine measured, for each objective; () before one.
        constraints: What it bounded, by name.
        plan: Its plan as JSON values, or None.
        queue: Which rows come next.
        record: What is known of every trial.
        search: The algorithm and its state; None in a study that is only read.
        journal: The durable record, or None.
        best_state: The final training states of the trials that lead.
        candidates: Those of trials that lack some of their repeats.
    """

    def __init__(
        self,
        space: Space,
        algorithm: Algorithm | None,
        signs: Sequence[int],
        seed: int,
        repeats: int = 1,
    ) -> None:
        """An empty ledger; ``algorithm`` is None in a study that is only read."""
        self.space = space
        self.signs = tuple(signs)
        self.rows = 0 if algorithm is None else algorithm.batch_size
        self.metrics: tuple[str, ...] = ()
        self.constraints: tuple[str, ...] = ()
        self.plan: Any = None
        self.repeats = Repeats(repeats)
        self.queue = Queue(space, self.repeats)
        self.record = Record(len(space.axes), signs, space.params)
        self.search = (
            None
            if algorithm is None
            else Search(algorithm, space, seed, len(self.signs))
        )
        self.journal: Journal | None = None
        self.best_state = BestState()
        self.candidates = Candidates(self.repeats, self.signs[0])

    @property
    def members(self) -> int:
        """P R, the most members that are trained at a time."""
        return self.rows * self.repeats.count

    def open(
        self, storage: Path, study_name: str, header: dict[str, Any], *, resume: bool
    ) -> None:
        """Starts a journal, or replays and continues one.

        Raises:
            JournalError: See `Journal.open`.
        """
        self.journal, events = Journal.open(storage, study_name, header, resume=resume)
        self.best_state = BestState(self.journal.directory)
        try:
            self.replay(events, str(self.journal.path))
        except BaseException:
            self.journal.close()
            raise

    def replay(self, events: Sequence[Event], path: str) -> None:
        """Applies recorded events.

        Raises:
            JournalError: If one does not follow from those before it.
        """
        for number, event in enumerate(events):
            try:
                self._apply(event)
            except (LookupError, ValueError) as error:
                raise JournalError(
                    f"Line {number + 2} of {path!r} does not follow from the lines "
                    f"before it ({error!r}): one is missing or was edited. Restore the "
                    f"file from a backup, or keep its first {number + 1} lines."
                ) from error

    def do(self, event: Event, *, durable: bool = False) -> list[Row]:
        """Writes an event and applies it: the only way in which a study changes.

        What is written survives the death of the process; with ``durable``, or after
        `sync`, it survives that of the machine.

        Returns:
            The trials that it hands out, or those that are done with it.

        Raises:
            EvotuneError: If the study is only read.
        """
        self.asking()
        if self.journal is not None:
            self.journal.append(event, durable=durable)
        return self._apply(event)

    def asking(self) -> Search:
        """The algorithm and its state.

        Raises:
            EvotuneError: If the study is only read.
        """
        if self.search is None:
            raise EvotuneError(
                "A study from Study.load is for reading. Continue it with "
                "Study(space, algorithm=..., storage=..., resume=True)."
            )
        return self.search

    def _apply(self, event: Event) -> list[Row]:
        search, rows = self.search, []
        size = len(self.signs), len(self.constraints)
        match event:
            case Ran():
                self.metrics, self.plan = event.metrics, event.plan
                self.constraints = event.constraints
                if search is not None:
                    search.constraints = len(event.constraints)
                    search.points = event.points
                    if self.queue.asked == 0:
                        search.structural = event.structural
            case Asked():
                forbidden = self.queue.asked_for(event)
                if search is not None:
                    search.seal()
                    if forbidden:
                        search.tell(refused(forbidden, *size))
            case Enqueued():
                self.queue.enqueued(event)
            case Started():
                rows = self.queue.start(event.count)
                for row in rows:
                    self.record.start(row, event.at)
                if search is not None:
                    search.tell(running(rows, *size))
            case Told():
                members = [self.queue.told(key) for key in event.keys]
                combined = self.repeats.take(event, members)
                rows = combined.rows
                if rows:
                    self.record.tell(combined.told, combined.values)
                if rows and search is not None:
                    search.tell(with_x(combined.told, rows))
            case Added():
                self.record.add(event)
                if search is not None:
                    bounds = len(self.constraints)
                    search.tell(added_outcome(event, self.signs, bounds))
        return rows

    def hand_out(self, new: int, *, may_ask: bool = True) -> list[Row]:
        """Members that wait, then those of up to ``new`` new rows; none if it is over.

        They are of at most P trials.

        Args:
            new: How many new rows there may be.
            may_ask: Whether the algorithm may be asked when no proposed row is left.

        Raises:
            SpaceError: If the algorithm proposes nothing but what constraints forbid.
        """
        queue = self.queue
        self.asking()
        rows = self._first_trials(queue.waiting)
        if not rows and not queue.proposed and new > 0 and may_ask:
            self._ask()
        room = self.rows - len({self.repeats.key(row) for row in rows})
        count = min(new, room, queue.proposed)
        if count > 0:
            for row in self.do(Started(at=time.time(), count=count)):
                rows += self.repeats.members(row)
        queue.held.update(row.key for row in rows)
        return rows

    def _first_trials(self, members: Sequence[Row]) -> list[Row]:
        """The members of the first P trials."""
        keys = dict.fromkeys(self.repeats.key(row) for row in members)
        first = set(itertools.islice(keys, self.rows))
        return [row for row in members if self.repeats.key(row) in first]

    def _ask(self) -> None:
        """Asks the algorithm until it proposes something that is allowed, or nothing.

        Raises:
            SpaceError: If it proposes nothing but what constraints forbid.
        """
        queue, search, forbidden = self.queue, self.asking(), 0
        while forbidden < _MOST_REFUSED:
            self.sync()  # on the disk before the algorithm is told
            proposal = search.ask(queue.asked)
            count = int(np.sum(np.asarray(proposal.trial) != EMPTY))
            if count:
                self.do(Asked(proposal=proposal))
            if queue.proposed or not count:
                return
            forbidden += count
        raise SpaceError(
            f"An algorithm must find configurations that are allowed, but the last "
            f"{forbidden:,} that were proposed break {list(self.space.constraints)!r}. "
            "Narrow the dimensions to where configurations are allowed, or use "
            "RandomSearch()."
        )

    def take_back(self, finished: Finished, engine: Engine) -> list[Row]:
        """Records what has finished, the states of new best trials before all else."""
        event = Told.of(finished, at=time.time())
        if not len(event.values):
            return []
        members = [self.queue.open[key] for key in event.keys]
        combined = self.repeats.combine(event, members)
        leading = self.record.would_lead(combined.told)
        found = self.candidates.take(event, members, leading, engine)
        for trial, state in found.items():
            self.best_state.keep(trial, state)
        rows = self.do(event)
        if leading:
            self.best_state.tidy(self.record.leading)
        return rows

    def find_state(self, trial: FrozenTrial, engine: Engine) -> Any:
        """See `Study.state_of`."""
        states = self.best_state.states
        if trial.number in states:
            return states[trial.number]
        if trial.generation < 0:
            raise ValueError(
                f"Trial {trial.number} was added by hand and never trained here, so "
                "there is no state of it. Train it: study.enqueue_trial("
                f"{trial.params!r}), then study.run(...)."
            )
        if hasattr(engine, "template") and self.best_state.restore(
            trial.number, engine.template(trial.params)
        ):
            return self.best_state.states[trial.number]
        index = self.record.row_of(trial.number)
        replica = self.record.best_repeat(index)
        row = Row(x=self.record.x[index], trial=trial.number, replica=replica)
        engine.submit(pack([row], engine.rows, len(self.space.axes)))
        engine.collect()
        return engine.member(trial.number, replica)

    def sync(self) -> None:
        """Puts what was written on the disk."""
        if self.journal is not None:
            self.journal.sync()

    def freeze(self, rows: Sequence[Row]) -> list[FrozenTrial]:
        """The trials of ``rows``."""
        return self.record.freeze([self.record.row_of(row.trial) for row in rows])

    def trials(self) -> list[FrozenTrial]:
        """All trials by number."""
        waiting = frozenset(row.trial for row in self.queue.waiting)
        order = np.argsort(self.record.column("number"), kind="stable")
        return self.record.freeze(order.tolist(), waiting)
