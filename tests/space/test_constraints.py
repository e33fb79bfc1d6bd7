"""Constraints: what they say, when they apply, and how their mistakes are told."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evotune as et
from evotune._errors import SpaceError
from evotune.space import Bool, Categorical, Float, Forbidden, Int, Ordinal, Space
from evotune.space._expression import Expression

ENTRIES = {
    "width": Int(16, 256, log=True),
    "depth": Int(1, 4),
    "optimizer": Categorical(["sgd", "adam", "lion"]),
    "momentum": Float(0.0, 0.99, when={"optimizer": "sgd"}),
    "norm": Categorical(["none", "batch", "layer"]),
    "net.heads": Ordinal([1, 2, 4, 8]),
    "epochs": 20,
}
"""Dimensions, one of them conditional, and a constant."""


def is_small(c):
    return c["width"] * c["depth"] <= 512


CONSTRAINTS = [
    is_small,
    "width % net.heads == 0 and epochs > 3",
    Forbidden(optimizer=["sgd", "lion"], norm="none"),
    "momentum < 0.9",
    lambda c: c["momentum"] > 0.1 or c["norm"] == "layer",
]
SPACE = Space(ENTRIES, constraints=CONSTRAINTS)


def is_allowed(row):
    """The constraints of `SPACE`, written down once more."""
    return (
        row["width"] * row["depth"] <= 512
        and row["width"] % row["net.heads"] == 0
        and not (row["optimizer"] in ("sgd", "lion") and row["norm"] == "none")
        and row.get("momentum", 0.0) < 0.9
        and (row.get("momentum", 1.0) > 0.1 or row["norm"] == "layer")
    )


rows = st.lists(
    st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6), max_size=8
).map(lambda rows: np.array(rows, np.float32).reshape(-1, 6))


@given(rows)
def test_a_row_is_allowed_if_it_keeps_every_constraint(x):
    expected = [is_allowed(row) for row in SPACE.params(x)]
    assert SPACE.allowed(x).tolist() == expected
    assert [row in SPACE for row in SPACE.params(x)] == expected
    free = Space(ENTRIES)
    assert free.allowed(x).all()
    assert SPACE.geometry() == free.geometry(), "algorithms see the same space"
    assert SPACE.params(SPACE.encode(SPACE.params(x))) == SPACE.params(x)


@given(st.integers(0, 2**20), st.integers(0, 12), st.integers(0, 6))
def test_samples_are_allowed_and_the_first_of_more_are_the_same(seed, n, more):
    some = SPACE.sample(n, seed=seed)
    assert len(some) == n
    assert all(map(is_allowed, some))
    assert SPACE.sample(n + more, seed=seed)[:n] == some


def test_samples_are_those_of_the_free_space_that_are_allowed():
    free = Space(ENTRIES).sample(400, seed=3)
    allowed = [row for row in free if is_allowed(row)]
    assert len(allowed) > 40
    assert SPACE.sample(len(allowed), seed=3) == allowed


def test_some_values_are_forbidden_whatever_the_rest_is():
    assert SPACE.forbids({"optimizer": "sgd", "norm": "none"})
    assert not SPACE.forbids({"optimizer": "sgd"})
    assert SPACE.forbids({"width": 30, "net.heads": 4, "depth": 1})
    assert not SPACE.forbids({"width": 256, "depth": 4}), "functions are not asked"
    assert SPACE.forbids({"momentum": 0.95})


def test_repr_names_the_constraints_and_is_code():
    space = Space(
        width=Int(1, 8),
        kind=Categorical(["a", "b"]),
        constraints=["width > 3 or kind == 'a'", Forbidden(kind="b", width=[7, 8])],
    )
    assert eval(repr(space)) == space
    assert "# 2 dimensions, at most 16 configurations" in repr(space)
    dotted = Space({"a.b": Int(1, 8), "constraints": Bool()}, constraints=["a.b > 2"])
    assert eval(repr(dotted)) == dotted
    assert set(dotted) == {"a.b", "constraints"}, "a mapping may name a dimension so"


def test_spaces_of_other_constraints_differ_and_copies_are_equal():
    for again in (
        copy.deepcopy(SPACE),
        Space(ENTRIES, constraints=SPACE.constraints),
        Space({**SPACE.dimensions, **SPACE.constants}, constraints=CONSTRAINTS),
    ):
        assert again == SPACE
    assert hash(Space(ENTRIES, constraints=[is_small])) == hash(Space(ENTRIES))
    named = Space(ENTRIES, constraints=CONSTRAINTS[:4])
    assert pickle.loads(pickle.dumps(named)) == named
    others = [[], [is_small], CONSTRAINTS[1:2], CONSTRAINTS[2:3], CONSTRAINTS[:2]]
    spaces = [Space(ENTRIES, constraints=each) for each in others]
    assert sum(a == b for a in spaces for b in spaces) == len(spaces)
    assert SPACE.constraints == tuple(CONSTRAINTS)


def test_a_narrower_space_keeps_the_constraints_that_still_apply():
    params = {
        "width": 64,
        "depth": 2,
        "optimizer": "adam",
        "norm": "none",
        "net.heads": 4,
    }
    narrow = SPACE.around(params, scale=0.4)
    assert "momentum" not in narrow, "sgd is gone"
    assert params in narrow
    assert all(is_allowed({**narrow.constants, **r}) for r in narrow.sample(40, seed=0))
    texts = [rule for rule in narrow.constraints if isinstance(rule, str)]
    assert texts == ["width % net.heads == 0 and epochs > 3"]
    assert not any(isinstance(rule, Forbidden) for rule in narrow.constraints), (
        "neither sgd nor lion is left"
    )
    trials = [
        et.create_trial(params=row, value=float(row["width"]))
        for row in SPACE.sample(60, seed=1)
    ]
    refined = SPACE.refine(trials, direction="maximize", quantile=0.3)
    best = sorted(trials, key=lambda trial: -trial.value)[: round(0.3 * 60)]
    assert all(trial.params in refined for trial in best)
    again = refined.around(best[0].params, scale=0.5)
    assert best[0].params in again, "rules survive being narrowed twice"


def test_ordinal_choices_narrow_to_neighbours():
    space = Space(size=Ordinal([8, 16, 32, 64, 128], default=8), x=Float(0, 1))
    narrow = space.around({"size": 64, "x": 0.5}, scale=0.5)
    assert narrow["size"] == Ordinal([32, 64, 128], default=64)
    trials = [
        et.create_trial(params={"size": size, "x": 0.5}, value=0.0) for size in (8, 16)
    ]
    refined = space.refine(trials, direction="minimize", quantile=1.0, shrink=0.25)
    assert refined["size"] == Ordinal([8, 16], default=8)


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        ("width < 3", r"must be a list.*Use `constraints=\['width < 3'\]`.*mapping"),
        (is_small, r"must be a list.*Use `constraints=\[is_small\]`"),
        (Float(0, 1), r"must be a list.*`Space\(\{'constraints': \.\.\.\}\)`"),
        ([3], "3 is no rule: use an expression such as"),
        ([Int], "is no rule"),
        (["width <"], "'width <' cannot be read as Python"),
        (["width = 3"], "cannot be read as Python"),
        (["widht < 3"], "names 'widht', which the space does not have. Did you mean"),
        (["norm == none"], "names 'none'.*Quote it where it is a string"),
        (["log(width) < 3"], r"calls 'log\(width\)', and of functions only abs"),
        (["min(width, key=3) < 3"], "of functions only abs, index, max, min"),
        (["[w for w in (1, 2)]"], "which no rule may"),
        (["(lambda: True)()"], "calls"),
        (["width.__class__ < 3"], "names 'width.__class__'"),
        (["'a'.join < 3"], "which no rule may"),
        ([Forbidden()], "forbids everything: name values"),
        ([Forbidden(optimiser="sgd")], "names 'optimiser'.*Did you mean 'optimizer'"),
        (
            [Forbidden(optimizer="sdg")],
            "'optimizer' must be one of.*Did you mean 'sgd'",
        ),
        ([Forbidden(optimizer=[])], "lists no value of 'optimizer'"),
        ([lambda c: c["width"]], r"must answer True or False, but .* of type int"),
        (["width * 2"], r"'width \* 2' answered"),
        ([lambda c: None], "of type NoneType"),
        ([lambda c: c["widht"] > 3], "asks for 'widht'. Did you mean 'width'"),
        ([lambda c: 1 / 0], "raised ZeroDivisionError.*answer False for what must not"),
        (["width < 3", is_small], r"of 16,\d+ drawn.*'width < 3' refuses 100%"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(constraints, words):
    with pytest.raises(SpaceError, match=rf"(?s){words}"):
        Space(ENTRIES, constraints=constraints)


def test_all_problems_are_told_at_once():
    with pytest.raises(SpaceError, match="has 2 problems") as caught:
        Space(ENTRIES, constraints=["widht < 3", Forbidden(norm="bath"), is_small])
    assert "'widht'" in str(caught.value)
    assert "'bath'" in str(caught.value)


@given(st.integers(-9, 9), st.integers(-9, 9))
def test_an_expression_means_what_python_means(a, b):
    for text in (
        "a < b <= 5 or not a == b",
        "-a + b * 2 - 3 > a // 4 and b % 3 != 1",
        "abs(a) in (1, 2, 3) if b is not None else a ** 2 > 5",
        "max(a, b, 0) - min(a, b) <= 4 or a not in [1, b]",
    ):
        assert Expression(text).value({"a": a, "b": b}) == eval(text, {"a": a, "b": b})
        assert Expression(text).names == {"a", "b"}
