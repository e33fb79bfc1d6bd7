"""Inputs as networks see them, and forward passes that fit in the cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._errors import DataError
from evotune.datasets import MappedRows

CHUNK = 2048
"""Examples in one forward pass of an evaluation; more are taken in turns."""

STEPS = 16_384
"""Steps in one where each step of a series has its own outputs."""


@dataclasses.dataclass(frozen=True)
class Scaler:
    """Shifts and scales to zero mean and unit variance: (x - mean) / scale.

    Attributes:
        mean: f32[F] of each column, or f32[] over all of an image or series.
        scale: Its standard deviation; 1 where a column is constant.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray) -> Scaler:
        """Statistics of f32[N, F] by column; of more axes, one for all values.

        Rows on disk are read once, piece by piece.
        """
        if isinstance(x, MappedRows):
            return cls._of_pieces(x)
        axes = 0 if x.ndim == 2 else None
        mean = np.mean(x, axis=axes, dtype=np.float64)
        scale = np.std(x, axis=axes, dtype=np.float64)
        scale = np.where(scale > 1e-8, scale, 1.0)
        return cls(np.asarray(mean, np.float32), np.asarray(scale, np.float32))

    @classmethod
    def _of_pieces(cls, x: MappedRows) -> Scaler:
        """The same statistics from counts, means and squared deviations of pieces.

        Reference:
            Chan, Golub, LeVeque (1983), Algorithms for computing the sample variance,
            equation 2.1.
        """
        axes = 0 if x.ndim == 2 else None
        piece = max(1, x.chunk_bytes // max(1, x.nbytes // len(x)))
        rows, mean, squares = 0, np.zeros(()), np.zeros(())
        for start in range(0, len(x), piece):
            values = np.asarray(x[start : start + piece])
            new, own = len(values), np.mean(values, axis=axes, dtype=np.float64)
            deviations = new * np.var(values, axis=axes, dtype=np.float64)
            apart, both = own - mean, rows + new
            squares = squares + deviations + apart**2 * (rows * new / both)
            mean, rows = mean + apart * (new / both), both
        scale = np.sqrt(squares / rows)
        scale = np.where(scale > 1e-8, scale, 1.0)
        return cls(np.asarray(mean, np.float32), np.asarray(scale, np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The scaled f32[N, ...]."""
        return np.asarray((x - self.mean) / self.scale, np.float32)

    def inverse(self, x: jax.Array) -> jax.Array:
        """f32[N, F] before scaling by column."""
        return x * self.scale[None, :] + self.mean[None, :]


def checked_codes(x: Any, vocab_size: int) -> np.ndarray:
    """i32[N, T] of the integers ``x`` in 0..V-1, or -1 beyond an example's end.

    Raises:
        DataError: If they are none.
    """
    x = np.asarray(x)
    inside = x.dtype.kind in "iu" and x.ndim == 2
    if inside and (not x.size or -1 <= x.min() <= x.max() < vocab_size):
        return x.astype(np.int32)
    seen = f" in {x.min()}..{x.max()}" if inside else ""
    raise DataError(
        f"Examples must be [N, T] codes of symbols, integers in 0..{vocab_size - 1}, "
        f"but got {x.dtype} of shape {x.shape}{seen}. Encode them as the dataset was."
    )


def forward_in_chunks(
    forward: Callable[[jax.Array], jax.Array], x: jax.Array, *, at_once: int = CHUNK
) -> jax.Array:
    """``forward(x)`` along the first axis, at most ``at_once`` examples at a time."""
    rows = x.shape[0]
    if rows <= at_once:
        return forward(x)
    chunks = -(-rows // at_once)
    size = -(-rows // chunks)
    padding = [(0, chunks * size - rows)] + [(0, 0)] * (x.ndim - 1)
    padded = jnp.pad(x, padding).reshape(chunks, size, *x.shape[1:])
    outputs = jax.lax.map(forward, padded)
    return outputs.reshape(chunks * size, *outputs.shape[2:])[:rows]
