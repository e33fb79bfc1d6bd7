"""Spaces on disk: JSON that comes back equal, and fingerprints that stay."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evotune._errors import SpaceError
from evotune.space import (
    Beta,
    Bool,
    Categorical,
    Float,
    Forbidden,
    Int,
    Normal,
    Ordinal,
    Space,
)


def test_the_fingerprint_is_the_same_in_every_process_and_tells_spaces_apart():
    code = (
        "from evotune.space import *\n"
        "import math\n"
        "print(Space(a=Categorical(['x', math.exp, None]),"
        " b=Bool(when={'a': {'x', None}}), epochs=20).fingerprint)"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    }
    here = Space(
        a=Categorical(["x", math.exp, None]), b=Bool(when={"a": ["x", None]}), epochs=20
    )
    assert prints == {here.fingerprint + "\n"}
    others = [
        Space(a=Bool()),
        Space(b=Bool()),
        Space(a=Bool(default=False)),
        Space(a=Bool(), b=1),
        Space(a=Bool(), b=True),
        Space(a=Bool(), b=1.0),
        Space(a=Bool(), b=(1,)),
        Space(a=Bool(), b=math.sin),
        Space(a=Bool(), b=math.cos),
    ]
    assert len({space.fingerprint for space in others}) == len(others)
    assert all(len(space.fingerprint) == 12 for space in others)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)


@given(st.lists(values, min_size=2, max_size=5, unique=True), values, st.data())
def test_a_space_survives_json(choices, constant, data):
    wanted = data.draw(st.lists(st.sampled_from(choices), min_size=1))
    space = Space(
        {"a.b": Categorical(choices), "fixed": constant},
        rate=Float(1e-4, 0.1, log=True, default=0.01, when={"a.b": wanted}),
        steps=Float(0, 1, step=0.1, prior=Beta(2, 5)),
        width=Int(16, 256, log=True, prior=Normal(64, 2.0)),
        flag=Bool(default=False, when={"a.b": choices[0:1]}),
        size=Ordinal(choices[::-1], weights=range(1, len(choices) + 1)),
    )
    text = space.to_json()
    again = Space.from_json(text)
    assert again == Space.from_json(json.loads(text)) == space
    assert again.fingerprint == space.fingerprint
    assert again.to_json() == text
    assert again.geometry() == space.geometry()


def test_json_of_schema_version_1_is_read():
    text = (
        '{"schema_version": 1, "dimensions": ['
        '{"name": "optimizer", "type": "categorical", "choices": ["sgd", "adam"]},'
        '{"name": "rate", "type": "float", "low": 0.1, "high": 1.0, "log": true},'
        '{"name": "momentum", "type": "float", "low": 0.0, "high": 0.9, "step": 0.1,'
        ' "log": false, "default": 0.9, "when": {"optimizer": ["sgd"]}},'
        '{"name": "depth", "type": "int", "low": 1, "high": 9, "step": 2},'
        '{"name": "bias", "type": "bool", "default": false}],'
        '"constants": {"hidden": {"tuple": [64, 64]}, "clip": {"float": "inf"}}}'
    )
    assert Space.from_json(text) == Space(
        optimizer=Categorical(["sgd", "adam"]),
        rate=Float(0.1, 1, log=True),
        momentum=Float(0, 0.9, step=0.1, default=0.9, when={"optimizer": "sgd"}),
        depth=Int(1, 9, step=2),
        bias=Bool(default=False),
        hidden=(64, 64),
        clip=math.inf,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "`schema_version` and `dimensions`"),
        ('{"schema_version": 3, "dimensions": []}', "must be 1 to 2, but got 3"),
        ('{"schema_version": 1, "dimensions": [{}]}', "damaged.*'name'"),
        (
            '{"schema_version": 1, "dimensions": [{"name": "a", "type": "floot"}]}',
            "Did you mean 'float'",
        ),
        (
            '{"schema_version": 1, "dimensions": [{"name": "a", "type": "bool", "x": 1}'
            "]}",
            "damaged.*'x'",
        ),
        ('{"schema_version": 1, "dimensions": []}', "at least one dimension"),
    ],
)
def test_json_that_is_no_space_is_refused_with_the_reason(text, words):
    with pytest.raises(SpaceError, match=words):
        Space.from_json(text)


def test_constraints_survive_json_and_are_told_apart():
    entries = {
        "optimizer": Categorical(["sgd", "adam"]),
        "net.width": Int(16, 256, log=True),
        "depth": Int(1, 4),
        "shape": Categorical([(8, 8), (4, 4, 4)]),
    }
    space = Space(
        entries,
        constraints=[
            "net.width * depth <= 512",
            Forbidden(optimizer="sgd", depth=[3, 4]),
            Forbidden({"shape": [(8, 8)], "depth": 4}),
        ],
    )
    again = Space.from_json(space.to_json())
    assert again == space
    assert again.to_json() == space.to_json()
    assert again.fingerprint == space.fingerprint
    plain = Space(entries)
    assert plain != space
    assert plain.fingerprint != space.fingerprint
    assert json.loads(plain.to_json())["schema_version"] == 1, "older readers do"
    assert json.loads(space.to_json())["schema_version"] == 2

    called = Space(entries, constraints=[_few_weights])
    assert called.fingerprint not in (plain.fingerprint, space.fingerprint)
    with pytest.raises(SpaceError, match=r"_few_weights is a function. Write it as"):
        called.to_json()


def _few_weights(c):
    return c["net.width"] * c["depth"] <= 512


def test_fingerprints_of_spaces_without_the_newer_words_are_as_they_were():
    space = Space(
        rate=Float(1e-4, 0.1, log=True),
        width=Int(16, 256),
        kind=Categorical(["a", "b"]),
    )
    assert space.fingerprint == "26168f8a184f"


def test_what_json_cannot_hold_is_told_when_it_is_written():
    for space in (
        Space(act=Categorical([math.sin, math.cos])),
        Space(a=Bool(), act=math.sin),
        Space(a=Bool(), act=(1, b"x")),
    ):
        assert space.params([[0.1]])
        with pytest.raises(SpaceError, match=r"'act' has .*Use a name in its place"):
            space.to_json()


def test_objects_of_any_kind_can_be_chosen():
    choices = [math.sin, functools.partial(max, 1), b"raw", frozenset({1})]
    space = Space(f=Categorical(choices), g=math.cos)
    x = space.encode([{"f": choice} for choice in choices])
    assert [params["f"] for params in space.params(x)] == choices
    assert space.fingerprint
