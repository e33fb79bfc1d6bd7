"""`Result`: what a search found."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
        seconds: Seconds by what they went into: "compile", "train" and "total".
        profile: Where they went: ``print(result.profile)`` shows shares of compiling,
            training, evaluating and idling, and by program blocks, seconds, lanes used,
            and operations a second beside what the devices reach.

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
            "total": total_seconds,
        }
        self.profile = engine.profile
        self.profile.compile_seconds = engine.compile_seconds
        self.profile.end(total_seconds)
        self._engine = engine

    @property
    def best(self) -> FrozenTrial:
        """The complete trial with the best value.

        Raises:
            ValueError: If no trial is complete.
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
        """Either "maximize" or "minimize"."""
        return self.study.direction

    @property
    def metric(self) -> str:
        """The name of what `best_value` is, such as "val_accuracy"."""
        return self.task.metric

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """All that the best trial was trained with, constants included."""
        x = self.study.coordinates(self.best.number)
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

        Raises:
            NotImplementedError: If the task has no model to hand out.
            ValueError: If no trial is complete.
        """
        return self.task.export(self.hyperparameters, self.best_state)

    @functools.cached_property
    def _test_metrics(self) -> dict[str, float]:
        return self._engine.test(self.hyperparameters, [self.best_state])[0]

    def test_metrics(self) -> dict[str, float]:
        """Scores of the best model on the test split, which the search never saw.

        Raises:
            ValueError: If no trial is complete.
        """
        return dict(self._test_metrics)

    def confirm(self, *, top_k: int = 5, seeds: int = 5) -> Confirmation:
        """Trains the leading trials again on fresh seeds, and says which is best.

        The value that made a trial the winner flatters it, as the best of many noisy
        values does. Here initial weights, data order and all other draws are new, and
        only the programs are those of the search. Nothing is added to the study.

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

        return confirm(self.study, self._engine, top_k=top_k, seeds=seeds)

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
        trials = self.trials
        states = [trial.state.name for trial in trials]
        generations = len(
            {trial.generation for trial in trials if trial.generation >= 0}
        )
        counts = {
            "diverged or failed": states.count("FAIL"),
            "pruned": states.count("PRUNED"),
            "unfinished": states.count("RUNNING") + states.count("WAITING"),
        }
        notes = "".join(f", {count} {word}" for word, count in counts.items() if count)
        lines = [
            f"Result: {len(trials)} trials in {generations} generations{notes}",
            f"  {self.seconds['total']:.1f} s in all: {self.seconds['compile']:.1f} s "
            f"compiling, {self.seconds['train']:.1f} s training",
        ]
        if "COMPLETE" not in states:
            return "\n".join([*lines, "  no trial is complete"])
        best = self.best
        lines.append(f"  best {self.metric} {best.value:.6g}, trial {best.number}:")
        width = max(map(len, best.params), default=0)
        for name, value in best.params.items():
            shown = f"{value:.6g}" if isinstance(value, float) else repr(value)
            lines.append(f"    {name:{width}}  {shown}")
        return "\n".join(lines)
