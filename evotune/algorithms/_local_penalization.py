"""A batch whose rows keep the distance that the steepest slope suggests."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_FLAT = 0.1
"""The least slope, in normal scores a length scale; where all is flat, none is seen."""

_NEAR = 1e-2
"""Rows nearer to each other, in length scales, show rounding and no slope."""


def penalized_batch(
    promise: jax.Array,
    mean: jax.Array,
    deviation: jax.Array,
    distance: jax.Array,
    allowed: jax.Array,
    best: jax.Array,
    *,
    size: int,
) -> jax.Array:
    """Chooses rows by what they promise, each away from those before it.

    A row j, once chosen, excludes a ball in which no maximum M can lie if the function
    is nowhere steeper than l: one of radius (M - f(x_j)) / l, which is uncertain as
    f(x_j) is. What a row at distance r promises is multiplied by the chance that it
    lies outside, Phi((l r - M + mean_j) / deviation_j).

    Args:
        promise: f32[S], the logarithm of a positive acquisition.
        mean: f32[S], posterior means.
        deviation: f32[S], posterior deviations, without noise.
        distance: f32[S, S], in length scales.
        allowed: bool[S], which rows may be chosen; each is chosen once.
        best: f32[], the best value so far.
        size: Rows to choose.

    Returns:
        i32[size] different rows; once no other is allowed, row 0.

    Reference:
        Gonzalez, Dai, Hennig and Lawrence (2016), "Batch Bayesian optimization via
        local penalization". Differs from the paper: distances are those of the kernel,
        which categories have, too, and l is the steepest slope of the mean between two
        of the rows, not along a gradient.
    """
    rise = jnp.abs(mean[:, None] - mean[None])
    slope = jnp.maximum(jnp.max(rise / jnp.maximum(distance, _NEAR)), _FLAT)
    most = jnp.maximum(best, jnp.max(mean))

    def step(
        number: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        promise, allowed, chosen = carry
        row = jnp.argmax(jnp.where(allowed, promise, -jnp.inf)).astype(jnp.int32)
        outside = (slope * distance[row] - most + mean[row]) / deviation[row]
        return (
            promise + jax.scipy.stats.norm.logcdf(outside),
            allowed.at[row].set(False),
            chosen.at[number].set(row),
        )

    carry = (promise, allowed, jnp.zeros((size,), jnp.int32))
    return jax.lax.fori_loop(0, size, step, carry)[2]
