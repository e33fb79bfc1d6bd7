"""Spaces to ConfigSpace's, and back."""

from __future__ import annotations

import numpy as np
import pytest

import evotune as et

cs = pytest.importorskip("ConfigSpace")

from evotune.integrations.configspace import (  # noqa: E402
    from_configspace,
    to_configspace,
)

SPACE = et.Space(
    optimizer=et.Categorical(["sgd", "adam", "lion"], default="adam"),
    rate=et.Float(1e-4, 1e-1, log=True, default=3e-3),
    momentum=et.Float(0.0, 0.9, step=0.1, when={"optimizer": "sgd"}),
    dropout=et.Float(0.0, 0.5),
    width=et.Int(8, 64, log=True),
    layers=et.Int(1, 9, step=2, default=5),
    depth=et.Int(1, 4),
    residual=et.Bool(when={"layers": [3, 9], "depth": [2, 3, 4]}),
    scale=et.Float(0.5, 2.0, when={"residual": True, "optimizer": ["adam", "lion"]}),
    epochs=20,
    name="mlp",
    shape=(3, 3),
)


def test_spaces_survive_the_way_there_and_back() -> None:
    found = from_configspace(to_configspace(SPACE))
    assert found.dimensions == SPACE.dimensions
    assert found.constants == SPACE.constants


def test_what_configspace_samples_is_in_the_space() -> None:
    """Which parameters are active is what both say."""
    rows = to_configspace(SPACE, seed=0).sample_configuration(200)
    for row in map(dict, rows):
        params = {name: row[name] for name in row if name not in SPACE.constants}
        assert SPACE.contains(params)
        assert set(SPACE.params(SPACE.encode([params]))[0]) == set(params)


def test_what_the_space_samples_is_legal_there() -> None:
    found = to_configspace(SPACE)
    for params in SPACE.sample(200, seed=0):
        values = {**params, **SPACE.constants}
        cs.Configuration(found, values=values).check_valid_configuration()


def test_conditions_on_one_parent_are_its_values() -> None:
    given = cs.ConfigurationSpace()
    kind = cs.CategoricalHyperparameter("kind", ["a", "b", "c"])
    count = cs.UniformIntegerHyperparameter("count", 1, 6)
    size = cs.OrdinalHyperparameter("size", ["small", "medium", "large"])
    always = cs.Constant("always", 1)
    children = [cs.UniformFloatHyperparameter(f"x{n}", 0, 1) for n in range(5)]
    given.add([kind, count, size, always, *children])
    x0, x1, x2, x3, x4 = children
    given.add(cs.NotEqualsCondition(x0, kind, "b"))
    given.add(
        cs.AndConjunction(
            cs.GreaterThanCondition(x1, count, 2), cs.LessThanCondition(x1, count, 5)
        )
    )
    given.add(
        cs.OrConjunction(
            cs.EqualsCondition(x2, size, "large"),
            cs.LessThanCondition(x2, size, "medium"),
        )
    )
    given.add(
        cs.AndConjunction(
            cs.InCondition(x3, kind, ["a", "c"]), cs.EqualsCondition(x3, count, 6)
        )
    )
    given.add(cs.EqualsCondition(x4, always, 1))
    found = from_configspace(given)
    assert found.constants == {"always": 1}
    wanted = {
        "x0": {"kind": ["a", "c"]},
        "x1": {"count": [3, 4]},
        "x2": {"size": ["small", "large"]},
        "x3": {"kind": ["a", "c"], "count": [6]},
    }
    for name, when in wanted.items():
        assert {p: list(v) for p, v in found.dimensions[name].when.items()} == when
    assert found.dimensions["x4"].when is None


def test_ordinals_are_ranges_where_they_are_evenly_spaced() -> None:
    given = cs.ConfigurationSpace()
    sequences = {
        "even": [2, 4, 6],
        "falling": [3, 2, 1],
        "tenths": [0.1, 0.2, 0.3],
        "powers": [16, 32, 64],
        "names": ["low", "high"],
        "flags": [False, True],
        "one": [7],
    }
    given.add([cs.OrdinalHyperparameter(n, s) for n, s in sequences.items()])
    found = from_configspace(given)
    assert found.constants == {"one": 7}
    assert found.dimensions == {
        "even": et.Int(2, 6, step=2),
        "falling": et.Int(1, 3),
        "tenths": et.Float(0.1, 0.3, step=0.1),
        "powers": et.Categorical([16, 32, 64]),
        "names": et.Categorical(["low", "high"]),
        "flags": et.Bool(),
    }


def test_a_search_runs_in_a_space_of_configspace() -> None:
    given = cs.ConfigurationSpace({"x": (-1.0, 1.0), "n": (1, 9), "c": ["a", "b"]})
    study = et.Study(from_configspace(given), algorithm=et.RandomSearch(batch_size=8))
    trials = study.ask(8)
    assert np.isfinite([trial["x"] * trial["n"] for trial in trials]).all()


def refused() -> dict[str, tuple]:
    forbids, prior, weighs = (
        cs.ConfigurationSpace({"a": ["x", "y"]}) for _ in range(3)
    )
    forbids.add(cs.ForbiddenEqualsClause(forbids["a"], "y"))
    prior.add(cs.NormalFloatHyperparameter("p", mu=0.5, sigma=0.1, lower=0, upper=1))
    weighs.add(cs.CategoricalHyperparameter("w", ["x", "y"], weights=[1, 2]))
    across = cs.ConfigurationSpace({"a": ["x", "y"], "b": ["x", "y"], "z": (0.0, 1.0)})
    across.add(
        cs.OrConjunction(
            cs.EqualsCondition(across["z"], across["a"], "x"),
            cs.EqualsCondition(across["z"], across["b"], "x"),
        )
    )
    real = cs.ConfigurationSpace({"r": (0.0, 1.0), "z": (0.0, 1.0)})
    real.add(cs.GreaterThanCondition(real["z"], real["r"], 0.5))
    constant = cs.ConfigurationSpace({"a": ["x", "y"], "k": 3})
    constant.add(cs.EqualsCondition(constant["k"], constant["a"], "x"))
    never = cs.ConfigurationSpace({"n": (1, 3), "z": (0.0, 1.0)})
    never.add(cs.GreaterThanCondition(never["z"], never["n"], 3))
    return {
        "forbids": (forbids, "forbids some configurations"),
        "prior": (prior, "'p' is a NormalFloatHyperparameter"),
        "weighs": (weighs, "'w' has weights"),
        "across": (across, "'z' is active if one of several parents, 'a', 'b'"),
        "real": (real, "'z' has a condition on 'r', which has more than 4096"),
        "constant": (constant, "'k' is the constant 3 under a condition"),
        "never": (never, "'z' is never active, as no value of 'n'"),
    }


@pytest.mark.parametrize("case", refused())
def test_what_a_space_cannot_hold_is_refused_by_name(case) -> None:
    given, words = refused()[case]
    with pytest.raises(et.SpaceError, match=words):
        from_configspace(given)


def test_all_problems_are_told_at_once() -> None:
    given = cs.ConfigurationSpace({"a": ["x", "y"]})
    given.add(cs.BetaIntegerHyperparameter("p", alpha=2, beta=2, lower=0, upper=9))
    given.add(cs.ForbiddenEqualsClause(given["a"], "y"))
    with pytest.raises(et.SpaceError, match="2 problems"):
        from_configspace(given)


def test_steps_too_many_to_list_are_refused_by_name() -> None:
    space = et.Space(x=et.Float(0.0, 1.0), fine=et.Float(0.0, 1.0, step=1e-4))
    with pytest.raises(et.SpaceError, match=r"'fine' .* more than 4096 steps"):
        to_configspace(space)


def test_orders_are_refused_with_the_way_out() -> None:
    space = et.Space(order=et.space.Permutation([1, 2, 3]))
    with pytest.raises(et.SpaceError, match=r"'order'.*a float for each item"):
        to_configspace(space)


def test_ordinals_of_a_space_keep_their_order_there() -> None:
    found = to_configspace(et.Space(size=et.space.Ordinal([8, 64, 16], default=64)))
    assert isinstance(found["size"], cs.OrdinalHyperparameter)
    assert tuple(found["size"].sequence) == (8, 64, 16)
    assert found["size"].default_value == 64
