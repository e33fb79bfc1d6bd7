"""Which trials lead a study: the best one, or all that no other dominates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evotune._pareto import nondominated


class Leaders:
    """Rows of a record that lead, as results come in.

    Of one objective it is the best row; of equally good ones that with the lowest trial
    number, whatever the order they came in. Of several objectives they are the front:
    all rows that no other dominates, equal ones included.

    Attributes:
        signs: 1 or -1 for each of the M objectives: to maximise, or to minimise.
        rows: The rows that lead, in no order.
    """

    def __init__(self, signs: Sequence[int]) -> None:
        self.signs = tuple(signs)
        self.rows: list[int] = []
        self._numbers: list[int] = []
        self._points = np.zeros((0, len(self.signs)))

    def copy(self) -> Leaders:
        """One that can be tried without changing this."""
        twin = Leaders(self.signs)
        twin.rows, twin._numbers = list(self.rows), list(self._numbers)
        twin._points = self._points
        return twin

    def offer(self, row: int, number: int, values: Sequence[float]) -> None:
        """Takes in a complete and feasible trial, which may lead from now on.

        Args:
            row: Its row in the record, which does not lead already.
            number: The trial's number.
            values: M values in the user's directions.
        """
        point = np.asarray(values, np.float64) * self.signs
        if not np.all(np.isfinite(point)):
            return
        if len(self.signs) == 1:
            keep = self._points[:, 0] > point[0]
            if self.rows and self._points[0, 0] == point[0]:
                keep[:] = self._numbers[0] < number
            enters = not keep.any()
        else:
            worse = np.all(self._points <= point, axis=1)
            worse &= np.any(self._points < point, axis=1)
            better = np.all(self._points >= point, axis=1)
            better &= np.any(self._points > point, axis=1)
            keep, enters = ~worse, not better.any()
        if not enters:
            return
        kept = np.flatnonzero(keep).tolist()
        self.rows = [*(self.rows[index] for index in kept), row]
        self._numbers = [*(self._numbers[index] for index in kept), number]
        self._points = np.concatenate([self._points[keep], point[None]])

    def recount(
        self, rows: np.ndarray, numbers: np.ndarray, values: np.ndarray
    ) -> None:
        """Finds the leaders from scratch: one of them goes on training.

        Args:
            rows: i64[N] rows of the complete and feasible trials.
            numbers: i64[N] their numbers.
            values: f64[N, M] in the user's directions.
        """
        points = values * np.asarray(self.signs)
        sound = np.all(np.isfinite(points), axis=1)
        rows, numbers, points = rows[sound], numbers[sound], points[sound]
        lead = nondominated(points)
        if len(self.signs) == 1 and len(rows):
            lead &= numbers == numbers[lead].min()
        self.rows, self._numbers = rows[lead].tolist(), numbers[lead].tolist()
        self._points = points[lead]
