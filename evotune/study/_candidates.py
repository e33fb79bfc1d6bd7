"""The training states of trials that lack some of their repeats."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from evotune._contracts import Status
from evotune.study._events import Told
from evotune.study._protocols import Engine
from evotune.study._repeats import Key, Part, Repeats, best_repeat
from evotune.study._rows import Row


class Candidates:
    """Finds the state of the best repeat of a trial that leads.

    An engine has the states of the block that it has just collected, and whether a
    trial leads shows when its last repeat is back. Neighbours train side by side, so
    that most trials come whole. Of the few that straddle two blocks, the state of the
    best repeat so far is kept meanwhile, on the host.
    """

    def __init__(self, repeats: Repeats, sign: int) -> None:
        """Nothing is kept yet.

        Args:
            repeats: Knows which members are back.
            sign: 1 or -1: whether the first objective is maximised, or minimised.
        """
        self._repeats, self._sign = repeats, sign
        self._states: dict[Key, tuple[int, Any]] = {}

    def take(
        self,
        event: Told,
        members: Sequence[Row],
        leading: Collection[int],
        engine: Engine,
    ) -> dict[int, Any]:
        """States of trials that will lead once ``event`` is told, by number.

        One is missing where its best repeat came back to a process that has died.

        Args:
            event: What the engine has just collected.
            members: n of them, which it is the result of.
            leading: Numbers of the trials that will lead.
            engine: Has their states.
        """
        found: dict[int, Any] = {}
        for key, parts in self._repeats.parts(event, members).items():
            is_whole = len(parts) == self._repeats.count
            best = self._best(parts)
            replica, state = self._states.pop(key, (-1, None))
            if best is None or (is_whole and key[0] not in leading):
                continue
            if best.told is event:
                replica, state = best.row.replica, engine.member(*best.row.key)
            if replica != best.row.replica:
                continue
            if is_whole:
                found[key[0]] = state
            else:
                self._states[key] = replica, state
        return found

    def _best(self, parts: Sequence[Part]) -> Part | None:
        """The best so far; None where one has diverged, so that the trial has."""
        parts = sorted(parts, key=lambda part: part.row.replica)
        status = [part.told.outcome.status[part.position] for part in parts]
        if any(each != Status.COMPLETE for each in status):
            return None
        values = np.stack([part.told.rows_of_values[part.position] for part in parts])
        return parts[best_repeat(values, self._sign)]
