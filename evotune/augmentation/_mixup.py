"""Mixtures of examples."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.augmentation._draws import Rate


def mixup(key: jax.Array, x: jax.Array, alpha: Rate) -> tuple[jax.Array, jax.Array]:
    """Mixes every example with another one of its batch.

    x <- weight x + (1 - weight) partners(x), weight ~ Beta(alpha, alpha), and the loss
    is weight L(y) + (1 - weight) L(partners(y)).

    Args:
        key: A PRNG key, consumed.
        x: f32[B, ...], in random order.
        alpha: How evenly examples are mixed: 0 leaves them alone, 1 draws uniformly.

    Returns:
        The mixed f32[B, ...], and the weight f32[] of each example itself.

    Reference:
        Zhang, Cisse, Dauphin, Lopez-Paz (2018), mixup: beyond empirical risk
        minimization. Differs from the paper's code: an example's partner is the one
        before it instead of a drawn one, which in a batch of random order is the same.

    Example:
        >>> mixed, weight = mixup(jax.random.key(0), jnp.ones((2, 5)), 0.2)
        >>> mixed.shape, weight.shape
        ((2, 5), ())
    """
    alpha = jnp.asarray(alpha, jnp.float32)
    shape = jnp.where(alpha > 0.0, alpha, jnp.ones_like(alpha))
    drawn = jax.random.beta(key, shape, shape)
    weight = jnp.where(alpha > 0.0, drawn, jnp.ones_like(drawn))
    share = weight.astype(x.dtype)
    return share * x + (1.0 - share) * partners(x), weight


def partners(x: jax.Array) -> jax.Array:
    """[B, ...]: the example that each one is mixed with, the one before it."""
    return jnp.roll(x, 1, axis=0)
