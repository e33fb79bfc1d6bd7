"""`tune`: one call from a task and a space to a trained model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from evotune._result import Result

if TYPE_CHECKING:
    from evotune._contracts import Algorithm
    from evotune.engine import Engine, Plan
    from evotune.space import Space
    from evotune.study import FrozenTrial, Progress, Study
    from evotune.tasks import Task


def tune(
    task: Task,
    space: Space,
    *,
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
) -> Result:
    """Evolves the hyperparameters of ``task`` and returns what was found.

    The budget is ``generations``, ``n_trials``, ``timeout``, or several: the first to
    run out ends the search. Ctrl-C ends it too and returns what there is; pressed
    again, it raises.

    Args:
        task: What is trained, such as ``et.tasks.Classification(dataset)``.
        space: What may vary, and constants.
        algorithm: How to search; by default ``GeneticAlgorithm()``, and ``NSGA2()`` for
            a task of several objectives.
        generations: Proposals of the whole study, recorded ones included.
        n_trials: Trials of the whole study, recorded ones included.
        timeout: Seconds, compiling included; looked at between blocks of trainings.
        seed: All randomness hangs on it and on trial numbers; 0 to 2**32 - 1.
        repeats: Seeds that each trial is trained from, side by side in the same
            programs: their mean is its value. A trial costs as many trainings.
        value: Whether a trial's value is its "last" evaluation or its "best" one.
        study_name: The study's directory in ``storage``; "study" by default.
        storage: A directory for the journal; None keeps everything in memory.
        resume: Whether a study that ``storage`` has already is continued. Without one
            there, a new study begins, so that one command starts and resumes.
        callbacks: Each is called as ``callback(study, trial)`` for every trial after it
            is recorded; ``study.stop()`` in one ends the search.
        progress: True for a bar on a terminal and lines elsewhere, False for nothing.
        static: Hyperparameters to compile in, one program for each value.
        max_programs: Most programs that masked sizes are spread over, so that less is
            padded; the plan takes fewer where compiling them would not pay. None
            leaves it to the plan.

    Returns:
        The result: best parameters, trained model, all trials, plots.

    Raises:
        ValueError: If there is no budget, the space does not fit the task, the
            algorithm ranks another number of objectives, or ``repeats`` is no integer
            of at least 1; the message lists every problem. Nothing was compiled.
        JournalError: If the storage cannot be written or belongs to another study.
        AllDivergedError: If every member of a generation diverged.

    Example:
        >>> import evotune as et
        >>> result = et.tune(
        ...     et.tasks.Function(lambda hp: (hp.x - 0.5) ** 2),
        ...     et.Space(x=et.Float(-1.0, 1.0)),
        ...     generations=10,
        ...     progress=False,
        ... )
        >>> round(result.best_params["x"], 1)
        0.5
    """
    from evotune.study import Budget, Study, make_progress

    began = time.monotonic()
    budget = Budget(generations=generations, n_trials=n_trials, timeout=timeout)
    check_task_and_space(task, space)
    algorithm = algorithm if algorithm is not None else _default_algorithm(task)
    shown = make_progress(progress)
    study = Study(
        space,
        algorithm=algorithm,
        direction=task.direction,
        directions=[*task.objectives.values()] or None,
        seed=seed,
        repeats=repeats,
        study_name=study_name,
        storage=storage,
        resume=resume,
    )
    total = budget.total(algorithm.batch_size)
    with study:
        engine = _engine(
            task,
            space,
            rows=algorithm.batch_size * repeats,
            seed=seed,
            value=value,
            static=static,
            max_programs=max_programs,
            trainings=None if total is None else total * repeats,
            recorded_plan=study.plan,
            on_event=shown.event,
        )
        study.run(
            engine,
            generations=generations,
            n_trials=n_trials,
            timeout=timeout,
            callbacks=callbacks,
            progress=shown,
        )
    return Result(study, task, engine, total_seconds=time.monotonic() - began)


def plan(
    task: Task,
    space: Space,
    *,
    algorithm: Algorithm | None = None,
    generations: int | None = None,
    n_trials: int | None = None,
    repeats: int = 1,
    static: Collection[str] = (),
    max_programs: int | None = None,
) -> Plan:
    """What `tune` would compile with the same arguments, without compiling it.

    Args:
        task: See `tune`.
        space: See `tune`.
        algorithm: See `tune`.
        generations: See `tune`; may be left out.
        n_trials: See `tune`; may be left out.
        repeats: See `tune`.
        static: See `tune`.
        max_programs: See `tune`.

    Returns:
        The plan; ``print`` shows programs, lanes, padding, expected seconds, operations
        and memory, ``to_json()`` has all of it.

    Raises:
        ValueError: If the space does not fit the task, or ``repeats`` is no integer of
            at least 1.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Function(lambda hp: hp.x**2)
        >>> len(et.plan(task, et.Space(x=et.Float(-1.0, 1.0))).programs)
        1
    """
    from evotune.study import check_repeats

    check_task_and_space(task, space)
    check_repeats(repeats)
    algorithm = algorithm if algorithm is not None else _default_algorithm(task)
    rows = algorithm.batch_size
    limits = [] if n_trials is None else [n_trials]
    limits += [] if generations is None else [generations * rows]
    return _engine(
        task,
        space,
        rows=rows * repeats,
        static=static,
        max_programs=max_programs,
        trainings=min(limits) * repeats if limits else None,
    ).whole_plan()


def _engine(task: Task, space: Space, **options: Any) -> Engine:
    from evotune.engine import Engine

    return Engine(task, space, **options)


def _default_algorithm(task: Task) -> Algorithm:
    from evotune.study import default_algorithm

    return default_algorithm(len(task.objectives) or 1)


def check_task_and_space(task: Any, space: Any) -> None:
    """Raises TypeError where the two main arguments are something else."""
    from evotune.space import Space
    from evotune.tasks import Task

    if isinstance(task, Space) and isinstance(space, Task):
        raise TypeError("tune() takes the task first: use tune(task, space, ...).")
    if not isinstance(task, Task):
        raise TypeError(
            f"task must be a Task, but got {type(task).__name__}. Use "
            "et.tasks.Classification(dataset), et.tasks.Function(fn), or a subclass of "
            "et.Task."
        )
    if not isinstance(space, Space):
        raise TypeError(
            f"space must be a Space, but got {type(space).__name__}. Use "
            "et.Space(learning_rate=et.Float(1e-4, 1e-1, log=True), ...)."
        )
