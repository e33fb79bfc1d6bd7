"""The arithmetic of norms: statistics over the units in use, and what follows them."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from evotune.nn._traced import Size, active, unit_mask


def unit_moments(x: jax.Array, features: int | Size) -> tuple[jax.Array, jax.Array]:
    """f32[..., 1] mean and variance over the active units."""
    # The square comes before the mean: gradients are added in reverse, and where the
    # mean's is the last, XLA computes the gradient of a residual stream anew for each
    # of its readers, back through all blocks.
    square = unit_mean(jnp.square(wide(x)), features)
    return moments_of(unit_mean(wide(x), features), square)


def unit_mean(x: jax.Array, features: int | Size) -> jax.Array:
    """f32[..., 1] mean over the active units; 0 where there are none."""
    used = unit_mask(features)
    if used is None:
        return jnp.mean(x, axis=-1, keepdims=True)
    count = jnp.maximum(jnp.asarray(active(features), x.dtype), 1.0)
    # Not x itself: unused units would get a gradient through the mean.
    inside = jnp.where(_along(used, x.ndim), x, jnp.zeros_like(x))
    return jnp.sum(inside, axis=-1, keepdims=True) / count


def moments_of(mean: jax.Array, square: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and variance from the mean and the mean square, as flax computes them."""
    return mean, jnp.maximum(square - jnp.square(mean), 0.0)


def by_root_mean_square(
    x: jax.Array, features: int | Size, epsilon: float
) -> jax.Array:
    """Computes x / sqrt(mean(x^2) + epsilon), over the active units."""
    square = unit_mean(jnp.square(wide(x)), features)
    return wide(x) * jax.lax.rsqrt(square + epsilon)


def standardize(
    x: jax.Array, mean: jax.Array, var: jax.Array, epsilon: float
) -> jax.Array:
    """(x - mean) / sqrt(var + epsilon), in at least float32."""
    if mean.ndim < x.ndim:
        mean, var = _along(mean, x.ndim), _along(var, x.ndim)
    return (wide(x) - mean) * jax.lax.rsqrt(var + epsilon)


def scaled(
    x: jax.Array, features: int | Size, scale: jax.Array, bias: jax.Array | None
) -> jax.Array:
    """Scale and bias of x; zero at unused units, whatever stood there."""
    y = x * _along(scale.astype(x.dtype), x.ndim)
    if bias is not None:
        y += _along(bias.astype(x.dtype), x.ndim)
    used = unit_mask(features)
    if used is None:
        return y
    return jnp.where(_along(used, x.ndim), y, jnp.zeros_like(y))


def _along(vector: jax.Array, ndim: int) -> jax.Array:
    """``vector`` as the last of ``ndim`` axes."""
    leading: Sequence[int] = range(ndim - 1)
    return jax.lax.expand_dims(vector, leading)


def wide(x: jax.Array) -> jax.Array:
    """At least float32, in which statistics are computed."""
    return x.astype(jnp.float32) if x.dtype.itemsize < 4 else x
