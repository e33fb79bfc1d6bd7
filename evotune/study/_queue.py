"""Which rows come next: proposed, named by the user, or left over from before."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from evotune.study._events import Asked, Enqueued
from evotune.study._redraw import completed
from evotune.study._repeats import Repeats
from evotune.study._rows import Row, unpack

if TYPE_CHECKING:
    from evotune.space import Space

Key = tuple[int, int]
"""Trial number and replica."""

_COMPLETIONS = 4096
"""Draws of which one must complete what a user wishes for."""


class Queue:
    """Hands out rows in one order, whatever the portions.

    A proposal waits here until its rows are handed out, all at once by a run or a few
    at a time by ``Study.ask``. A row that was handed out is open until its result is
    told; an open row that nobody holds (dropped by a timeout, or by the death of the
    process) waits, and is handed out before anything new. Forbidden rows are never
    handed out. Of each row that is handed out, all repeats are open: its members.

    Attributes:
        repeats: Makes members of rows.
        asked: How many proposals were asked for.
        open: Members handed out and not told, by key, in the order of their hand-out.
        held: The keys of open members that the engine or the user has.
    """

    def __init__(self, space: Space, repeats: Repeats) -> None:
        self.repeats = repeats
        self.asked = 0
        self.open: dict[Key, Row] = {}
        self.held: set[Key] = set()
        self._proposed: collections.deque[Row] = collections.deque()
        self._enqueued: collections.deque[Enqueued] = collections.deque()
        self._space = space
        self._last_refused = -1

    @property
    def proposed(self) -> int:
        """How many proposed rows are not handed out yet."""
        return len(self._proposed)

    @property
    def last_number(self) -> int:
        """The largest trial number proposed, open or refused; -1 without one."""
        numbers = [row.trial for row in self._proposed] + [self._last_refused]
        return max(numbers + [trial for trial, _ in self.open], default=-1)

    @property
    def waiting(self) -> list[Row]:
        """Open members that nobody holds, in the order of their hand-out."""
        if len(self.open) == len(self.held):
            return []
        return [row for key, row in self.open.items() if key not in self.held]

    def members_of(self, number: int) -> list[Row]:
        """The open members of trial ``number``, as its first replica."""
        keys = [(number, index) for index in range(self.repeats.count)]
        return [self.open[key] for key in keys if key in self.open]

    def asked_for(self, event: Asked) -> list[Row]:
        """Takes in the rows of a new proposal; returns those that are forbidden."""
        rows = unpack(event.proposal, self.asked)
        self.asked += 1
        refused = []
        if rows and self._space.constraints:
            good = self._space.allowed(np.stack([row.x for row in rows]))
            refused = [rows[index] for index in np.flatnonzero(~good)]
            rows = [rows[index] for index in np.flatnonzero(good)]
        self._proposed.extend(rows)
        for row in refused:
            self._last_refused = max(self._last_refused, row.trial)
        return refused

    def enqueued(self, event: Enqueued) -> None:
        """Takes in a configuration that replaces the next row handed out."""
        self._enqueued.append(event)

    def start(self, count: int) -> list[Row]:
        """Hands out the next ``count`` proposed rows; the user's wishes come first."""
        rows = []
        for _ in range(count):
            row = self._proposed.popleft()
            if self._enqueued:
                row = self._replaced(row, self._enqueued.popleft())
            for member in self.repeats.members(row):
                self.open[member.key] = member
            rows.append(row)
        return rows

    def _replaced(self, row: Row, wish: Enqueued) -> Row:
        """``row`` at the point that the user named; unnamed dimensions stay.

        Where constraints forbid that, unnamed dimensions are drawn.
        """
        x = self.completed(wish.x, row.x)
        assert x is not None, "enqueue_trial has found one"
        return dataclasses.replace(
            row,
            x=self._space.canonical(x[None])[0] + np.float32(0),
            fixed=wish.fixed,
            user_attrs=wish.user_attrs,
        )

    def completed(self, wish: np.ndarray, own: np.ndarray) -> np.ndarray | None:
        """f32[D]: an allowed point at ``wish``, NaN where that is open; None if none.

        Args:
            wish: f32[D].
            own: f32[D], where open dimensions are taken from if that is allowed.
        """
        if not self._space.constraints:
            return np.where(np.isnan(wish), own, wish).astype(np.float32)
        draws = np.random.default_rng(0).random((_COMPLETIONS, len(wish)), np.float32)
        draws[0] = 0.5  # what `enqueue_trial` has tried, so that it can be relied on
        return completed(wish, own, self._space.allowed, draws)

    def told(self, key: Key) -> Row:
        """Closes an open member and returns it."""
        self.held.discard(key)
        return self.open.pop(key)
