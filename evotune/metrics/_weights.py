"""Means over examples, some of which may count more than others."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.metrics._averages import ratio


def weighted_mean(values: jax.Array, sample_weight: jax.Array | None) -> jax.Array:
    """f32[]: mean of [N] or [N, K], sum_i w_i v_i / sum_i w_i; 0 without any weight.

    Args:
        values: f32[N], or f32[N, K], whose columns count the same.
        sample_weight: f32[N], at least 0; None gives the plain mean.
    """
    if sample_weight is None:
        return jnp.mean(values)
    return jnp.mean(mean_of_columns(values, sample_weight))


def mean_of_columns(values: jax.Array, sample_weight: jax.Array | None) -> jax.Array:
    """Mean over the first axis; arguments as of `weighted_mean`."""
    if sample_weight is None:
        return jnp.mean(values, axis=0)
    weights = sample_weight.astype(values.dtype)
    sums = jnp.tensordot(weights, values, axes=1)
    return ratio(sums, jnp.broadcast_to(jnp.sum(weights), sums.shape))
