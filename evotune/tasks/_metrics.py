"""Scores of a whole split, for one member."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import jax
import jax.numpy as jnp

from evotune._errors import HyperparameterError, nearest


@dataclasses.dataclass(frozen=True)
class Metric:
    """A score and the direction in which it gets better.

    Attributes:
        function: (outputs f32[N, C or K], targets [N] or f32[N, K]) -> f32[].
        direction: Whether larger or smaller is better.
    """

    function: Callable[[jax.Array, jax.Array], jax.Array]
    direction: Literal["maximize", "minimize"]


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Fraction of examples whose largest logit is that of their label."""
    return jnp.mean((jnp.argmax(logits, axis=-1) == labels).astype(jnp.float32))


def log_loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean cross-entropy between softmax(logits) and the labels, in nats."""
    return jnp.mean(cross_entropy(logits, labels))


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """f32[N]: -log softmax(logits)[label], in nats.

    Equal to optax's softmax_cross_entropy_with_integer_labels. That one gathers, and
    its gradient scatters; this compares every class with the label instead.
    """
    chosen = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    picked = jnp.sum(jnp.where(chosen, logits, jnp.zeros_like(logits)), axis=-1)
    return jax.nn.logsumexp(logits, axis=-1) - picked


def mean_squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of (output - target)^2 over examples and targets."""
    return jnp.mean(jnp.square(outputs - targets))


def root_mean_squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Square root of `mean_squared_error`, in the units of the targets."""
    return jnp.sqrt(mean_squared_error(outputs, targets))


def mean_absolute_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean of |output - target| over examples and targets."""
    return jnp.mean(jnp.abs(outputs - targets))


def r2(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Coefficient of determination, averaged over targets: 1 - SSE / SST."""
    residual = jnp.sum(jnp.square(outputs - targets), axis=0)
    centred = targets - jnp.mean(targets, axis=0, keepdims=True)
    total = jnp.sum(jnp.square(centred), axis=0)
    return jnp.mean(1.0 - residual / total)


CLASSIFICATION: Mapping[str, Metric] = {
    "accuracy": Metric(accuracy, "maximize"),
    "loss": Metric(log_loss, "minimize"),
}

REGRESSION: Mapping[str, Metric] = {
    "loss": Metric(mean_squared_error, "minimize"),
    "rmse": Metric(root_mean_squared_error, "minimize"),
    "mae": Metric(mean_absolute_error, "minimize"),
    "r2": Metric(r2, "maximize"),
}


def find_metric(name: str, metrics: Mapping[str, Metric]) -> str:
    """``name`` without its optional "val_", checked against ``metrics``.

    Raises:
        HyperparameterError: If the task has no such metric.
    """
    short = name.removeprefix("val_")
    if short not in metrics:
        raise HyperparameterError(
            f"metric must be one of {_listed(metrics)}, but got {name!r}."
            f"{nearest(short, metrics)} Scores are of the validation split."
        )
    return short


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
