"""Moved images and series."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.augmentation._draws import Rate, amounts, changed
from evotune.augmentation._sampling import interpolate, resize_axes


def shift(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Moves images down and right by d ~ U(-strength, strength) of height and width.

    What moves out is cropped, and what comes in repeats the edge. Movements by parts of
    a pixel are interpolated linearly.

    Args:
        key: A PRNG key, consumed.
        x: f32[B, H, W, C].
        strength: The largest movement, as a fraction of the height and of the width.
        probability: Share of the examples that are moved.

    Reference:
        Simard, Steinkraus, Platt (2003), Best practices for convolutional neural
        networks applied to visual document analysis (translations).

    Example:
        >>> shift(jax.random.key(0), jnp.ones((2, 8, 8, 1)), 0.1).shape
        (2, 8, 8, 1)
    """
    rows, height, width, _ = x.shape
    amount = amounts(key, (rows, 2), strength, probability)
    row, column = (
        jnp.arange(size, dtype=jnp.float32)[None, :] - size * amount[:, axis, None]
        for axis, size in enumerate((height, width))
    )
    return changed(jnp.abs(amount).sum(axis=1), resize_axes(x, row, column), x)


def shift_series(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Moves series later by d ~ U(-strength, strength) of their length.

    What moves out is cropped, and what comes in repeats the end. Movements by parts of
    a point are interpolated linearly.

    Args:
        key: A PRNG key, consumed.
        x: f32[B, T, C] or f32[B, T].
        strength: The largest movement, as a fraction of the length.
        probability: Share of the examples that are moved.

    Reference:
        Le Guennec, Malinowski, Tavenard (2016), Data augmentation for time series
        classification using convolutional neural networks (window slicing). Differs
        from the paper: the window keeps its length and repeats the end.

    Example:
        >>> shift_series(jax.random.key(0), jnp.ones((2, 40)), 0.1).shape
        (2, 40)
    """
    rows, length = x.shape[:2]
    amount = amounts(key, (rows,), strength, probability)
    at = jnp.arange(length, dtype=jnp.float32)[None, :] - length * amount[:, None]
    return changed(amount, interpolate(x, at), x)
