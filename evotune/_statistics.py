"""What a few noisy values say: the error of their mean, and which mean is the best."""

from __future__ import annotations

import numpy as np

_DRAWS = 20_000


def standard_error(values: np.ndarray) -> float:
    """Of the mean, s / sqrt(S); NaN with a single value, or if any is NaN."""
    if len(values) < 2:
        return float("nan")
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def probability_of_best(values: np.ndarray) -> np.ndarray:
    """f64[K]: how likely each row's mean is the largest, given S noisy values of it.

    The means are drawn from Student's t around the observed ones, with the variance
    pooled over the rows. A row with NaN is never the best; with one value a row nothing
    is known of the noise, and the largest has probability one.

    Args:
        values: f64[K, S], larger is better.

    Example:
        >>> probability_of_best(np.asarray([[1.0, 1.1], [0.1, 0.0]])).round(2)
        array([1., 0.])
    """
    count, seeds = values.shape
    sound = np.all(np.isfinite(values), axis=1)
    if not np.any(sound):
        return np.zeros(count)
    known = values[sound]
    freedom = max(len(known) * (seeds - 1), 1)
    centred = known - np.mean(known, axis=1, keepdims=True)
    error = np.sqrt(np.sum(np.square(centred)) / freedom / seeds)
    noise = np.random.default_rng(0).standard_t(freedom, (_DRAWS, len(known)))
    drawn = np.mean(known, axis=1) + error * noise
    chances = np.zeros(count)
    chances[sound] = (
        np.bincount(np.argmax(drawn, axis=1), minlength=len(known)) / _DRAWS
    )
    return chances
