"""Precision, recall and F1 from counts, and their averages over labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError, nearest

Score = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""(hits, predicted, true) counts of a label -> its score."""


def ratio(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """``numerator / denominator``; 0 where the denominator is not positive."""
    positive = denominator > 0
    whole = jnp.where(positive, denominator, jnp.ones_like(denominator))
    return jnp.where(positive, numerator / whole, jnp.zeros_like(whole))


def precision_of(hits: jax.Array, predicted: jax.Array, true: jax.Array) -> jax.Array:
    """Fraction of what was predicted to be the label that is; 0 where nothing was."""
    del true
    return ratio(hits, predicted)


def recall_of(hits: jax.Array, predicted: jax.Array, true: jax.Array) -> jax.Array:
    """Fraction of what is of the label that was predicted; 0 where nothing is."""
    del predicted
    return ratio(hits, true)


def f1_of(hits: jax.Array, predicted: jax.Array, true: jax.Array) -> jax.Array:
    """Harmonic mean of precision and recall: 2 hits / (predicted + true)."""
    return ratio(2.0 * hits, predicted + true)


def averaged(
    score: Score,
    hits: jax.Array,
    predicted: jax.Array,
    true: jax.Array,
    *,
    average: str,
    counted: jax.Array,
) -> jax.Array:
    """f32[]: ``score`` over labels.

    Args:
        score: One of the functions above.
        hits: f32[C] examples that are of the label and predicted to be.
        predicted: f32[C] examples predicted to be of the label.
        true: f32[C] examples of the label.
        average: "micro" adds the counts up, "macro" is the mean over labels, "weighted"
            that weighted by ``true``.
        counted: bool[C] labels that "macro" is the mean of.
    """
    if average == "micro":
        return score(*(jnp.sum(count) for count in (hits, predicted, true)))
    weights = true if average == "weighted" else counted.astype(true.dtype)
    return ratio(jnp.sum(weights * score(hits, predicted, true)), jnp.sum(weights))


def check_average(average: str, known: Sequence[str]) -> None:
    """Whether ``average`` is one of ``known``.

    Raises:
        HyperparameterError: If it is not.
    """
    if average not in known:
        raise HyperparameterError(
            f"average must be one of {', '.join(map(repr, known))}, but got "
            f"{average!r}.{nearest(str(average), known)}"
        )
