"""What must hold of heads that share a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from evotune._errors import DataError, HyperparameterError, nearest, raise_all
from evotune.datasets import Dataset, MappedRows


def check_heads(
    heads: Mapping[str, Dataset],
    metrics: Mapping[str, Any],
    weights: Mapping[str, Any],
) -> None:
    """Whether ``heads`` can share a network.

    Args:
        heads: Datasets by name.
        metrics: What was given by head.
        weights: Likewise, of the losses.

    Raises:
        DataError: If examples differ between heads.
        HyperparameterError: If names or weights do not fit; lists everything found.
    """
    if len(heads) < 2 or not all(str(name).isidentifier() for name in heads):
        raise HyperparameterError(
            "heads must be at least two datasets by names that are identifiers, as "
            f"they are part of names such as 'val_digit_loss', but got {list(heads)}. "
            "Use `{'digit': digits, 'ink': ink}`."
        )
    problems = [
        f"{what} must be by head, but {name!r} is none.{nearest(str(name), heads)}"
        for what, given in (("metrics", metrics), ("weights", weights))
        for name in given
        if name not in heads
    ]
    problems += [
        f"weights must be finite numbers of at least 0, but {name!r} has {value!r}."
        for name, value in weights.items()
        if not (isinstance(value, (int, float)) and 0 <= value < float("inf"))
    ]
    problems += [
        f"{name!r} cannot be the name of a head, because it is an `objective` of its "
        "own. Use another name."
        for name in ("mean", "loss")
        if name in heads
    ]
    raise_all(problems, HyperparameterError, "MultiTask")
    (first, one), *others = heads.items()
    for name, dataset in heads.items():
        if isinstance(dataset.x, MappedRows):
            raise DataError(
                "MultiTask holds its examples in memory, but those of "
                f"{name!r} stay on disk. Read them: "
                "`et.datasets.arrays(np.load(x), np.load(y))`."
            )
    for name, dataset in others:
        if not _same(one.x, dataset.x) or not _same(one.x_test, dataset.x_test):
            raise DataError(
                f"All heads must have the same examples, but `x` or `x_test` of "
                f"{name!r} differs from that of {first!r}. Make both of one array: "
                "`et.datasets.arrays(x, y)`."
            )


def _same(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b)
