"""The cells of [0, 1] that the values of a discrete dimension own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SLIVER = 2.0**-22
"""The width of the narrowest cell: four times what float32 tells apart below one."""


def cells(weights: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    """The edges of cells as wide as their weights, but none too narrow to be drawn.

    Args:
        weights: n numbers of at least 0, not all 0.

    Returns:
        n + 1 float32 numbers from 0 to 1.
    """
    share = np.asarray(weights, np.float64)
    share = np.maximum(share / share.sum(), _SLIVER)
    return float32_edges(np.concatenate([[0.0], np.cumsum(share / share.sum())]))


def float32_edges(edges: NDArray[np.float64]) -> tuple[float, ...]:
    """Increasing edges as float32 numbers, from exactly 0 to exactly 1."""
    rounded = edges.astype(np.float32)
    rounded[0], rounded[-1] = 0.0, 1.0
    return tuple(rounded.tolist())
