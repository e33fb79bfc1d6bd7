"""Scores of predicted quantities; of several targets the mean over them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from evotune.metrics._averages import ratio
from evotune.metrics._weights import mean_of_columns, weighted_mean

_SMALLEST = float(np.finfo(np.float64).eps)  # what scikit-learn divides by instead of 0


def mean_squared_error(
    outputs: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Mean of (output - target)^2 over examples and targets.

    Equal to sklearn.metrics.mean_squared_error.

    Args:
        outputs: f32[N, K].
        targets: f32[N, K].
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    return weighted_mean(jnp.square(outputs - targets), sample_weight)


def root_mean_squared_error(
    outputs: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Square root of the mean squared error of each target, averaged over targets.

    Equal to sklearn.metrics.root_mean_squared_error. Arguments are those of
    `mean_squared_error`.
    """
    squares = mean_of_columns(jnp.square(outputs - targets), sample_weight)
    return jnp.mean(jnp.sqrt(squares))


def mean_absolute_error(
    outputs: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Mean of abs(output - target) over examples and targets.

    Equal to sklearn.metrics.mean_absolute_error. Arguments are those of
    `mean_squared_error`.
    """
    return weighted_mean(jnp.abs(outputs - targets), sample_weight)


def median_absolute_error(
    outputs: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Median of abs(output - target) of each target, averaged over targets.

    Equal to sklearn.metrics.median_absolute_error. Arguments are those of
    `mean_squared_error`.
    """
    errors = jnp.abs(outputs - targets)
    if sample_weight is None:
        return jnp.mean(jnp.median(errors, axis=0))
    medians = jax.vmap(_weighted_median, in_axes=(1, None))(errors, sample_weight)
    return jnp.mean(medians)


def max_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Largest abs(output - target) of each target, averaged over targets.

    Equal to sklearn.metrics.max_error, which takes one target only. Arguments are those
    of `mean_squared_error`.
    """
    return jnp.mean(jnp.max(jnp.abs(outputs - targets), axis=0))


def mean_absolute_percentage_error(
    outputs: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Mean of abs(output - target) / abs(target): 0.1 is ten percent.

    Equal to sklearn.metrics.mean_absolute_percentage_error: a target of 0 counts as
    2.2e-16, so that the score is huge where there is one. Arguments are those of
    `mean_squared_error`.
    """
    size = jnp.maximum(jnp.abs(targets), _SMALLEST)
    return weighted_mean(jnp.abs(outputs - targets) / size, sample_weight)


def r2(
    outputs: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Coefficient of determination, averaged over targets: 1 - SSE / SST.

    Equal to sklearn.metrics.r2_score: of a target that does not vary it is 1 where all
    outputs are right, else 0. Of one example sklearn gives NaN; this gives the same 1
    or 0. Arguments are those of `mean_squared_error`.
    """
    residual = _sum(jnp.square(outputs - targets), sample_weight)
    if sample_weight is None:
        centred = targets - jnp.mean(targets, axis=0, keepdims=True)
    else:
        centred = targets - mean_of_columns(targets, sample_weight)[None]
    total = _sum(jnp.square(centred), sample_weight)
    varies = jnp.max(targets, axis=0) > jnp.min(targets, axis=0)
    constant = jnp.where(residual > 0, jnp.zeros_like(total), jnp.ones_like(total))
    return jnp.mean(jnp.where(varies, 1.0 - ratio(residual, total), constant))


def _sum(values: jax.Array, sample_weight: jax.Array | None) -> jax.Array:
    """f32[K]: sums of f32[N, K] over examples."""
    if sample_weight is None:
        return jnp.sum(values, axis=0)
    return jnp.tensordot(sample_weight, values, axes=1)


def _weighted_median(values: jax.Array, weights: jax.Array) -> jax.Array:
    """f32[]: where the weights of smaller values reach a half of f32[N] weights.

    The mean of two where they are a half exactly, as scikit-learn has it.
    """
    values, weights = jax.lax.sort((values, weights), num_keys=1)
    counts = jnp.cumsum(weights)
    half = 0.5 * counts[-1]
    low = values[jnp.searchsorted(counts, half, side="left")]
    high = values[
        jnp.minimum(jnp.searchsorted(counts, half, side="right"), len(values) - 1)
    ]
    return 0.5 * (low + high)
