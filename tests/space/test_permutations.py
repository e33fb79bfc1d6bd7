"""Permutations: one to one with points of the cube, and whole wherever spaces go."""

from __future__ import annotations

import collections
import itertools
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evotune._contracts import Condition, Kind
from evotune._errors import HyperparameterError, SpaceError
from evotune.space import Categorical, Float, Forbidden, Int, Permutation, Space
from evotune.space._insertion import digits_of, orders_of

ITEMS = ("flip", "crop", "noise", "blur")

values = st.one_of(
    st.text(max_size=3), st.integers(), st.booleans(), st.none(), st.tuples(st.text())
)
lists = st.lists(values, min_size=2, max_size=9, unique=True)
NESTED = Space(
    kind=Categorical(["plain", "mixed"]),
    rate=Float(0.0, 1.0),
    order=Permutation(ITEMS, when={"kind": "mixed"}),
    jobs=Permutation(range(6), default=(5, 4, 3, 2, 1, 0)),
    depth=Int(1, 3),
)


@given(lists, st.data())
def test_every_order_comes_back_from_its_coordinates(items, data) -> None:
    order = tuple(data.draw(st.permutations(items)))
    space = Space(order=Permutation(items))
    x = space.encode([{"order": order}])
    assert space.params(x) == [{"order": order}]
    np.testing.assert_array_equal(space.canonical(x), x)
    assert x.shape == (1, len(items) - 1)
    assert x.dtype == np.float32


@given(st.integers(2, 9), st.data())
def test_every_point_is_an_order_and_its_canonical_point_the_same(n, data) -> None:
    numbers = st.floats(-1, 2, width=32)
    x = data.draw(st.lists(numbers, min_size=n - 1, max_size=n - 1))
    space = Space(order=Permutation(range(n)))
    (params,) = space.params([x])
    assert sorted(params["order"]) == list(range(n))
    canonical = space.canonical([x])
    assert space.params(canonical) == [params]
    np.testing.assert_array_equal(space.encode([params]), canonical)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_cells_and_orders_are_one_to_one(n: int) -> None:
    dimension = Permutation(range(n))
    assert len(set(dimension.values)) == len(dimension.values) == dimension.size
    assert set(dimension.values) == set(itertools.permutations(range(n)))
    digits = list(itertools.product(*(range(k) for k in range(2, n + 1))))
    np.testing.assert_array_equal(
        digits_of(orders_of(np.array(digits, np.int64))), digits
    )


def test_an_even_cube_gives_every_order_as_often() -> None:
    space = Space(order=Permutation(range(5)))
    drawn = space.sample(24_000, seed=0)
    counts = collections.Counter(row["order"] for row in drawn)
    assert len(counts) == 120
    found = stats.chisquare(list(counts.values()))
    assert found.pvalue > 0.01, found


@given(st.permutations(range(7)), st.integers(1, 6), st.data())
def test_one_step_on_one_axis_swaps_an_item_with_a_neighbour(order, axis, data) -> None:
    (digits,) = digits_of(np.array([order])).tolist()
    digit = digits[axis - 1]
    step = data.draw(st.sampled_from([s for s in (-1, 1) if 0 <= digit + s <= axis]))
    digits[axis - 1] = digit + step
    moved = orders_of(np.array([digits]))[0].tolist()
    assert sum(a != b for a, b in zip(order, moved, strict=True)) == 2
    old = [item for item in order if item <= axis]
    new = [item for item in moved if item <= axis]
    assert new.index(axis) == old.index(axis) - step, "it moves past one earlier item"
    late = [(place, item) for place, item in enumerate(order) if item > axis]
    assert all(moved[place] == item for place, item in late), "later items stay"


def test_the_digits_add_up_to_the_pairs_that_are_reversed() -> None:
    for order in itertools.permutations(range(5)):
        pairs = sum(a > b for a, b in itertools.combinations(order, 2))
        assert digits_of(np.array([order])).sum() == pairs


def test_the_geometry_has_ordered_axes_of_2_to_n_levels() -> None:
    geometry = NESTED.geometry(structural=["order"])
    assert NESTED.axes == (
        *("kind", "rate"),
        *("order",) * 3,
        *("jobs",) * 5,
        "depth",
    )
    assert geometry.dimensions == len(NESTED.axes) == 11
    assert len(NESTED) == 5
    assert geometry.levels == (2, 0, 2, 3, 4, 2, 3, 4, 5, 6, 3)
    assert geometry.kinds[2:10] == (Kind.INT,) * 8
    assert [place for place, s in enumerate(geometry.structural) if s] == [2, 3, 4]
    own = (Condition(parent=0, levels=(1,)),)
    assert geometry.conditions[2:5] == (own,) * 3
    assert geometry.conditions[5:] == ((),) * 6


def test_an_inactive_order_rests_as_given_or_at_its_default() -> None:
    x = np.full((1, 11), 0.99, np.float32)
    x[0, 0] = 0.0
    (params,) = NESTED.params(x)
    assert "order" not in params
    assert NESTED.decode(x)["order"] == [ITEMS]
    rest = NESTED.canonical(x)[0, 2:5]
    np.testing.assert_array_equal(rest, NESTED.geometry().canonical[2:5])
    again = NESTED.encode([{"kind": "plain", "rate": 0.5, "depth": 2}])
    assert NESTED.params(again)[0]["jobs"] == (5, 4, 3, 2, 1, 0)


@given(lists, st.data())
def test_json_keeps_a_permutation(items, data) -> None:
    default = data.draw(st.none() | st.permutations(items))
    space = Space(
        {"a.order": Permutation(items, default=default), "b": Permutation([1, 2])},
        constraints=[Forbidden(b=(2, 1)), "b[0] == 1"],
    )
    again = Space.from_json(space.to_json())
    assert again == space
    assert again.fingerprint == space.fingerprint
    assert again["a.order"].default == space["a.order"].default
    assert pickle.loads(pickle.dumps(space)) == space


def test_it_is_printed_as_it_is_written() -> None:
    text = "Permutation(['a', 'b', 'c'], default=('c', 'a', 'b'), when={'k': 1})"
    dimension = Permutation(["a", "b", "c"], default=["c", "a", "b"], when={"k": 1})
    assert repr(dimension) == text
    assert eval(text) == dimension
    assert hash(eval(text)) == hash(dimension)
    assert dimension != Permutation(["b", "a", "c"], default=("c", "a", "b"))


def test_the_size_of_a_space_counts_orders() -> None:
    assert NESTED.size == math.inf
    space = Space(
        kind=Categorical(["a", "b"]), order=Permutation(range(4), when={"kind": "a"})
    )
    assert space.size == 24 + 1
    many = Space(order=Permutation(range(300)))
    assert many.size == math.factorial(300)
    assert "about 1e614" in repr(many)
    assert many["order"].values == ()
    (params,) = many.sample(1, seed=0)
    assert many.params(many.encode([params])) == [params]


def test_lists_and_arrays_are_taken_for_tuples() -> None:
    space = Space(order=Permutation([3, 1, 2]))
    for given_ in ([1, 2, 3], np.array([1, 2, 3]), (1, 2.0, np.int32(3))):
        assert {"order": given_} in space
        (found,) = space.params(space.encode([{"order": given_}]))
        assert found["order"] == (1, 2, 3)
        assert all(type(item) is int for item in found["order"])
    np.testing.assert_array_equal(space["order"].positions([(1, 2, 3)]), [[1, 2, 0]])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (("flip", "crop", "noise"), "without 'blur'"),
        ((*ITEMS, "blur"), "with 'blur' more than once"),
        (("flip", "flip", "noise", "blur"), "without 'crop' and with 'flip' more than"),
        (("flip", "crop", "noise", "bluh"), "'bluh', which is none of them"),
        (("flip", "crop", "noise", ["blur"]), "none of them"),
        ("flip", "Write a tuple: `\\('flip', 'crop'"),
        (None, "Write a tuple"),
        ({"flip": 1}, "Write a tuple"),
    ],
)
def test_what_is_no_order_of_the_items_is_refused(value, message) -> None:
    space = Space(order=Permutation(ITEMS))
    assert {"order": value} not in space
    with pytest.raises(HyperparameterError, match=message) as caught:
        space.encode([{"order": value}])
    assert "'order' must have each of 'flip', 'crop', 'noise', 'blur' once" in str(
        caught.value
    )
    if value is not None:
        with pytest.raises(SpaceError, match=rf"`default` of 'order'.*{message}"):
            Space(order=Permutation(ITEMS, default=value))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("abc", "`items` of 'order' must be a list, but got 'abc'"),
        ({"b", "a"}, r"Permutation\(\['a', 'b'\]\)"),
        ({"a": 1, "b": 2}, r"To order its keys, use `Permutation\(\['a', 'b'\]\)`"),
        ([], "`items` of 'order' is empty"),
        (["a"], r"at least two values.*Put `\('a',\)` in place"),
        (["a", "b", "a"], r"'a' is listed twice.*\('pool', 1\), \('pool', 2\)"),
        ([1, True], "Items of 'order' must differ, but 1 and True are equal"),
        ([[1], [2]], r"Items of 'order' must be hashable.*Use tuples: `\(1,\)`"),
        ([1.0, math.nan], "Items of 'order' must equal themselves"),
        (range(5000), "at most 4096 values, but got 5000.$"),
    ],
)
def test_every_wrong_list_of_items_has_its_message(items, message) -> None:
    with pytest.raises(SpaceError, match=message):
        Space(order=Permutation(items))


def test_an_order_cannot_decide_whether_others_are_active() -> None:
    with pytest.raises(SpaceError, match="'order', which is an order of items"):
        Space(
            order=Permutation(["a", "b"]),
            rate=Float(0, 1, when={"order": ("a", "b")}),
        )


@pytest.mark.parametrize(
    ("rule", "allows"),
    [
        ("order[0] == 'flip'", lambda order: order[0] == "flip"),
        ("order[-1] != 'blur'", lambda order: order[-1] != "blur"),
        ("'crop' in order[:2]", lambda order: "crop" in order[:2]),
        (
            "index(order, 'crop') < index(order, 'blur')",
            lambda order: order.index("crop") < order.index("blur"),
        ),
        (
            lambda c: c["order"].index("crop") < 2,
            lambda order: order.index("crop") < 2,
        ),
        ("order != ('flip', 'crop', 'noise', 'blur')", lambda order: order != ITEMS),
        (Forbidden(order=ITEMS), lambda order: order != ITEMS),
        (
            Forbidden(order=[ITEMS, ITEMS[::-1]]),
            lambda order: order not in (ITEMS, ITEMS[::-1]),
        ),
    ],
    ids=["first", "last", "among", "before", "function", "unequal", "one", "several"],
)
def test_constraints_read_orders(rule, allows) -> None:
    space = Space(order=Permutation(ITEMS), constraints=[rule])
    for order in itertools.permutations(ITEMS):
        assert ({"order": order} in space) == allows(order), order
    assert all(allows(row["order"]) for row in space.sample(64, seed=0))


def test_a_forbidden_order_must_be_one() -> None:
    with pytest.raises(SpaceError, match=r"'order' must have each of.*Write a"):
        Space(order=Permutation(ITEMS), constraints=[Forbidden(order=list(ITEMS))])


def test_a_narrower_space_keeps_the_order_whole() -> None:
    (params,) = NESTED.sample(1, seed=1)
    params = {**params, "kind": "mixed", "order": ITEMS[::-1]}
    narrow = NESTED.around(params)
    assert narrow["order"] == Permutation(ITEMS)  # its condition is decided
    assert narrow["jobs"] == NESTED["jobs"]
    assert narrow["rate"] != NESTED["rate"]


def test_a_wrong_shape_says_how_many_columns_an_order_has() -> None:
    with pytest.raises(ValueError, match=r"\[P, 11\].*'rate', 'order' \(3 columns\)"):
        NESTED.decode(np.zeros((2, 5)))
    x = np.full((1, 11), 0.5)
    x[0, 3] = np.nan
    with pytest.raises(ValueError, match="NaN at 'order'"):
        NESTED.decode(x)


@settings(max_examples=30)
@given(st.integers(0, 2**31))
def test_orders_mix_with_all_else(seed) -> None:
    rows = NESTED.sample(8, seed=seed)
    x = NESTED.encode(rows)
    assert NESTED.params(x) == rows
    columns = NESTED.decode(x)
    active = NESTED.active(x)["order"]
    assert [("order" in row) for row in rows] == active.tolist()
    assert columns["jobs"] == [row["jobs"] for row in rows]
