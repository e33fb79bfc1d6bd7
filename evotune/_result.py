"""`Result`: what a search found."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune._result_text import result_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from evotune._confirmation import Confirmation
    from evotune.diagnostics import Diagnostics, Thresholds
    from evotune.engine import Engine, Plan
    from evotune.space import Space
    from evotune.study import FrozenTrial, Study
    from evotune.tasks import FittedModel, Task


class Result:
    """What `tune` found: the best trial, its trained model, and all the others.

    Attributes:
        study: The study, to go on with, or to ask for more.
        task: What was trained.
        seconds: Seconds by what they went into: "compile", "train", "search" and
            "total"; those of the search are of asking and telling the algorithm.
        profile: Where they went: ``print(result.profile)`` shows shares of compiling,
            training, evaluating, searching and idling; what the search took for each
            proposal; and by program blocks, seconds, lanes used, and operations a
            second beside what the devices reach.
        confirmation: What `confirm` found last, which ``print`` and `report` show; None
            before it.

    Example:
        >>> import evotune as et
        >>> result = et.tune(
        ...     et.tasks.Function(lambda hp: hp.x**2),
        ...     et.Space(x=et.Float(-1.0, 1.0)),
        ...     n_trials=64,
        ...     progress=False,
        ... )
        >>> len(result.trials), result.best.value == result.best_value
        (64, True)
    """

    def __init__(
        self, study: Study, task: Task, engine: Engine, *, total_seconds: float
    ) -> None:
        """Of a study that has run.

        Args:
            study: The study.
            task: What was trained.
            engine: What it was trained on.
            total_seconds: From the call of `tune` to its end.
        """
        self.study = study
        self.task = task
        self.seconds = {
            "compile": engine.compile_seconds,
            "train": engine.run_seconds,
            "search": engine.profile.search.seconds,
            "total": total_seconds,
        }
        self.profile = engine.profile
        self.profile.compile_seconds = engine.compile_seconds
        self.profile.end(total_seconds)
        self.confirmation: Confirmation | None = None
        self._engine = engine

    @property
    def best(self) -> FrozenTrial:
        """The complete trial with the best value.

        Raises:
            ValueError: If no trial is complete, or there are several objectives.
        """
        return self.study.best_trial

    @property
    def best_params(self) -> dict[str, Any]:
        """Its searched and active hyperparameters, as plain Python values."""
        return self.study.best_params

    @property
    def best_value(self) -> float:
        """Its value, in the task's direction."""
        return self.study.best_value

    @property
    def pareto_trials(self) -> list[FrozenTrial]:
        """The trials that no other beats, by number: the front of several objectives.

        No other trial is nowhere worse and somewhere better, and all satisfy the
        task's constraints. Of one objective they are those of the best value.
        """
        return self.study.best_trials

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, by number, with their learning curves."""
        return self.study.trials

    @property
    def plan(self) -> Plan:
        """Which programs were compiled, and what was expected of them."""
        return self._engine.whole_plan()

    @property
    def space(self) -> Space:
        """What was searched."""
        return self.study.space

    @property
    def direction(self) -> str:
        """Either "maximize" or "minimize"; of several objectives that of the first."""
        return self.study.direction

    @property
    def objectives(self) -> dict[str, str]:
        """The direction of each objective by name, in the order of a trial's values."""
        return dict(self._engine.objectives)

    @property
    def metric(self) -> str:
        """The name of what `best_value` is, such as "val_accuracy"."""
        return self.task.metric

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """All that the best trial was trained with, constants included."""
        return self._hyperparameters_of(self.best.number)

    def _hyperparameters_of(self, number: int) -> dict[str, Any]:
        x = self.study.coordinates(number)
        columns = self.space.decode(x[None])
        decoded = {
            name: column[0]
            if isinstance(column, list)
            else np.asarray(column)[0].item()
            for name, column in columns.items()
        }
        return {**self.space.constants, **decoded}

    @functools.cached_property
    def best_state(self) -> Any:
        """The final training state of the best trial: a pytree of numpy arrays.

        Where a resumed study cannot read it from the disk, that one trial is trained
        again, with the same bits.
        """
        return self.study.best_state(self._engine)

    def best_model(self) -> FittedModel:
        """The best network of the search: a plain Flax module and its variables.

        With ``repeats`` it is the best of the best trial's networks, by the objective.

        Raises:
            NotImplementedError: If the task has no model to hand out.
            ValueError: If no trial is complete.
        """
        return self._exported(self.hyperparameters, self.best_state)

    def state_of(self, trial: FrozenTrial | int) -> Any:
        """The final training state of a trial: a pytree of numpy arrays.

        States of `pareto_trials` are kept. Any other trial is trained again, with the
        same bits. Of a trial with repeats it is the one with the best value.

        Args:
            trial: A trial of this search, or its number.

        Raises:
            KeyError: If there is no such trial.
            ValueError: If it was added by hand, and never trained here.
        """
        return self.study.state_of(_number(trial), self._engine)

    def model_of(self, trial: FrozenTrial | int) -> FittedModel:
        """The network of a trial, such as one of `pareto_trials`; see `best_model`.

        Args:
            trial: See `state_of`, whose errors it raises.

        Raises:
            NotImplementedError: If the task has no model to hand out.
        """
        number = _number(trial)
        return self._exported(self._hyperparameters_of(number), self.state_of(number))

    def _exported(self, hp: dict[str, Any], state: Any) -> FittedModel:
        return self.task.export(self._engine.seen_by_task(hp), state)

    @functools.cached_property
    def _test_metrics(self) -> dict[str, float]:
        return self._tested(self.hyperparameters, self.best_state)

    def _tested(self, hp: dict[str, Any], state: Any) -> dict[str, float]:
        return self._engine.test(hp, [state])[0]

    def test_metrics(self, trial: FrozenTrial | int | None = None) -> dict[str, float]:
        """Scores of a model on the test split, which the search never saw.

        Args:
            trial: See `state_of`; None for the best one.

        Raises:
            ValueError: If no trial is complete, or there are several objectives and
                ``trial`` is None.
        """
        if trial is None:
            return dict(self._test_metrics)
        number = _number(trial)
        return self._tested(self._hyperparameters_of(number), self.state_of(number))

    def confirm(self, *, top_k: int = 5, seeds: int = 5) -> Confirmation:
        """Trains the leading trials again on fresh seeds, and says which is best.

        The value that made a trial the winner flatters it, as the best of many noisy
        values does. Here initial weights, data order and all other draws are new, and
        only the programs are those of the search. Nothing is added to the study.
        ``optimism`` is by how much the search has flattered its winner.

        Args:
            top_k: Trials to confirm, the best ones of the search.
            seeds: Trainings of each.

        Raises:
            HyperparameterError: If either is no integer of at least 1.
            ValueError: If no trial is complete.

        Reference:
            Bouthillier et al. (2021), Accounting for variance in machine learning
            benchmarks.

        Example:
            >>> import evotune as et
            >>> result = et.tune(
            ...     et.tasks.Function(lambda hp: hp.x**2),
            ...     et.Space(x=et.Float(-1.0, 1.0)),
            ...     n_trials=64,
            ...     progress=False,
            ... )
            >>> confirmed = result.confirm(top_k=3, seeds=2)
            >>> confirmed.best.number == result.best.number
            True
        """
        from evotune._confirmation import confirm

        self.confirmation = confirm(self.study, self._engine, top_k=top_k, seeds=seeds)
        return self.confirmation

    def diagnostics(self, thresholds: Thresholds | None = None) -> Diagnostics:
        """What every trial's curves tell about its training, and what went wrong.

        The gap between training and validation, how rough the loss is, how soon it
        converged, and the troubles: diverged, overfitting, underfitting, plateau, noisy
        (see `et.diagnostics.Thresholds`). ``print`` shows counts; ``dataframe()`` gives
        a table.

        Args:
            thresholds: Where the rules draw their lines.

        Example:
            >>> result.diagnostics().counts["overfitting"]  # doctest: +SKIP
            3
        """
        from evotune.diagnostics import diagnose

        return diagnose(
            self.trials,
            metric=self.metric,
            direction=self.direction,
            thresholds=thresholds,
        )

    def trials_dataframe(self) -> pd.DataFrame:
        """The trials as a pandas DataFrame with Optuna's column names.

        Where trials have learning curves, their diagnostics follow, as
        "diagnostics_gap" and the like: see `diagnostics`.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        frame = self.study.trials_dataframe()
        found = self.diagnostics()
        if any(each.convergence_area is not None for each in found) or any(
            found.counts.values()
        ):
            for name, column in found.columns().items():
                frame[f"diagnostics_{name}"] = column
        return frame

    def plot_optimization_history(self, *, ax: Axes | None = None) -> Axes:
        """Every trial's value and the best so far, over trials.

        Raises:
            MissingExtraError: If matplotlib is not installed.
        """
        from evotune import report

        return report.plot_optimization_history(self, ax=ax)

    def plot_pareto_front(self, *, ax: Axes | None = None) -> Axes:
        """The trials by their first two objectives, the front marked.

        Raises:
            MissingExtraError: If matplotlib is not installed.
            ValueError: If there is one objective.
        """
        from evotune import report

        return report.plot_pareto_front(self, ax=ax)

    def plot_learning_curves(self, *, ax: Axes | None = None) -> Axes:
        """The learning curves of all trials, the best one marked.

        Raises:
            MissingExtraError: If matplotlib is not installed.
        """
        from evotune import report

        return report.plot_learning_curves(self, ax=ax)

    def report(self, path: str | os.PathLike[str] = "report.html") -> Path:
        """Writes one HTML page about the search, and returns its path.

        Raises:
            MissingExtraError: If matplotlib is not installed.
        """
        from evotune import report

        return report.html(self, Path(path))

    def __repr__(self) -> str:
        return result_text(self)


def _number(trial: FrozenTrial | int) -> int:
    return int(trial) if isinstance(trial, (int, np.integer)) else trial.number
