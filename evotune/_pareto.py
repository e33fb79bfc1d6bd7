"""Which of several objectives' points no other dominates, on the host, in numpy."""

from __future__ import annotations

import numpy as np

_AT_ONCE = 1 << 22
"""Comparisons of two points that are held in memory at a time."""


def nondominated(points: np.ndarray) -> np.ndarray:
    """bool[N], whether no other of f64[N, M] is nowhere worse and somewhere better.

    Of equal points all stay.

    Args:
        points: Larger is better in every column.

    Example:
        >>> nondominated(np.asarray([[1.0, 3.0], [2.0, 2.0], [1.0, 1.0]])).tolist()
        [True, True, False]
    """
    points = np.asarray(points, np.float64)
    free = np.ones(len(points), bool)
    portion = max(1, _AT_ONCE // max(1, points.size))
    for start in range(0, len(points), portion):
        mine = points[start : start + portion, None]
        worse = np.all(points[None] >= mine, axis=2) & np.any(points > mine, axis=2)
        free[start : start + portion] = ~worse.any(axis=1)
    return free


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """How much space f64[N, M] dominate that is better than ``reference``.

    Computed in slices of the last objective, each the hypervolume of one dimension
    less: exact, in O(N^(M - 1) log N), for fronts of some hundred points.

    Args:
        points: Larger is better in every column.
        reference: f64[M]; points that are not better everywhere add nothing.

    Reference:
        Zitzler and Thiele (1998), Multiobjective optimization using evolutionary
        algorithms: a comparative case study; sliced as by While, Hingston, Barone and
        Huband (2006), A faster algorithm for calculating hypervolume.

    Example:
        >>> hypervolume(np.asarray([[1.0, 3.0], [2.0, 2.0]]), np.zeros(2))
        5.0
    """
    gains = np.asarray(points, np.float64) - np.asarray(reference, np.float64)
    gains = gains[np.all(gains > 0.0, axis=1)]
    return _volume(gains[nondominated(gains)])


def _volume(gains: np.ndarray) -> float:
    """Of points f64[N, M] above the origin."""
    if not len(gains):
        return 0.0
    if gains.shape[1] == 1:
        return float(gains.max())
    gains = gains[np.argsort(-gains[:, -1], kind="stable")]
    if gains.shape[1] == 2:  # a staircase
        reach = np.maximum.accumulate(gains[:, 0])
        return float(np.sum(reach * -np.diff(gains[:, 1], append=0.0)))
    depths = -np.diff(gains[:, -1], append=0.0)
    total = 0.0
    for count, depth in enumerate(depths.tolist(), start=1):
        if depth > 0.0:
            slab = gains[:count, :-1]
            total += depth * _volume(slab[nondominated(slab)])
    return total
