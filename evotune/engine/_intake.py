"""From a proposal to jobs: what there is to train, checked before anything starts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from evotune._contracts import EMPTY, FRESH, Proposal
from evotune.engine._inputs import plain_config
from evotune.engine._plan import Plan
from evotune.engine._pool import Pool
from evotune.engine._schedule import Job
from evotune.space import Space
from evotune.tasks import Hyperparameters, Task


class Intake:
    """Reads proposals for a task, a space and a plan."""

    def __init__(
        self, task: Task, space: Space, plan: Plan, *, structural: Collection[str]
    ):
        """Takes what does not change from proposal to proposal.

        Args:
            task: What is trained.
            space: What is searched.
            plan: Which program trains which values.
            structural: Names of hyperparameters that change shapes or programs.
        """
        self._task, self._space, self._plan = task, space, plan
        self._structural = structural

    def jobs(self, proposal: Proposal, pool: Pool) -> list[Job]:
        """A job for each row that is not EMPTY.

        Args:
            proposal: Numpy arrays.
            pool: The states that rows may continue, as they are now.

        Raises:
            LookupError: If a member is to continue a state that no slot holds.
            ValueError: If it cannot continue it: other sizes, or nothing left to train.
        """
        columns = self._space.decode(proposal.x)
        return [
            self._job(proposal, row, plain_config(columns, row), pool)
            for row in np.flatnonzero(proposal.trial != EMPTY).tolist()
        ]

    def _job(
        self, proposal: Proposal, row: int, values: dict[str, Any], pool: Pool
    ) -> Job:
        end = self._epochs(values)
        program = self._plan.program_for(values)
        structure = {name: values[name] for name in self._structural}
        place = None
        if proposal.source[row] != FRESH:
            place = pool.place(int(proposal.source[row]), program, structure)
        start = 0 if place is None else place.spent
        stop = int(min(float(proposal.until[row]), end))
        if stop <= start:
            raise ValueError(
                f"A member must train at least an epoch, but trial "
                f"{proposal.trial[row]} has trained {start} and is to stop after "
                f"{stop} (until={proposal.until[row]:g}, epochs={end}). Likely cause: "
                "the algorithm proposes to continue a trial that has ended."
            )
        return Job(
            proposal=proposal,
            row=row,
            program=program,
            values=_laid_out(values, float(proposal.horizon[row]), end),
            structure=structure,
            start=start,
            stop=stop,
            place=place,
        )

    def _epochs(self, values: dict[str, Any]) -> int:
        """At which a trial ends."""
        hp = Hyperparameters({**self._space.constants, **values})
        return int(hp.get("epochs", self._task.epochs))


def _laid_out(values: dict[str, Any], horizon: float, end: int) -> dict[str, Any]:
    """``values`` with schedules laid out over ``horizon`` epochs."""
    if horizon in (np.inf, end):
        return values
    if "epochs" not in values:
        raise ValueError(
            f"horizon={horizon:g} differs from the {end} epochs of every trial, over "
            "which schedules are laid out. Search `epochs`, such as "
            f"epochs=et.Int(1, {max(end, int(horizon))}), or leave horizon FULL."
        )
    return {**values, "epochs": int(horizon)}
