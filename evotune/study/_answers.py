"""What is asked of a study once it has trials: the best ones, their states, a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evotune._contracts import Status
from evotune.study._dataframe import ATTRS, trials_dataframe
from evotune.study._frozen_trial import FrozenTrial
from evotune.study._ledger import Ledger
from evotune.study._protocols import Engine

if TYPE_CHECKING:
    import pandas as pd


class Answers:
    """Questions to a study's record; none of them changes it.

    Attributes:
        directions: "maximize" or "minimize" for each of M objectives.
    """

    directions: tuple[str, ...]
    _ledger: Ledger

    def __len__(self) -> int:
        return self._ledger.record.size

    @property
    def plan(self) -> Any:
        """What its last run was planned to compile, as JSON values; None before one.

        The costs that the plan rests on are part of it, so that a resumed study is
        planned as before, whatever has been calibrated since.
        """
        return self._ledger.plan

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials that were handed out or added, by number."""
        return self._ledger.trials()

    @property
    def direction(self) -> str:
        """That of the objective; of several that of the first."""
        return self.directions[0]

    @property
    def best_trial(self) -> FrozenTrial:
        """The complete trial with the best value; the earliest of equals.

        Raises:
            ValueError: If no trial is complete and satisfies the constraints, or there
                are several objectives, of which no single trial is the best.
        """
        record = self._ledger.record
        if len(self.directions) > 1:
            raise ValueError(
                f"A study of one objective has one best trial, but this one has "
                f"{len(self.directions)}, {', '.join(self.directions)}. Use "
                "best_trials, those that no other dominates."
            )
        if record.best < 0:
            bounds = " that satisfies the constraints" if self.constraints else ""
            raise ValueError(
                f"No trials are completed yet: {record.size} were started, and "
                f"{record.finished} of them ended without a value{bounds}. Run "
                "the study for longer, or look at study.trials for what failed."
            )
        return record.freeze([record.best])[0]

    @property
    def best_params(self) -> dict[str, Any]:
        """The parameters of `best_trial`."""
        return self.best_trial.params

    @property
    def best_value(self) -> float:
        """The value of `best_trial`."""
        value = self.best_trial.value
        assert value is not None
        return value

    @property
    def best_trials(self) -> list[FrozenTrial]:
        """All complete trials that no other one beats, by number.

        Those of the best value; of several objectives the Pareto front: trials that no
        other is nowhere worse and somewhere better than. Trials that violate a
        constraint are none of them.
        """
        record = self._ledger.record
        leading = record.leaders.rows
        if len(self.directions) == 1 and record.best >= 0:
            same = record.values[:, 0] == record.values[record.best, 0]
            same &= record.column("status") == Status.COMPLETE
            leading = [
                row for row in np.flatnonzero(same).tolist() if record.is_feasible(row)
            ]
        best = record.freeze(leading)
        return sorted(best, key=lambda trial: trial.number)

    @property
    def metric(self) -> str | None:
        """What a value is, such as "val_accuracy"; None before the first run.

        Of several objectives it is the first.
        """
        return next(iter(self._ledger.metrics), None)

    @property
    def objectives(self) -> dict[str, str]:
        """The direction of each objective by name, in the order of a trial's values.

        Before the first run they are called "value", or "value_0" and so on.
        """
        names = self._ledger.metrics or tuple(
            f"value_{index}" for index in range(len(self.directions))
        )
        if len(self.directions) == 1 and not self._ledger.metrics:
            names = ("value",)
        return dict(zip(names, self.directions, strict=True))

    @property
    def constraints(self) -> tuple[str, ...]:
        """What the task bounds, by name; () without, and before the first run."""
        return self._ledger.constraints

    def coordinates(self, number: int) -> np.ndarray:
        """f32[D]: where trial ``number`` lies in the unit cube of the space.

        Raises:
            KeyError: If there is no such trial.
        """
        record = self._ledger.record
        return record.x[record.row_of(number)].copy()

    def best_state(self, engine: Engine) -> Any:
        """The final training state of `best_trial`, as ``engine.member`` gives it.

        See `state_of`.

        Raises:
            ValueError: If no trial is complete, the best was added by hand, or there
                are several objectives.
        """
        return self.state_of(self.best_trial.number, engine)

    def state_of(self, number: int, engine: Engine) -> Any:
        """The final training state of a trial, as ``engine.member`` gives it.

        Those of `best_trials` are kept in memory and, with ``storage``, on the disk.
        Where neither has it (another trial, the file is gone, or a plan of other shapes
        trains now), ``engine`` trains that one trial again: all its randomness hangs on
        the seed and the trial's number.

        Of a trial with repeats it is the state of the one with the best value, of the
        first objective where there are several.

        Raises:
            KeyError: If there is no such trial.
            ValueError: If it was added by hand.
        """
        record = self._ledger.record
        trial = record.freeze([record.row_of(number)])[0]
        return self._ledger.find_state(trial, engine)

    def trials_dataframe(self, attrs: Sequence[str] = ATTRS) -> pd.DataFrame:
        """The trials as a pandas DataFrame with Optuna's column names.

        Args:
            attrs: Attributes of `FrozenTrial`; "generation" can be added.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        return trials_dataframe(
            self.trials, attrs, len(self.directions), self._ledger.metrics
        )
