"""Dropout whose rate may be traced."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen


def dropout(
    key: jax.Array,
    x: jax.Array,
    rate: float | jax.Array,
    *,
    broadcast_dims: Sequence[int] = (),
) -> jax.Array:
    """Zeroes entries of x with probability ``rate`` and scales the rest by 1/(1-rate).

    Bit-equal to `flax.linen.Dropout` and `flax.nnx.Dropout` of the same key, for a rate
    that is a Python float as well as for one that is traced. ``key`` is consumed.

    Args:
        key: A PRNG key.
        x: Inputs of any shape.
        rate: Probability of zeroing, in [0, 1].
        broadcast_dims: Axes along which one draw is shared.

    Reference:
        Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from
        overfitting.
    """
    keep = 1.0 - jnp.asarray(rate, jnp.float32)
    shape = [1 if axis in broadcast_dims else n for axis, n in enumerate(x.shape)]
    mask = jnp.broadcast_to(jax.random.bernoulli(key, keep, shape), x.shape)
    return jnp.where(mask, x / divisor(keep, x.dtype), jnp.zeros_like(x))


def unit_dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Dropout whose draws for a unit do not depend on how many units there are.

    The last axis may be padded: draws are made with that axis in front, where a longer
    axis only appends. ``key`` is consumed.

    Args:
        key: A PRNG key.
        x: f32[..., units].
        rate: Probability of zeroing, in [0, 1].
    """
    keep = 1.0 - jnp.asarray(rate, jnp.float32)
    with jax.threefry_partitionable(True):
        mask = jax.random.bernoulli(key, keep, (x.shape[-1], *x.shape[:-1]))
    mask = jnp.moveaxis(mask, 0, -1)
    return jnp.where(mask, x / divisor(keep, x.dtype), jnp.zeros_like(x))


def divisor(keep: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """What the entries that are kept with probability ``keep`` are divided by."""
    # At rate 1 nothing is kept; dividing by 1 keeps the gradient free of 0 / 0.
    return jnp.where(keep > 0.0, keep, jnp.ones_like(keep)).astype(dtype)


class Dropout(linen.Module):
    """Dropout over the units of the last axis, with a rate that may be traced.

    Attributes:
        rate: Probability of zeroing, in [0, 1]. A Python 0.0 draws nothing.
    """

    rate: float | jax.Array

    @linen.compact
    def __call__(self, x: jax.Array, *, deterministic: bool) -> jax.Array:
        """f32[..., units], unchanged where ``deterministic``."""
        if deterministic or (isinstance(self.rate, float) and self.rate == 0.0):
            return x
        return unit_dropout(self.make_rng("dropout"), x, self.rate)
