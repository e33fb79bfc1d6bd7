"""Scores of predicted classes and of their probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError
from evotune.metrics._averages import (
    Score,
    averaged,
    check_average,
    f1_of,
    precision_of,
    ratio,
    recall_of,
)
from evotune.metrics._confusion import confusion_matrix
from evotune.metrics._weights import weighted_mean

_LARGEST_EXPONENT = 88.0  # exp of it is float32's largest number, but for a factor 2


def accuracy(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Fraction of examples whose largest logit is that of their label.

    Equal to sklearn.metrics.accuracy_score.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    right = (jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32)
    return weighted_mean(right, sample_weight)


def balanced_accuracy(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Mean of the recall of every class that has examples.

    Equal to sklearn.metrics.balanced_accuracy_score, which warns where a class is
    predicted that has no examples; such a class is left out here, too.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    hits, predicted, true = _counts(logits, labels, sample_weight)
    recalls = recall_of(hits, predicted, true)
    return ratio(jnp.sum(recalls), jnp.sum((true > 0).astype(jnp.float32)))


def top_k_accuracy(
    logits: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    k: int = 5,
) -> jax.Array:
    """Fraction of examples whose label is among the ``k`` largest logits.

    Equal to sklearn.metrics.top_k_accuracy_score(labels=range(C)): of equal logits that
    of the higher class comes first, other than in `accuracy`. It is 1 where k >= C;
    sklearn warns there.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
        k: At least 1.

    Raises:
        HyperparameterError: If ``k`` is less than 1.
    """
    if k < 1:
        raise HyperparameterError(f"k must be at least 1, but got {k!r}. Use k=5.")
    own = _of_label(logits, labels)[:, None]
    later = jnp.arange(logits.shape[-1])[None, :] > labels[:, None]
    before = (logits > own) | ((logits == own) & later)
    return weighted_mean(
        (jnp.sum(before, axis=-1) < k).astype(jnp.float32), sample_weight
    )


def log_loss(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """Mean cross-entropy between softmax(logits) and the labels, in nats.

    Equal to sklearn.metrics.log_loss(labels=range(C)) of the probabilities, which
    clips them; here the loss of a very wrong prediction goes on to grow.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    return weighted_mean(cross_entropy(logits, labels), sample_weight)


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """f32[N]: -log softmax(logits)[label], in nats.

    Equal to optax's softmax_cross_entropy_with_integer_labels. That one gathers, and
    its gradient scatters; this compares every class with the label instead.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
    """
    picked = _of_label(logits, labels)
    return jax.nn.logsumexp(logits, axis=-1) - picked


def perplexity(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None = None
) -> jax.Array:
    """exp(`log_loss`): as uncertain as a fair choice among so many classes.

    At most exp(88), where float32 ends.

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
    """
    return jnp.exp(
        jnp.minimum(log_loss(logits, labels, sample_weight), _LARGEST_EXPONENT)
    )


def precision(
    logits: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    average: str = "macro",
) -> jax.Array:
    """Fraction of the predictions of a class that are right, averaged over classes.

    Equal to sklearn.metrics.precision_score(zero_division=0).

    Args:
        logits: f32[N, C].
        labels: i32[N] in 0..C-1.
        sample_weight: f32[N] how much each example counts; None for all the same.
        average: "macro" is the mean over the classes that have examples or
            predictions, "weighted" that weighted by examples, "micro" counts all
            classes together, which is the accuracy, "binary" takes class 1 of two.

    Raises:
        HyperparameterError: If ``average`` is none of these, or is "binary" with more
            than two classes.

    Example:
        >>> import jax.numpy as jnp
        >>> logits = jnp.array([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]])
        >>> float(precision(logits, jnp.array([0, 1, 0])))
        0.75
    """
    return _averaged(precision_of, logits, labels, sample_weight, average)


def recall(
    logits: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    average: str = "macro",
) -> jax.Array:
    """Fraction of the examples of a class that are found, averaged over classes.

    Equal to sklearn.metrics.recall_score(zero_division=0). Arguments and errors are
    those of `precision`.
    """
    return _averaged(recall_of, logits, labels, sample_weight, average)


def f1(
    logits: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None = None,
    *,
    average: str = "macro",
) -> jax.Array:
    """Harmonic mean of a class's precision and recall, averaged over classes.

    Equal to sklearn.metrics.f1_score(zero_division=0). Arguments and errors are those
    of `precision`.
    """
    return _averaged(f1_of, logits, labels, sample_weight, average)


def _averaged(
    score: Score,
    logits: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None,
    average: str,
) -> jax.Array:
    check_average(average, ("micro", "macro", "weighted", "binary"))
    hits, predicted, true = _counts(logits, labels, sample_weight)
    if average == "binary":
        classes = logits.shape[-1]
        if classes != 2:
            raise HyperparameterError(
                f"average='binary' is of class 1 of two, but there are {classes} "
                "classes. Use average='macro': the metrics 'precision_macro', "
                "'recall_macro' and 'f1_macro'."
            )
        return score(hits[1], predicted[1], true[1])
    counted = (predicted + true) > 0
    if sample_weight is not None:  # a class is there even if nothing of it counts
        _, predictions, examples = _counts(logits, labels, None)
        counted = (predictions + examples) > 0
    return averaged(score, hits, predicted, true, average=average, counted=counted)


def _counts(
    logits: jax.Array, labels: jax.Array, sample_weight: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """f32[C] each: right predictions of a class, its predictions, its examples."""
    table = confusion_matrix(logits, labels, sample_weight).astype(jnp.float32)
    return jnp.diagonal(table), jnp.sum(table, axis=0), jnp.sum(table, axis=1)


def _of_label(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """f32[N]: the logit of each example's label, found by comparing."""
    chosen = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    return jnp.sum(jnp.where(chosen, logits, jnp.zeros_like(logits)), axis=-1)
