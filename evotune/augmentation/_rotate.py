"""Turned images."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.augmentation._draws import Rate, amounts, changed
from evotune.augmentation._sampling import bilinear, centred


def rotate(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Turns images about their middle by an angle ~ U(-strength, strength).

    Equal to `scipy.ndimage.rotate` with ``reshape=False, order=1, mode="nearest"``.

    Args:
        key: A PRNG key, consumed.
        x: f32[B, H, W, C].
        strength: The largest angle, in degrees.
        probability: Share of the examples that are turned.

    Reference:
        Simard, Steinkraus, Platt (2003), Best practices for convolutional neural
        networks applied to visual document analysis (rotations).

    Example:
        >>> rotate(jax.random.key(0), jnp.ones((2, 8, 8, 1)), 15.0).shape
        (2, 8, 8, 1)
    """
    rows, height, width, _ = x.shape
    amount = amounts(key, (rows,), strength, probability)
    angle = jnp.deg2rad(amount)[:, None]
    down, right = jnp.meshgrid(centred(height), centred(width), indexing="ij")
    down, right = down.reshape(1, -1), right.reshape(1, -1)
    row = jnp.cos(angle) * down + jnp.sin(angle) * right + (height - 1) / 2
    column = jnp.cos(angle) * right - jnp.sin(angle) * down + (width - 1) / 2
    return changed(amount, bilinear(x, row, column).reshape(x.shape), x)
