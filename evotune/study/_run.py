"""The host loop: ask, hand out, train, record, tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from evotune._contracts import Status
from evotune._errors import AllDivergedError, JournalError
from evotune.study._budget import Budget
from evotune.study._events import Ran
from evotune.study._frozen_trial import FrozenTrial
from evotune.study._header import as_json
from evotune.study._interrupt import Interrupt
from evotune.study._ledger import Ledger
from evotune.study._progress import Progress
from evotune.study._protocols import Engine
from evotune.study._rows import Row, pack

if TYPE_CHECKING:
    from evotune.study._study import Study

Callback = Callable[["Study", FrozenTrial], None]
"""Called with the study and a trial that has just been recorded, as in Optuna."""


def run(
    study: Study,
    ledger: Ledger,
    engine: Engine,
    budget: Budget,
    callbacks: Sequence[Callback],
    progress: Progress,
) -> None:
    """Evolves the study on ``engine`` until ``budget`` ends.

    Both ``hand_out`` and ``take_back`` write to the journal first and tell the
    algorithm then: of rows that are under way, and of rows that have finished.
    """

    def stop() -> None:
        budget.stop("interrupt")
        progress.stopping()

    asked_by_hand = set(ledger.queue.held)
    with Interrupt(stop) as interrupt:
        try:
            while engine.pending:  # left behind by a run that broke off
                engine.collect()
            while rows := next_rows(
                ledger, engine, budget
            ):  # asks, tells what is pending
                plan = engine.plan
                engine.submit(pack(rows, engine.rows, len(ledger.space.axes)))
                while engine.pending:
                    finished = engine.collect()
                    if engine.plan != plan:  # memory ran out, and lanes were halved
                        plan = engine.plan
                        take_over(ledger, engine)
                    told = ledger.take_back(finished, engine)
                    progress.update(study, engine, budget)
                    for callback in callbacks:
                        for trial in ledger.freeze(told):
                            callback(study, trial)
                    if budget.interrupted():
                        engine.cancel()  # drops what has not started
                check_alive(ledger, rows)
        except KeyboardInterrupt:
            if interrupt.requested:  # the second one: the user means it
                raise
            stop()
        finally:
            engine.cancel()
            ledger.queue.held &= (
                asked_by_hand  # what was dropped waits for the next run
            )
            ledger.sync()
            ledger.asking().settle()


def take_over(ledger: Ledger, engine: Engine) -> None:
    """Records that an engine trains from now on, and its plan."""
    metrics = tuple(objectives_of(engine))
    ledger.do(
        Ran(
            at=time.time(),
            metric=engine.metric,
            points=engine.points,
            structural=tuple(engine.structural),
            plan=as_json(engine.plan.to_json()),
            objectives=metrics if len(metrics) > 1 else (),
            constraints=tuple(getattr(engine, "constraints", ())),
        )
    )


def check_engine(study: Study, ledger: Ledger, engine: Engine) -> None:
    """Refuses an engine that does not fit the study.

    Raises:
        ValueError: If it has other rows, or other directions.
        JournalError: If it measures another metric than the one that was recorded.
    """
    repeats = ledger.repeats.count
    if engine.rows != ledger.members:
        each = f", {repeats} times each" if repeats > 1 else ""
        times = f" * {repeats}" if repeats > 1 else ""
        raise ValueError(
            f"The engine must have as many rows as the algorithm proposes{each}, but "
            f"got {engine.rows} and {ledger.members}. Use "
            f"Engine(..., rows=algorithm.batch_size{times})."
        )
    objectives = objectives_of(engine)
    if tuple(objectives.values()) != study.directions:
        if len(objectives) > 1 or len(study.directions) > 1:
            measured = ", ".join(f"{n} to be {d}d" for n, d in objectives.items())
            raise ValueError(
                "The study and its task must have the same directions, but the study "
                f"is to {', '.join(study.directions)}, and the task measures "
                f"{measured}. Use Study(..., directions={[*objectives.values()]!r})."
            )
        raise ValueError(
            "The study and its task must have one direction, but the study is to "
            f"{study.direction} and {engine.metric} is to be {engine.direction}d. "
            f"Use Study(..., direction={engine.direction!r})."
        )
    metrics, bounds = tuple(objectives), tuple(getattr(engine, "constraints", ()))
    recorded = ledger.metrics, ledger.constraints
    if ledger.metrics and (metrics, bounds) != recorded:
        raise JournalError(
            f"A study has one metric, but {study.study_name!r} recorded "
            f"{_listed(*recorded)} and is now to measure "
            f"{_listed(metrics, bounds)}. Give the task "
            "the recorded metric, or start another study_name."
        )


def objectives_of(engine: Engine) -> dict[str, str]:
    """The direction of each objective that an engine measures, by name."""
    return dict(getattr(engine, "objectives", {engine.metric: engine.direction}))


def _listed(metrics: Sequence[str], constraints: Sequence[str]) -> str:
    bounds = f" with bounds of {', '.join(constraints)}" if constraints else ""
    return ", ".join(map(repr, metrics)) + bounds


def next_rows(ledger: Ledger, engine: Engine, budget: Budget) -> list[Row]:
    """The next rows for the engine; empty when the run is over."""
    new = budget.new_rows(ledger)
    if budget.stopped_by:
        return []
    if hasattr(engine, "start_compiling"):  # while the algorithm is compiled, too
        engine.start_compiling()
    rows = ledger.hand_out(new, may_ask=budget.may_ask(ledger))
    ledger.asking().start_compiling()  # what is told after they are trained
    if not rows:
        budget.stop("algorithm")
    return rows


def check_alive(ledger: Ledger, rows: Sequence[Row]) -> None:
    """Raises if every trial of a whole generation diverged.

    A generation of one trial, or one that was cut short, may: the search goes on.

    Raises:
        AllDivergedError: With advice. All that was recorded stays recorded.
    """
    record, generation = ledger.record, rows[-1].generation
    bad = (Status.DIVERGED, Status.FAILED)
    mine = np.array([record.row_of(row.trial) for row in rows])
    if not np.all(np.isin(record.column("status")[mine], bad)):
        return
    members = np.flatnonzero(record.column("generation") == generation)
    if len(members) < 2 or ledger.queue.proposed:
        return
    if not np.all(np.isin(record.column("status")[members], bad)):
        return
    count = ledger.repeats.count
    seeds = f" from each of {count} seeds" if count > 1 else ""
    raise AllDivergedError(
        "A generation needs at least one member whose training stays finite"
        f"{seeds}, but all {len(members)} of generation {generation} diverged (NaN or "
        f"infinity in the loss or the weights). {_advice(ledger, members)} Nothing "
        "recorded is lost"
        + (f": {ledger.journal.path} can be resumed." if ledger.journal else ".")
    )


def _advice(ledger: Ledger, members: np.ndarray) -> str:
    """What to do about divergence, in terms of the study's own space."""
    params = ledger.space.params(ledger.record.x[members])
    for name in ledger.space.names:
        tried = [
            row[name]
            for row in params
            if isinstance(row.get(name), float) and row[name]
        ]
        if tried and ("learning_rate" in name or name.split(".")[-1] == "lr"):
            low = 10.0 ** math.floor(math.log10(abs(min(tried))) - 2)
            return (
                f"Likely cause: {name} was too high, {min(tried):.3g} to "
                f"{max(tried):.3g}. Lower its bounds: "
                f"{name}=Float({low:g}, {min(tried):.1g}, log=True)."
            )
    return (
        "Likely causes: a learning rate that is too high (search it with "
        "learning_rate=Float(1e-5, 1e-2, log=True)), data that are not standardised, "
        "or an objective that is NaN everywhere."
    )
