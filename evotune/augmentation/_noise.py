"""Noisy inputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.augmentation._draws import Rate, changed, per_example, switches


def noise(
    key: jax.Array, x: jax.Array, strength: Rate, probability: Rate = 1.0
) -> jax.Array:
    """Adds noise to every value: x + e, e ~ N(0, strength^2).

    Args:
        key: A PRNG key, consumed.
        x: f32[B, ...], of any shape.
        strength: Standard deviation of the noise, in the units of x (standard
            deviations of x where a task standardises its inputs).
        probability: Share of the examples that are changed.

    Reference:
        Bishop (1995), Training with noise is equivalent to Tikhonov regularization;
        Um et al. (2017), Data augmentation of wearable sensor data (jittering).

    Example:
        >>> noise(jax.random.key(0), jnp.ones((2, 5)), 0.1).shape
        (2, 5)
    """
    draw_key, switch_key = jax.random.split(key)
    on = switches(switch_key, x.shape[0], probability)
    deviation = jnp.where(on, jnp.asarray(strength, jnp.float32), jnp.zeros(()))
    draws = jax.random.normal(draw_key, x.shape)
    added = (per_example(deviation, x) * draws).astype(x.dtype)
    return changed(deviation, x + added, x)
