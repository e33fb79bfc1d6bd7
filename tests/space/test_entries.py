"""What makes no space is told: names, constants and conditions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evotune._errors import SpaceError
from evotune.space import Bool, Categorical, Float, Int, Space


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Space, "at least one dimension, but got none"),
        (lambda: Space({}), "at least one dimension"),
        (lambda: Space(width=64, b=1), "only constants: 'width', 'b'.*width=Cat"),
        (
            lambda: Space({"a": Bool()}, a=Bool()),
            "'a' is both in the mapping and a key",
        ),
        (lambda: Space({"a": Bool(), "a.b": Bool()}), "clash.*'a'.*'a.b'"),
        (lambda: Space({"a.b.c": Bool(), "a": 3}), "clash.*'a'.*'a.b.c'"),
        (lambda: Space({"": Bool()}), "single dots, but got ''"),
        (lambda: Space({"a..b": Bool()}), "single dots, but got 'a..b'"),
        (lambda: Space({" a": Bool()}), "single dots, but got ' a'"),
        (lambda: Space({3: Bool()}), "must be strings, but got 3"),
        (lambda: Space(a=Bool(), b=Float), "the class Float itself"),
        (
            lambda: Space(a=Bool(), b=["x", "y"]),
            r"b=Categorical\(\['x', 'y'\]\).*tuple",
        ),
        (lambda: Space(a=Bool(), b=np.zeros(3)), "hashable, but 'b' is.*ndarray"),
        (lambda: Space(a=Bool(), b=range(1, 9, 2)), r"b=Int\(1, 7, step=2\)"),
        (lambda: Space(a=Bool(), b={"c": Bool()}), "do not nest.*'b.learning_rate'"),
        (lambda: Space(a=Bool(), b=Space(c=Bool())), "do not nest"),
        (lambda: Space(a=Bool(), b=math.nan), "'b' is NaN"),
    ],
)
def test_entries_that_make_no_space_are_told(make, words):
    with pytest.raises(SpaceError, match=words):
        make()


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"a": Bool(when={"optimiser": "sgd"})}, "Did you mean 'optimizer'"),
        ({"a": Bool(when={"zzz": 3})}, r"'zzz'.*Add it: `zzz=Categorical\(\[3"),
        ({"a": Bool(when={"optimizer": "sdg"})}, "'a'.*'optimizer'.*mean 'sgd'"),
        ({"a": Bool(when={"optimizer": ["sgd", 3]})}, "'optimizer' must be.*got 3"),
        ({"a": Bool(when={"rate": 0.1})}, "'rate'.*more than 4096.*cannot"),
        ({"a": Bool(when={"big": 3}), "big": Int(1, 9999)}, "'big'.*more than 4096"),
        ({"a": Bool(when={"fixed": 3}), "fixed": 3}, "constant 3. 'a' is then always"),
        ({"a": Bool(when={"fixed": 3}), "fixed": 4}, "constant 4. 'a' is then never"),
        ({"a": Bool(when={"a": True})}, "cycle, 'a' -> 'a'"),
        (
            {"a": Bool(when={"b": True}), "b": Bool(when={"c": True})}
            | {"c": Bool(when={"a": True}), "d": Bool(when={"a": True})},
            "cycle, 'a' -> 'b' -> 'c' -> 'a'",
        ),
    ],
)
def test_conditions_that_cannot_be_met_are_told(entries, words):
    known = {"optimizer": Categorical(["sgd", "adam"]), "rate": Float(0, 1)}
    with pytest.raises(SpaceError, match=words) as caught:
        Space(known | entries)
    assert "problems" not in str(caught.value)


def test_problems_of_dimensions_and_conditions_come_together():
    with pytest.raises(SpaceError, match="has 3 problems") as caught:
        Space(a=Int(4, 1), b=Bool(when={"a": 2, "c": 1}), d=Bool(when={"d": True}))
    assert "`low < high`" in str(caught.value)
    assert "'c'" in str(caught.value)
    assert "cycle" in str(caught.value)


def test_a_tuple_in_a_condition_is_one_choice_or_several():
    a = Categorical([(64, 64), "x", "y"])
    for when, levels in (
        ((64, 64), (0,)),
        ([(64, 64), "y"], (0, 2)),
        (("x", "y"), (1, 2)),
    ):
        space = Space(a=a, b=Bool(when={"a": when}))
        assert space.geometry().conditions[1][0].levels == levels
        assert Space.from_json(space.to_json()) == space


def test_numbers_can_decide():
    space = Space(
        drop=Float(0, 1, step=0.5), a=Bool(when={"drop": [0.5, 1]}), depth=Int(1, 8)
    )
    assert space.geometry().conditions[1][0].levels == (1, 2)
    assert space["a"].when == {"drop": (0.5, 1.0)}
    deep = Space(depth=Int(1, 8), w=Int(1, 9, when={"depth": range(3, 9)}))
    assert deep.size == 2 + 6 * 9
