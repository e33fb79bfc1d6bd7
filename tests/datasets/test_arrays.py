"""Datasets of arrays: what is converted, what is refused, and in which words."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from evotune._errors import DataError
from evotune.datasets import Dataset, arrays

X = np.arange(12.0).reshape(6, 2)
LABELS = ["b", "a", "b", "c", "a", "c"]


def test_numbers_of_any_width_become_read_only_float32():
    given = X.astype(np.float32)
    data = arrays(given, LABELS)
    assert data.x.dtype == np.float32
    assert not data.x.flags.writeable
    given[0, 0] = 7  # the caller's own array stays writable
    assert arrays(X.astype(int).tolist(), LABELS).x.dtype == np.float32
    assert arrays(X > 3, LABELS).x.dtype == np.float32


def test_string_labels_become_codes_in_sorted_order():
    data = arrays(X, LABELS)
    assert data.class_names == ("a", "b", "c")
    assert data.y.dtype == np.int32
    assert data.y.tolist() == [1, 0, 1, 2, 0, 2]
    assert (data.n_classes, len(data), data.is_regression) == (3, 6, False)


def test_string_labels_follow_the_order_of_class_names():
    data = arrays(X, LABELS, class_names=["c", "b", "a"])
    assert data.y.tolist() == [1, 2, 1, 0, 2, 0]


def test_labels_with_gaps_become_codes_and_keep_their_names():
    data = arrays(X, [7, 1, 7, -2, 1, 1])
    assert data.class_names == ("-2", "1", "7")
    assert data.y.tolist() == [2, 1, 2, 0, 1, 1]


def test_labels_from_zero_stay_as_they_are():
    assert arrays(X, [0, 2, 1, 0, 2, 1]).y.tolist() == [0, 2, 1, 0, 2, 1]
    named = arrays(X, [0, 1, 1, 0, 1, 1], class_names=["no", "yes", "maybe"])
    assert named.y.tolist() == [0, 1, 1, 0, 1, 1]
    assert named.n_classes == 3


def test_labels_from_one_take_the_names_in_order():
    data = arrays(X, [1, 2, 1, 2, 1, 1], class_names=["low", "high"])
    assert data.y.tolist() == [0, 1, 0, 1, 0, 0]


def test_booleans_are_classes():
    assert arrays(X, X[:, 0] > 4).class_names == ("False", "True")


def test_floats_are_quantities_unless_said_otherwise():
    assert arrays(X, X[:, 0]).is_regression
    assert arrays(X, X).y.shape == (6, 2)
    classes = arrays(X, [0.0, 1.0, 0.0, 1.0, 0.0, 1.0], regression=False)
    assert classes.n_classes == 2
    counted = arrays(X, [10, 20, 30, 40, 50, 61], regression=True)
    assert counted.y.dtype == np.float32


def test_a_test_set_shares_the_codes_of_the_training_set():
    data = arrays(X, LABELS, x_test=X[:2], y_test=["c", "a"])
    assert data.y_test is not None
    assert data.y_test.tolist() == [2, 0]


def test_a_data_frame_brings_its_column_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": [1, 2, 3], "tall": [True, False, True]})
    data = arrays(frame, pandas.Series(["x", "y", "x"]))
    assert data.feature_names == ("age", "tall")
    mixed = pandas.DataFrame({"age": [1, 2, 3], "town": ["u", "v", "w"]})
    with pytest.raises(DataError, match=r"column 'town' \(number 1\).*get_dummies"):
        arrays(mixed, [0, 1, 0])


def test_repr_tells_size_and_kind():
    assert repr(arrays(X, LABELS, name="tiny")) == (
        "Dataset('tiny', 6 x 2, 3 classes, 'given as arrays')"
    )
    assert "2 targets to regress on" in repr(arrays(X, X))
    assert "+ 2 for testing" in repr(arrays(X, X, x_test=X[:2], y_test=X[:2]))


def _with(value: float, *places: tuple[int, int]) -> np.ndarray:
    x = X.copy()
    for place in places:
        x[place] = value
    return x


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": _with(np.nan, (2, 1), (4, 1))}, r"number 1 of `x` has 2 NaN.*row 2"),
        (
            {"x": _with(np.inf, (3, 0)), "feature_names": ["age", "height"]},
            r"'age' \(number 0\) of `x` has 1 infinite value, first in row 3",
        ),
        (
            {"x": _with(np.nan, (2, 1)).reshape(6, 2, 1)},
            r"`x` has 1 NaN value, first at index \(2, 1, 0\)",
        ),
        ({"x": X[:5]}, "`x` has 5 rows and `y` has 6"),
        ({"x": np.zeros((2, 6))}, r"Pass x\.T"),
        ({"x": X[:, 0]}, r"x\[:, None\]"),
        ({"x": X[:0], "y": []}, "at least one row"),
        ({"x": X[:, :0]}, "at least one row and one feature"),
        ({"x": X * 1e300}, "fit float32"),
        ({"x": X.astype(str)[:, :] + "m"}, "number 0, number 1"),
        ({"x": X + 1j}, "dtype complex128"),
        ({"x": [[1, 2], [3]]}, "ragged"),
        ({"y": [1, 1, 1, 1, 1, 1]}, "at least 2 classes.*'1'"),
        ({"y": np.eye(6, dtype=int)}, r"y\.argmax\(axis=1\)"),
        ({"y": np.ones((6, 1), int)}, r"y\[:, 0\]"),
        ({"y": ["a", None, "b", "a", None, "b"]}, "2 missing labels, first in row 1"),
        ({"y": ["a", 1, "b", "a", 2, "b"]}, "one type, but got int, str"),
        ({"y": ["a", np.nan, "b", "a", "a", "b"]}, "1 missing label, first in row 1"),
        ({"y": [0.5, 1, 0, 1, 0, 1], "class_names": ["n", "y"]}, "0.5 in row 0"),
        ({"y": [0, np.nan, 0, 1, 0, 1]}, "`y` has 1 NaN value, first at row 1"),
        ({"y": [1j] * 6}, "dtype complex128"),
        ({"y": ["Oslo"] * 6, "regression": True}, "must be an array of numbers"),
        ({"class_names": ["a", "b", "bb"]}, "got 'c', first in row 3"),
        ({"class_names": ["a", "b", "c", "c"]}, r"\['c'\] come more than once"),
        ({"y": [3, 4, 5, 6, 3, 4], "class_names": ["a", "b"]}, "2 names for the 4"),
        ({"y": LABELS, "class_names": ["a"], "regression": True}, "contradict"),
        ({"feature_names": ["a"]}, "1 names for 2 columns"),
        ({"x_test": X}, "`x_test` is given without `y_test`"),
        ({"y_test": LABELS}, "`y_test` is given without `x_test`"),
        ({"x_test": X[:, :1], "y_test": LABELS}, "rows of one shape"),
        ({"x_test": X, "y_test": [*LABELS[:5], "d"]}, "got 'd', first in row 5"),
        ({"x_test": X, "y_test": [0] * 6}, "labels of one type"),
        ({"y": X, "x_test": X, "y_test": X[:, 0]}, "the same columns"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_in_words(given, said):
    with pytest.raises(DataError, match=f"(?s){said}"):
        arrays(**{"x": X, "y": LABELS, **given})


def test_all_problems_are_told_at_once():
    with pytest.raises(DataError) as caught:
        arrays(_with(np.nan, (0, 0)), ["a", None], name="broken", x_test=[["?"]])
    assert str(caught.value).count("\n  - ") == 4
    assert "Dataset 'broken' has 4 problems" in str(caught.value)


def test_a_dataset_made_by_hand_is_checked_too():
    with pytest.raises(DataError, match="must be float32, but got float64"):
        Dataset(name="raw", x=X, y=np.zeros(6, np.float32))
    with pytest.raises(DataError, match=r"must be a numpy array, but got list"):
        Dataset(name="raw", x=X.tolist(), y=np.zeros(6, np.float32))
    with pytest.raises(DataError, match=r"must lie in 0\.\.1"):
        Dataset(
            name="raw",
            x=X.astype(np.float32),
            y=np.asarray([0, 1, 2, 0, 1, 2], np.int32),
            class_names=("a", "b"),
        )
    with pytest.raises(DataError, match="For classes give class_names"):
        Dataset(name="raw", x=X.astype(np.float32), y=np.zeros(6, np.int32))


def test_the_package_itself_imports_neither_jax_nor_optional_packages():
    code = (
        "import sys, types; evotune = types.ModuleType('evotune');"
        "evotune.__path__ = ['evotune']; sys.modules['evotune'] = evotune;"
        "import evotune.datasets;"
        "print({'jax', 'sklearn', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
