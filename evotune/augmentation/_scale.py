"""Larger and smaller images and series."""

from __future__ import annotations

import jax

from evotune.augmentation._draws import Rate, amounts, changed, per_example
from evotune.augmentation._sampling import centred, resize_axes


def scale(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Zooms images about their middle by a factor 1 + z, z ~ U(-strength, strength).

    What leaves the image is cropped, and what comes in repeats the edge.

    Args:
        key: A PRNG key, consumed.
        x: f32[B, H, W, C].
        strength: The largest |z|, in [0, 1).
        probability: Share of the examples that are changed.

    Reference:
        Ciresan, Meier, Schmidhuber (2012), Multi-column deep neural networks for image
        classification (scaling). Differs from the paper: the same factor for both axes.

    Example:
        >>> import jax.numpy as jnp
        >>> scale(jax.random.key(0), jnp.ones((2, 8, 8, 1)), 0.1).shape
        (2, 8, 8, 1)
    """
    rows, height, width, _ = x.shape
    amount = amounts(key, (rows,), strength, probability)
    row, column = (
        centred(size)[None, :] / (1.0 + amount[:, None]) + (size - 1) / 2
        for size in (height, width)
    )
    return changed(amount, resize_axes(x, row, column), x)


def scale_series(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Multiplies each series by a factor 1 + z, z ~ U(-strength, strength).

    Args:
        key: A PRNG key, consumed.
        x: f32[B, T, C] or f32[B, T].
        strength: The largest |z|, in [0, 1).
        probability: Share of the examples that are changed.

    Reference:
        Um et al. (2017), Data augmentation of wearable sensor data for Parkinson's
        disease monitoring (scaling). Differs from the paper: uniform, not Gaussian.

    Example:
        >>> import jax.numpy as jnp
        >>> scale_series(jax.random.key(0), jnp.ones((2, 40)), 0.1).shape
        (2, 40)
    """
    amount = amounts(key, (x.shape[0],), strength, probability)
    return changed(amount, x * per_example(1.0 + amount, x).astype(x.dtype), x)
