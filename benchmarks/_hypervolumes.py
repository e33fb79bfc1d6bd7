"""How much of a front is missing, after each evaluation of a search."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks._fronts import Problem
from evotune._pareto import hypervolume, nondominated


def marks(budgets: Sequence[int], batch: int) -> list[int]:
    """Evaluations after which hypervolumes are computed: every round, every budget."""
    rounds = range(batch, max(budgets) + 1, batch)
    return sorted({*rounds, *(n for n in budgets)})


def volumes(
    losses: np.ndarray, reference: np.ndarray, at: Sequence[int], times: int = 1
) -> np.ndarray:
    """The hypervolumes of what a search has found, f64[at[-1]], one an evaluation.

    Args:
        losses: f64[n, M] in the order of the trials; inf where none was made.
        reference: f64[M].
        at: When they are computed; between two of them the first counts.
        times: How many trials count as one evaluation.
    """
    found, front, start = np.zeros(at[-1]), losses[:0], 0
    for stop, until in zip(at, [*at[1:], at[-1]], strict=True):
        new = losses[start * times : stop * times]
        front = np.concatenate([front, new[(new < reference).all(axis=1)]])
        front = front[nondominated(-front)]
        found[stop - 1 : max(until - 1, stop)] = hypervolume(-front, -reference)
        start = stop
    return found


def gaps(
    found: dict[str, np.ndarray], problem: Problem, *, floor: float = 1e-4
) -> dict[str, np.ndarray]:
    """log10 of the share of the true front's hypervolume that each search misses.

    Args:
        found: By side, f64[S, n] hypervolumes; where the true front is not known, the
            best of them takes its place.
        problem: What was searched.
        floor: Smaller shares count as equal.
    """
    best = problem.volume
    if best is None:
        best = max(float(volume.max()) for volume in found.values())
    return {
        side: np.log10(np.maximum(1.0 - volume / best, floor))
        for side, volume in found.items()
    }
