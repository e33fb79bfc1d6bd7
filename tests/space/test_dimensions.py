"""Every rule of a dimension has a message with its name, the value and a fix."""

from __future__ import annotations

import copy
import doctest
import importlib
import math
import pickle
import pkgutil

import numpy as np
import pytest

import evotune.space
from evotune._errors import SpaceError
from evotune.space import Beta, Bool, Categorical, Float, Int, Normal, Ordinal, Space

WRONG = [
    (Float(1, 0), r"Swap them: `Float\(0.0, 1.0\)`"),
    (Float(0.5, 0.5), "put `0.5` in place of the dimension"),
    (Int(8, 8), "put `8` in place of the dimension"),
    (Int(8, 4, step=2), r"Swap them: `Int\(4, 8, step=2\)`"),
    (Float(0, 1, log=True), r"`low > 0`.*Use `Float\(1e-06, 1.0, log=True\)`"),
    (Float(0, 1, log=True, step=0.1), r"`low > 0`.*Use `Float\(1e-06, 1.0, log=True\)"),
    (Float(-2, -1, log=True), "`low > 0`.*`log=False`"),
    (Int(0, 64, log=True), r"`low > 0`.*Use `Int\(1, 64, log=True\)`"),
    (Int(16, 128, log=True, step=16), r"exclude.*Categorical\(\[16, 32, 64, 128\]\)"),
    (Float(0, 1, step=0.3), r"0.3.*`Float\(0.0, 0.9, step=0.3\)` \(or `high=1.2`\)"),
    (Float(0, 1, step=3), r"`Float\(0.0, 3.0, step=3.0\)`"),
    (Int(1, 10, step=4), r"2.25 steps.*`Int\(1, 9, step=4\)` \(or `high=13`\)"),
    (Int(1, 12, step=4), r"2.75 steps.*`Int\(1, 13, step=4\)` \(or `high=9`\)"),
    (Float(0, 1, step=0), "`step > 0`.*`step=0.0`"),
    (Int(0, 4, step=-2), "`step > 0`.*`step=-2`"),
    (Float(0, 1, step=1e-30), "must not vanish"),
    (Float(math.nan, 1), "`low`.*finite number, but got nan"),
    (Float(0, math.inf), "`high`.*finite number, but got inf"),
    (Float(0, 10**400), "`high`.*finite number"),
    (Float(-1e308, 1e308), "`high - low` must be a finite float"),
    (Float(1.0, math.nextafter(1.0, 2.0)), "further apart"),
    (Float("a", 1), "`low`.*finite number, but got 'a'"),
    (Float(False, True), "`low`.*finite number, but got False"),
    (Float(0, 1, step=math.nan), "`step`.*finite number, but got nan"),
    (Float(1, 2, log=10), "`log`.*True or False, but got 10"),
    (Int(1.5, 4), "`low`.*an int, but got 1.5.*use Float"),
    (Int(1, 1e6), "`high`.*an int, but got 1000000.0. Write `high=1000000`"),
    (Int(True, 4), "`low`.*an int, but got True"),
    (Int(0, math.inf), "`high`.*an int, but got inf"),
    (Int(0, 2**60), r"`high`.*2\*\*40.*1152921504606846976"),
    (Float(0, 1, default=2), "`default`.*between 0.0 and 1.0, but got 2.0"),
    (Float(0, 1, default=math.nan), "`default`.*finite number, but got nan"),
    (Float(0, 1, step=0.1, default=0.25), "`default`.*a multiple of 0.1.*got 0.25"),
    (Int(0, 4, default=1.5), "`default`.*whole number, but got 1.5"),
    (Int(0, 4, step=2, default=3), "`default`.*multiple of 2.*nearest is"),
    (Bool(default=1), "`default`.*True or False, but got 1"),
    (Categorical(["relu", "gelu"], default="relo"), "Did you mean 'relu'?"),
    (Categorical("relu"), "must be a list, but got 'relu'"),
    (Categorical(7), "must be a list, but got 7"),
    (Categorical({"b", "a"}), r"Categorical\(\['a', 'b'\]\)"),
    (Categorical({"a": 1, "b": 2}), r"its keys, use `Categorical\(\['a', 'b'\]\)`"),
    (Categorical([]), "is empty"),
    (Categorical(["relu"]), "at least two values.*'relu'.*constant"),
    (Categorical([[64], [64, 64]]), r"hashable, but got \[64\], \[64, 64\].*`\(64,\)`"),
    (Categorical([{}, {}]), "hashable.*dict"),
    (Categorical(["a", "b", "a"]), "'a' is listed twice"),
    (Categorical([1, True]), "1 and True are equal in Python"),
    (Categorical([0.0, 1, 0]), "0.0 and 0 are equal in Python"),
    (Categorical([math.nan, 1.0]), "one is NaN"),
    (Categorical(range(5000)), "at most 4096 values, but got 5000"),
    (Ordinal({2: 1, 4: 1}), r"its keys, use `Ordinal\(\[2, 4\]\)`"),
    (Ordinal([32, 64, 32]), "32 is listed twice"),
    (Ordinal([32, 64], default=48), "`default`.*one of 32, 64, but got 48"),
    (Categorical(["a", "b"], weights=[1]), r"list of 2 numbers.*got \[1\]"),
    (Ordinal([1, 2, 4], weights="abc"), r"`weights`.*3 numbers.*`weights=\[3, 1, 1\]`"),
    (Categorical(["a", "b"], weights=[1, 0]), "above 0.*Remove a choice"),
    (Categorical(["a", "b"], weights=[1, math.nan]), "finite numbers above 0"),
    (Float(0, 1, prior=0.5), "must be a Normal or a Beta, but got 0.5"),
    (Float(0, 1, prior=Normal("a", 1)), "`mean` of the prior.*number, but got 'a'"),
    (Float(0, 1, prior=Normal(0.5, math.inf)), "`std` of the prior.*finite number"),
    (Float(0, 1, prior=Normal(2, 1)), "within the bounds, 0.0 to 1.0, but got 2.0"),
    (Float(0, 1, prior=Normal(0.5, 0)), r"above 0, but got 0.0.*Normal\(0.5, 0.1\)"),
    (Float(0, 1, prior=Normal(0.5, 1e-9)), "lengths of the interval.*got 1e-09"),
    (
        Float(1, 9, log=True, prior=Normal(3, 0.5)),
        r"a factor above 1.*Normal\(3.0, 2.0",
    ),
    (Int(1, 9, prior=Beta(0, 1)), "`alpha` of the prior.*0.1 to 10000, but got 0.0"),
    (Int(1, 9, prior=Beta(1, "b")), "`beta` of the prior.*got 'b'"),
    (Float(0, 1, when="sgd"), "`when`.*'sgd'"),
    (Float(0, 1, when={}), "`when`.*is empty"),
    (Float(0, 1, when={"a": []}), "allows no value of 'a'"),
]


@pytest.mark.parametrize(("dimension", "words"), WRONG)
def test_a_broken_rule_is_told_with_the_name_and_a_fix(dimension, words):
    with pytest.raises(SpaceError, match=rf"(?s){words}") as caught:
        Space(other=Bool(), rate=dimension)
    assert "'rate'" in str(caught.value)


@pytest.mark.parametrize(("dimension", "_"), WRONG)
def test_a_broken_dimension_can_be_made_and_shown(dimension, _):
    assert repr(dimension).startswith(type(dimension).__name__)
    assert dimension.problems("rate")


def test_a_suggested_fix_has_no_problem():
    for dimension in (
        Float(0, 1, step=0.3, default=0.6),
        Float(0.1, 1, step=0.25),
        Int(1, 10, step=4),
        Int(1, 100, step=7),
        Float(0, 1, log=True),
        Float(0, 1, log=True, step=0.5),
        Int(0, 8, log=True),
        Float(3, 1),
    ):
        (problem,) = dimension.problems("rate")
        names = {"Float": Float, "Int": Int}
        code = [part for part in problem.split("`") if part.startswith(tuple(names))]
        assert eval(code[0], names).problems("rate") == []


def test_all_problems_of_a_space_are_told_at_once():
    with pytest.raises(SpaceError) as caught:
        Space(a=Float(1, 0), b=Int(0, 8, log=True), c=Categorical([]), d=Float)
    message = str(caught.value)
    assert "has 4 problems" in message
    assert all(name in message for name in ("'a'", "'b'", "'c'", "'d'"))


def test_repr_is_the_code_that_makes_the_dimension():
    for dimension in (
        Float(1e-4, 0.1, log=True, default=0.01),
        Float(0, 1, step=0.1),
        Int(16, 256, log=True),
        Float(1e-4, 0.1, log=True, prior=Normal(0.01, 3)),
        Int(1, 64, prior=Beta(1, 3), default=8),
        Categorical(["a", 1, None, ("b", 2.0)], default="a"),
        Categorical(["a", "b"], weights=[2, 1], default="a"),
        Ordinal([16, 32, "all"], weights=(0.5, 0.25, 0.25), when={"depth": [1, 2]}),
        Bool(default=False, when={"optimizer": "sgd", "depth": [1, 2]}),
    ):
        assert eval(repr(dimension)) == dimension
        assert hash(eval(repr(dimension))) == hash(dimension)
    assert repr(Float(1e-4, 0.1, log=True)) == "Float(0.0001, 0.1, log=True)"
    assert repr(Bool()) == "Bool()"


def test_numpy_scalars_are_the_values_they_hold():
    assert Float(np.float64(0.5), np.int64(2)) == Float(0.5, 2.0)
    assert Int(np.int32(1), np.int64(4), log=np.True_) == Int(1, 4, log=True)
    assert Categorical(np.array([1, 2])) == Categorical([1, 2])
    assert type(Categorical(np.array([1, 2])).choices[0]) is int


def test_values_that_are_equal_but_of_other_types_make_other_dimensions():
    assert Categorical([1, 2]) != Categorical([1.0, 2.0])
    assert Categorical([0, 1]) != Categorical([False, True])
    assert Float(0, 1) == Float(0.0, 1.0)
    assert Int(0, 1) != Float(0, 1)
    assert Bool() != Int(0, 1)


def test_dimensions_are_frozen_and_can_be_copied():
    dimension = Float(0, 1, when={"optimizer": ["sgd", "lion"]})
    with pytest.raises(AttributeError):
        dimension.low = 2.0
    assert pickle.loads(pickle.dumps(dimension)) == dimension
    assert copy.deepcopy(dimension) == dimension


def test_sizes_and_values():
    assert Float(0, 1).size == math.inf
    assert Float(0, 1).values == ()
    assert Float(0, 1, step=0.1).values == tuple(k / 10 for k in range(11))
    assert Float(0, 1, step=1 / 3).values[-1] == 1.0
    assert Int(1, 7, step=3).values == (1, 4, 7)
    assert Int(0, 10**6).size == 10**6 + 1
    assert Int(0, 10**6).values == ()
    assert Bool().values == (False, True)
    assert Categorical(["b", "a"]).values == ("b", "a")


@pytest.mark.parametrize(
    ("dimension", "value", "plain"),
    [
        (Int(1, 64), 32.0, 32),
        (Int(1, 64), np.int64(32), 32),
        (Float(0, 2), 1, 1.0),
        (Float(0, 1, step=0.1), 0.1 + 0.2, 0.3),
        (Categorical([32, 64]), 32.0, 32),
        (Categorical(["a", ("b", 1)]), ("b", 1), ("b", 1)),
        (Bool(), np.True_, True),
    ],
)
def test_check_gives_the_plain_value_that_is_meant(dimension, value, plain):
    got = dimension.check(value)
    assert got == plain
    assert type(got) is type(plain)


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        (Int(1, 64), True),
        (Int(1, 64), "32"),
        (Int(1, 64), 0),
        (Int(1, 64), None),
        (Float(0, 1), math.inf),
        (Float(0, 1), np.array([0.5])),
        (Categorical([0, 2]), False),
        (Categorical([0, 2]), [0]),
        (Bool(), 0),
        (Bool(), "True"),
    ],
)
def test_check_refuses_what_only_looks_like_a_value(dimension, value):
    with pytest.raises(ValueError, match="must"):
        dimension.check(value)


@pytest.mark.parametrize(
    "module", [name for _, name, _ in pkgutil.iter_modules(evotune.space.__path__)]
)
def test_the_examples_in_the_docstrings_run(module):
    found = importlib.import_module(f"evotune.space.{module}")
    assert doctest.testmod(found).failed == 0
