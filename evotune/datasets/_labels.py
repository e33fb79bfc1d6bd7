"""Labels of any type to class codes 0..C-1 and the names of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evotune import _errors


def is_quantity(y: np.ndarray) -> bool:
    """Whether ``y`` looks like quantities to regress on: floats, and nothing else."""
    if y.dtype.kind == "O":
        return y.size > 0 and all(isinstance(value, float) for value in y.flat)
    return y.dtype.kind == "f"


def encode_labels(
    y: np.ndarray,
    y_test: np.ndarray | None,
    class_names: Sequence[str] | None,
    found: list[str],
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Class codes of training and test labels under one naming.

    Integer labels that are already 0..C-1 stay as they are; others, such as 1..C, are
    mapped in sorted order and keep their text as the class name.

    Args:
        y: [N] integers, booleans, strings or whole floats.
        y_test: [N'] likewise, or None.
        class_names: Names in the order of the codes, or None to take the labels'.
        found: Problems are appended here.

    Returns:
        i32[N] codes (None where they could not be made), i32[N'] codes or None, names.
    """
    names = None if class_names is None else tuple(str(name) for name in class_names)
    labels = _labels(y, "y", found)
    test_labels = None if y_test is None else _labels(y_test, "y_test", found)
    if labels is None or labels.size == 0:
        empty = None if labels is None else labels.astype(np.int32)
        return empty, None, names or ()
    if names is None:
        values = np.unique(labels)
        if labels.dtype.kind == "i" and values[0] >= 0 and values[-1] < len(values):
            values = np.arange(len(values))
        names = tuple(str(value) for value in values)
    elif labels.dtype.kind == "i":
        values = _values_of_integers(labels, names, found)
    else:
        values = np.asarray(names)
    codes = _codes(labels, values, "y", found)
    test_codes = None
    if test_labels is not None:
        if test_labels.dtype.kind == values.dtype.kind:
            test_codes = _codes(test_labels, values, "y_test", found)
        else:
            found.append(
                "`y` and `y_test` must have labels of one type, but got "
                f"{y.dtype} and {None if y_test is None else y_test.dtype}."
            )
    return codes, test_codes, names


def _values_of_integers(
    labels: np.ndarray, names: tuple[str, ...], found: list[str]
) -> np.ndarray:
    """The integer that each name stands for."""
    values = np.unique(labels)
    if values[0] >= 0 and values[-1] < len(names):
        return np.arange(len(names))
    if len(values) == len(names):  # such as 1..C, or -1 and 1
        return values
    found.append(
        f"`class_names` must name every class, but got {len(names)} names for the "
        f"{len(values)} labels {_some(values)}. Name all of them, in sorted order."
    )
    return values


def _codes(
    labels: np.ndarray, values: np.ndarray, what: str, found: list[str]
) -> np.ndarray | None:
    """i32 position of every label in ``values``, in the order they stand there."""
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(values, labels, sorter=order)
    codes = order[np.minimum(place, len(values) - 1)]
    unknown = values[codes] != labels
    if unknown.any():
        strange = np.unique(labels[unknown])
        hint = _errors.nearest(str(strange[0]), [str(value) for value in values])
        row = int(np.flatnonzero(unknown)[0])
        known = "`class_names`" if what == "y" else "`y`"
        found.append(
            f"Every label in `{what}` must be known from {known}, but got "
            f"{_some(strange)}, first in row {row}; known are {_some(values)}.{hint}"
        )
        return None
    return codes.astype(np.int32)


def _labels(y: np.ndarray, what: str, found: list[str]) -> np.ndarray | None:
    """One-dimensional int64 or str labels, or None with the reason in ``found``."""
    if y.ndim != 1:
        fix = (
            f"{what}[:, 0]"
            if y.ndim == 2 and y.shape[1] == 1
            else f"{what}.argmax(axis=1) for one-hot rows, or regression=True"
        )
        found.append(
            f"Labels in `{what}` must have shape [N], but got {y.shape}. Pass {fix}."
        )
        return None
    if y.dtype.kind == "O":
        return _labels_of_objects(y, what, found)
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.round(y))
        if whole.all():
            return y.astype(np.int64)
        row = int(np.flatnonzero(~whole)[0])
        found.append(
            f"Labels in `{what}` must be integers or strings, but got {y[row]} in row "
            f"{row}. For quantities pass regression=True and no class_names; drop rows "
            "without a label."
        )
        return None
    if y.dtype.kind in "bU":
        return y.astype(str)
    if y.dtype.kind in "iu":
        return y.astype(np.int64)
    if y.dtype.kind == "S":
        return np.char.decode(y, "utf-8")
    found.append(
        f"Labels in `{what}` must be integers or strings, but got dtype {y.dtype}."
    )
    return None


def _labels_of_objects(y: np.ndarray, what: str, found: list[str]) -> np.ndarray | None:
    missing = np.asarray([value is None or value != value for value in y], dtype=bool)
    if missing.any():
        found.append(
            f"`{what}` has {int(missing.sum()):,} missing "
            f"label{'s' if missing.sum() > 1 else ''}, first in row "
            f"{int(np.flatnonzero(missing)[0])}. Drop rows without a label."
        )
        return None
    if all(isinstance(value, (str, bool, np.bool_)) for value in y):
        return np.asarray([str(value) for value in y], dtype=str)
    if all(isinstance(value, (int, float, np.number)) for value in y):
        return _labels(np.asarray(y.tolist()), what, found)
    types = sorted({type(value).__name__ for value in y})
    found.append(
        f"Labels in `{what}` must be of one type, but got {', '.join(types)}. Convert "
        f"them first: [str(label) for label in {what}]."
    )
    return None


def _some(values: np.ndarray) -> str:
    listed = [repr(value.item()) for value in values[:6]]
    return ", ".join(listed) + (
        f" and {len(values) - 6} more" if len(values) > 6 else ""
    )
