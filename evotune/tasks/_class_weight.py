"""Weights of classes in the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evotune._errors import HyperparameterError, nearest, raise_all


def class_weights(
    class_weight: Any, names: Sequence[str], labels: np.ndarray
) -> np.ndarray | None:
    """f32[C] weight of each class; None where they are not weighted.

    Args:
        class_weight: "balanced" for N / (C * examples of the class), a mapping from
            class name to weight, 1 where it has none, or None.
        names: The C class names by code.
        labels: i32[N] class codes of the training split.

    Raises:
        HyperparameterError: If it is none of these, names a class that there is not, or
            has a weight that is no finite number of at least 0; lists everything found.

    Reference:
        King, Zeng (2001), Logistic regression in rare events data (the balanced ones).

    Example:
        >>> class_weights("balanced", ["no", "yes"], np.array([0, 0, 0, 1])).tolist()
        [0.6666666865348816, 2.0]
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(labels, minlength=len(names))
        weights = len(labels) / (len(names) * np.maximum(counts, 1))
        return weights.astype(np.float32)
    if not isinstance(class_weight, Mapping):
        raise HyperparameterError(
            "class_weight must be 'balanced' or a mapping from class names to weights, "
            f"but got {class_weight!r}. Use `class_weight={{{names[0]!r}: 2.0}}`."
        )
    given = {str(name): weight for name, weight in class_weight.items()}
    found = [
        f"class_weight must name classes, but got {name!r}; there are "
        f"{', '.join(map(repr, names))}.{nearest(name, names)}"
        for name in given
        if name not in names
    ]
    found += [
        f"Class weights must be finite numbers of at least 0, but {name!r} has "
        f"{weight!r}."
        for name, weight in given.items()
        if not _is_weight(weight)
    ]
    if not found and not any(given.get(name, 1.0) for name in names):
        found = ["class_weight must leave a class with a weight, but all are 0."]
    raise_all(found, HyperparameterError, "class_weight")
    return np.asarray([given.get(name, 1.0) for name in names], np.float32)


def _is_weight(value: Any) -> bool:
    number = isinstance(value, (int, float, np.integer, np.floating))
    return number and bool(np.isfinite(value)) and value >= 0
