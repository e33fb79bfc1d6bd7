"""Events as lines of JSON, and back, bit for bit.

A float32 is written with nine significant digits, which always reads back as the same
float32; a number that is not finite is null. Schema 1 of the journal:

    header    schema_version, evotune, study_name, created, space, fingerprint,
              algorithm, seed, direction
    ran       at, metric, points, structural, plan
    asked     trial[P'], x[P'][D] and those of replica, source, slot, until, horizon
              that are not all default, over the P' rows that are not EMPTY; rows: P
    enqueued  x[D], fixed, user_attrs
    started   at, count
    told      at, trial, status, value, fitness[n][M], spent, points: T, length,
              metrics: {name: [n][length]}, curve: "name", "-name" or [n][length]; and,
              where not all default, replica, constraints[n][K], variance[n][M]
    added     number, x[D], state, value, start, complete, user_attrs

Schema 2 is that of studies with several objectives: "direction" of the header is a
list, "value" of told is [n][M] and that of added [M], and ran has objectives, by name.
Schema 3 is that of studies that train every trial R times: the header has repeats, R,
and told has a row for each training, which "replica" tells apart: R a + k is the k-th
of the a-th that the algorithm asked for. All others write schema 1. Where there are
constraints, ran names them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evotune._contracts import Proposal
from evotune.study._events import Added, Asked, Enqueued, Event, Ran, Started, Told, cut
from evotune.study._frozen_trial import TrialState
from evotune.study._rows import _ROW_FIELDS, MISSING, finite, outcome, pack, unpack


def line(kind: str, fields: dict[str, str]) -> str:
    """One line of JSON from a kind and fields that are JSON already."""
    body = "".join(f',"{name}":{text}' for name, text in fields.items())
    return f'{{"event":"{kind}"{body}}}'


def text(value: Any) -> str:
    """``value`` as compact, strict JSON.

    Raises:
        TypeError: If it is no JSON value.
        ValueError: If it holds NaN or an infinity.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _floats(values: Sequence[float]) -> str:
    """A row of float32 numbers; nine digits tell every two of them apart."""
    joined = ",".join(["%.9g"] * len(values)) % tuple(values)
    if "n" in joined:  # nan, inf, -inf
        joined = ",".join(
            "null" if "n" in number else number for number in joined.split(",")
        )
    return f"[{joined}]"


def _table(array: np.ndarray, length: np.ndarray | None = None) -> str:
    """f32[n, T] as rows, each cut to its ``length``."""
    rows = array.tolist()
    if length is not None:
        rows = [row[:size] for row, size in zip(rows, length.tolist(), strict=True)]
    return "[" + ",".join([_floats(row) for row in rows]) + "]"


def _doubles(values: Any) -> str:
    """A float64 number, a row or a table of them."""
    array = np.asarray(values, np.float64)
    return text(np.where(np.isfinite(array), array, None).tolist())  # type: ignore[call-overload]


def _ran(event: Ran) -> dict[str, str]:
    fields = {
        "at": text(event.at),
        "metric": text(event.metric),
        "points": text(event.points),
        "structural": text(event.structural),
        "plan": text(event.plan),
    }
    for name in ("objectives", "constraints"):
        if getattr(event, name):
            fields[name] = text(getattr(event, name))
    return fields


def _asked(event: Asked) -> dict[str, str]:
    rows = unpack(event.proposal, 0)
    fields = {"rows": text(len(event.proposal.trial))}
    for name, (default, dtype) in _ROW_FIELDS.items():
        column = [getattr(row, name) for row in rows]
        if name != "trial" and all(value == default for value in column):
            continue
        fields[name] = text(column) if dtype is np.int32 else _floats(column)
    return {**fields, "x": _table(np.stack([row.x for row in rows]))}


def _enqueued(event: Enqueued) -> dict[str, str]:
    return {
        "x": _floats(event.x.tolist()),
        "fixed": text(event.fixed),
        "user_attrs": text(event.user_attrs),
    }


def _started(event: Started) -> dict[str, str]:
    return {"at": text(event.at), "count": text(event.count)}


def _told(event: Told) -> dict[str, str]:
    told = event.outcome
    length = np.asarray(told.curve_len)
    curve = np.asarray(told.curve)
    fields = {
        "at": text(event.at),
        "trial": text(told.trial.tolist()),
        "status": text(told.status.tolist()),
        "value": _doubles(event.values.tolist()),
        "fitness": _table(np.asarray(told.fitness)),
        "spent": _floats(told.spent.tolist()),
        "points": text(curve.shape[1]),
        "length": text(length.tolist()),
    }
    if np.any(told.replica):
        fields["replica"] = text(told.replica.tolist())
    if told.constraints.shape[1]:
        fields["constraints"] = _table(np.asarray(told.constraints))
    if np.any(told.variance):
        fields["variance"] = _table(np.asarray(told.variance))
    fields["metrics"] = (
        "{"
        + ",".join(
            f"{text(name)}:{_table(metric, length)}"
            for name, metric in event.metrics.items()
        )
        + "}"
    )
    fields["curve"] = _same_as(curve, length, event.metrics) or _table(curve, length)
    return fields


def _same_as(
    curve: np.ndarray, length: np.ndarray, metrics: dict[str, np.ndarray]
) -> str | None:
    """The metric that ``curve`` equals, as JSON: '"name"', '"-name"', or None."""
    for name, metric in metrics.items():
        for sign, prefix in ((1, ""), (-1, "-")):
            if np.array_equal(_signed(metric, sign, length), curve):
                return text(prefix + name)
    return None


def _signed(metric: np.ndarray, sign: int, length: np.ndarray) -> np.ndarray:
    """The algorithm's curve that a metric's curve in the user's sign amounts to."""
    return cut(finite(np.float32(sign) * metric, "curve"), length, 0.0)


def _added(event: Added) -> dict[str, str]:
    value = event.values if len(event.values) > 1 else event.values[0]
    return {
        "number": text(event.number),
        "x": _floats(event.x.tolist()),
        "state": text(event.state.name),
        "value": _doubles(value),
        "start": _doubles(event.start),
        "complete": _doubles(event.complete),
        "user_attrs": text(dict(event.user_attrs)),
    }


_WRITERS: dict[type, tuple[str, Callable[[Any], dict[str, str]]]] = {
    Ran: ("ran", _ran),
    Asked: ("asked", _asked),
    Enqueued: ("enqueued", _enqueued),
    Started: ("started", _started),
    Told: ("told", _told),
    Added: ("added", _added),
}


def encode(event: Event) -> str:
    """One line of JSON, without its newline."""
    kind, writer = _WRITERS[type(event)]
    return line(kind, writer(event))


def _vector(values: Sequence[Any], missing: float, dtype: Any = np.float32) -> Any:
    """Numbers and nulls as an array."""
    array = np.array(values, dtype)
    return np.where(np.isnan(array), dtype(missing), array)


def _ragged(rows: Sequence[Sequence[Any]], points: int, missing: float) -> np.ndarray:
    """Rows of different lengths as f32[n, T], NaN past the end of each."""
    array = np.full((len(rows), points), np.nan, np.float32)
    for index, row in enumerate(rows):
        array[index, : len(row)] = _vector(row, missing)
    return array


def _read_asked(line: dict[str, Any]) -> Asked:
    x = np.array(line["x"], np.float32)
    size, filled = line["rows"], len(line["trial"])
    padding = pack([], size, x.shape[1])
    fields: dict[str, Any] = {}
    for name, (default, dtype) in _ROW_FIELDS.items():
        fields[name] = np.asarray(getattr(padding, name)).copy()
        if name in line and dtype is np.int32:
            fields[name][:filled] = line[name]
        elif name in line:
            fields[name][:filled] = _vector(line[name], default)
    fields["x"] = np.asarray(padding.x).copy()
    fields["x"][:filled] = x
    return Asked(proposal=Proposal(**fields))


def _read_told(line: dict[str, Any]) -> Told:
    points = line["points"]
    length = np.array(line["length"], np.int32)
    metrics = {
        name: _ragged(rows, points, MISSING["metrics"])
        for name, rows in line["metrics"].items()
    }
    curve = line["curve"]
    if isinstance(curve, str):
        same = metrics.get(curve)
        signed = (same, 1) if same is not None else (metrics[curve[1:]], -1)
        curve = _signed(*signed, length)
    else:
        curve = cut(_ragged(curve, points, MISSING["curve"]), length, 0.0)
    fields: dict[str, np.ndarray] = {
        name: _vector(line[name], MISSING[name])
        for name in ("fitness", "constraints", "variance", "spent")
        if name in line
    }
    if "replica" in line:
        fields["replica"] = np.array(line["replica"], np.int32)
    told = outcome(
        trial=np.array(line["trial"], np.int32),
        status=np.array(line["status"], np.int32),
        curve=curve,
        curve_len=length,
        **fields,
    )
    values = _vector(line["value"], np.nan, np.float64)
    return Told(at=line["at"], outcome=told, values=values, metrics=metrics)


def _read_added(line: dict[str, Any]) -> Added:
    start, complete = (
        np.nan if line[name] is None else line[name] for name in ("start", "complete")
    )
    value = line["value"]
    values = value if isinstance(value, list) else [value]
    return Added(
        number=line["number"],
        x=np.array(line["x"], np.float32),
        state=TrialState[line["state"]],
        values=tuple(np.nan if value is None else value for value in values),
        start=start,
        complete=complete,
        user_attrs=line["user_attrs"],
    )


_READERS: dict[str, Callable[[dict[str, Any]], Event]] = {
    "ran": lambda line: Ran(
        at=line["at"],
        metric=line["metric"],
        points=line["points"],
        structural=tuple(line["structural"]),
        plan=line["plan"],
        objectives=tuple(line.get("objectives", ())),
        constraints=tuple(line.get("constraints", ())),
    ),
    "asked": _read_asked,
    "enqueued": lambda line: Enqueued(
        x=np.array(line["x"], np.float32),
        fixed=tuple(line["fixed"]),
        user_attrs=line["user_attrs"],
    ),
    "started": lambda line: Started(at=line["at"], count=line["count"]),
    "told": _read_told,
    "added": _read_added,
}


def decode(parsed: dict[str, Any]) -> Event:
    """The event of one parsed line.

    Raises:
        KeyError: If the line is no event of a schema that is known.
    """
    return _READERS[parsed["event"]](parsed)
