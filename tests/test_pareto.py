"""Dominance and hypervolume against their definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evotune._pareto import hypervolume, nondominated
from evotune.study._leaders import Leaders

POINTS = st.integers(1, 3).flatmap(
    lambda m: st.lists(
        st.lists(st.integers(0, 4), min_size=m, max_size=m), min_size=1, max_size=7
    )
)


def dominates(a, b):
    return all(x >= y for x, y in zip(a, b, strict=True)) and a != b


@given(POINTS)
def test_a_front_is_what_no_other_dominates(points):
    expected = [not any(dominates(other, p) for other in points) for p in points]
    assert nondominated(np.asarray(points)).tolist() == expected


@given(POINTS)
def test_hypervolume_is_the_union_of_boxes(points):
    """By inclusion and exclusion, whose terms are boxes of minima."""
    expected = 0.0
    for count in range(1, len(points) + 1):
        for some in itertools.combinations(points, count):
            expected -= (-1) ** count * np.prod(np.min(some, axis=0))
    found = hypervolume(np.asarray(points), np.zeros(len(points[0])))
    assert found == pytest.approx(expected)


@given(POINTS, st.data())
def test_leaders_that_come_in_parts_are_those_found_at_once(points, data):
    signs = [data.draw(st.sampled_from([-1, 1])) for _ in points[0]]
    order = data.draw(st.permutations(range(len(points))))
    leaders = Leaders(signs)
    for row in order:
        leaders.offer(row, row, points[row])
    at_once = Leaders(signs)
    rows = np.arange(len(points))
    at_once.recount(rows, rows, np.asarray(points, np.float64))
    assert sorted(leaders.rows) == sorted(at_once.rows)
    if len(signs) == 1:
        best = max(point[0] * signs[0] for point in points)
        first = min(r for r in rows if points[r][0] * signs[0] == best)
        assert leaders.rows == [first], "the earliest of equals"


def test_points_at_the_reference_add_nothing():
    assert hypervolume(np.asarray([[0.0, 5.0], [-1.0, 9.0]]), np.zeros(2)) == 0.0
