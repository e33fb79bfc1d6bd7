"""`refine`: rounds of `tune`, each in a narrower space around the best so far."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evotune._errors import (
    AllDivergedError,
    HyperparameterError,
    SpaceError,
    check_one_objective,
    count_problems,
    raise_all,
)
from evotune._refinement import Refinement
from evotune._result import Result
from evotune._tune import check_task_and_space, tune

if TYPE_CHECKING:
    from evotune._contracts import Algorithm
    from evotune.space import Space
    from evotune.study import FrozenTrial, Progress, Study
    from evotune.tasks import Task


def refine(
    task: Task,
    space: Space,
    *,
    rounds: int = 3,
    quantile: float = 0.2,
    shrink: float = 0.5,
    only: Collection[str] | None = None,
    algorithm: Algorithm | None = None,
    generations: int | None = None,
    n_trials: int | None = None,
    timeout: float | None = None,
    seed: int = 0,
    repeats: int = 1,
    value: Literal["last", "best"] = "last",
    study_name: str | None = None,
    storage: str | os.PathLike[str] | None = None,
    resume: bool = False,
    callbacks: Sequence[Callable[[Study, FrozenTrial], None]] = (),
    progress: bool | Progress = True,
    static: Collection[str] = (),
    max_programs: int | None = None,
) -> Refinement:
    """Searches coarsely, then ever more finely around the best trials.

    Each round is a study of its own, as by `tune`, in the space that `Space.refine`
    makes of the last one and its trials; the best trial so far is always among those
    that count. The budget is that of all rounds and is cut into equal parts, what is
    left over going to the first. Rounds end early where all choices are decided.

    A round trains in the programs of the last one while only bounds of traced
    hyperparameters have changed. It compiles anew where choices were dropped or
    decided, or where smaller sizes, or fewer ``epochs``, are padded to less; to spare
    that, name the traced ones: ``only=["learning_rate", "weight_decay"]``.

    This is for random and grid search, which do not narrow by themselves. A
    `GeneticAlgorithm` does, and starts again in every round: whether it ends better
    than `tune` at the same budget was not measured.

    Args:
        task: See `tune`.
        space: What may vary in the first round, and constants.
        rounds: Studies, one after the other.
        quantile: The share of a round's complete trials that counts as best.
        shrink: The least new width of an interval, as a share of the old one.
        only: Names of the dimensions to narrow; all by default.
        algorithm: How to search in every round; ``GeneticAlgorithm()`` by default.
        generations: Proposals of all rounds together, at least one for each.
        n_trials: Trials of all rounds together, at least one for each.
        timeout: Seconds of this call, compiling included; a round gets an equal part
            of what is left when it begins.
        seed: All randomness hangs on it. The first round is what `tune` does with it;
            the seeds of the others are derived from it.
        repeats: See `tune`.
        value: See `tune`.
        study_name: Studies are named after it, "name-round-1" and so on; "study" by
            default.
        storage: A directory for the journals; None keeps everything in memory.
        resume: Whether rounds that ``storage`` has already are continued: the last one
            recorded goes on, and those before it are read as they are.
        callbacks: See `tune`; ``study.stop()`` in one ends all rounds, as Ctrl-C does.
        progress: See `tune`; what is shown names the round.
        static: See `tune`; names that are decided by then are left out.
        max_programs: See `tune`.

    Returns:
        The best of all rounds, and the result of each.

    Raises:
        HyperparameterError: If ``rounds``, ``quantile``, ``shrink`` or ``only`` does
            not fit; nothing was compiled.
        ValueError: If there is no budget, or less than one generation or trial a round.
        JournalError: If the storage cannot be written or belongs to another search.
        AllDivergedError: If every member of a generation of the first round diverged;
            in a later one that is a warning, and ends the search.

    Example:
        >>> import evotune as et
        >>> refined = et.refine(
        ...     et.tasks.Function(lambda hp: (hp.x - 0.5) ** 2),
        ...     et.Space(x=et.Float(-1.0, 1.0)),
        ...     algorithm=et.RandomSearch(),
        ...     generations=3,
        ...     progress=False,
        ... )
        >>> len(refined.rounds), round(refined.best_params["x"], 2)
        (3, 0.5)
    """
    from evotune.algorithms import GeneticAlgorithm

    _check(task, space, rounds, quantile, shrink, only)
    generations_of = _parts("generations", generations, rounds)
    trials_of = _parts("n_trials", n_trials, rounds)
    algorithm = algorithm if algorithm is not None else GeneticAlgorithm()
    names = [f"{study_name or 'study'}-round-{k + 1}" for k in range(rounds)]
    began = time.monotonic()
    results: list[Result] = []
    while True:
        k = len(results)
        options: dict[str, Any] = {
            "seed": round_seed(seed, k),
            "value": value,
            "static": [name for name in static if k == 0 or name in space],
            "max_programs": max_programs,
        }
        if resume and storage is not None and _is_recorded(storage, names[k + 1 :]):
            result = _read(task, space, algorithm, storage, names[k], options)
        else:
            left = None if timeout is None else timeout + began - time.monotonic()
            try:
                result = tune(
                    task,
                    space,
                    algorithm=algorithm,
                    generations=generations_of[k],
                    n_trials=trials_of[k],
                    timeout=None if left is None else max(left / (rounds - k), 1e-3),
                    repeats=repeats,
                    study_name=names[k],
                    storage=storage,
                    resume=resume,
                    callbacks=callbacks,
                    progress=_titled(progress, f"round {k + 1}/{rounds}"),
                    **options,
                )
            except AllDivergedError as error:
                if not results:
                    raise
                warnings.warn(
                    f"Round {k + 1} of {rounds} found nothing, and what the rounds "
                    f"before it found is returned. {error}",
                    stacklevel=2,
                )
                return Refinement(results)
        results.append(result)
        refinement = Refinement(results)
        if len(results) == rounds or result.study.stopped_by in ("stop", "interrupt"):
            return refinement
        if not refinement.has_best:  # nothing to refine around
            return refinement
        kept = [] if refinement.best_round is result else [refinement.best]
        try:
            space = space.refine(
                [*result.trials, *kept],
                direction=task.direction,
                quantile=quantile,
                shrink=shrink,
                only=None if only is None else [name for name in only if name in space],
            )
        except SpaceError:  # all is decided
            return refinement


def round_seed(seed: int, index: int) -> int:
    """The seed of a round: that of the user for the first, then 32 bits of a hash."""
    import numpy as np

    if index == 0:
        return seed
    return int(np.random.SeedSequence((seed, index)).generate_state(1)[0])


def _check(
    task: Task,
    space: Space,
    rounds: Any,
    quantile: float,
    shrink: float,
    only: Collection[str] | None,
) -> None:
    from evotune.study import create_trial

    check_task_and_space(task, space)
    check_one_objective(task.objectives, "refine()")
    problems = count_problems("Use `rounds=3`.", rounds=rounds)
    raise_all(problems, HyperparameterError, "refine()")
    trial = create_trial(params=space.sample(1, seed=0)[0], value=0.0)
    with contextlib.suppress(SpaceError):  # one trial alone may decide everything
        space.refine(
            [trial], direction="minimize", quantile=quantile, shrink=shrink, only=only
        )


def _parts(name: str, total: int | None, rounds: int) -> list[int | None]:
    """``total`` in equal parts, what is left over in the first."""
    if total is None:
        return [None] * rounds
    if isinstance(total, bool) or not isinstance(total, int) or total < rounds:
        raise ValueError(
            f"{name} is the budget of all rounds together and must be an integer of at "
            f"least rounds={rounds!r}, but got {total!r}. Use `{name}={10 * rounds}`."
        )
    return [total // rounds + total % rounds, *[total // rounds] * (rounds - 1)]


def _titled(progress: bool | Progress, title: str) -> Progress:
    from evotune.study import make_progress

    shown = make_progress(progress, title=title)
    if not isinstance(progress, bool):
        shown.event(title)
    return shown


def _is_recorded(storage: str | os.PathLike[str], names: Sequence[str]) -> bool:
    return any((Path(storage) / name).exists() for name in names)


def _read(
    task: Task,
    space: Space,
    algorithm: Algorithm,
    storage: str | os.PathLike[str],
    name: str,
    options: dict[str, Any],
) -> Result:
    """The result of a recorded round that a later one was made of; trains nothing."""
    from evotune.engine import Engine
    from evotune.study import Study

    study = Study.load(storage, name)
    options["recorded_plan"] = study.plan
    rows = algorithm.batch_size * study.repeats
    engine = Engine(task, space, rows=rows, **options)
    return Result(study, task, engine, total_seconds=0.0)
