"""Events survive JSON bit for bit."""

from __future__ import annotations

import dataclasses
import json

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given

from evotune._contracts import Outcome, Proposal, Status
from evotune.study import TrialState
from evotune.study._codec import decode, encode
from evotune.study._events import Added, Asked, Enqueued, Ran, Started, Told
from evotune.study._rows import Row, outcome, pack, padded, running, unpack
from tests.study.fakes import FakeFinished

ANY = st.floats(width=32, allow_nan=True, allow_infinity=True)
UNIT = st.floats(0, 1, width=32)


def bits(event):
    """Every field of an event, arrays by their dtype, shape and bits."""
    found = {}
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if isinstance(value, (Outcome, Proposal)):
            value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            value.pop("x", None) if isinstance(event, Told) else None
        if not isinstance(value, dict):
            value = {"": value}
        for name, leaf in value.items():
            if isinstance(leaf, np.ndarray):
                leaf = (leaf.dtype.str, leaf.shape, leaf.tobytes())
            found[field.name, name] = str(leaf)
    return found


def same_after_json(event):
    line = encode(event)
    assert "\n" not in line
    again = decode(json.loads(line))
    assert bits(again) == bits(event)
    return line


@st.composite
def finished(draw):
    rows, points = draw(st.integers(1, 5)), draw(st.integers(0, 4))
    objectives, constraints = draw(st.integers(1, 2)), draw(st.integers(0, 2))

    def floats(*shape):
        return draw(hnp.arrays(np.float32, shape, elements=ANY))

    length = draw(hnp.arrays(np.int32, (rows,), elements=st.integers(0, points)))
    trial = draw(st.lists(st.integers(-1, 99), min_size=rows, max_size=rows))
    result = outcome(
        trial=np.array(trial, np.int32),
        replica=draw(hnp.arrays(np.int32, (rows,), elements=st.integers(0, 2))),
        fitness=floats(rows, objectives),
        constraints=floats(rows, constraints),
        variance=floats(rows, objectives),
        status=draw(hnp.arrays(np.int32, (rows,), elements=st.integers(1, 4))),
        spent=floats(rows),
        curve=floats(rows, points),
        curve_len=length,
    )
    metrics = {"loss": floats(rows, points)}
    if draw(st.booleans()):
        sign = np.float32(draw(st.sampled_from([-1, 1])))
        metrics["score"] = sign * np.asarray(result.curve)
    return FakeFinished(outcome=result, metrics=metrics, values=floats(rows))


@given(finished())
def test_what_is_told_is_what_is_recorded(block):
    event = Told.of(block, at=1.5)
    assume(len(event.values))
    line = same_after_json(event)
    json.loads(line, parse_constant=lambda constant: pytest.fail(constant))
    told = event.outcome
    assert np.all(told.trial >= 0)
    for field in ("fitness", "variance", "curve", "constraints"):
        assert not np.any(np.isnan(getattr(told, field)))
    if "score" in block.metrics:
        assert '"curve":["' not in line
    padding = np.arange(told.curve.shape[1]) >= told.curve_len[:, None]
    assert np.all(np.asarray(told.curve)[padding] == 0)


@given(
    hnp.arrays(np.float32, (4, 3), elements=UNIT),
    st.lists(st.integers(-1, 50), min_size=4, max_size=4),
    st.booleans(),
)
def test_proposals_survive(x, trials, partial):
    rows = [
        Row(
            x=x[i] + np.float32(0),
            trial=t,
            until=3.25 if partial else np.inf,
            slot=i - 1,
        )
        for i, t in enumerate(trials)
        if t >= 0
    ]
    if rows:
        proposal = pack(rows, 6, 3)
        same_after_json(Asked(proposal=proposal))
        for row, again in zip(rows, unpack(proposal, -1), strict=True):
            assert row.x.tobytes() == again.x.tobytes()
            assert dataclasses.replace(row, x=again.x) == again


@given(st.floats(allow_nan=False, allow_infinity=False), st.text(), UNIT)
def test_other_events_survive(number, text, unit):
    plan = {"programs": [text], "ms": 1.5}
    ran = Ran(at=1.0, metric=text, points=4, structural=("a", text), plan=plan)
    same_after_json(ran)
    x = np.array([unit + 0.0, np.nan], np.float32)
    same_after_json(Enqueued(x=x, fixed=(text,), user_attrs={text: [1, None]}))
    same_after_json(Started(at=number, count=3))
    for state in (TrialState.COMPLETE, TrialState.FAIL):
        same_after_json(
            Added(
                number=7,
                x=x[:1],
                state=state,
                values=(number if state is TrialState.COMPLETE else np.nan,),
                start=np.nan,
                complete=1.25,
                user_attrs={"who": text},
            )
        )


def test_tells_have_one_shape():
    rows = [Row(x=np.full((3,), 0.25, np.float32), trial=number) for number in range(7)]
    told = running(rows)
    shapes = set()
    numbers = []
    for start in (0, 4):
        part = padded(told, start, 4, 5)
        shapes.add(
            tuple(
                (getattr(part, f.name).shape, getattr(part, f.name).dtype.str)
                for f in dataclasses.fields(part)
            )
        )
        numbers += part.trial.tolist()
    assert len(shapes) == 1
    assert numbers == [0, 1, 2, 3, 4, 5, 6, -1]
    assert set(told.status.tolist()) == {Status.RUNNING}
