"""The Dataset: arrays with names and their source."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from evotune import _errors

from . import _checks
from ._mapped import MappedRows


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Dataset:
    """Examples and their targets, checked when made. Arrays are read-only views.

    Use `arrays` to make one from arrays of other types, string labels or data frames.

    Attributes:
        name: A short name, such as "digits".
        x: f32[N, ...] examples, finite; or i32[N, T] codes of symbols, -1 beyond the
            end of an example that is shorter than others. `npy` makes one whose
            examples stay on disk: a `MappedRows`, which stands for f32[N, ...].
        y: i32[N] class codes in 0..C-1, or f32[N] or f32[N, K] to regress on.
        feature_names: Names of the columns of a two-dimensional ``x``, or None.
        class_names: Names of the C classes by code; None means regression.
        source: Where the data come from, for the report.
        x_test: f32[N', ...] of the published test set, or None without one.
        y_test: Like ``y``, of the published test set.
        vocabulary: Names of the symbols by code; None means that ``x`` are numbers.
        sample_weight: f32[N] how much each example counts, in the loss and in metrics;
            at least 0. None means that all count the same.
        sample_weight_test: Likewise f32[N'] of the published test set.

    Raises:
        DataError: If the arrays do not fit each other or hold values that cannot be
            trained on; lists everything found.

    Example:
        >>> import numpy as np
        >>> from evotune.datasets import arrays
        >>> data = arrays(np.eye(4), ["no", "yes", "no", "yes"], name="tiny")
        >>> data.class_names, data.y.tolist()
        (('no', 'yes'), [0, 1, 0, 1])
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    feature_names: tuple[str, ...] | None = None
    class_names: tuple[str, ...] | None = None
    source: str = "given as arrays"
    x_test: np.ndarray | None = None
    y_test: np.ndarray | None = None
    vocabulary: tuple[str, ...] | None = None
    sample_weight: np.ndarray | None = None
    sample_weight_test: np.ndarray | None = None

    def __post_init__(self) -> None:
        found = []
        for field in (
            *("x", "y", "x_test", "y_test"),
            *("sample_weight", "sample_weight_test"),
        ):
            value = getattr(self, field)
            if isinstance(value, np.ndarray):
                view = value.view()
                view.flags.writeable = False
                object.__setattr__(self, field, view)
            elif isinstance(value, MappedRows) and field in ("x", "x_test"):
                pass  # stands for an array, and is read-only
            elif value is not None or field in ("x", "y"):
                found.append(
                    f"`{field}` of a Dataset must be a numpy array, but got "
                    f"{type(value).__name__}. Make it with datasets.arrays(x, y)."
                )
        for field in ("feature_names", "class_names", "vocabulary"):
            names = getattr(self, field)
            if names is not None:
                object.__setattr__(self, field, tuple(str(name) for name in names))
        if (self.x_test is None) != (self.y_test is None):
            given, missing = ("x_test", "y_test")[:: 1 if self.y_test is None else -1]
            found.append(f"`{given}` is given without `{missing}`. Give both or none.")
        if not found:
            found = _checks.problems(
                x=self.x,
                y=self.y,
                x_test=self.x_test,
                y_test=self.y_test,
                feature_names=self.feature_names,
                class_names=self.class_names,
                vocabulary=self.vocabulary,
            )
            for field, rows in (
                ("sample_weight", self.x),
                ("sample_weight_test", self.x_test),
            ):
                found += _checks.weight_problems(field, getattr(self, field), rows)
        _errors.raise_all(found, _errors.DataError, f"Dataset {self.name!r}")

    def __len__(self) -> int:
        """N, the number of rows without the published test set."""
        return len(self.x)

    def reshape(self, *shape: int) -> Dataset:
        """The same dataset with examples of another shape: flat pixels as images.

        Columns of a table are scaled one by one before training; images and series are
        scaled as a whole. Names of columns are dropped.

        Args:
            shape: Shape of one example: height, width and channels of images, length
                and channels of series.

        Raises:
            DataError: If examples have another number of values.

        Example:
            >>> from evotune import datasets
            >>> datasets.digits().reshape(8, 8, 1).x.shape
            (1797, 8, 8, 1)
        """
        if math.prod(shape) != math.prod(self.x.shape[1:]):
            raise _errors.DataError(
                f"reshape{shape} must keep the {math.prod(self.x.shape[1:])} values of "
                f"an example of {self.name!r}, which has shape {self.x.shape[1:]}, but "
                f"{shape} has {math.prod(shape)}. Give height, width and channels: "
                "`reshape(8, 8, 1)`."
            )
        test = self.x_test
        return dataclasses.replace(
            self,
            x=self.x.reshape(len(self.x), *shape),
            x_test=None if test is None else test.reshape(len(test), *shape),
            feature_names=None,
        )

    @property
    def n_classes(self) -> int | None:
        """C, the number of classes; None for regression."""
        return None if self.class_names is None else len(self.class_names)

    @property
    def is_regression(self) -> bool:
        """Whether ``y`` are quantities rather than classes."""
        return self.class_names is None

    def __repr__(self) -> str:
        shape = " x ".join(f"{size:,}" for size in self.x.shape)
        if self.class_names is None:
            columns = 1 if self.y.ndim == 1 else self.y.shape[1]
            target = f"{columns} target{'s' if columns != 1 else ''} to regress on"
        else:
            target = f"{self.n_classes} classes"
        if self.vocabulary is not None:
            shape += f" of {len(self.vocabulary)} symbols"
        test = "" if self.x_test is None else f" + {len(self.x_test):,} for testing"
        return f"Dataset({self.name!r}, {shape}{test}, {target}, {self.source!r})"
