"""Scores of several yes-or-no labels for each example."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from evotune.metrics._averages import (
    Score,
    averaged,
    check_average,
    f1_of,
    precision_of,
    recall_of,
)
from evotune.metrics._ranking import area_under_precision, mean_area, of_columns
from evotune.metrics._weights import weighted_mean


def binary_cross_entropy(
    logits: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Mean cross-entropy of sigmoid(logits) over examples and labels, in nats.

    Equal to the mean of sklearn.metrics.log_loss over labels.

    Args:
        logits: f32[N, L]; a label is predicted where its logit is above 0.
        targets: f32 or bool [N, L]: 1 where the example has the label, else 0.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    targets = targets.astype(logits.dtype)
    losses = optax.losses.sigmoid_binary_cross_entropy(logits, targets)
    return weighted_mean(losses, sample_weight)


def subset_accuracy(
    logits: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Fraction of examples with all labels right.

    Equal to sklearn.metrics.accuracy_score. Arguments are those of
    `binary_cross_entropy`.
    """
    right = (logits > 0) == targets.astype(bool)
    return weighted_mean(jnp.all(right, axis=-1).astype(jnp.float32), sample_weight)


def hamming_loss(
    logits: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Fraction of wrong labels, of all examples and labels.

    Equal to sklearn.metrics.hamming_loss. Arguments are those of
    `binary_cross_entropy`.
    """
    return weighted_mean(
        ((logits > 0) != targets.astype(bool)).astype(jnp.float32), sample_weight
    )


def multilabel_precision(
    logits: jax.Array,
    targets: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    average: str = "macro",
) -> jax.Array:
    """Fraction of the predicted labels that are right.

    Equal to sklearn.metrics.precision_score(zero_division=0).

    Args:
        logits: f32[N, L]; a label is predicted where its logit is above 0.
        targets: f32 or bool [N, L]: 1 where the example has the label, else 0.
        sample_weight: f32[N] how much each example counts; None for all the same.
        average: "macro" is the mean over labels, "weighted" that weighted by examples
            of the label, "micro" counts all labels together, "samples" is the mean
            over examples.

    Raises:
        HyperparameterError: If ``average`` is none of these.
    """
    return _averaged(precision_of, logits, targets, sample_weight, average)


def multilabel_recall(
    logits: jax.Array,
    targets: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    average: str = "macro",
) -> jax.Array:
    """Fraction of the labels that are found.

    Equal to sklearn.metrics.recall_score(zero_division=0). Arguments and errors are
    those of `multilabel_precision`.
    """
    return _averaged(recall_of, logits, targets, sample_weight, average)


def multilabel_f1(
    logits: jax.Array,
    targets: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    average: str = "macro",
) -> jax.Array:
    """Harmonic mean of precision and recall.

    Equal to sklearn.metrics.f1_score(zero_division=0). Arguments and errors are those
    of `multilabel_precision`.
    """
    return _averaged(f1_of, logits, targets, sample_weight, average)


def multilabel_roc_auc(
    logits: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Area under the ROC curve, the mean over labels.

    Equal to sklearn.metrics.roc_auc_score. Labels that all examples have, or none, are
    left out of the mean, where sklearn warns and gives NaN; it is 0.5 where that leaves
    no label. Arguments are those of `binary_cross_entropy`.
    """
    return mean_area(logits, targets.astype(bool), sample_weight)


def multilabel_average_precision(
    logits: jax.Array, targets: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Area under the precision-recall curve, the mean over labels.

    Equal to sklearn.metrics.average_precision_score: a label that no example has counts
    as 0, where sklearn warns. Arguments are those of `binary_cross_entropy`.
    """
    positive = targets.astype(bool)
    return jnp.mean(of_columns(area_under_precision, logits, positive, sample_weight))


def _averaged(
    score: Score,
    logits: jax.Array,
    targets: jax.Array,
    sample_weight: jax.Array | None,
    average: str,
) -> jax.Array:
    check_average(average, ("micro", "macro", "weighted", "samples"))
    predicted, true = logits > 0, targets.astype(bool)
    axis = 1 if average == "samples" else 0
    found = [each.astype(jnp.float32) for each in (predicted & true, predicted, true)]
    if sample_weight is not None and average != "samples":
        found = [each * sample_weight[:, None] for each in found]
    hits, predicted, true = (jnp.sum(each, axis=axis) for each in found)
    if sample_weight is not None and average == "samples":
        return weighted_mean(score(hits, predicted, true), sample_weight)
    counted = jnp.ones_like(true, dtype=bool)
    return averaged(score, hits, predicted, true, average=average, counted=counted)
