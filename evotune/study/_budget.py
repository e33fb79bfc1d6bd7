"""When a run ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from evotune._errors import count_problems, raise_all

if TYPE_CHECKING:
    from evotune.study._ledger import Ledger


class Budget:
    """Generations, trials and seconds; the first to run out ends the run.

    ``generations`` and ``n_trials`` count the whole study, recorded trials included, so
    that a command that was killed, run again, ends where it would have ended.
    ``timeout`` counts the seconds of one run, compiling included.

    Attributes:
        generations: Proposals to ask for, or None.
        n_trials: Trials to hand out, or None.
        timeout: Seconds, or None.
        stopped_by: Why the run ended or is about to; "" while it goes on.
    """

    def __init__(
        self,
        *,
        generations: int | None = None,
        n_trials: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """See the attributes.

        Raises:
            ValueError: If there is no budget at all, or one is not positive.
        """
        self.generations, self.n_trials, self.timeout = generations, n_trials, timeout
        self.stopped_by = ""
        self._start = time.monotonic()
        problems = []
        if generations is None and n_trials is None and timeout is None:
            problems.append(
                "A run needs a budget, but generations, n_trials and timeout are all "
                "None, so that it would never end. Use generations=10, n_trials=640 or "
                "timeout=60 (seconds)."
            )
        for name, value in (("generations", generations), ("n_trials", n_trials)):
            if value is not None:
                fix = f"Use {name}=10, or None for no limit."
                problems += count_problems(fix, **{name: value})
        if timeout is not None and not timeout > 0:
            problems.append(
                f"timeout must be a positive number of seconds, but got {timeout!r}. "
                "Use timeout=60, or None for no limit."
            )
        raise_all(problems, ValueError, "The budget")

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._start

    def total(self, rows: int) -> int | None:
        """How many trials the study will have at most; None where time decides."""
        limits = [] if self.n_trials is None else [self.n_trials]
        if self.generations is not None:
            limits.append(self.generations * rows)
        return min(limits, default=None)

    def stop(self, reason: str) -> None:
        """Ends the run; the first reason is kept."""
        self.stopped_by = self.stopped_by or reason

    def interrupted(self) -> bool:
        """Whether to drop what has not started: called between collected blocks."""
        if self.timeout is not None and self.elapsed >= self.timeout:
            self.stop("timeout")
        return bool(self.stopped_by)

    def new_rows(self, ledger: Ledger) -> int:
        """How many new rows may be handed out; stops the run where it ends here.

        What was handed out before and dropped is finished in any case.
        """
        if self.interrupted():
            return 0
        rows = ledger.rows
        if self.n_trials is not None:
            rows = max(0, min(rows, self.n_trials - ledger.record.started))
        if not self.may_ask(ledger) and not ledger.queue.proposed:
            rows = 0
        if rows == 0 and not ledger.queue.waiting:
            trials_are_out = self.n_trials is not None and (
                ledger.record.started >= self.n_trials
            )
            self.stop("n_trials" if trials_are_out else "generations")
        return rows

    def may_ask(self, ledger: Ledger) -> bool:
        """Whether another proposal may be asked for."""
        return self.generations is None or ledger.queue.asked < self.generations
