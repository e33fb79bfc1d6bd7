"""Proposals without forbidden configurations: asked for again, or given up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from evotune._contracts import DROP, EMPTY, FRESH, Outcome, Proposal, Status
from evotune.study._rows import Row, outcome

ATTEMPTS = 32
"""How often an algorithm is asked for other rows in the place of forbidden ones."""

Allowed = Callable[[np.ndarray], np.ndarray]
"""From f32[P, D] in the unit cube to bool[P]."""

_KEPT = ("trial", "replica")
"""What a row keeps when it gets another point."""


def redrawn(
    first: Proposal, allowed: Allowed, ask: Callable[[int], Proposal]
) -> Proposal:
    """``first``, with other rows in the place of those that are forbidden.

    The algorithm is asked again with other keys, and rows that are allowed fill the
    places, as in rejection sampling: a random search stays uniform over what is
    allowed, and a genetic algorithm breeds until it has children that are. Nothing is
    told meanwhile, so that `ask` has the same state. What cannot be replaced, such as
    a point of a grid, stays.

    Args:
        first: Numpy arrays.
        allowed: Whether points are allowed.
        ask: From the number of the attempt, 1 or more, to another proposal.
    """
    fields = {
        field.name: np.array(getattr(first, field.name))
        for field in dataclasses.fields(Proposal)
    }
    real = fields["trial"] != EMPTY
    missing = real & ~_good(fields, allowed)
    free = _is_free(fields)
    for attempt in range(1, ATTEMPTS + 1):
        if not missing.any():
            break
        again = ask(attempt)
        new = {name: np.asarray(getattr(again, name)) for name in fields}
        if attempt == 1 and np.array_equal(new["x"], np.asarray(first.x)):
            break  # it draws nothing
        good = _good(new, allowed)
        taken = {row.tobytes() for row in fields["x"][real & ~missing]}
        for goal, source in _matches(missing, good, free):
            mark = new["x"][source].tobytes()
            if free and mark in taken:
                continue
            taken.add(mark)
            missing[goal] = False
            for name in fields.keys() - _KEPT:
                fields[name][goal] = new[name][source]
    return Proposal(**cast(Any, fields))


def _good(fields: dict[str, np.ndarray], allowed: Allowed) -> np.ndarray:
    """bool[P]: rows that are not EMPTY and allowed."""
    good = fields["trial"] != EMPTY
    if good.any():
        good[good] = allowed(fields["x"][good])
    return good


def _is_free(fields: dict[str, np.ndarray]) -> bool:
    """Whether a row may take the place of any other: all are fresh, and no twins."""
    trials = fields["trial"][fields["trial"] != EMPTY]
    fresh = np.all(fields["source"] == FRESH) and np.all(fields["slot"] == DROP)
    return bool(fresh) and len(np.unique(trials)) == len(trials)


def _matches(
    missing: np.ndarray, good: np.ndarray, free: bool
) -> list[tuple[int, int]]:
    """Which rows take which places: their own first, then, if free, any."""
    same = np.flatnonzero(missing & good)
    pairs = [(row, row) for row in same.tolist()]
    if free:
        rest = np.flatnonzero(missing & ~good).tolist()
        spare = np.flatnonzero(good & ~missing).tolist()
        pairs += list(zip(rest, spare, strict=False))
    return pairs


def refused(rows: list[Row], objectives: int = 1, constraints: int = 0) -> Outcome:
    """What the algorithm is told of forbidden rows, which nobody trains.

    They count as diverged: of all words for a bad result the one that surrogates learn
    to keep away from.

    Args:
        rows: The rows.
        objectives: M of what is told.
        constraints: K of what is told, on what a training measures.
    """
    size = len(rows)
    return outcome(
        x=np.stack([row.x for row in rows]),
        trial=np.array([row.trial for row in rows], np.int32),
        replica=np.array([row.replica for row in rows], np.int32),
        fitness=np.full((size, objectives), -np.inf, np.float32),
        constraints=np.full((size, constraints), np.inf, np.float32),
        status=np.full((size,), Status.DIVERGED, np.int32),
    )


def completed(
    wish: np.ndarray, own: np.ndarray, allowed: Allowed, others: np.ndarray
) -> np.ndarray | None:
    """A point with the coordinates that a user wishes for, allowed if any is.

    Args:
        wish: f32[D]; NaN where any coordinate will do.
        own: f32[D], what is there to complete it with.
        allowed: Whether points are allowed.
        others: f32[N, D], what to try after ``own``.

    Returns:
        f32[D], or None if no point is allowed.
    """
    free = np.isnan(wish)
    for rows in (own[None], others if free.any() else others[:0]):
        x = np.where(free, rows, wish).astype(np.float32)
        good = np.flatnonzero(allowed(x))
        if len(good):
            return x[good[0]]
    return None
