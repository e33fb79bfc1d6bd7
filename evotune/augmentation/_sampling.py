"""Values between the points of a grid."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def interpolate(x: jax.Array, at: jax.Array) -> jax.Array:
    """Linear interpolation along the second axis; beyond the ends they are repeated.

    y[b, m] = sum_n max(0, 1 - |at[b, m] - n|) x[b, n]

    Args:
        x: f32[B, N, ...].
        at: f32[B, M] positions, in points of the grid.

    Returns:
        f32[B, M, ...].

    Example:
        >>> x = jnp.asarray([[0.0, 10.0, 20.0]])
        >>> interpolate(x, jnp.asarray([[-1.0, 0.5, 1.75]])).tolist()
        [[0.0, 5.0, 17.5]]
    """
    last = x.shape[1] - 1
    at = jnp.clip(at, 0.0, last)
    grid = jnp.arange(x.shape[1], dtype=jnp.float32)
    weights = jnp.maximum(1.0 - jnp.abs(at[:, :, None] - grid[None, None, :]), 0.0)
    return jnp.einsum("bmn,bn...->bm...", weights, x, precision="highest")


def bilinear(x: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """Bilinear interpolation of images; beyond the edges these are repeated.

    Args:
        x: f32[B, H, W, C].
        row: f32[B, M] positions, in pixels.
        column: f32[B, M] positions, in pixels.

    Returns:
        f32[B, M, C].

    Example:
        >>> x = jnp.asarray([[0.0, 10.0], [20.0, 30.0]]).reshape(1, 2, 2, 1)
        >>> bilinear(x, jnp.asarray([[0.5]]), jnp.asarray([[0.5]])).tolist()
        [[[15.0]]]
    """
    _, height, width, channels = x.shape
    flat = x.reshape(x.shape[0], height * width, channels)
    (up, down, below), (left, right, beyond) = (
        _around(row, height),
        _around(column, width),
    )

    def pixel(rows: jax.Array, columns: jax.Array) -> jax.Array:
        index = rows * width + columns
        return jnp.take_along_axis(flat, index[:, :, None], axis=1, mode="clip")

    below, beyond = below[:, :, None], beyond[:, :, None]
    above = pixel(up, left) * (1.0 - beyond) + pixel(up, right) * beyond
    under = pixel(down, left) * (1.0 - beyond) + pixel(down, right) * beyond
    return above * (1.0 - below) + under * below


def _around(at: jax.Array, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The points of the grid before and after ``at``, and how far beyond the first one."""
    at = jnp.clip(at, 0.0, size - 1)
    before = jnp.floor(at)
    after = jnp.minimum(before + 1.0, size - 1)
    return before.astype(jnp.int32), after.astype(jnp.int32), at - before


def centred(size: int) -> jax.Array:
    """f32[size]: the points of a grid, seen from its middle."""
    return jnp.arange(size, dtype=jnp.float32) - (size - 1) / 2


def resize_axes(x: jax.Array, row: jax.Array, column: jax.Array) -> jax.Array:
    """f32[B, H, W, C] sampled at the crossings of lines ``row`` and ``column``.

    Args:
        x: f32[B, H, W, C].
        row: f32[B, H] positions, in pixels.
        column: f32[B, W] positions, in pixels.
    """
    down = interpolate(x, row)
    across = interpolate(jnp.swapaxes(down, 1, 2), column)
    return jnp.swapaxes(across, 1, 2)
