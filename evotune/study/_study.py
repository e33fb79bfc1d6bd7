"""`Study`: one search, its record, and everything that is asked of it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np

from evotune._contracts import Algorithm
from evotune._errors import EvotuneError, HyperparameterError, JournalError
from evotune.study import _added, _told
from evotune.study._answers import Answers
from evotune.study._best_state import BestState
from evotune.study._budget import Budget
from evotune.study._directions import SIGNS, checked_directions
from evotune.study._events import Enqueued
from evotune.study._fitted import default_algorithm, fitted
from evotune.study._frozen_trial import FrozenTrial, TrialState
from evotune.study._header import make_header
from evotune.study._journal import FILE_NAME, read
from evotune.study._ledger import Ledger
from evotune.study._progress import Progress, make_progress
from evotune.study._protocols import Engine
from evotune.study._repeats import check_repeats
from evotune.study._rows import Row
from evotune.study._run import Callback, check_engine, run, take_over
from evotune.study._trial import Trial

if TYPE_CHECKING:
    from evotune.space import Space

DEFAULT_NAME = "study"


class Study(Answers):
    """One search over a space: asks an algorithm, records trials, answers questions.

    For objectives that JAX cannot trace, drive it by hand with `ask` and `tell`; what
    `evotune.tune` trains goes through `run`. Either way the study is a fold over its
    events (see ``evotune.study._events``): with ``storage`` each one is on disk before
    it counts, and ``resume=True`` applies the recorded ones again, so that a study that
    was killed goes on bit for bit as if it had not been.

    Values are in the user's ``direction``; the sign is flipped here and nowhere else.

    Example:
        >>> import evotune as et
        >>> study = et.Study(et.Space(x=et.Float(-1.0, 1.0)), seed=0)
        >>> for _ in range(100):
        ...     trial = study.ask()
        ...     _ = study.tell(trial, trial["x"] ** 2)
        >>> study.best_value < 0.01
        True
    """

    def __init__(
        self,
        space: Space,
        *,
        algorithm: Algorithm | None = None,
        direction: Literal["minimize", "maximize"] = "minimize",
        directions: Sequence[Literal["minimize", "maximize"]] | None = None,
        seed: int = 0,
        repeats: int = 1,
        study_name: str | None = None,
        storage: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> None:
        """Starts a study, or continues a recorded one. Starts no JAX.

        Args:
            space: What may vary.
            algorithm: How to search; by default a `GeneticAlgorithm`, and `NSGA2` for
                several objectives.
            direction: "minimize" or "maximize".
            directions: One for each of several objectives, in place of ``direction``.
            seed: All randomness of the search hangs on it; 0 to 2**32 - 1.
            repeats: How many values make a trial's, which is their mean: `run` trains
                every trial from as many seeds, and `tell` takes as many values.
            study_name: The study's directory in ``storage``; "study" by default.
            storage: A directory for the journal; None keeps the study in memory.
            resume: Whether a study that ``storage`` has already is continued. Without
                one there, a new study begins.

        Raises:
            ValueError: If ``direction``, ``seed`` or ``repeats`` is none, or the
                algorithm, such as a grid without levels, does not fit the space or the
                number of objectives.
            JournalError: If the storage cannot be written, the study exists and
                ``resume`` is False, or its journal is of another study.
        """
        wanted = checked_directions(direction, directions)
        whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
        if not whole or not 0 <= seed < 2**32:
            raise ValueError(
                f"seed must be an integer from 0 to 2**32 - 1, but got {seed!r}."
            )
        check_repeats(repeats)
        if algorithm is None:
            algorithm = default_algorithm(len(wanted))
        if storage is None and resume:
            raise ValueError(
                "resume=True needs a storage to resume from. Use storage='runs'."
            )
        algorithm = fitted(algorithm, space, len(wanted))
        self._set_up(space, algorithm, wanted, int(seed), repeats, study_name)
        if storage is not None:
            header = make_header(
                study_name=self.study_name,
                space=space,
                algorithm=algorithm,
                seed=self.seed,
                directions=wanted,
                repeats=repeats,
            )
            self._ledger.open(Path(storage), self.study_name, header, resume=resume)

    def _set_up(
        self,
        space: Space,
        algorithm: Algorithm | None,
        directions: Sequence[str],
        seed: int,
        repeats: int,
        study_name: str | None,
    ) -> None:
        self.space = space
        self.algorithm = algorithm
        self.directions = tuple(directions)
        self.seed = seed
        self.repeats = repeats
        self.study_name = study_name or DEFAULT_NAME
        self.stopped_by = ""
        self._ledger = Ledger(
            space, algorithm, [SIGNS[each] for each in directions], seed, repeats
        )
        self._budget: Budget | None = None

    @classmethod
    def load(
        cls, storage: str | os.PathLike[str], study_name: str = DEFAULT_NAME
    ) -> Study:
        """A recorded study, to read only; works while another process writes it.

        Raises:
            JournalError: If there is no such study, or it cannot be read.
        """
        from evotune.space import Space

        path = Path(storage) / study_name / FILE_NAME
        header, events, _ = read(path)
        if header is None:
            raise JournalError(
                f"A recorded study is a directory with {FILE_NAME!r}, but "
                f"{str(path)!r} is not there or empty. Check storage and study_name."
            )
        study = cls.__new__(cls)
        space = Space.from_json(header["space"])
        direction = header["direction"]
        directions = [direction] if isinstance(direction, str) else direction
        repeats = header.get("repeats", 1)
        study._set_up(space, None, directions, header["seed"], repeats, study_name)
        study._ledger.best_state = BestState(path.parent)
        study._ledger.replay(events, str(path))
        return study

    @overload
    def ask(self, n: None = None) -> Trial: ...

    @overload
    def ask(self, n: int) -> list[Trial]: ...

    def ask(self, n: int | None = None) -> Trial | list[Trial]:
        """The next trial, or the next ``n``, to evaluate.

        Asking one by one gives the same trials as asking for many, as long as results
        are told in the same order. Trials that a resumed study finds without a result
        come first.

        Returns:
            One `Trial`, or a list of ``n``; fewer where the algorithm has no more.

        Raises:
            EvotuneError: If one trial is wanted and the algorithm has no more.
        """
        wanted = 1 if n is None else n
        members: dict[Any, list[Row]] = {}  # of each trial
        while len(members) < wanted:
            more = self._ledger.hand_out(wanted - len(members))
            if not more:
                break
            for member in more:
                members.setdefault(self._ledger.repeats.key(member), []).append(member)
        handed = list(members.values())
        for member in itertools.chain.from_iterable(handed[wanted:]):
            self._ledger.queue.held.discard(
                member.key
            )  # what waited comes in one piece
        handed = handed[:wanted]
        if n is None and not handed:
            raise EvotuneError(
                f"{self.algorithm!r} has no more points to propose, after "
                f"{self._ledger.record.started} trials. Use study.ask(n), which "
                "returns what there is, to find out; or a finer grid, or "
                "RandomSearch()."
            )
        points = [rows[0].x for rows in handed]
        params = self.space.params(np.stack(points)) if points else []
        trials = [
            Trial(
                rows[0].trial,
                values,
                self.space.constants,
                tuple(row.replica for row in rows),
            )
            for rows, values in zip(handed, params, strict=True)
        ]
        return trials[0] if n is None else trials

    def tell(
        self,
        trial: Trial | int | Sequence[Trial | int],
        values: Any = None,
        state: Any = None,
    ) -> FrozenTrial | list[FrozenTrial]:
        """Records results; with ``storage`` they are on the disk on return.

        Args:
            trial: A trial, its number, or a sequence of them.
            values: Its value in the study's direction, or a sequence of as many; of
                several objectives a sequence of M values for each trial. With
                ``repeats=R`` it is a sequence of R such values for each trial, one for
                each of its ``trial.replicas``, and their mean counts.
                A value that is no finite number makes the trial FAIL.
            state: `TrialState.COMPLETE`, PRUNED or FAIL, for all or a sequence of as
                many; by default COMPLETE or FAIL, as the value says.

        Raises:
            ValueError: If a trial is not out for evaluation, a state does not go with
                its value, or the lengths differ, that of M values too. Then nothing is
                recorded.
        """
        single = isinstance(trial, (Trial, int, np.integer))
        trials: Sequence[Any] = [trial] if single else list(trial)  # type: ignore[arg-type]
        told = [values] if single else _told.spread(values, len(trials), "values")
        states = [state] if single else _told.spread(state, len(trials), "state")
        numbers = [int(getattr(item, "number", item)) for item in trials]
        if len(set(numbers)) < len(numbers):
            raise ValueError("Each trial is told once, but one is in the list twice.")
        opened = [self._open_members(number) for number in numbers]
        verdicts = [
            verdict
            for rows, values, word in zip(opened, told, states, strict=True)
            for verdict in _told.judge_repeats(rows, values, word, len(self.directions))
        ]
        members = list(itertools.chain.from_iterable(opened))
        if members:
            event = _told.told(members, verdicts, self._ledger.signs, time.time())
            self._ledger.do(event, durable=True)
        frozen = self._ledger.freeze([rows[0] for rows in opened])
        return frozen[0] if single else frozen

    def _open_members(self, number: int) -> list[Row]:
        members = self._ledger.queue.members_of(number)
        if not members:
            known = number in self._ledger.record
            raise ValueError(
                f"tell() takes a trial that was asked and not told, but trial {number} "
                f"{'already has its result' if known else 'was never asked'}. "
                f"{'Tell each trial once.' if known else 'Use study.ask() first.'}"
            )
        return members

    def enqueue_trial(
        self, params: Mapping[str, Any], user_attrs: Mapping[str, Any] | None = None
    ) -> None:
        """Makes ``params`` the next trial; dimensions left out are the algorithm's.

        Where constraints forbid that together, dimensions left out are drawn.

        Raises:
            HyperparameterError: If ``params`` has a name or a value that the space has
                not, or nothing that has these values is allowed.
            TypeError: If JSON cannot hold ``user_attrs``.
        """
        middle = np.full((1, len(self.space.axes)), 0.5, np.float32)
        columns = self.space.decode(middle).items()
        base = {name: column[0] for name, column in columns}
        x = np.array(self.space.encode([{**base, **params}])[0], np.float32)
        fixed = tuple(name for name in self.space.names if name in params)
        for axis, name in enumerate(self.space.axes):
            if name not in params:
                x[axis] = np.nan
        if self._ledger.queue.completed(x, middle[0]) is None:
            raise HyperparameterError(self._forbidden(params))
        attrs = _added.checked_attrs(user_attrs)
        self._ledger.do(Enqueued(x=x, fixed=fixed, user_attrs=attrs))

    def add_trial(self, trial: Any) -> None:
        """Adds a finished trial from elsewhere, so that the algorithm learns of it.

        It counts in no budget. Its parameters are kept to the resolution of the space.

        Args:
            trial: A `FrozenTrial` (see `create_trial`), of another study or made by
                hand, or Optuna's. A WAITING one is enqueued.

        Raises:
            HyperparameterError: If its parameters do not lie in the space, or
                constraints forbid them.
            ValueError: If it is RUNNING, or its value does not go with its state.
        """
        if _told.as_state(trial.state) is TrialState.WAITING:
            self.enqueue_trial(trial.params, trial.user_attrs)
            return
        x = self.space.encode([trial.params])[0]
        if not self.space.allowed(x[None])[0]:
            raise HyperparameterError(self._forbidden(trial.params))
        number = 1 + max(
            self._ledger.record.last_number, self._ledger.queue.last_number
        )
        event = _added.added(trial, number, x, len(self.directions))
        self._ledger.do(event, durable=True)

    def _forbidden(self, params: Mapping[str, Any]) -> str:
        return (
            "A trial must keep the constraints of the space, but nothing that has "
            f"{dict(params)!r:.200} keeps {list(self.space.constraints)!r}. Change its "
            "values, or the constraints."
        )

    def run(
        self,
        engine: Engine,
        *,
        generations: int | None = None,
        n_trials: int | None = None,
        timeout: float | None = None,
        callbacks: Sequence[Callback] = (),
        progress: bool | Progress = True,
    ) -> None:
        """Searches until the first budget runs out, or the algorithm has no more.

        ``stopped_by`` then says why: "generations", "n_trials", "timeout", "stop",
        "interrupt" (Ctrl-C: what has started is finished and recorded; the second
        Ctrl-C raises), or "algorithm".

        Args:
            engine: Trains what is proposed; its rows are the algorithm's batch size.
            generations: Proposals of the whole study, recorded ones included.
            n_trials: Trials of the whole study, recorded ones included.
            timeout: Seconds of this run, compiling included; looked at between blocks.
            callbacks: Each is called as ``callback(study, trial)`` for every trial
                after it is recorded; ``study.stop()`` in one ends the run.
            progress: True for a bar on a terminal and lines elsewhere, False for
                nothing, or an object of one's own.

        Raises:
            ValueError: If there is no budget, or the engine does not fit the study.
            AllDivergedError: If every member of a generation diverged.
            KeyboardInterrupt: At the second Ctrl-C.
        """
        budget = Budget(generations=generations, n_trials=n_trials, timeout=timeout)
        check_engine(self, self._ledger, engine)
        shown = make_progress(progress)
        self._budget, self.stopped_by = budget, ""
        take_over(self._ledger, engine)
        listens = hasattr(engine, "on_event")
        if listens:
            engine.on_event = shown.event  # type: ignore[attr-defined]
        cost = getattr(getattr(engine, "profile", None), "search", None)
        self._ledger.asking().on_step = getattr(cost, "note", None)
        shown.start(self, engine, budget)
        try:
            run(self, self._ledger, engine, budget, callbacks, shown)
        finally:
            self.stopped_by, self._budget = budget.stopped_by, None
            self._ledger.asking().on_step = None
            if listens:
                engine.on_event = None  # type: ignore[attr-defined]
            shown.finish(self, engine, budget)

    def stop(self) -> None:
        """Ends the run that goes on, after what has started; for use in callbacks.

        Raises:
            RuntimeError: If no run goes on.
        """
        if self._budget is None:
            raise RuntimeError(
                "study.stop() ends a run, but none goes on. Call it in a callback."
            )
        self._budget.stop("stop")

    def close(self) -> None:
        """Releases the journal for other writers; the study stays readable."""
        if self._ledger.journal is not None:
            self._ledger.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        best, front = "", self._ledger.record.leaders.rows
        if front and len(self.directions) == 1:
            best = f", best {self.best_value:.6g}"
        elif front:
            best = f", {len(front)} in the front"
        aims = ", ".join(self.directions)
        return (
            f"Study({self.study_name!r}, {aims}, {len(self)} trials{best}, "
            f"algorithm={self.algorithm!r}, seed={self.seed})"
        )
