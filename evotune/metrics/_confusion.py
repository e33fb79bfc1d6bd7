"""The confusion matrix, and agreement beyond chance that is read from it."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError
from evotune.metrics._averages import ratio


def confusion_matrix(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """i32[C, C]: examples by class (rows) and predicted class (columns).

    Weighted ones are f32[C, C] sums of weights.

    Equal to sklearn.metrics.confusion_matrix(labels=range(C)). Counts are exact up to
    2^24 examples.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.

    Example:
        >>> import jax.numpy as jnp
        >>> logits = jnp.array([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
        >>> confusion_matrix(logits, jnp.array([0, 1, 0])).tolist()
        [[1, 1], [0, 1]]
    """
    classes = logits.shape[-1]
    true = jax.nn.one_hot(labels, classes, dtype=jnp.float32)
    predicted = jax.nn.one_hot(jnp.argmax(logits, -1), classes, dtype=jnp.float32)
    if sample_weight is not None:
        return (true * sample_weight[:, None]).T @ predicted
    return jnp.round(true.T @ predicted).astype(jnp.int32)


def matthews(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Correlation of classes and predicted classes, in [-1, 1].

    Equal to sklearn.metrics.matthews_corrcoef, for two classes and for more; 0 where
    all examples or all predictions are of one class.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.

    Reference:
        Gorodkin (2004), Comparing two K-category assignments by a K-category
        correlation coefficient.
    """
    table = confusion_matrix(logits, labels, sample_weight)
    true, predicted = _margins(table)
    spread = _disagreement(true, true) * _disagreement(predicted, predicted)
    return ratio(_beyond_chance(table), jnp.sqrt(spread))


def cohen_kappa(
    logits: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    weights: Literal["linear", "quadratic"] | None = None,
) -> jax.Array:
    """Agreement of classes and predicted classes beyond chance: (p_o - p_e)/(1 - p_e).

    Equal to sklearn.metrics.cohen_kappa_score(labels=range(C)). It is 0 where all
    examples and all predictions are of the same class; sklearn warns there and gives
    NaN.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
        weights: How much a wrong class i instead of j counts: None counts 1, "linear"
            abs(i - j), "quadratic" its square, for classes in an order.

    Raises:
        HyperparameterError: If ``weights`` is none of these.

    Reference:
        Cohen (1960), A coefficient of agreement for nominal scales.
    """
    table = confusion_matrix(logits, labels, sample_weight)
    true, predicted = _margins(table)
    if weights is None:
        return ratio(_beyond_chance(table), _disagreement(true, predicted))
    if weights not in ("linear", "quadratic"):
        raise HyperparameterError(
            "weights must be None, 'linear' or 'quadratic', but got "
            f"{weights!r}. Classes without an order need weights=None."
        )
    classes = jnp.arange(table.shape[0], dtype=jnp.float32)
    apart = jnp.abs(classes[:, None] - classes[None, :])
    apart = apart if weights == "linear" else jnp.square(apart)
    count = jnp.sum(table).astype(jnp.float32)
    seen = jnp.sum(apart * (table.astype(jnp.float32) / count))
    by_chance = jnp.sum(apart * (true / count)[:, None] * (predicted / count)[None, :])
    return ratio(by_chance - seen, by_chance)


def _margins(table: jax.Array) -> tuple[jax.Array, jax.Array]:
    """f32[C] each: examples by class, and by predicted class."""
    sums = (jnp.sum(table, axis=1), jnp.sum(table, axis=0))
    return sums[0].astype(jnp.float32), sums[1].astype(jnp.float32)


def _disagreement(first: jax.Array, second: jax.Array) -> jax.Array:
    """f32[]: 1 - sum_k p_k q_k of the shares p, q of two f32[C] counts of N examples.

    As sum_k p_k (1 - q_k), which does not cancel where nearly all is of one class.
    """
    count = jnp.sum(first)
    return jnp.sum((first / count) * ((count - second) / count))


def _beyond_chance(table: jax.Array) -> jax.Array:
    """f32[]: p_o - p_e, agreement seen less that expected of independent predictions.

    sum_k (n_kk - t_k p_k / n) / n. For the class of most examples the equal term of
    "all that is not of class k" is taken, because there the other one cancels.
    """
    count, true, predicted = table.sum(), table.sum(axis=1), table.sum(axis=0)
    hits = jnp.diagonal(table)
    most = 2 * true > count
    both = jnp.where(most, count - true - predicted + hits, hits)
    first = jnp.where(most, count - true, true).astype(jnp.float32)
    second = jnp.where(most, count - predicted, predicted).astype(jnp.float32)
    count = count.astype(jnp.float32)
    expected = first * (second / count)
    return jnp.sum((both.astype(jnp.float32) - expected) / count)
