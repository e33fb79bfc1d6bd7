"""What a run shows while it goes on: a bar, lines, or nothing."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

if TYPE_CHECKING:
    from evotune.study._budget import Budget
    from evotune.study._protocols import Engine
    from evotune.study._study import Study


class Progress(Protocol):
    """Follows a run; one's own can be passed as ``progress=``."""

    def start(self, study: Study, engine: Engine, budget: Budget) -> None:
        """The run begins."""
        ...

    def event(self, text: str) -> None:
        """The engine says something, such as "compiled 3 of 6 programs"."""
        ...

    def update(self, study: Study, engine: Engine, budget: Budget) -> None:
        """Some trials were recorded."""
        ...

    def stopping(self) -> None:
        """Ctrl-C was pressed; what has started will still finish."""
        ...

    def finish(self, study: Study, engine: Engine, budget: Budget) -> None:
        """The run ended, in whatever way."""
        ...


class Silent:
    """Shows nothing."""

    def start(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""

    def event(self, text: str) -> None:
        """See `Progress`."""

    def update(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""

    def stopping(self) -> None:
        """See `Progress`."""

    def finish(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""


class Meter:
    """The figures that bars and lines show."""

    def __init__(self, study: Study, engine: Engine, budget: Budget) -> None:
        self._first = study._ledger.record.finished
        self._compiled = engine.compile_seconds
        self._began = time.monotonic()
        self._repeats = study.repeats
        self.total = budget.total(study._ledger.rows)

    def rate(self, study: Study, engine: Engine) -> float:
        """Trainings a second, compiling left out."""
        compiling = engine.compile_seconds - self._compiled
        seconds = max(time.monotonic() - self._began - compiling, 1e-3)
        trials = study._ledger.record.finished - self._first
        return trials * self._repeats / seconds

    def left(self, study: Study, engine: Engine, budget: Budget) -> float | None:
        """Expected seconds until the first budget ends; None if nothing tells."""
        limits = []
        if budget.timeout is not None:
            limits.append(max(0.0, budget.timeout - budget.elapsed))
        rate = self.rate(study, engine)
        if self.total is not None and rate > 0:
            trials = max(0, self.total - study._ledger.record.finished)
            limits.append(trials * self._repeats / rate)
        return min(limits, default=None)


class Lines:
    """One line a generation: for logs, pipes and notebooks."""

    def __init__(self, stream: TextIO | None = None, title: str = "") -> None:
        self._stream = stream
        self._title = title
        self._meter: Meter | None = None
        self._shown = -1

    def _print(self, text: str) -> None:
        print(titled(self._title, text), file=self._stream or sys.stderr, flush=True)

    def start(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""
        self._meter = Meter(study, engine, budget)
        self._print(str(engine.plan))

    def event(self, text: str) -> None:
        """See `Progress`."""
        self._print(text)

    def update(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""
        if study._ledger.queue.open or study._ledger.queue.asked == self._shown:
            return
        self._shown = study._ledger.queue.asked
        self._print(self._line(study, engine, budget))

    def _line(self, study: Study, engine: Engine, budget: Budget) -> str:
        assert self._meter is not None
        parts = [
            f"generation {of(study._ledger.queue.asked, budget.generations)}",
            f"{of(study._ledger.record.finished, self._meter.total)} trials",
            f"best {best(study)}",
            f"{self._meter.rate(study, engine):.1f} trainings/s",
        ]
        left = self._meter.left(study, engine, budget)
        if left is not None:
            parts.append(f"{clock(left)} left")
        return "  ".join(parts)

    def stopping(self) -> None:
        """See `Progress`."""
        self._print(STOPPING)

    def finish(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""
        self._print(summary(study, engine, budget))


class Bar:
    """A bar with best value, generation, trainings a second and time left."""

    def __init__(self, console: Any = None, title: str = "") -> None:
        self._console = console
        self._title = title
        self._bar: Any = None
        self._task: Any = None
        self._meter: Meter | None = None

    def start(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""
        from rich import console, progress

        self._meter = Meter(study, engine, budget)
        screen = self._console or console.Console(stderr=True)
        screen.print(str(engine.plan), highlight=False, markup=False)
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=None),
            progress.TextColumn("{task.fields[trials]} trials"),
            progress.TextColumn("best {task.fields[best]}", style="bold"),
            progress.TextColumn("{task.fields[rate]}/s"),
            progress.TextColumn("{task.fields[left]}"),
            console=screen,
            refresh_per_second=4,
            expand=True,
        )
        self._task = self._bar.add_task(
            titled(self._title, "compiling"),
            total=self._meter.total,
            **self._fields(study, engine, budget),
        )
        self._bar.start()

    def _fields(self, study: Study, engine: Engine, budget: Budget) -> dict[str, Any]:
        assert self._meter is not None
        left = self._meter.left(study, engine, budget)
        return {
            "completed": study._ledger.record.finished,
            "trials": of(study._ledger.record.finished, self._meter.total),
            "best": best(study),
            "rate": f"{self._meter.rate(study, engine):.1f}",
            "left": "" if left is None else f"{clock(left)} left",
        }

    def event(self, text: str) -> None:
        """See `Progress`."""
        if self._bar is not None:
            self._describe(text)

    def _describe(self, text: str) -> None:
        self._bar.update(self._task, description=titled(self._title, text))

    def update(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""
        shown = of(study._ledger.queue.asked, budget.generations)
        self._bar.update(
            self._task,
            description=titled(self._title, f"generation {shown}"),
            **self._fields(study, engine, budget),
        )

    def stopping(self) -> None:
        """See `Progress`."""
        if self._bar is not None:
            self._describe(STOPPING)

    def finish(self, study: Study, engine: Engine, budget: Budget) -> None:
        """See `Progress`."""
        if self._bar is None:
            return
        self._bar.stop()
        text = titled(self._title, summary(study, engine, budget))
        self._bar.console.print(text, highlight=False, markup=False)


STOPPING = "stopping: finishing what has started (Ctrl-C again stops at once)"


def titled(title: str, text: str) -> str:
    """``text`` after a title such as "round 2/3", if there is one."""
    return f"{title}: {text}" if title else text


def of(done: int, total: int | None) -> str:
    """Such as "3/10"; only "3" without a total."""
    return f"{done}" if total is None else f"{done}/{total}"


def best(study: Study) -> str:
    """The best value so far, or how many trials no other dominates, short."""
    front = study._ledger.record.leaders.rows
    if len(study.directions) > 1:
        return f"front of {len(front)}" if front else "-"
    return f"{study.best_value:.5g}" if front else "-"


def clock(seconds: float) -> str:
    """Seconds as "12 s", "3:25" or "1:02:10"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(study: Study, engine: Engine, budget: Budget) -> str:
    """The last line: what was done, in what time, and why it ended."""
    reason = f"; ended by {budget.stopped_by}" if budget.stopped_by else ""
    profile = getattr(engine, "profile", None)
    used = ""
    if profile is not None and profile.train_seconds:
        used = (
            f", {profile.members_per_second:.3g} trainings/s on "
            f"{profile.utilisation:.0%} of the lanes; devices "
            f"{profile.shares(budget.elapsed)}"
        )
    return (
        f"{study._ledger.record.finished} trials in {clock(budget.elapsed)} "
        f"({engine.compile_seconds:.1f} s compiling{used}): best {best(study)}{reason}"
    )


def make_progress(progress: bool | Progress, *, title: str = "") -> Progress:
    """A bar on a terminal, lines elsewhere, nothing for False; one's own as it is.

    In notebooks lines are used too: they need no widgets and survive being saved.

    Args:
        progress: As `evotune.tune` takes it.
        title: Put before what is shown, such as "round 2/3"; one's own goes without.
    """
    if not isinstance(progress, bool):
        return progress
    if not progress:
        return Silent()
    return Bar(title=title) if sys.stderr.isatty() else Lines(title=title)
