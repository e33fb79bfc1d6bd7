"""The rules that name a trouble, with all their thresholds."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from evotune.diagnostics import _measures
from evotune.diagnostics._curves import Curves

FLAGS = ("diverged", "overfitting", "underfitting", "plateau", "noisy")
"""All troubles, the gravest first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Where the rules draw their lines.

    **diverged**: the trial's numbers stopped to be finite, or its training loss ends
    above that of its first epoch. Nothing else is said of a diverged trial.

    **overfitting**: the validation loss ends above its lowest point, while the training
    loss went on falling from there: the generalisation loss of Prechelt (1998).

    **underfitting**: the trial fits the data it is trained on clearly worse than the
    trial with the lowest validation loss does. What regularisation adds to the training
    loss does not count: the lower of training and validation loss is compared. A study
    of one trial has nothing to compare with.

    **plateau**: the end of the training brought no progress, and no overfitting.

    **noisy**: the loss goes up and down by more than a curve that falls ever more
    slowly could.

    Attributes:
        divergence: Rise of the training loss above its first epoch, as a share of that.
        overfitting: Rise of the validation loss above its lowest point, as a share of
            that and of what it had fallen before; it must also be five standard errors
            of the noise.
        underfitting: How much of the way back from the best trial's training loss to
            that of a median trial after its first epoch is too much.
        worse: How much worse than the best trial's that loss must be, as a share of it.
        last_part: The part of the training at its end that a plateau fills.
        progress: Least improvement in that part, as a share of all improvement.
        noise: Roughness above 1 / (T - 2), which is the most that a curve which falls
            ever more slowly can have.
        flat: A loss that moves by less than this share of itself is not called noisy.
        epochs: Curves shorter than this are not judged, but for divergence and
            underfitting.

    Raises:
        ValueError: If a threshold is negative or not finite.

    Reference:
        Prechelt (1998), Early stopping, but when? (overfitting); Goodfellow, Bengio,
        Courville (2016), Deep Learning, section 5.2 (underfitting). The thresholds are
        conventions.

    Example:
        >>> Thresholds(noise=0.2).noise
        0.2
    """

    divergence: float = 0.1
    overfitting: float = 0.1
    underfitting: float = 0.25
    worse: float = 0.1
    last_part: float = 1 / 3
    progress: float = 0.02
    noise: float = 0.1
    flat: float = 0.01
    epochs: int = 5

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not (isinstance(value, (int, float)) and 0 <= value < math.inf):
                raise ValueError(
                    f"A threshold must be a finite number of at least 0, but got "
                    f"{name}={value!r}. Use `Thresholds({name}="
                    f"{type(self).__dataclass_fields__[name].default:.3g})`."
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What a study's trials are compared with.

    Attributes:
        start: The median trial's loss after its first epoch; NaN without any.
        fit: The loss, on its training data, of the trial that generalises best.
    """

    start: float
    fit: float

    @classmethod
    def of(cls, trials: list[Curves]) -> Yardstick:
        """That of all trials which have a training loss."""
        known = [each for each in trials if fit(each) is not None]
        if not known:
            return cls(start=math.nan, fit=math.nan)
        ends = [
            _measures.tail(each.main if each.validation is None else each.validation)
            for each in known
            if each.main is not None
        ]
        best = fit(known[int(np.argmin(ends))])
        starts = [value for each in known if (value := fit(each, 0)) is not None]
        assert best is not None
        return cls(start=float(np.median(starts)), fit=best)


def fit(curves: Curves, epoch: int | None = None) -> float | None:
    """The loss on the training data, without what regularisation adds to it.

    Args:
        curves: Those of the trial.
        epoch: At which epoch; None for the level that the training ends at.
    """
    if curves.training is None:
        return None
    both = [curves.training]
    both += [] if curves.validation is None else [curves.validation]
    levels = [_measures.tail(c) if epoch is None else float(c[epoch]) for c in both]
    return min(levels)


def flags(
    curves: Curves, *, failed: bool, than: Yardstick, limits: Thresholds
) -> tuple[str, ...]:
    """The troubles of a trial, in the order of `FLAGS`.

    Args:
        curves: Those of the trial.
        failed: Whether its numbers stopped to be finite.
        than: What it is compared with.
        limits: Where the rules draw their lines.
    """
    if failed or _diverged(curves, limits):
        return ("diverged",)
    over = _overfits(curves, limits)
    found = {
        "overfitting": over,
        "underfitting": not over and _underfits(curves, than, limits),
        "plateau": not over and _rests(curves, limits),
        "noisy": _is_noisy(curves, limits),
    }
    return tuple(name for name in FLAGS if found.get(name))


def _diverged(curves: Curves, limits: Thresholds) -> bool:
    training = curves.training
    if training is None or len(training) < 2:
        return False
    first = float(training[0])
    return _measures.tail(training) - first > limits.divergence * abs(first)


def _overfits(curves: Curves, limits: Thresholds) -> bool:
    training, validation = curves.training, curves.validation
    if training is None or validation is None or len(validation) < limits.epochs:
        return False
    rise, lowest = _measures.rise(validation)
    level = float(validation[lowest])
    fell = float(validation[0]) - level
    error = _measures.noise(validation) / math.sqrt(_measures.window(len(validation)))
    enough = max(limits.overfitting * max(abs(level), fell), 5.0 * error)
    return rise > enough and _measures.tail(training) < float(training[lowest])


def _underfits(curves: Curves, than: Yardstick, limits: Thresholds) -> bool:
    now = fit(curves)
    if now is None or not than.start > than.fit:
        return False
    way = than.start - than.fit
    enough = max(limits.underfitting * way, limits.worse * abs(than.fit))
    return now - than.fit > enough


def _rests(curves: Curves, limits: Thresholds) -> bool:
    main = curves.main
    if main is None or len(main) < limits.epochs:
        return False
    last = max(1, round(limits.last_part * len(main)))
    before, since = float(np.min(main[:-last])), float(np.min(main[-last:]))
    total = float(main[0]) - min(before, since)
    return before - since <= limits.progress * total


def _is_noisy(curves: Curves, limits: Thresholds) -> bool:
    main = curves.main
    if main is None or len(main) < max(3, limits.epochs):
        return False
    if np.ptp(main) < limits.flat * float(np.median(np.abs(main))):
        return False
    rough = _measures.roughness(main)
    return rough is not None and rough > limits.noise + 1.0 / (len(main) - 2)
