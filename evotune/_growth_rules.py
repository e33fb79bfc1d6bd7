"""What `grow` goes by: the narrowest layer near the best, and gains beyond noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evotune._growth import GrownNetwork, GrowthRound
from evotune._statistics import standard_error


def smallest_near_best(values: np.ndarray, *, errors: float = 1.0) -> int | None:
    """Row of the first whose mean is near the best: the one-standard-error rule.

    Of K rows, the smallest network first, that is the first k with
    mean_k >= mean_best - errors * SE_best, where SE = s / sqrt(S). With one seed
    nothing is known of the noise, and the best row is taken.

    Args:
        values: f64[K, S], larger is better. A row with NaN is never taken.
        errors: Standard errors below the best mean that still count as near.

    Returns:
        The row; None if every row has a NaN.

    Reference:
        Breiman, Friedman, Olshen, Stone (1984), Classification and regression trees,
        section 3.4.3. Differs from it: the standard error is that over seeds, not over
        the folds of a cross-validation.

    Example:
        >>> smallest_near_best(np.asarray([[0.1, 0.2], [0.7, 0.8], [0.7, 0.9]]))
        1
        >>> smallest_near_best(np.asarray([[0.1, 0.2], [0.7, 0.8], [0.8, 0.8]]))
        2
    """
    means = np.mean(values, axis=1)
    if np.all(np.isnan(means)):
        return None
    best = int(np.nanargmax(means))
    return int(np.flatnonzero(means >= means[best] - errors * _noise(values[best]))[0])


def judged(
    networks: Sequence[GrownNetwork],
    before: GrownNetwork | None,
    *,
    sign: float,
    width_errors: float,
    layer_errors: float,
    min_delta: float,
) -> GrowthRound:
    """A round of ``networks``, narrowest first, on top of the one ``before``.

    Args:
        networks: What was trained.
        before: What was kept so far; None in the first round.
        sign: 1 where larger values are better, -1 where smaller ones are.
        width_errors: See `smallest_near_best`.
        layer_errors: See `gain_is_real`.
        min_delta: See `gain_is_real`.
    """
    values = sign * np.stack([network.values for network in networks])
    row = smallest_near_best(values, errors=width_errors)
    if row is None:
        return GrowthRound(
            networks=networks, chosen=None, gain=float("nan"), added=False
        )
    chosen, gain, added = networks[row], float("nan"), True
    if before is not None:
        gain = sign * (chosen.mean - before.mean)
        added = gain_is_real(
            sign * before.values, values[row], errors=layer_errors, min_delta=min_delta
        )
    return GrowthRound(networks=networks, chosen=chosen, gain=gain, added=added)


def gain_is_real(
    before: np.ndarray, after: np.ndarray, *, errors: float = 2.0, min_delta: float = 0
) -> bool:
    """Whether the mean of ``after`` is better by more than noise and ``min_delta``.

    mean_after - mean_before > max(min_delta, errors * sqrt(SE_before² + SE_after²))

    Args:
        before: f64[S] values of one network, larger is better.
        after: f64[S] values of the other.
        errors: Standard errors of the difference.
        min_delta: The least difference that matters.

    Example:
        >>> gain_is_real(np.asarray([0.1, 0.2]), np.asarray([0.8, 0.9]))
        True
    """
    noise = errors * np.hypot(_noise(before), _noise(after))
    return bool(np.mean(after) - np.mean(before) > max(min_delta, noise))


def _noise(values: np.ndarray) -> float:
    """The standard error of the mean; 0 where a single value says nothing of it."""
    return standard_error(values) if len(values) > 1 else 0.0
