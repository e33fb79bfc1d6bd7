"""Lighter and darker images."""

from __future__ import annotations

import jax

from evotune.augmentation._draws import Rate, amounts, changed, per_example


def brightness(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Adds a constant to each image: x + b, b ~ U(-strength, strength).

    Args:
        key: A PRNG key, consumed.
        x: f32[B, ...].
        strength: The largest |b|, in the units of x (standard deviations of the pixels
            where a task standardises its inputs).
        probability: Share of the examples that are changed.

    Reference:
        Howard (2013), Some improvements on deep convolutional neural network based
        image classification. Differs from the paper: added, not multiplied, because
        standardised pixels have no black.

    Example:
        >>> import jax.numpy as jnp
        >>> brightness(jax.random.key(0), jnp.ones((2, 8, 8, 1)), 0.2).shape
        (2, 8, 8, 1)
    """
    amount = amounts(key, (x.shape[0],), strength, probability)
    return changed(amount, x + per_example(amount, x).astype(x.dtype), x)
