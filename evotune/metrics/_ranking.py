"""Scores of how well outputs rank examples: exact, ties included, in fixed shapes."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from evotune.metrics._averages import ratio

GUESSING = 0.5
"""The area under the ROC curve where there is nothing to rank."""


def roc_auc(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Area under the ROC curve; of several classes the mean, each against the rest.

    The chance that an example of the class has a higher probability than one of
    another class, ties counted half. Equal to sklearn.metrics.roc_auc_score of the
    probabilities (of class 1 of two; else with multi_class="ovr"). Classes without
    examples are left out of the mean, where sklearn raises; with all examples of one
    class, where sklearn gives NaN, it is 0.5, that of guessing.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.

    Reference:
        Hanley, McNeil (1982), The meaning and use of the area under a receiver
        operating characteristic (ROC) curve.

    Example:
        >>> import jax.numpy as jnp
        >>> logits = jnp.array([[0.0, 1.0], [0.0, 2.0], [0.0, 0.0], [0.0, 1.0]])
        >>> float(roc_auc(logits, jnp.array([1, 1, 0, 0])))
        0.875
    """
    scores, positive = _one_against_rest(logits, labels)
    return mean_area(scores, positive, sample_weight)


def average_precision(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Area under the precision-recall curve: sum_n (R_n - R_{n-1}) P_n.

    Equal to sklearn.metrics.average_precision_score of the probabilities: of class 1 of
    two, of more classes the mean, one against the rest. Classes without examples are
    left out of the mean, where sklearn raises; without any positive example it is 0, as
    there.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    scores, positive = _one_against_rest(logits, labels)
    each = of_columns(area_under_precision, scores, positive, sample_weight)
    present = jnp.any(positive, axis=0).astype(jnp.float32)
    return ratio(jnp.sum(each * present), jnp.sum(present))


def mean_area(
    scores: jax.Array, positive: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """f32[]: mean of `area_under_roc` over the columns where it is defined.

    Args:
        scores: f32[N, L].
        positive: bool[N, L].
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    each = of_columns(area_under_roc, scores, positive, sample_weight)
    defined = jnp.any(positive, axis=0) & jnp.any(~positive, axis=0)
    count = jnp.sum(defined.astype(jnp.float32))
    mean = ratio(jnp.sum(jnp.where(defined, each, 0.0)), count)
    return jnp.where(count > 0, mean, GUESSING)


def of_columns(
    area: Callable[..., jax.Array],
    scores: jax.Array,
    positive: jax.Array,
    sample_weight: jax.Array | None,
) -> jax.Array:
    """f32[L]: ``area`` of each column of scores f32[N, L] and positives bool[N, L]."""
    if sample_weight is None:
        return jax.vmap(area, in_axes=1)(scores, positive)
    return jax.vmap(area, in_axes=(1, 1, None))(scores, positive, sample_weight)


def area_under_roc(
    scores: jax.Array, positive: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """f32[]: P(score of a positive > of a negative) + P(they are equal) / 2.

    Args:
        scores: f32[N].
        positive: bool[N]; 0 is returned unless there are positives and negatives.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    positive, negative, starts, ends = _in_order(scores, positive, sample_weight)
    count = jnp.cumsum(negative)
    most = len(scores) if sample_weight is None else count[-1]
    below = jax.lax.cummax(jnp.where(starts, count - negative, 0))
    up_to = jax.lax.cummin(jnp.where(ends, count, most), reverse=True)
    share = 0.5 * (below + up_to).astype(jnp.float32)
    share = ratio(share, jnp.full_like(share, count[-1]))
    return _mean_of_positives(share, positive)


def area_under_precision(
    scores: jax.Array, positive: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """f32[]: mean over positives of the precision among all that score as high.

    Args:
        scores: f32[N].
        positive: bool[N]; 0 is returned without any positive.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    positive, negative, starts, _ = _in_order(scores, positive, sample_weight)
    count = jnp.cumsum(positive)
    below = jax.lax.cummax(jnp.where(starts, count - positive, 0))
    before: jax.Array = jnp.arange(len(scores))
    total: int | jax.Array = len(scores)
    if sample_weight is not None:
        counts = jnp.cumsum(positive + negative)
        before, total = counts - positive - negative, counts[-1]
    everything_below = jax.lax.cummax(jnp.where(starts, before, 0))
    hits, everything = count[-1] - below, total - everything_below
    precision = ratio(hits.astype(jnp.float32), everything.astype(jnp.float32))
    return _mean_of_positives(precision, positive)


def _in_order(
    scores: jax.Array, positive: jax.Array, sample_weight: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """By rising score: positives and negatives [N], bool[N] where ties start and end.

    They are i32[N] counts, or f32[N] weights.
    """
    positive = positive.astype(jnp.int32)
    if sample_weight is None:
        scores, positive = jax.lax.sort((scores, positive), num_keys=1)
        negative = None
    else:
        negative = (1 - positive).astype(jnp.float32) * sample_weight
        positive = positive.astype(jnp.float32) * sample_weight
        scores, positive, negative = jax.lax.sort(
            (scores, positive, negative), num_keys=1
        )
    edge, changes = jnp.ones(1, bool), scores[1:] != scores[:-1]
    starts, ends = jnp.append(edge, changes), jnp.append(changes, edge)
    return positive, 1 - positive if negative is None else negative, starts, ends


def _mean_of_positives(values: jax.Array, positive: jax.Array) -> jax.Array:
    weights = positive.astype(values.dtype)
    return ratio(jnp.sum(weights * values), jnp.sum(weights))


def _one_against_rest(
    logits: jax.Array, labels: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """[N, C] scores and positives by class; [N, 1], those of class 1, of two."""
    scores = _log_odds(logits)
    positive = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    if logits.shape[-1] == 2:
        return scores[:, 1:], positive[:, 1:]
    return scores, positive


def _log_odds(logits: jax.Array) -> jax.Array:
    """f32[N, C]: log(p / (1 - p)) of each class's probability p.

    They rank examples as p does, but go on where p has rounded to 0 or 1.
    """
    classes = logits.shape[-1]
    top = jax.nn.one_hot(jnp.argmax(logits, axis=-1), classes, dtype=bool)
    largest = jnp.max(logits, axis=-1, keepdims=True)
    others = jnp.where(top, -jnp.inf, logits)
    shares = jnp.where(top, 0.0, jnp.exp(logits - largest))
    rest = jnp.sum(shares, axis=-1, keepdims=True) - shares
    against_top = jax.nn.logsumexp(others, axis=-1, keepdims=True)
    return logits - jnp.where(top, against_top, largest + jnp.log1p(rest))
