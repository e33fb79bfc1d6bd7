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
    features = range(2, x.ndim)
    before, after, beyond = (
        jax.lax.expand_dims(array, features) for array in _around(at, x.shape[1])
    )
    return (1.0 - beyond) * _take(x, before) + beyond * _take(x, after)


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
        return _take(flat, index[:, :, None])

    below, beyond = below[:, :, None], beyond[:, :, None]
    above = pixel(up, left) * (1.0 - beyond) + pixel(up, right) * beyond
    under = pixel(down, left) * (1.0 - beyond) + pixel(down, right) * beyond
    return above * (1.0 - below) + under * below


def _take(x: jax.Array, index: jax.Array) -> jax.Array:
    # On CPU this is faster than a product with a matrix of weights, three times at 28 x
    # 28 pixels; and no gradient flows through it, so there is no scatter.
    return jnp.take_along_axis(x, index, axis=1, mode="clip")


def _around(at: jax.Array, size: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The grid points before and after ``at``, and how far ``at`` is from the first."""
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
