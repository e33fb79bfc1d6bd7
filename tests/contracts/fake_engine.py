"""A deterministic engine without networks: learning curves on the host, in numpy.

It does with the seven fields of a `Proposal` all that the real engine must do, so that
a search method which works here needs nothing else from the contract:

- ``source`` is read when the proposal is submitted, before any of its rows writes;
- training goes on from the resource that the source has used, up to ``until``;
- ``slot`` receives the state when the row finishes, over whatever was there;
- rows run on ``lanes`` lanes, each taking the next row in the queue, and are collected
  in the order of counted steps.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from evotune._contracts import DROP, EMPTY, FRESH, Outcome, Proposal, Status


@dataclasses.dataclass(frozen=True)
class Member:
    """The training state of one member: what it knows, and how long it has trained."""

    score: float = 0.0
    curve: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Row:
    """A row that has been trained and waits until its clock to be collected."""

    clock: int
    number: int
    trial: int
    replica: int
    x: np.ndarray
    slot: int
    member: Member


def quality(x: np.ndarray) -> float:
    """The score that training at ``x`` tends to: 1 at x = 0.7 in every dimension."""
    return float(1.0 - np.mean((x - 0.7) ** 2) * 2.0)


class FakeEngine:
    """Each unit of resource, ``score += rate(x) * (quality(x) - score)``.

    Args:
        rows: P, the rows of a proposal.
        points: T, the resource at which a trial ends.
        lanes: How many members train at the same time.
        noise: Spread of the quality between replicas of one trial.
    """

    def __init__(
        self, *, rows: int, points: int = 9, lanes: int = 1024, noise: float = 0.0
    ) -> None:
        self.rows = rows
        self.points = points
        self.noise = noise
        self.pool: dict[int, Member] = {}
        self.units = 0
        self._free_at = [0] * lanes
        self._clock = 0
        self._queue: list[_Row] = []
        self._submitted = 0

    @property
    def pending(self) -> int:
        """Rows that were submitted and not collected."""
        return len(self._queue)

    @property
    def idle(self) -> int:
        """Lanes with nothing to do."""
        return sum(free <= self._clock for free in self._free_at)

    def submit(self, proposal: Proposal) -> None:
        """Trains the rows of ``proposal``; they come back in order of their clocks."""
        rows = [np.asarray(value) for value in vars(proposal).values()]
        before = dict(self.pool)
        for x, trial, replica, source, slot, until, horizon in zip(*rows, strict=True):
            if trial == EMPTY:
                continue
            assert horizon >= until or np.isinf(until)
            start = Member() if source == FRESH else before[int(source)]
            end = int(min(until, self.points))
            steps = end - len(start.curve)
            assert steps > 0, "a row must train: `until` lies beyond its source"
            member = self._train(start, x, end, int(trial), int(replica))
            self.units += steps
            lane = int(np.argmin(self._free_at))
            self._free_at[lane] = max(self._free_at[lane], self._clock) + steps
            row = _Row(
                self._free_at[lane],
                self._submitted,
                int(trial),
                int(replica),
                x,
                int(slot),
                member,
            )
            self._queue.append(row)
            self._submitted += 1

    def collect(self) -> Outcome:
        """The rows that finish next, those of one clock together, at most P of them."""
        self._queue.sort(key=lambda row: (row.clock, row.number))
        self._clock = self._queue[0].clock
        done = [row for row in self._queue if row.clock == self._clock][: self.rows]
        self._queue = self._queue[len(done) :]
        for row in done:
            if row.slot != DROP:
                self.pool[row.slot] = row.member
        return self._outcome(done)

    def _train(
        self, start: Member, x: np.ndarray, end: int, trial: int, replica: int
    ) -> Member:
        """Trains from ``start`` to the cumulative resource ``end``."""
        offset = np.random.default_rng((trial, replica)).normal() * self.noise
        score, curve = start.score, list(start.curve)
        for _ in range(len(curve), end):
            score += (0.1 + 0.4 * float(x[0])) * (quality(x) + offset - score)
            curve.append(score)
        return Member(score, tuple(curve))

    def _outcome(self, done: list[_Row]) -> Outcome:
        """An outcome of P rows, EMPTY where nothing finished."""
        dimensions = done[0].x.shape[0]
        trial = np.full(self.rows, EMPTY, np.int32)
        replica, length = np.zeros((2, self.rows), np.int32)
        x = np.zeros((self.rows, dimensions), np.float32)
        fitness = np.full((self.rows, 1), -np.inf, np.float32)
        curve = np.zeros((self.rows, self.points), np.float32)
        for place, row in enumerate(done):
            trial[place], replica[place], x[place] = row.trial, row.replica, row.x
            fitness[place], length[place] = row.member.score, len(row.member.curve)
            curve[place, : length[place]] = row.member.curve
        return Outcome(
            trial=jnp.asarray(trial),
            replica=jnp.asarray(replica),
            x=jnp.asarray(x),
            fitness=jnp.asarray(fitness),
            constraints=jnp.zeros((self.rows, 0), jnp.float32),
            variance=jnp.zeros((self.rows, 1), jnp.float32),
            status=jnp.full((self.rows,), Status.COMPLETE, jnp.int32),
            spent=jnp.asarray(length, jnp.float32),
            curve=jnp.asarray(curve),
            curve_len=jnp.asarray(length),
        )
