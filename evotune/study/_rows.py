"""Numpy rows of the contracts: made, cleaned, padded and packed without any JAX.

The host loop must not compile anything after the first generation, so what it does
itself it does in numpy; only `Search` calls JAX, with one shape.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from evotune._contracts import DROP, EMPTY, FRESH, FULL, Outcome, Proposal, Status

MISSING = {
    "fitness": -np.inf,
    "constraints": np.inf,
    "variance": 0.0,
    "spent": 0.0,
    "curve": -np.inf,
    "value": np.nan,
    "metrics": np.nan,
}
"""What stands for a number that is not finite: in the journal it is null."""


def finite(array: np.ndarray, field: str, dtype: Any = np.float32) -> np.ndarray:
    """``array`` with `MISSING` where it is not finite, and without negative zeros.

    What is recorded must be what is told, bit for bit, and JSON has neither NaN nor
    infinities (nor a reliable -0).
    """
    array = np.asarray(array, dtype)
    return np.where(np.isfinite(array), array + dtype(0), dtype(MISSING[field]))


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a proposal, on the host.

    Attributes:
        x: f32[D] in the unit cube.
        trial: The trial's number.
        replica: Its seed or fold.
        source: Pool slot whose training state continues, or FRESH.
        slot: Pool slot that keeps the final state, or DROP.
        until: Cumulative resource at which to stop, or FULL.
        horizon: Resource that schedules are laid out over, or FULL.
        generation: How many proposals were asked for before its own.
        fixed: Names of the dimensions that the user set by ``enqueue_trial``.
        user_attrs: What the user attached to it.
    """

    x: np.ndarray
    trial: int
    replica: int = 0
    source: int = FRESH
    slot: int = DROP
    until: float = FULL
    horizon: float = FULL
    generation: int = -1
    fixed: tuple[str, ...] = ()
    user_attrs: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> tuple[int, int]:
        """What tells rows that are under way from each other."""
        return self.trial, self.replica


_ROW_FIELDS = {
    "trial": (EMPTY, np.int32),
    "replica": (0, np.int32),
    "source": (FRESH, np.int32),
    "slot": (DROP, np.int32),
    "until": (FULL, np.float32),
    "horizon": (FULL, np.float32),
}


def unpack(proposal: Proposal, generation: int) -> list[Row]:
    """The rows of ``proposal`` that are not EMPTY, in order.

    Args:
        proposal: Numpy arrays.
        generation: How many proposals were asked for before this one.
    """
    columns = {
        name: np.asarray(getattr(proposal, name)).tolist() for name in _ROW_FIELDS
    }
    x = np.asarray(proposal.x, np.float32) + np.float32(0)
    return [
        Row(
            x=x[index],
            generation=generation,
            **{name: column[index] for name, column in columns.items()},
        )
        for index, trial in enumerate(columns["trial"])
        if trial != EMPTY
    ]


def pack(rows: Sequence[Row], size: int, dimensions: int) -> Proposal:
    """A proposal of ``size`` rows in numpy: ``rows``, then EMPTY ones."""
    x = np.full((size, dimensions), 0.5, np.float32)
    fields = {}
    for name, (padding, dtype) in _ROW_FIELDS.items():
        fields[name] = np.full((size,), padding, dtype)
        fields[name][: len(rows)] = [getattr(row, name) for row in rows]
    if rows:
        x[: len(rows)] = np.stack([row.x for row in rows])
    return Proposal(x=cast(Any, x), **cast(Any, fields))


def running(rows: Sequence[Row], objectives: int = 1, constraints: int = 0) -> Outcome:
    """Numpy twin of `evotune._contracts.pending`: rows under way, without result."""
    size = len(rows)
    return outcome(
        x=np.stack([row.x for row in rows]),
        trial=np.array([row.trial for row in rows], np.int32),
        replica=np.array([row.replica for row in rows], np.int32),
        fitness=np.full((size, objectives), -np.inf, np.float32),
        constraints=np.zeros((size, constraints), np.float32),
        status=np.full((size,), Status.RUNNING, np.int32),
    )


def outcome(**fields: np.ndarray) -> Outcome:
    """An `Outcome` of numpy arrays; what is left out is empty or zero."""
    size = fields["trial"].shape[0]
    defaults = {
        "replica": np.zeros((size,), np.int32),
        "x": np.zeros((size, 0), np.float32),
        "constraints": np.zeros((size, 0), np.float32),
        "variance": np.zeros(fields["fitness"].shape, np.float32),
        "spent": np.zeros((size,), np.float32),
        "curve": np.zeros((size, 0), np.float32),
        "curve_len": np.zeros((size,), np.int32),
    }
    return Outcome(**cast(Any, {**defaults, **fields}))


def joined(told: Sequence[Outcome]) -> list[Outcome]:
    """Neighbours as one outcome, as long as all of their rows have results.

    Rows under way stay apart from results: an algorithm may be told any rows in any
    order, so that one call must not hold both of one trial.
    """
    groups: list[list[Outcome]] = []
    for part in told:
        has_results = not np.any(part.status == Status.RUNNING)
        if groups and has_results and _joins(groups[-1], part):
            groups[-1].append(part)
        else:
            groups.append([part])
    return [_concatenated(group) if len(group) > 1 else group[0] for group in groups]


def _joins(group: Sequence[Outcome], part: Outcome) -> bool:
    last = group[-1]
    return (
        not np.any(last.status == Status.RUNNING)
        and last.fitness.shape[1] == part.fitness.shape[1]
        and last.constraints.shape[1] == part.constraints.shape[1]
        and last.curve.shape[1] == part.curve.shape[1]
        and not any(np.isin(part.trial, known.trial).any() for known in group)
    )


def _concatenated(group: Sequence[Outcome]) -> Outcome:
    fields = [field.name for field in dataclasses.fields(Outcome)]
    return Outcome(
        **{
            name: cast(Any, np.concatenate([getattr(part, name) for part in group]))
            for name in fields
        }
    )


def padded(told: Outcome, start: int, size: int, points: int) -> Outcome:
    """Rows ``start`` to ``start + size`` of ``told``, EMPTY-padded to one shape.

    Args:
        told: Numpy rows, any number of them.
        start: The first row.
        size: P of the result.
        points: T of the result; longer curves lose their end.
    """
    fields = {}
    for field in dataclasses.fields(Outcome):
        rows = np.asarray(getattr(told, field.name))[start : start + size]
        if field.name == "curve":
            rows = rows[:, :points]
            rows = np.pad(rows, ((0, 0), (0, points - rows.shape[1])))
        if field.name == "curve_len":
            rows = np.minimum(rows, np.int32(points))
        result = np.zeros((size, *rows.shape[1:]), rows.dtype)
        if field.name in ("trial", "fitness"):
            result[:] = EMPTY if field.name == "trial" else -np.inf
        result[: rows.shape[0]] = rows
        fields[field.name] = result
    return Outcome(**cast(Any, fields))
