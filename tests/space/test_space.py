"""A space as a whole: constants, conditions, rows, size and identity."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evotune._contracts import Condition, Kind
from evotune._errors import HyperparameterError
from evotune.space import Bool, Categorical, Float, Int, Space


def conditional() -> Space:
    """Three storeys of conditions, children declared before a parent."""
    return Space(
        {"sgd.nesterov": Bool(when={"optimizer": "sgd", "sgd.heavy": True})},
        optimizer=Categorical(["sgd", "adam", "lion"]),
        **{"sgd.heavy": Bool(when={"optimizer": "sgd"})},
        momentum=Float(0, 0.9, step=0.1, default=0.9, when={"sgd.heavy": True}),
        b1=Int(1, 4, when={"optimizer": ["adam", "lion"]}),
        depth=Int(1, 3),
        width=Int(16, 64, step=16, when={"depth": [2, 3]}),
        epochs=20,
    )


def rows_of(space: Space):
    """Hypothesis rows of the unit cube of ``space``, corners included."""
    ends = st.sampled_from(
        [0.0, 1.0, float(np.nextafter(np.float32(1), np.float32(0)))]
    )
    row = st.lists(
        st.floats(0, 1, width=32) | ends, min_size=len(space), max_size=len(space)
    )
    return st.lists(row, max_size=8).map(
        lambda rows: np.array(rows, np.float32).reshape(-1, len(space))
    )


CONDITIONAL = conditional()


@given(rows_of(CONDITIONAL))
def test_params_hold_exactly_the_active_dimensions(x):
    for row, params in enumerate(CONDITIONAL.params(x)):
        active = CONDITIONAL.active(x)
        assert set(params) == {name for name in CONDITIONAL.names if active[name][row]}
        assert ("sgd.heavy" in params) == (params["optimizer"] == "sgd")
        assert ("momentum" in params) == bool(params.get("sgd.heavy"))
        assert ("sgd.nesterov" in params) == bool(params.get("sgd.heavy"))
        assert ("b1" in params) == (params["optimizer"] != "sgd")
        assert ("width" in params) == (params["depth"] > 1)
        assert params in CONDITIONAL


@given(rows_of(CONDITIONAL))
def test_canonical_rows_decode_alike_and_stay_as_they_are(x):
    canonical = CONDITIONAL.canonical(x)
    assert canonical.dtype == np.float32
    np.testing.assert_array_equal(CONDITIONAL.canonical(canonical), canonical)
    assert CONDITIONAL.params(canonical) == CONDITIONAL.params(x)
    np.testing.assert_array_equal(CONDITIONAL.encode(CONDITIONAL.params(x)), canonical)


@given(rows_of(CONDITIONAL), rows_of(CONDITIONAL))
def test_rows_that_differ_only_where_inactive_are_the_same(x, other):
    count = min(len(x), len(other))
    x, other = x[:count], other[:count]
    active = np.stack(list(CONDITIONAL.active(x).values()), axis=1)
    mixed = np.where(active, x, other).astype(np.float32)
    np.testing.assert_array_equal(
        CONDITIONAL.canonical(mixed), CONDITIONAL.canonical(x)
    )


@given(rows_of(CONDITIONAL))
def test_inactive_columns_hold_the_canonical_value(x):
    geometry = CONDITIONAL.geometry()
    canonical, columns = CONDITIONAL.canonical(x), CONDITIONAL.decode(x)
    rest = CONDITIONAL.decode(np.array([geometry.canonical], np.float32))
    assert list(columns) == list(CONDITIONAL.names)
    for index, active in enumerate(CONDITIONAL.active(x).values()):
        for row in np.flatnonzero(~active):
            assert canonical[row, index] == np.float32(geometry.canonical[index])
    # where no parent rests as its children need it, the child shows its own rest
    for row in np.flatnonzero(~CONDITIONAL.active(x)["momentum"]):
        assert columns["momentum"][row] == rest["momentum"][0] == 0.9


@given(rows_of(CONDITIONAL))
def test_many_rows_at_once_are_each_row_alone(x):
    alone = [CONDITIONAL.params(row[None])[0] for row in x]
    assert CONDITIONAL.params(x) == alone
    encoded = [CONDITIONAL.encode([params]) for params in alone]
    np.testing.assert_array_equal(
        CONDITIONAL.encode(alone), np.concatenate([np.empty((0, 7)), *encoded])
    )


def test_geometry_tells_an_algorithm_all_it_needs():
    geometry = CONDITIONAL.geometry(structural=["depth", "epochs"])
    index = {name: k for k, name in enumerate(CONDITIONAL.names)}
    assert geometry.dimensions == len(CONDITIONAL) == 7
    assert geometry.kinds[index["momentum"]] is Kind.FLOAT
    assert geometry.kinds[index["depth"]] is Kind.INT
    assert geometry.kinds[index["sgd.heavy"]] is Kind.CATEGORICAL
    assert geometry.levels == (2, 3, 2, 10, 4, 3, 4)
    assert geometry.structural == tuple(name == "depth" for name in CONDITIONAL.names)
    assert geometry.conditions[index["b1"]] == (
        Condition(parent=index["optimizer"], levels=(1, 2)),
    )
    assert geometry.conditions[index["sgd.nesterov"]] == (
        Condition(parent=index["optimizer"], levels=(0,)),
        Condition(parent=index["sgd.heavy"], levels=(1,)),
    )
    assert hash(geometry) == hash(conditional().geometry(["depth"]))
    with pytest.raises(HyperparameterError, match="Did you mean 'depth'"):
        CONDITIONAL.geometry(["dept"])


def test_size_counts_each_configuration_once():
    x = np.array(
        list(
            itertools.product(
                *(
                    (np.arange(n) + 0.5) / n
                    for n in CONDITIONAL.geometry().levels  # 2 * 3 * 2 * 10 * 4 * 3 * 4
                )
            )
        ),
        np.float32,
    )
    distinct = {tuple(sorted(params.items())) for params in CONDITIONAL.params(x)}
    assert CONDITIONAL.size == len(distinct)
    assert len(np.unique(CONDITIONAL.canonical(x), axis=0)) == len(distinct)


def test_size_of_plain_spaces():
    assert Space(a=Bool(), b=Int(1, 5)).size == 10
    assert Space(a=Bool(), b=Float(0, 1)).size == math.inf
    assert Space({f"d{k}": Int(1, 10**9) for k in range(40)}).size == 10**360
    many = Space({f"d{k}": Int(1, 4000) for k in range(2000)})
    assert "2000 dimensions, about 1e7204 configurations" in repr(many).split("\n")[0]
    wide = {f"d{k}": Bool(when={"on": True}) for k in range(1500)}
    assert Space(wide, on=Bool()).size == 1 + 2**1500
    assert Space(wide, on=Bool(), x=Float(0, 1, when={"on": False})).size == math.inf


def test_repr_is_code_that_prints_its_size():
    names = {"Space": Space, "Bool": Bool, "Int": Int, "Categorical": Categorical}
    names["Float"] = Float
    plain = Space(rate=Float(1e-4, 0.1, log=True), depth=Int(1, 4), epochs=20)
    assert repr(plain) == (
        "Space(  # 2 dimensions, 1 continuous: infinitely many configurations\n"
        "    rate=Float(0.0001, 0.1, log=True),\n"
        "    depth=Int(1, 4),\n"
        "    epochs=20,\n"
        ")"
    )
    for space in (plain, CONDITIONAL, Space({"lambda": Bool(), "a b": ("x", None)})):
        assert eval(repr(space), names) == space
    assert f"7 dimensions, {CONDITIONAL.size} configurations" in repr(CONDITIONAL)


def test_a_space_is_a_collection_of_the_names_it_searches():
    space = Space(rate=Float(0, 1), depth=Int(1, 4), epochs=20)
    assert space.names == tuple(space) == ("rate", "depth")
    assert len(space) == 2
    assert "rate" in space
    assert "epochs" not in space
    assert 3 not in space
    assert {"rate": 0.5, "depth": 4} in space
    assert space["depth"] == Int(1, 4)
    assert space.constants == {"epochs": 20}
    with pytest.raises(KeyError, match="Did you mean 'depth'"):
        space["depht"]


def test_a_space_cannot_be_changed():
    space = conditional()
    for change in (
        lambda: setattr(space, "size", 3),
        lambda: delattr(space, "_cube"),
        lambda: setattr(space, "anything", 3),
    ):
        with pytest.raises(AttributeError, match="cannot be changed"):
            change()
    space.dimensions.clear()
    space.constants.clear()
    assert space == CONDITIONAL
    assert pickle.loads(pickle.dumps(space)) == copy.deepcopy(space) == space


def test_equality_is_by_content():
    space = Space(a=Bool(), b=Int(1, 4), epochs=20, name="x")
    assert space == Space(a=Bool(), name="x", b=Int(1, 4), epochs=np.int64(20))
    assert hash(space) == hash(Space(a=Bool(), b=Int(1, 4), name="x", epochs=20))
    assert space != Space(b=Int(1, 4), a=Bool(), epochs=20, name="x")  # other columns
    assert space != Space(a=Bool(), b=Int(1, 4), epochs=20.0, name="x")
    assert space != Space(a=Bool(), b=Int(1, 5), epochs=20, name="x")
    assert space != "x"
    one = Space(a=Categorical(("x", "z", "y")), b=Bool(when={"a": {"y", "x"}}))
    two = Space(a=Categorical(["x", "z", "y"]), b=Bool(when={"a": ["x", "y"]}))
    assert one == two
    assert one.fingerprint == two.fingerprint


def test_samples_follow_the_seed_and_their_number():
    samples = CONDITIONAL.sample(50, seed=3)
    assert samples == CONDITIONAL.sample(50, seed=3)
    assert samples[:7] == CONDITIONAL.sample(7, seed=3)
    assert samples != CONDITIONAL.sample(50, seed=4)
    assert all(params in CONDITIONAL for params in samples)
    assert {params["optimizer"] for params in samples} == {"sgd", "adam", "lion"}
    assert CONDITIONAL.sample(0, seed=3) == []
    with pytest.raises(ValueError, match="at least 0"):
        CONDITIONAL.sample(-1, seed=3)


def test_a_missing_value_is_its_default_or_an_error():
    space = Space(a=Float(0, 1, default=0.3), b=Bool())
    assert space.params(space.encode([{"b": True}])) == [{"a": 0.3, "b": True}]
    with pytest.raises(HyperparameterError, match="'b' is active and has no default"):
        space.encode([{"a": 0.5}])


def test_inactive_values_and_known_constants_have_no_effect():
    params = {"optimizer": "adam", "b1": 2, "depth": 1}
    more = params | {"momentum": 0.3, "width": 48, "epochs": 20}
    np.testing.assert_array_equal(*map(CONDITIONAL.encode, ([params], [more])))
    assert more in CONDITIONAL
    assert more | {"momentum": 7.0} not in CONDITIONAL


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dept": 3}, "'dept' is not a name of the space. Did you mean 'depth'"),
        ({"depth": 7}, "'depth' must lie between 1 and 3, but got 7"),
        ({"depth": 1.5}, "'depth' must be a whole number, but got 1.5"),
        ({"optimizer": "adm"}, "'optimizer' must be one of.*Did you mean 'adam'"),
        ({"optimizer": ["adam"]}, "'optimizer' must be one of"),
        ({"epochs": 30}, "'epochs' is the constant 20"),
        ({"epochs": [20]}, "'epochs' is the constant 20"),
        ({3: 1}, "3 is not a name"),
        ({"width": 16, "depth": 2, "optimizer": "sgd"}, "'sgd.heavy' is active where"),
    ],
)
def test_parameters_outside_the_space_are_told(change, words):
    params = {"optimizer": "adam", "b1": 2, "depth": 1} | change
    with pytest.raises(HyperparameterError, match=words):
        CONDITIONAL.encode([params])
    assert params not in CONDITIONAL


def test_all_problems_of_a_row_are_told_at_once():
    with pytest.raises(HyperparameterError, match="Row 1 of `params` has 2 problems"):
        Space(a=Bool(), b=Bool()).encode([{"a": True, "b": True}, {"a": 1, "b": 2}])


def test_encode_takes_rows():
    for wrong in ({"a": True}, [1], "a"):
        with pytest.raises(TypeError, match="must be a list of dictionaries"):
            Space(a=Bool()).encode(wrong)
    assert Space(a=Bool()).encode([]).shape == (0, 1)
    assert not Space(a=Bool()).contains(3)


@pytest.mark.parametrize("method", ["decode", "params", "active", "canonical"])
def test_coordinates_of_another_shape_or_nan_are_refused(method):
    call = getattr(Space(rate=Float(0, 1), b=Bool()), method)
    with pytest.raises(ValueError, match=r"\[P, 2\].*but got \[2\].*x\[None, :\]"):
        call([0.5, 0.5])
    with pytest.raises(ValueError, match=r"\[P, 2\].*'rate', 'b', but got \[1, 3\]"):
        call(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="row 1 is NaN at 'rate'"):
        call([[0.5, 0.5], [math.nan, 0.5]])
    call([[math.inf, -1e300]])
    call(np.zeros((0, 2)))


def test_jax_arrays_are_read_and_nothing_is_compiled():
    x = jax.device_put(np.full((4, len(CONDITIONAL)), 0.4, np.float32))
    compiled = []

    def listen(event: str, *_: object, **__: object) -> None:
        if "compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        params = CONDITIONAL.params(x)
        CONDITIONAL.canonical(x)
        CONDITIONAL.encode(params)
        CONDITIONAL.geometry()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert compiled == []
    assert params == CONDITIONAL.params(np.asarray(x))
