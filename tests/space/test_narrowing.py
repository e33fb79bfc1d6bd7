"""Narrower spaces: inside the wide one, around the best trials, to be searched on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import evotune as et
from evotune import Bool, Categorical, Float, Int, Space

SPACE = Space(
    rate=Float(1e-4, 1.0, log=True),
    momentum=Float(0.0, 0.9, step=0.1, when={"optimizer": "sgd"}),
    shift=Float(-5.0, 5.0, default=4.0),
    optimizer=Categorical(["sgd", "adam", "lion"]),
    width=Int(8, 512, log=True),
    depth=Int(1, 5),
    third=Int(4, 64, step=4, when={"depth": [3, 4, 5]}),
    residual=Bool(),
    slope=Float(0.0, 1.0, when={"residual": True, "optimizer": ["adam", "lion"]}),
    epochs=3,
)


def trials_of(space, n, seed=0, value=lambda params: -math.log(params["rate"])):
    return [
        et.create_trial(params=params, value=float(value(params)))
        for params in space.sample(n, seed=seed)
    ]


def is_inside(narrow, wide):
    """Whether every value of ``narrow`` is one of ``wide``."""
    for name, dimension in narrow.dimensions.items():
        old = wide[name]
        ends = dimension.values or (dimension.low, dimension.high)
        assert type(dimension) is type(old)
        assert getattr(dimension, "log", None) == getattr(old, "log", None)
        assert getattr(dimension, "step", None) == getattr(old, "step", None)
        for value in ends:
            old.check(value)  # raises where it is none
    return True


@given(seed=st.integers(0, 2**20), scale=st.floats(0.01, 1.0))
def test_around_keeps_the_trial_and_stays_inside(seed, scale):
    params = SPACE.sample(1, seed=seed)[0]
    narrow = SPACE.around(params, scale=scale)
    assert is_inside(narrow, SPACE)
    assert params in narrow
    assert Space.from_json(narrow.to_json()) == narrow
    assert all(
        {**narrow.constants, **row} in SPACE for row in narrow.sample(20, seed=3)
    )


@given(
    seed=st.integers(0, 2**20),
    quantile=st.floats(0.01, 1.0),
    shrink=st.floats(0.01, 1.0),
)
def test_refine_keeps_the_best_trials_and_stays_inside(seed, quantile, shrink):
    trials = trials_of(SPACE, 20, seed=seed)
    options = {"direction": "minimize", "quantile": quantile, "shrink": shrink}
    narrow = SPACE.refine(trials, **options)
    assert is_inside(narrow, SPACE)
    trials.sort(key=lambda trial: trial.value)
    best = trials[: math.ceil(quantile * 20)]
    assert all(trial.params in narrow for trial in best)
    assert Space.from_json(narrow.to_json()) == narrow
    again = narrow.refine([t for t in trials if t.params in narrow], **options)
    assert is_inside(again, narrow)


def test_intervals_shrink_on_their_own_scale_and_slide_inside():
    space = Space(
        rate=Float(1e-4, 1.0, log=True), x=Float(0.0, 8.0), n=Int(1, 1000, log=True)
    )
    middle = space.around({"rate": 0.01, "x": 4.0, "n": 32}, scale=0.5)
    assert middle["rate"] == Float(1e-3, 1e-1, log=True)
    assert middle["x"] == Float(2.0, 6.0)
    assert middle["n"] == Int(5, 180, log=True)
    edge = space.around({"rate": 1.0, "x": 0.0, "n": 1000}, scale=0.5)
    assert edge["rate"] == Float(1e-2, 1.0, log=True)
    assert edge["x"] == Float(0.0, 4.0)
    assert edge["n"] == Int(31, 1000, log=True)


def test_refine_shrinks_what_matters_and_leaves_the_rest_wide():
    space = Space(rate=Float(1e-4, 1.0, log=True), idle=Float(0.0, 1.0))
    trials = trials_of(
        space, 400, value=lambda params: abs(math.log10(params["rate"]) + 2)
    )
    narrow = space.refine(trials, direction="minimize", quantile=0.1, shrink=0.3)
    assert math.log10(narrow["rate"].high / narrow["rate"].low) == pytest.approx(1.2)
    assert narrow["rate"].low < 1e-2 < narrow["rate"].high
    assert narrow["idle"].high - narrow["idle"].low > 0.8
    worst = space.refine(trials, direction="maximize", quantile=0.1, shrink=0.3)
    assert worst["rate"].high > 0.5


def test_steps_choices_defaults_and_conditions_are_kept_or_resolved():
    params = {
        "rate": 0.01,
        "momentum": 0.5,
        "shift": 0.0,
        "optimizer": "sgd",
        "width": 64,
        "depth": 2,
        "residual": True,
    }
    narrow = SPACE.around(params, scale=0.25)
    assert narrow["momentum"] == Float(0.3, 0.7, step=0.1)  # always active now
    assert narrow["shift"].default == 0.0  # 4.0 is outside
    assert narrow.constants == {"optimizer": "sgd", "residual": True, "epochs": 3}
    assert narrow["depth"] == Int(1, 3)
    assert narrow["third"].when == {"depth": (3,)}  # unseen, so as wide as before
    assert (narrow["third"].low, narrow["third"].high) == (4, 64)
    assert "slope" not in narrow  # its optimizers are gone
    only = SPACE.around(params, scale=0.25, only=["rate"])
    assert {**only.dimensions, "rate": None} == {**SPACE.dimensions, "rate": None}


def test_choices_are_those_of_the_best():
    space = Space(kind=Categorical(["a", "b", "c", "d"], default="d"), x=Float(0, 1))
    kinds = {"a": 0.0, "b": 5.0, "c": 0.1, "d": 9.0}
    trials = trials_of(space, 40, value=lambda params: kinds[params["kind"]])
    narrow = space.refine(trials, direction="minimize", quantile=0.4)
    assert narrow["kind"] == Categorical(["a", "c"], default="a")  # "d" is outside


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": 0.0}, r"scale must be a share above 0"),
        ({"scale": 2}, r"scale must be a share above 0"),
        ({"only": ["learning"]}, r"only names 'learning', which is no dimension"),
        ({"only": "rate"}, r"Use `only=\['rate'\]`"),
        ({"params": {"rate": 3.0}}, r"must lie between"),
        ({"params": {}}, r"has no value"),
    ],
)
def test_errors_say_what_to_do(change, message):
    arguments = {"params": {"rate": 0.1}, **change}
    params = arguments.pop("params")
    with pytest.raises(et.HyperparameterError, match=message):
        Space(rate=Float(1e-4, 1.0, log=True)).around(params, **arguments)


def test_a_search_that_is_over_says_so():
    space = Space(kind=Categorical(["a", "b"]))
    with pytest.raises(et.SpaceError, match="the search is over"):
        space.around({"kind": "a"})
    with pytest.raises(ValueError, match="of 0 trials none is complete"):
        space.refine([], direction="minimize")
    with pytest.raises(ValueError, match="direction must be"):
        space.refine([], direction="down")
    with pytest.raises(et.HyperparameterError, match="quantile must be"):
        space.refine([], direction="minimize", quantile=0)
