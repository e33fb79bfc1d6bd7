"""Scores of probabilities: whether they are what they say."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError
from evotune.metrics._weights import weighted_mean


def expected_calibration_error(
    logits: jax.Array, labels: jax.Array, *, bins: int = 15
) -> jax.Array:
    """Gap of confidence and accuracy: sum_m |B_m| / N |acc(B_m) - conf(B_m)|.

    B_m are the examples whose confidence, the largest probability, lies in
    ((m - 1) / M, m / M], for M bins of equal width; acc is their accuracy, conf their
    mean confidence.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        bins: M, at least 1.

    Raises:
        HyperparameterError: If ``bins`` is less than 1.

    Reference:
        Guo, Pleiss, Sun, Weinberger (2017), On calibration of modern neural networks;
        Naeini, Cooper, Hauskrecht (2015), Obtaining well calibrated probabilities
        using Bayesian binning.
    """
    if bins < 1:
        raise HyperparameterError(
            f"bins must be at least 1, but got {bins!r}. Use bins=15."
        )
    confidence = jnp.max(jax.nn.softmax(logits, axis=-1), axis=-1)
    right = (jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32)
    place = jnp.ceil(confidence * bins).astype(jnp.int32) - 1
    inside = jax.nn.one_hot(jnp.clip(place, 0, bins - 1), bins, dtype=bool)
    gaps = jnp.where(inside, (right - confidence)[:, None], 0.0)
    return jnp.sum(jnp.abs(jnp.mean(gaps, axis=0)))


def brier_score(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Mean of sum_c (p_c - [label is c])^2 over examples; half of it for two classes.

    Equal to sklearn.metrics.brier_score_loss(labels=range(C)).

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.

    Reference:
        Brier (1950), Verification of forecasts expressed in terms of probability.
    """
    classes = logits.shape[-1]
    chosen = jax.nn.one_hot(labels, classes, dtype=logits.dtype)
    error = jnp.square(jax.nn.softmax(logits, axis=-1) - chosen)
    score = weighted_mean(jnp.sum(error, axis=-1), sample_weight)
    return 0.5 * score if classes == 2 else score
