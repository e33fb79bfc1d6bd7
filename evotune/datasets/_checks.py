"""What must hold of data before anything is trained on them, checked all at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._mapped import MappedRows
from ._symbols import symbol_problems

_LISTED = 8
"""Columns that are listed one by one; the rest is only counted."""


def problems(
    *,
    x: np.ndarray | None,
    y: np.ndarray | None,
    x_test: np.ndarray | None,
    y_test: np.ndarray | None,
    feature_names: tuple[str, ...] | None,
    class_names: tuple[str, ...] | None,
    vocabulary: tuple[str, ...] | None = None,
) -> list[str]:
    """Everything that keeps these arrays from being trained on.

    Args:
        x: f32[N, ...], or None where it could not be converted (said elsewhere).
        y: i32[N] class codes or f32[N] or f32[N, K], or None likewise.
        x_test: f32[N', ...], or None where there is none.
        y_test: Like ``y`` for the published test set, or None.
        feature_names: Names of the columns of a two-dimensional ``x``, or None.
        class_names: Names of the classes; None means regression.
        vocabulary: Symbols by code, where ``x`` is i32[N, T] codes of them.
    """
    if vocabulary is None:
        found = _features("x", x, feature_names)
        found += _features("x_test", x_test, feature_names)
    else:
        found = symbol_problems("x", x, vocabulary)
        found += symbol_problems("x_test", x_test, vocabulary)
    found += [
        *_targets("y", y, class_names),
        *_targets("y_test", y_test, class_names),
        *_lengths("x", x, "y", y),
        *_lengths("x_test", x_test, "y_test", y_test),
        *_names("feature_names", feature_names),
        *_names("class_names", class_names),
        *_names("vocabulary", vocabulary),
    ]
    if x is not None and x_test is not None and x.shape[1:] != x_test.shape[1:]:
        found.append(
            f"`x` and `x_test` must have rows of one shape, but got {x.shape[1:]} and "
            f"{x_test.shape[1:]}. Prepare both in the same way."
        )
    if y is not None and y_test is not None and y.shape[1:] != y_test.shape[1:]:
        found.append(
            f"`y` and `y_test` must have the same columns, but got shapes {y.shape} "
            f"and {y_test.shape}. Prepare both in the same way."
        )
    if class_names is not None and y is not None and y.size:
        found += _classes(y, class_names)
    return found


def weight_problems(
    what: str, weights: np.ndarray | None, examples: np.ndarray | None
) -> list[str]:
    """What keeps ``weights`` from being f32[N], at least 0, of the N ``examples``."""
    if weights is None:
        return []
    rows = 0 if examples is None else len(examples)
    if weights.dtype != np.float32 or weights.shape != (rows,):
        return [
            f"`{what}` must be float32 of shape [{rows}], one for each example, but "
            f"got {weights.dtype} of shape {weights.shape}. Give one number a row: "
            "datasets.arrays(x, y, sample_weight=...)."
        ]
    if not np.all(np.isfinite(weights)) or weights.min() < 0 or not weights.any():
        return [
            f"`{what}` must be finite, at least 0 and not all 0, but lies in "
            f"{weights.min():g}..{weights.max():g}. Leave out examples that should not "
            "count."
        ]
    return []


def not_finite(
    values: np.ndarray, what: str, names: Sequence[str] | None = None
) -> list[str]:
    """NaN and infinite values, by column, with their count and first row.

    Args:
        values: Array of floats whose first axis counts rows.
        what: Its name in the message, such as "x".
        names: Names of its columns where it is two-dimensional.
    """
    bad = ~np.isfinite(values)
    if not bad.any():
        return []
    fix = (
        f"Drop such rows: keep = np.isfinite({what}).reshape(len({what}), -1)"
        ".all(axis=1), or fill them in before the data are passed on."
    )
    if values.ndim != 2:
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        place = f"row {first[0]}" if len(first) == 1 else f"index {first}"
        found = f"`{what}` has {_counted(values, bad)}, first at {place}. {fix}"
        return [found]
    columns = np.flatnonzero(bad.any(axis=0))
    listed = []
    for column in columns[:_LISTED]:
        rows = np.flatnonzero(bad[:, column])
        listed.append(
            f"column {column_name(column, names)} of `{what}` has "
            f"{_counted(values[:, column], bad[:, column])}, first in row {rows[0]}"
        )
    if len(columns) > _LISTED:
        listed.append(f"and so have {len(columns) - _LISTED} more columns")
    text = "; ".join(listed)
    return [f"{text[0].upper()}{text[1:]}. {fix}"]


def column_name(column: int, names: Sequence[str] | None) -> str:
    """The column's name and number, as messages call it."""
    if names is not None and column < len(names):
        return f"{names[column]!r} (number {column})"
    return f"number {column}"


def _counted(values: np.ndarray, bad: np.ndarray) -> str:
    nan = int(np.isnan(values).sum())
    infinite = int(bad.sum()) - nan
    parts = [f"{nan:,} NaN"] if nan else []
    parts += [f"{infinite:,} infinite"] if infinite else []
    return f"{' and '.join(parts)} value{'s' if nan + infinite > 1 else ''}"


def _features(
    what: str, x: np.ndarray | None, feature_names: tuple[str, ...] | None
) -> list[str]:
    if x is None:
        return []
    if x.dtype != np.float32:
        return [
            (
                f"`{what}` of a Dataset must be float32, but got {x.dtype}. Make the "
                "dataset with datasets.arrays(x, y), which converts."
            )
        ]
    if x.ndim < 2:
        return [
            (
                f"`{what}` must have rows and at least one axis of features, but got "
                f"shape {x.shape}. For a single feature pass {what}[:, None]."
            )
        ]
    if x.size == 0:
        return [
            (
                f"`{what}` must hold at least one row and one feature, but got shape "
                f"{x.shape}. Was everything filtered out?"
            )
        ]
    found: list[str] = []
    if not isinstance(x, MappedRows):  # those are checked when they are read
        found += not_finite(x, what, feature_names if x.ndim == 2 else None)
    if feature_names is not None and what == "x":
        if x.ndim != 2:
            found.append(
                "`feature_names` need an `x` of shape [N, features], but got shape "
                f"{x.shape}. Leave feature_names out."
            )
        elif len(feature_names) != x.shape[1]:
            found.append(
                f"`feature_names` must name every column of `x`, but got "
                f"{len(feature_names)} names for {x.shape[1]} columns."
            )
    return found


def _targets(
    what: str, y: np.ndarray | None, class_names: tuple[str, ...] | None
) -> list[str]:
    if y is None:
        return []
    if class_names is None:
        if y.dtype != np.float32 or y.ndim not in (1, 2):
            return [
                (
                    f"`{what}` of a regression must be float32 of shape [N] or "
                    f"[N, K], but got {y.dtype} of shape {y.shape}. For classes "
                    "give class_names."
                )
            ]
        return not_finite(y, what) if y.size else [_no_rows(what, y)]
    if y.dtype != np.int32 or y.ndim != 1:
        return [
            (
                f"`{what}` of a classification must be int32 of shape [N], but got "
                f"{y.dtype} of shape {y.shape}. Make the dataset with datasets.arrays("
                f"x, y), which converts; for one-hot rows pass {what}.argmax(axis=1)."
            )
        ]
    if not y.size:
        return [_no_rows(what, y)]
    if y.min() < 0 or y.max() >= len(class_names):
        return [
            (
                f"Class codes in `{what}` must lie in 0..{len(class_names) - 1}, one "
                f"for each of the {len(class_names)} class names, but got "
                f"{y.min()}..{y.max()}. Were all classes named, in the "
                "order of their codes?"
            )
        ]
    return []


def _no_rows(what: str, y: np.ndarray) -> str:
    return f"`{what}` must hold at least one row, but got shape {y.shape}."


def _lengths(
    x_name: str, x: np.ndarray | None, y_name: str, y: np.ndarray | None
) -> list[str]:
    if x is None or y is None or x.ndim == 0 or y.ndim == 0 or len(x) == len(y):
        return []
    hint = ""
    if x.ndim == 2 and x.shape[1] == len(y):
        hint = f" Is `{x_name}` the wrong way round? Pass {x_name}.T."
    return [
        (
            f"`{x_name}` and `{y_name}` must have a row for each other, but `{x_name}` "
            f"has {len(x):,} rows and `{y_name}` has {len(y):,}.{hint}"
        )
    ]


def _names(what: str, names: tuple[str, ...] | None) -> list[str]:
    if names is None or len(set(names)) == len(names):
        return []
    twice = sorted({name for name in names if names.count(name) > 1})
    return [f"`{what}` must differ from each other, but {twice} come more than once."]


def _classes(y: np.ndarray, class_names: tuple[str, ...]) -> list[str]:
    if y.dtype != np.int32:
        return []
    present = np.unique(y)
    if len(present) >= 2:
        return []
    only = class_names[present[0]] if 0 <= present[0] < len(class_names) else present[0]
    return [
        (
            f"A classification needs at least 2 classes in `y`, but all {len(y):,} "
            f"rows are of class {str(only)!r}. Was the wrong column taken, or were "
            "the rows sorted and cut? For a quantity pass regression=True."
        )
    ]
