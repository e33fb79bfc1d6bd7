"""What every part of a report reads: the trials of a study or a result, in order."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evotune import _errors
from evotune.report._orders import reversed_pairs

_WORDS = {"val": "validation", "train": "training", "test": "test"}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """A study's trials, sorted by number and by what became of them.

    Attributes:
        trials: All trials.
        complete: The trials with finite values that satisfy all constraints.
        infeasible: The trials with finite values that do not.
        failed: Trials that failed, and among them those that diverged.
        objectives: The direction of each objective by name, such as "val_accuracy".
        best: The best complete trial by the first objective, the earliest of equals;
            None without any.
        dimensions: The searched dimensions by name; empty where the source has no
            space.
        constants: The constants of the space, by name.
    """

    trials: tuple[Any, ...]
    complete: tuple[Any, ...]
    infeasible: tuple[Any, ...]
    failed: tuple[Any, ...]
    objectives: Mapping[str, str]
    best: Any
    dimensions: Mapping[str, Any]
    constants: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """The name of what a trial's value is; of several objectives the first."""
        return next(iter(self.objectives))

    @property
    def direction(self) -> str:
        """Whether it is to "maximize" or to "minimize"."""
        return self.objectives[self.metric]

    @property
    def has_front(self) -> bool:
        """Whether there are several objectives."""
        return len(self.objectives) > 1

    @property
    def repeats(self) -> int:
        """How many trainings the value of a complete trial is the mean of."""
        counts = (len(getattr(trial, "repeats", ())) for trial in self.complete)
        return max(1, max(counts, default=1))

    @functools.cached_property
    def values(self) -> np.ndarray:
        """f64[N] values of the complete trials, in the user's direction."""
        return np.asarray([value_of(trial) for trial in self.complete], np.float64)

    @functools.cached_property
    def goodness(self) -> np.ndarray:
        """f64[N] values of the complete trials, larger is better."""
        return self.values if self.direction == "maximize" else -self.values

    @functools.cached_property
    def ranks(self) -> np.ndarray:
        """f64[N] from 0 for the worst complete trial to 1 for the best."""
        order = np.argsort(np.argsort(self.goodness, kind="stable"), kind="stable")
        return order / max(1, len(order) - 1)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The searched parameters: in the space's order, else as trials show them."""
        seen = dict.fromkeys(name for trial in self.trials for name in trial.params)
        return tuple(self.dimensions) or tuple(seen)

    def is_categorical(self, name: str) -> bool:
        """Whether a parameter has choices, ordered or not, and no bounds."""
        dimension = self.dimensions.get(name)
        kind = getattr(dimension, "kind", None)
        if kind is not None:
            unordered = getattr(kind, "value", kind) == "categorical"
            return unordered or hasattr(dimension, "choices")
        values = [trial.params[name] for trial in self.trials if name in trial.params]
        return not all(
            isinstance(value, numbers.Real) and not isinstance(value, bool)
            for value in values
        )

    def is_order(self, name: str) -> bool:
        """Whether a parameter is a permutation of items."""
        return hasattr(self.dimensions.get(name), "items")

    def is_log(self, name: str) -> bool:
        """Whether a parameter is searched on the logarithmic scale."""
        return bool(getattr(self.dimensions.get(name), "log", False))

    def note(self, name: str) -> str:
        """What the numbers of a parameter are, in words; "" where that is plain."""
        if self.is_order(name):
            return "pairs reversed from the best order"
        return "log scale" if self.is_log(name) else ""

    def is_int(self, name: str) -> bool:
        """Whether a parameter is a whole number wherever it was active.

        So are the numbers that orders are shown by; see `numbers_of`.
        """
        if self.is_order(name):
            return True
        values = [trial.params[name] for trial in self.having(name)]
        return all(isinstance(value, numbers.Integral) for value in values)

    def bounds(self, name: str) -> tuple[float, float]:
        """The bounds of a parameter: of the space, else as seen; (0, 1) of choices.

        Of an order of n items they are 0 and its n (n - 1) / 2 pairs.
        """
        if self.is_order(name):
            return 0.0, float(math.comb(self.dimensions[name].count, 2))
        if self.is_categorical(name):
            return 0.0, 1.0
        dimension = self.dimensions.get(name)
        low, high = getattr(dimension, "low", None), getattr(dimension, "high", None)
        if low is None or high is None:
            seen = [float(trial.params[name]) for trial in self.having(name)]
            low, high = min(seen, default=0.0), max(seen, default=1.0)
        return float(low), float(high)

    def choices(self, name: str) -> tuple[Any, ...]:
        """The values of a categorical parameter: of the space, else as seen."""
        values = tuple(getattr(self.dimensions.get(name), "values", ()))
        if values:
            return values
        shown = {
            repr(trial.params[name]): trial.params[name] for trial in self.having(name)
        }
        return tuple(shown[key] for key in sorted(shown))

    def numbers_of(self, name: str) -> list[Any]:
        """What stands for a parameter on an axis, of the complete trials that have it.

        An order is shown by the number of pairs that it reverses from the best trial's.
        """
        trials = self.having(name)
        values = [trial.params[name] for trial in trials]
        if not self.is_order(name) or not trials:
            return values
        sign = 1.0 if self.direction == "maximize" else -1.0
        best = max(trials, key=lambda t: (sign * value_of(t), -t.number)).params[name]
        return [reversed_pairs(value, best) for value in values]

    def having(self, name: str) -> tuple[Any, ...]:
        """The complete trials in which a parameter was active.

        Raises:
            ValueError: If there is no such parameter.
        """
        if name not in self.names:
            raise ValueError(
                f"There is no searched parameter {name!r}; there are "
                f"{', '.join(self.names) or 'none'}."
                f"{_errors.nearest(name, self.names)}"
            )
        return tuple(trial for trial in self.complete if name in trial.params)


def read(source: Any) -> Record:
    """The record of a study, a result, or anything with ``trials`` and ``direction``.

    Raises:
        TypeError: If ``source`` has no trials.
    """
    if not hasattr(source, "trials") or not hasattr(source, "direction"):
        raise TypeError(
            "A report reads a study or a result, something with `trials` and "
            f"`direction`, but got {type(source).__name__}. Pass what tune() returns."
        )
    trials = tuple(sorted(source.trials, key=lambda trial: trial.number))
    finite = [trial for trial in trials if _is_complete(trial)]
    complete = tuple(trial for trial in finite if _is_feasible(trial))
    objectives = _objectives(source)
    sign = 1.0 if next(iter(objectives.values())) == "maximize" else -1.0
    best = max(complete, key=lambda t: (sign * value_of(t), -t.number), default=None)
    space = getattr(source, "space", None)
    if space is None:
        space = getattr(getattr(source, "study", None), "space", None)
    return Record(
        trials=trials,
        complete=complete,
        infeasible=tuple(trial for trial in finite if not _is_feasible(trial)),
        failed=tuple(trial for trial in trials if trial.state.name == "FAIL"),
        objectives=objectives,
        best=best,
        dimensions=dict(getattr(space, "dimensions", None) or {}),
        constants=dict(getattr(space, "constants", None) or {}),
    )


def label(metric: str) -> str:
    """A metric's name in words: "val_accuracy" is "validation accuracy"."""
    first, _, rest = metric.partition("_")
    words = [_WORDS.get(first, first), *rest.split("_")]
    return " ".join(word for word in words if word)


def text(value: Any) -> str:
    """A parameter or a metric as people write it: six digits at most."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return str(value)
    if isinstance(value, numbers.Integral):
        return str(int(value))
    number = float(value)
    if number and math.isfinite(number) and not 1e-4 <= abs(number) < 1e6:
        mantissa, _, exponent = f"{number:.3e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{number:.6g}" if abs(number) >= 1 else f"{number:.4g}"


def count(number: int, noun: str) -> str:
    """A number of things: "1 trial", "1,024 trials"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Seconds in the unit that people would use: "0.8 s", "95 s", "12 min", "3.4 h"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def generations(trials: Sequence[Any]) -> np.ndarray:
    """i64[N] generation of each trial; trials added by hand count as the first."""
    return np.asarray([max(0, int(trial.generation)) for trial in trials], np.int64)


def value_of(trial: Any) -> float:
    """A complete trial's value; of several objectives that of the first."""
    return float(trial.values[0] if trial.value is None else trial.value)


def _objectives(source: Any) -> dict[str, str]:
    found = getattr(source, "objectives", None)
    if found is not None and len(found) > 1:
        return dict(found)
    direction = getattr(source.direction, "name", source.direction).lower()
    return {str(getattr(source, "metric", None) or "value"): direction}


def _is_complete(trial: Any) -> bool:
    values = (trial.value,) if trial.value is not None else _values(trial)
    finite = bool(values) and all(map(math.isfinite, values))
    return trial.state.name == "COMPLETE" and finite


def _values(trial: Any) -> Sequence[float]:
    return getattr(trial, "values", None) or ()


def _is_feasible(trial: Any) -> bool:
    attrs = getattr(trial, "system_attrs", None) or {}
    return all(value <= 0.0 for value in attrs.get("constraints", ()))
