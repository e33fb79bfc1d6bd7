"""Cross-entropy with smoothed labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from evotune.metrics import cross_entropy


def smoothed_cross_entropy(
    hp: Mapping[str, Any], outputs: jax.Array, targets: jax.Array
) -> jax.Array:
    """f32[...]: cross-entropy of each label, in nats; smoothed where ``hp`` says so.

    Args:
        hp: ``label_smoothing`` is read where it is there.
        outputs: f32[..., C] logits.
        targets: i32[...] labels.

    Reference:
        Szegedy et al. (2016), Rethinking the Inception architecture for computer vision
        (section 7); `optax.losses.smooth_labels`.
    """
    if "label_smoothing" not in hp:
        return cross_entropy(outputs, targets)
    labels = jax.nn.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    smoothing = jnp.asarray(hp["label_smoothing"], outputs.dtype)
    labels = optax.losses.smooth_labels(labels, smoothing)
    return optax.losses.softmax_cross_entropy(outputs, labels)


def check_smoothing(values: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Problems with ``label_smoothing`` in a space; ``values`` as of `Task.check`."""
    return [
        f"label_smoothing must lie in [0, 1), but may be {value!r}. "
        "Use `label_smoothing=Float(0.0, 0.2)`."
        for value in values.get("label_smoothing", ())
        if not 0 <= value < 1
    ]
