"""Splits: disjoint, complete, stratified, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from evotune._errors import DataError
from evotune.datasets import arrays, split


def _classes(*counts: int):
    y = np.repeat(np.arange(len(counts)), counts)
    return arrays(np.arange(float(len(y)))[:, None], y)


def _parts(splits):
    return splits.train, splits.validation, splits.test


def _check(data, splits):
    index = np.concatenate([part.index for part in _parts(splits)])
    assert sorted(index.tolist()) == list(range(len(data)))
    for part in _parts(splits):
        np.testing.assert_array_equal(part.x, data.x[part.index])
        np.testing.assert_array_equal(part.y, data.y[part.index])


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=6),
    validation=st.floats(0.05, 0.45),
    test=st.floats(0.05, 0.45),
    seed=st.integers(0, 10),
)
def test_stratified_parts_are_disjoint_complete_and_in_proportion(
    counts, validation, test, seed
):
    data = _classes(*counts)
    sizes = [int(share * len(data) + 1e-9) for share in (validation, test)]
    assume(min(sizes) >= len(counts) and len(data) - sum(sizes) >= len(counts))
    splits = split(data, validation=validation, test=test, seed=seed)
    _check(data, splits)
    assert len(splits.test) == max(1, int(test * len(data) + 1e-9))
    assert len(splits.validation) == max(1, int(validation * len(data) + 1e-9))
    for part in _parts(splits):
        held = np.bincount(part.y, minlength=len(counts))
        assert held.min() >= 1
        expected = np.asarray(counts) * len(part) / len(data)
        at_bounds = (held == 1) | (held >= np.asarray(counts) - 2)
        rare = np.asarray(counts) * min(validation, test) < 1
        if not (rare.any() or at_bounds.any()):
            assert np.abs(held - expected).max() < 2


def test_same_seed_same_parts_and_another_seed_other_parts():
    data = _classes(30, 30)
    first, again, other = (split(data, seed=seed) for seed in (3, 3, 4))
    for one, two in zip(_parts(first), _parts(again), strict=True):
        np.testing.assert_array_equal(one.index, two.index)
    assert first.test.index.tolist() != other.test.index.tolist()


def test_the_parts_of_a_seed_stay_what_they_were():
    splits = split(_classes(6, 6), seed=0)
    assert [part.index.tolist() for part in _parts(splits)] == GOLDEN


GOLDEN = [[5, 11, 0, 3, 6, 10, 8, 1], [7, 4], [9, 2]]


def test_rows_come_in_random_order_even_where_the_data_are_sorted():
    train = split(_classes(50, 50)).train
    assert 5 < np.count_nonzero(np.diff(train.y)) < 59


def test_regression_splits_plainly():
    data = arrays(np.arange(20.0)[:, None], np.arange(20.0))
    splits = split(data, validation=5, test=0.25)
    _check(data, splits)
    assert [len(part) for part in _parts(splits)] == [10, 5, 5]
    assert repr(splits) == "Splits(train=10, validation=5, test=5)"


def test_a_published_test_set_is_the_test_part():
    x = np.arange(20.0)[:, None]
    data = arrays(x, [0, 1] * 10, x_test=-x[:3], y_test=[1, 1, 0])
    splits = split(data, validation=0.2)
    assert [len(part) for part in _parts(splits)] == [16, 4, 3]
    np.testing.assert_array_equal(splits.test.x, -x[:3])
    assert splits.test.index.tolist() == [0, 1, 2]


def test_unstratified_parts_need_no_class_in_each():
    data = _classes(2, 28)
    with pytest.raises(DataError, match=r"at least 3 rows.*'0' \(2\)"):
        split(data)
    _check(data, split(data, stratify=False))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"validation": 0.0}, "`validation` must be a share"),
        ({"test": 1.5}, "`test` must be a share"),
        ({"test": 60}, "from 1 to 59"),
        ({"test": True}, "got True"),
        ({"seed": -1}, "`seed` must be"),
        ({"validation": 0.5, "test": 0.5}, "30 for test and 30 for validation are all"),
        ({"test": 1}, "stratified test part must hold each of the 2 classes"),
        ({"validation": 39, "test": 20}, "leave 1 rows"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_in_words(given, said):
    with pytest.raises(DataError, match=said):
        split(_classes(30, 30), **given)


def test_regression_cannot_be_stratified():
    data = arrays(np.arange(20.0)[:, None], np.arange(20.0))
    with pytest.raises(DataError, match="needs classes"):
        split(data, stratify=True)
