"""The datasets that packages ship or generate."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from evotune import datasets
from evotune._errors import MissingExtraError
from evotune.datasets import _sklearn


@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [
        ("digits", (1797, 64), 10),
        ("breast_cancer", (569, 30), 2),
        ("wine", (178, 13), 3),
        ("diabetes", (442, 10), None),
    ],
)
def test_tables_of_scikit_learn_have_their_published_shape(name, shape, classes):
    pytest.importorskip("sklearn")
    data = getattr(datasets, name)()
    assert (data.name, data.x.shape, data.n_classes) == (name, shape, classes)
    assert data.feature_names is not None
    assert len(data.feature_names) == shape[1]
    assert len(datasets.split(data).test) == int(0.2 * shape[0])


def test_digits_lie_between_zero_and_one():
    pytest.importorskip("sklearn")
    data = datasets.digits()
    assert (data.x.min(), data.x.max()) == (0.0, 1.0)


def test_digits_are_those_of_scikit_learn_which_is_not_imported(monkeypatch):
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    published = sklearn_datasets.load_digits()
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "sklearn.datasets", None)
        read = datasets.digits()
    np.testing.assert_array_equal(read.x, (published.data / 16.0).astype(np.float32))
    np.testing.assert_array_equal(read.y, published.target)
    assert read.feature_names == tuple(published.feature_names)
    assert read.class_names == tuple(map(str, published.target_names))
    monkeypatch.setattr(_sklearn, "_digits_table", lambda: None)  # its file has moved
    loaded = datasets.digits()
    np.testing.assert_array_equal(loaded.x, read.x)
    np.testing.assert_array_equal(loaded.y, read.y)
    assert (loaded.x.dtype, loaded.y.dtype) == (read.x.dtype, read.y.dtype)
    assert loaded.feature_names == read.feature_names
    assert (loaded.source, loaded.class_names) == (read.source, read.class_names)


def test_mnist1d_is_made_as_published_once_and_leaves_the_global_generators_alone():
    pytest.importorskip("mnist1d")
    state = np.random.get_state
    before = state()[1].copy(), random.getstate()
    data = datasets.mnist1d()
    np.testing.assert_array_equal(state()[1], before[0])
    assert random.getstate() == before[1]
    assert data is datasets.mnist1d()
    assert data.x.shape == (4000, 40)
    assert data.x_test is not None
    assert data.y_test is not None
    assert data.x_test.shape == (1000, 40)
    both = np.concatenate([data.x, data.x_test])
    np.testing.assert_allclose([both.mean(), both.std()], [0.0, 1.0], atol=1e-4)
    counts = np.bincount(np.concatenate([data.y, data.y_test]))
    assert counts.tolist() == [500] * 10


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'evotune\[datasets\]'"):
        datasets.wine()
