"""Datasets from arrays, lists and data frames of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evotune import _errors

from . import _checks
from ._dataset import Dataset
from ._labels import encode_labels, is_quantity
from ._mapped import MappedRows
from ._symbols import as_codes, as_vocabulary, same_length


def arrays(
    x: Any,
    y: Any,
    *,
    x_test: Any = None,
    y_test: Any = None,
    feature_names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
    vocabulary: Sequence[str] | int | None = None,
    sample_weight: Any = None,
    sample_weight_test: Any = None,
    regression: bool | None = None,
    name: str = "arrays",
    source: str = "given as arrays",
) -> Dataset:
    """A dataset of arrays, lists or data frames that are already in memory.

    Numbers of any width become float32; they are not scaled. Labels (strings, integers,
    booleans) become class codes in sorted order, or in the order of ``class_names``.

    Args:
        x: [N, ...] numbers: features, images with the channel last, sequences. The
            column names of a data frame become ``feature_names``.
        y: [N] labels, or [N] or [N, K] quantities.
        x_test: A published test set, used as the test split; with ``y_test``.
        y_test: Its labels or quantities.
        feature_names: Names of the columns of a two-dimensional ``x``.
        class_names: Names of the classes in the order of their codes. With string
            labels these are the labels themselves.
        vocabulary: Names of symbols by code, or their number, where examples are series
            of such codes: [N, T] integers, or N sequences of them. Shorter ones are
            filled up with -1, which models that evotune brings pass by.
        sample_weight: [N] numbers of at least 0: how much each example counts, in the
            loss that is minimised and in the metrics; they are split along with it.
        sample_weight_test: [N'] likewise, of a published test set.
        regression: Whether ``y`` are quantities. None: floats are quantities, while
            integers, booleans and strings are classes.
        name: The dataset's name.
        source: Where the data come from, for the report.

    Raises:
        DataError: If the data cannot be trained on; lists everything found.

    Example:
        >>> import numpy as np
        >>> import evotune.datasets as datasets
        >>> datasets.arrays(np.arange(6).reshape(3, 2), [1.5, 2.5, 3.5])
        Dataset('arrays', 3 x 2, 1 target to regress on, 'given as arrays')
    """
    if feature_names is None and hasattr(x, "columns"):
        feature_names = [str(column) for column in x.columns]
    features = None if feature_names is None else tuple(map(str, feature_names))
    found: list[str] = []
    symbols = as_vocabulary(vocabulary)

    def examples(values: Any, what: str) -> Any:
        if isinstance(values, MappedRows):
            return values
        if symbols is None:
            return _numbers(values, what, features, found)
        return as_codes(values, what, found)

    x_array = examples(x, "x")
    x_test_array = None if x_test is None else examples(x_test, "x_test")
    if symbols is not None and x_array is not None and x_test_array is not None:
        x_array, x_test_array = same_length(x_array, x_test_array)
    y_raw, y_test_raw = _plain(y), None if y_test is None else _plain(y_test)
    if regression is None:
        regression = class_names is None and is_quantity(y_raw)
    elif regression and class_names is not None:
        found.append(
            "`regression=True` and `class_names` contradict each other. Leave one out."
        )
    names: tuple[str, ...] | None = None
    y_array: np.ndarray | None
    y_test_array: np.ndarray | None = None
    if regression:
        y_array = _numbers(y_raw, "y", None, found)
        if y_test_raw is not None:
            y_test_array = _numbers(y_test_raw, "y_test", None, found)
    else:
        y_array, y_test_array, names = encode_labels(
            y_raw, y_test_raw, class_names, found
        )
    if (x_test is None) != (y_test is None):
        given, missing = ("x_test", "y_test")[:: 1 if y_test is None else -1]
        found.append(f"`{given}` is given without `{missing}`. Give both or none.")
    found += _checks.problems(
        x=x_array,
        y=y_array,
        x_test=x_test_array,
        y_test=y_test_array,
        feature_names=features,
        class_names=names,
        vocabulary=symbols,
    )
    _errors.raise_all(found, _errors.DataError, f"Dataset {name!r}")
    assert x_array is not None  # else a problem was raised
    assert y_array is not None
    return Dataset(
        name=name,
        x=x_array,
        y=y_array,
        feature_names=features,
        class_names=names,
        source=source,
        x_test=x_test_array,
        y_test=y_test_array,
        vocabulary=symbols,
        sample_weight=_weights(sample_weight),
        sample_weight_test=_weights(sample_weight_test),
    )


def _weights(values: Any) -> np.ndarray | None:
    """f32 of numbers; other things as they are, for `Dataset` to refuse."""
    array = None if values is None else _plain(values)
    if array is None or array.dtype.kind not in "biuf":
        return array
    return array.astype(np.float32)


def _plain(values: Any) -> np.ndarray:
    """The values as a numpy array; ragged and mixed lists stay objects."""
    try:
        array = np.asarray(values)
    except ValueError:
        return np.asarray(values, dtype=object)
    if array.dtype.kind == "U" and isinstance(values, (list, tuple)):
        # numpy turns ["cat", nan] into the text "nan", which would be a class.
        mixed = array.ndim == 1 and not all(isinstance(value, str) for value in values)
        return np.asarray(values, dtype=object) if mixed else array
    return array


def _numbers(
    values: Any, what: str, names: Sequence[str] | None, found: list[str]
) -> np.ndarray | None:
    """f32 of the same shape, or None with the reason appended to ``found``."""
    array = _plain(values)
    if array.dtype.kind == "O" and all(
        isinstance(value, (int, float, np.number, np.bool_)) for value in array.flat
    ):
        array = array.astype(np.float64)
    if array.dtype.kind not in "biuf":
        found.append(_wrong_dtype(array, what, names))
        return None
    with np.errstate(over="ignore"):
        narrow = np.ascontiguousarray(array, dtype=np.float32)
    if array.dtype == np.float64:
        overflown = np.isinf(narrow) & np.isfinite(array)
        if overflown.any():
            first = tuple(int(i) for i in np.argwhere(overflown)[0])
            found.append(
                f"Values in `{what}` must fit float32 (up to 3.4e38), but "
                f"{int(overflown.sum()):,} do not, first {array[first]:.3g} at index "
                f"{first}. Rescale them, or take their logarithm."
            )
            return None
    return narrow


def _wrong_dtype(array: np.ndarray, what: str, names: Sequence[str] | None) -> str:
    text = f"`{what}` must be an array of numbers, but got dtype {array.dtype}"
    if array.dtype.kind == "O" and array.ndim == 1:
        return f"{text} of ragged or mixed rows. Give every row the same shape."
    if array.dtype.kind in "OUS" and array.ndim == 2:
        columns = [
            _checks.column_name(column, names)
            for column in range(array.shape[1])
            if not all(_is_number(value) for value in array[:, column])
        ]
        shown = ", ".join(columns[:8]) + (" and more" if len(columns) > 8 else "")
        if columns:
            return (
                f"{text}: not numbers in column {shown}. One-hot encode text columns "
                "(pandas.get_dummies(x)), or use datasets.csv(), which does."
            )
    return f"{text}. Convert it first: np.asarray({what}, dtype=np.float32)."


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True
