"""Mirror images."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.augmentation._draws import Rate, per_example, switches


def flip(key: jax.Array, x: jax.Array, probability: Rate) -> jax.Array:
    """Mirrors images left to right with ``probability``.

    Args:
        key: A PRNG key, consumed.
        x: f32[B, H, W, C].
        probability: Share of the examples that are mirrored.

    Reference:
        Krizhevsky, Sutskever, Hinton (2012), ImageNet classification with deep
        convolutional neural networks.

    Example:
        >>> flip(jax.random.key(0), jnp.ones((2, 8, 8, 1)), 0.5).shape
        (2, 8, 8, 1)
    """
    on = switches(key, x.shape[0], probability)
    return jnp.where(per_example(on, x), x[:, :, ::-1], x)
