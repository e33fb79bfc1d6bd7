"""Images with a square cut out."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.augmentation._draws import Rate, switches


def cutout(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Sets a rectangle at a random place of each image to 0, the mean of its pixels.

    Its centre is uniform over the image, so that part of it may lie outside. A pixel is
    cut out when its centre is inside the rectangle.

    Args:
        key: A PRNG key, consumed.
        x: f32[B, H, W, C], of mean 0.
        strength: Sides of the rectangle as a fraction of the image's sides.
        probability: Share of the examples that are changed.

    Reference:
        DeVries, Taylor (2017), Improved regularization of convolutional neural networks
        with cutout. Differs from the paper: sides are fractions, not whole pixels.

    Example:
        >>> cutout(jax.random.key(0), jnp.ones((2, 8, 8, 1)), 0.5).shape
        (2, 8, 8, 1)
    """
    rows, height, width, _ = x.shape
    place_key, switch_key = jax.random.split(key)
    centre = jax.random.uniform(place_key, (rows, 2))
    on = switches(switch_key, rows, probability)
    side = jnp.where(on, jnp.asarray(strength, jnp.float32), jnp.zeros(()))
    down, across = (
        jnp.abs(_pixels(size)[None, :] - centre[:, axis, None]) < side[:, None] / 2.0
        for axis, size in enumerate((height, width))
    )
    inside = down[:, :, None, None] & across[:, None, :, None]
    return jnp.where(inside, jnp.zeros_like(x), x)


def _pixels(size: int) -> jax.Array:
    """f32[size]: where the centres of pixels lie, in [0, 1]."""
    return (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
