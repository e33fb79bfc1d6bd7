"""Which rows come next: proposed, named by the user, or left over from before."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable

import numpy as np

from evotune.study._events import Asked, Enqueued
from evotune.study._rows import Row, unpack

Key = tuple[int, int]
"""Trial number and replica."""


class Queue:
    """Hands out rows in one order, whatever the portions.

    A proposal waits here until its rows are handed out, all at once by a run or a few
    at a time by ``Study.ask``. A row that was handed out is open until its result is
    told; an open row that nobody holds (dropped by a timeout, or by the death of the
    process) waits, and is handed out before anything new.

    Attributes:
        asked: How many proposals were asked for.
        open: Rows handed out and not told, by key, in the order of their hand-out.
        held: The keys of open rows that the engine or the user has.
    """

    def __init__(self, canonical: Callable[[np.ndarray], np.ndarray]) -> None:
        self.asked = 0
        self.open: dict[Key, Row] = {}
        self.held: set[Key] = set()
        self._proposed: collections.deque[Row] = collections.deque()
        self._enqueued: collections.deque[Enqueued] = collections.deque()
        self._canonical = canonical

    @property
    def proposed(self) -> int:
        """How many proposed rows are not handed out yet."""
        return len(self._proposed)

    @property
    def last_number(self) -> int:
        """The largest trial number that is proposed or open; -1 without one."""
        numbers = [row.trial for row in self._proposed]
        return max(numbers + [trial for trial, _ in self.open], default=-1)

    @property
    def waiting(self) -> list[Row]:
        """Open rows that nobody holds, in the order of their hand-out."""
        if len(self.open) == len(self.held):
            return []
        return [row for key, row in self.open.items() if key not in self.held]

    def asked_for(self, event: Asked) -> None:
        """Takes in the rows of a new proposal."""
        self._proposed.extend(unpack(event.proposal, self.asked))
        self.asked += 1

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
            self.open[row.key] = row
            rows.append(row)
        return rows

    def _replaced(self, row: Row, wish: Enqueued) -> Row:
        """``row`` at the point that the user named; unnamed dimensions stay."""
        x = np.where(np.isnan(wish.x), row.x, wish.x).astype(np.float32)
        return dataclasses.replace(
            row,
            x=np.asarray(self._canonical(x[None]), np.float32)[0] + np.float32(0),
            fixed=wish.fixed,
            user_attrs=wish.user_attrs,
        )

    def told(self, key: Key) -> Row:
        """Closes an open row and returns it."""
        self.held.discard(key)
        return self.open.pop(key)
