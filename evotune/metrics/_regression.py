"""Scores of predicted quantities; of several targets the mean over them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from evotune.metrics._averages import ratio

_SMALLEST = float(np.finfo(np.float64).eps)  # what scikit-learn divides by instead of 0


def mean_squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of (output - target)^2 over examples and targets.

    Equal to sklearn.metrics.mean_squared_error.

    Args:
        outputs: f32[N, K].
        targets: f32[N, K].
    """
    return jnp.mean(jnp.square(outputs - targets))


def root_mean_squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Square root of the mean squared error of each target, averaged over targets.

    Equal to sklearn.metrics.root_mean_squared_error. Arguments are those of
    `mean_squared_error`.
    """
    return jnp.mean(jnp.sqrt(jnp.mean(jnp.square(outputs - targets), axis=0)))


def mean_absolute_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of abs(output - target) over examples and targets.

    Equal to sklearn.metrics.mean_absolute_error. Arguments are those of
    `mean_squared_error`.
    """
    return jnp.mean(jnp.abs(outputs - targets))


def median_absolute_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Median of abs(output - target) of each target, averaged over targets.

    Equal to sklearn.metrics.median_absolute_error. Arguments are those of
    `mean_squared_error`.
    """
    return jnp.mean(jnp.median(jnp.abs(outputs - targets), axis=0))


def max_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Largest abs(output - target) of each target, averaged over targets.

    Equal to sklearn.metrics.max_error, which takes one target only. Arguments are those
    of `mean_squared_error`.
    """
    return jnp.mean(jnp.max(jnp.abs(outputs - targets), axis=0))


def mean_absolute_percentage_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of abs(output - target) / abs(target): 0.1 is ten percent.

    Equal to sklearn.metrics.mean_absolute_percentage_error: a target of 0 counts as
    2.2e-16, so that the score is huge where there is one. Arguments are those of
    `mean_squared_error`.
    """
    size = jnp.maximum(jnp.abs(targets), _SMALLEST)
    return jnp.mean(jnp.abs(outputs - targets) / size)


def r2(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Coefficient of determination, averaged over targets: 1 - SSE / SST.

    Equal to sklearn.metrics.r2_score: of a target that does not vary it is 1 where all
    outputs are right, else 0. Of one example sklearn gives NaN; this gives the same 1
    or 0. Arguments are those of `mean_squared_error`.
    """
    residual = jnp.sum(jnp.square(outputs - targets), axis=0)
    centred = targets - jnp.mean(targets, axis=0, keepdims=True)
    total = jnp.sum(jnp.square(centred), axis=0)
    varies = jnp.max(targets, axis=0) > jnp.min(targets, axis=0)
    constant = jnp.where(residual > 0, jnp.zeros_like(total), jnp.ones_like(total))
    return jnp.mean(jnp.where(varies, 1.0 - ratio(residual, total), constant))
