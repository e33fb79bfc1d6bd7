"""Scaling of inputs, and forward passes that fit in the cache."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

CHUNK = 2048
"""Examples in one forward pass of an evaluation; more are taken in turns."""


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
        """Statistics of f32[N, F] by column; of more axes, one for all values."""
        axes = 0 if x.ndim == 2 else None
        mean = np.mean(x, axis=axes, dtype=np.float64)
        scale = np.std(x, axis=axes, dtype=np.float64)
        scale = np.where(scale > 1e-8, scale, 1.0)
        return cls(np.asarray(mean, np.float32), np.asarray(scale, np.float32))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """The scaled f32[N, ...]."""
        return np.asarray((x - self.mean) / self.scale, np.float32)

    def inverse(self, x: jax.Array) -> jax.Array:
        """f32[N, F] before scaling by column."""
        return x * self.scale[None, :] + self.mean[None, :]


def forward_in_chunks(
    forward: Callable[[jax.Array], jax.Array], x: jax.Array
) -> jax.Array:
    """``forward(x)`` along the first axis, at most `CHUNK` examples at a time."""
    rows = x.shape[0]
    if rows <= CHUNK:
        return forward(x)
    chunks = -(-rows // CHUNK)
    size = -(-rows // chunks)
    padding = [(0, chunks * size - rows)] + [(0, 0)] * (x.ndim - 1)
    padded = jnp.pad(x, padding).reshape(chunks, size, *x.shape[1:])
    outputs = jax.lax.map(forward, padded)
    return outputs.reshape(chunks * size, *outputs.shape[2:])[:rows]
