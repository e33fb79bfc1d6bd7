"""The summary of a study and the table of its best trials, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from evotune.report._front import front_of
from evotune.report._records import count, generations, label, read, text


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        headers: The column titles.
        rows: The cells, a tuple for each row.

    Example:
        >>> print(Table(headers=("trial", "value"), rows=(("3", "0.98"),)))
        trial  value
            3   0.98
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        lines = [self.headers, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
            for line in lines
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Summary:
    """A study in a few numbers.

    Attributes:
        metric: The name of the value.
        direction: "maximize" or "minimize".
        best_value: The best value; None where no trial is complete, and of several
            objectives, which have a front.
        best_number: The number of the best trial; None likewise.
        best_params: Its searched hyperparameters.
        trials: How many trials there are.
        complete: How many are complete.
        pruned: How many were pruned.
        diverged: How many diverged.
        failed: How many failed otherwise.
        unfinished: How many are running or waiting.
        generations: How many generations have a trial.
        infeasible: How many have finite values and violate a constraint.
        front: How many trials of several objectives no other dominates.
    """

    metric: str
    direction: str
    best_value: float | None
    best_number: int | None
    best_params: dict[str, Any]
    trials: int
    complete: int
    pruned: int
    diverged: int
    failed: int
    unfinished: int
    generations: int
    infeasible: int = 0
    front: int = 0

    def __str__(self) -> str:
        trials = count(self.trials, "trial")
        counts = [f"{trials} in {count(self.generations, 'generation')}"]
        states = (
            "complete",
            "infeasible",
            "pruned",
            "diverged",
            "failed",
            "unfinished",
        )
        counts += [f"{getattr(self, s):,} {s}" for s in states if getattr(self, s)]
        lines = [", ".join(counts)]
        if self.front:
            lines.append(f"{count(self.front, 'trial')} that no other dominates")
        elif self.best_value is None:
            lines.append("no trial is complete")
        else:
            lines.append(
                f"best {label(self.metric)}: {text(self.best_value)} "
                f"(trial {self.best_number})"
            )
            width = max(map(len, self.best_params), default=0)
            lines += [
                f"  {name.ljust(width)}  {text(value)}"
                for name, value in self.best_params.items()
            ]
        return "\n".join(lines)


def summary(source: Any) -> Summary:
    """A study or a result in a few numbers; ``print`` shows them.

    Args:
        source: A study or a result.
    """
    record = read(source)
    states = [trial.state.name for trial in record.trials]
    diverged = sum(
        trial.system_attrs.get("status") == "diverged" for trial in record.failed
    )
    best = None if record.has_front else record.best
    return Summary(
        metric=record.metric,
        direction=record.direction,
        best_value=None if best is None else float(best.value),
        best_number=None if best is None else best.number,
        best_params={} if best is None else dict(best.params),
        trials=len(record.trials),
        complete=len(record.complete),
        pruned=states.count("PRUNED"),
        diverged=diverged,
        failed=len(record.failed) - diverged,
        unfinished=states.count("RUNNING") + states.count("WAITING"),
        generations=len(set(generations(record.trials).tolist())),
        infeasible=len(record.infeasible),
        front=int(front_of(record).is_front.sum()) if record.has_front else 0,
    )


def best_trials(source: Any, *, top: int = 10) -> Table:
    """The best trials with their hyperparameters, the best first.

    Of several objectives they are those that no other trial dominates, by the first
    objective; where there are more than ``top``, some from end to end.

    A hyperparameter that was not active in a trial is shown as a dash. The value of a
    trial with repeats is followed by their standard deviation.

    Args:
        source: A study or a result.
        top: How many.
    """
    record = read(source)
    places: Sequence[int] = range(len(record.complete))
    if record.has_front:
        places = np.flatnonzero(front_of(record).is_front).tolist()
    order = sorted(
        places, key=lambda i: (-record.goodness[i], record.complete[i].number)
    )
    if record.has_front and len(order) > top:
        ends = np.linspace(0, len(order) - 1, top).round().astype(int)
        order = [order[place] for place in ends.tolist()]
    names = record.names
    rows = []
    for place, i in enumerate(order[:top], start=1):
        trial = record.complete[i]
        params = [
            text(trial.params[name]) if name in trial.params else "–" for name in names
        ]
        born = str(max(0, trial.generation))
        values = trial.values if record.has_front else (trial.value,)
        shown = list(map(text, values))
        if record.repeats > 1:
            spread = getattr(trial, "spread", None)
            spread = spread if isinstance(spread, tuple) else (spread,) * len(shown)
            shown = [
                value if each is None else f"{value} ± {each:.2g}"
                for value, each in zip(shown, spread, strict=True)
            ]
        rows.append((str(place), str(trial.number), born, *shown, *params))
    return Table(
        headers=("rank", "trial", "generation", *map(label, record.objectives), *names),
        rows=tuple(rows),
    )


def confirmed_trials(confirmation: Any) -> Table:
    """What fresh seeds say of the leading trials, the best first.

    Args:
        confirmation: What `Result.confirm` returned.
    """
    return Table(
        headers=("trial", "mean", "95 % interval", "in the search", "optimism", "best"),
        rows=tuple(
            (
                str(trial.number),
                text(trial.mean),
                " to ".join(map(text, trial.interval)),
                text(trial.searched),
                f"{trial.optimism:.3g}",
                f"{trial.probability:.0%}",
            )
            for trial in confirmation.trials
        ),
    )
