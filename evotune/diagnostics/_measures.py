"""What a recorded curve says about a training: pure functions of numbers, in numpy.

A curve is f64[T], one finite number for each epoch, lower is better. `None` stands for
what a curve is too short, or too flat, to say.
"""

from __future__ import annotations

import math

import numpy as np


def tail(curve: np.ndarray) -> float:
    """The level that a curve ends at: the mean of its last tenth, at least one epoch.

    Example:
        >>> tail(np.array([3.0, 2.0, 1.0]))
        1.0
    """
    return float(np.mean(curve[-window(len(curve)) :]))


def window(epochs: int) -> int:
    """Epochs of the last tenth of a training, at least one."""
    return max(1, round(epochs / 10))


def gap(training: np.ndarray, validation: np.ndarray) -> float:
    """The level that validation ends at, less that of training; above 0 it is worse.

    Example:
        >>> gap(np.array([2.0, 0.5]), np.array([2.0, 0.75]))
        0.25
    """
    return tail(validation) - tail(training)


def roughness(curve: np.ndarray) -> float | None:
    """How far a curve is from smooth: mean absolute second difference over its range.

        mean_t |y[t-1] - 2 y[t] + y[t+1]| / (max y - min y)

    A straight line has 0, a curve that falls ever more slowly at most 1 / (T - 2), and
    white noise around a constant 0.3 to 0.6. None below three epochs, and for a
    constant.

    Reference:
        Whittaker (1923), On a new method of graduation, whose measure of roughness sums
        squared differences. Differs from the paper: second differences, absolute
        values, the mean, and the unit.

    Example:
        >>> roughness(np.array([3.0, 2.0, 1.0])), roughness(np.array([0.0, 1.0, 0.0]))
        (0.0, 2.0)
    """
    spread = float(np.ptp(curve)) if len(curve) >= 3 else 0.0
    if spread == 0.0:
        return None
    return float(np.mean(np.abs(np.diff(curve, 2)))) / spread


def noise(curve: np.ndarray) -> float:
    """Standard deviation of white noise on a slow curve; 0 below three epochs.

    The median absolute second difference of unit white noise is 0.6745 * sqrt(6).
    """
    if len(curve) < 3:
        return 0.0
    return float(np.median(np.abs(np.diff(curve, 2)))) / (0.6745 * math.sqrt(6.0))


def epochs_to(curve: np.ndarray, share: float = 0.9) -> int | None:
    """The first epoch, counted from 1, that has ``share`` of all improvement.

    Improvement is from the first recorded epoch to the best one; what happened within
    the first epoch is not recorded. None where no later epoch is better.

    Example:
        >>> epochs_to(np.array([1.0, 0.5, 0.05, 0.0]))
        3
    """
    improvement = curve[0] - np.min(curve)
    if improvement <= 0.0:
        return None
    return 1 + int(np.argmax(curve[0] - curve >= share * improvement))


def area(curve: np.ndarray) -> float | None:
    """The area under a curve scaled to fall from 1 to 0, over time scaled to [0, 1].

        trapezoid((y - min y) / (y[0] - min y))

    0 is at its best at once, 1/2 a straight line, 1 the last moment; above that the
    curve got worse first. None where no later epoch is better than the first.

    Example:
        >>> area(np.array([2.0, 1.0, 0.0])), area(np.array([2.0, 0.0, 0.0]))
        (0.5, 0.25)
    """
    low = float(np.min(curve))
    if curve[0] <= low:
        return None
    return float(
        np.trapezoid((curve - low) / (curve[0] - low), dx=1 / (len(curve) - 1))
    )


def rise(curve: np.ndarray) -> tuple[float, int]:
    """How far a smoothed curve ends above its lowest point, and where that is.

    Smoothed by the mean of as many epochs as `tail` has.

    Returns:
        The rise, at least 0, and the epoch of the lowest point, counted from 0.

    Example:
        >>> rise(np.array([3.0, 1.0, 2.5]))
        (1.5, 1)
    """
    size = window(len(curve))
    smooth = np.convolve(curve, np.full(size, 1.0 / size), mode="valid")
    lowest = int(np.argmin(smooth))
    return float(smooth[-1] - smooth[lowest]), lowest
