"""A fake engine on a closed form, and the smallest algorithms of the contract."""

from __future__ import annotations

import collections
import dataclasses
import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import EMPTY, Geometry, Outcome, Proposal, Status, fresh
from evotune.space import Categorical, Float, Int, Space

POINTS = 5


def make_space() -> Space:
    return Space(
        learning_rate=Float(1e-4, 1e-1, log=True),
        width=Int(16, 64),
        activation=Categorical(["relu", "tanh"]),
        epochs=20,
    )


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class MiniState:
    """The next number, the best point so far and a checksum of all that was told."""

    next: jax.Array
    best: jax.Array
    best_x: jax.Array
    checksum: jax.Array
    geometry: Geometry = dataclasses.field(metadata={"static": True})


@dataclasses.dataclass(frozen=True, kw_only=True)
class MiniSearch:
    """Samples near the best point so far, so that what is told shapes what is asked."""

    batch_size: int = 8
    limit: int = 1_000_000

    def init(self, key: jax.Array, geometry: Geometry) -> MiniState:
        return MiniState(
            next=jnp.zeros((), jnp.int32),
            best=jnp.full((), -jnp.inf, jnp.float32),
            best_x=jax.random.uniform(key, (geometry.dimensions,)),
            checksum=jnp.zeros((), jnp.uint32),
            geometry=geometry,
        )

    def ask(self, key: jax.Array, state: MiniState) -> Proposal:
        shape = (self.batch_size, state.geometry.dimensions)
        noise = 0.3 * jax.random.normal(key, shape)
        x = jnp.clip(state.best_x[None] + noise, 0.0, 1.0)
        trial = state.next + jnp.arange(self.batch_size, dtype=jnp.int32)
        return fresh(x, jnp.where(trial < self.limit, trial, EMPTY))

    def tell(self, state: MiniState, outcome: Outcome) -> MiniState:
        real = outcome.trial != EMPTY
        done = real & (outcome.status != Status.RUNNING)
        fitness = jnp.where(done, outcome.fitness[:, 0], -jnp.inf)
        row = jnp.argmax(fitness)
        better = fitness[row] > state.best
        bits = jax.lax.bitcast_convert_type(outcome.x, jnp.uint32)
        bits = jnp.where(done[:, None], bits, jnp.uint32(0))
        curve = jax.lax.bitcast_convert_type(outcome.curve, jnp.uint32)
        curve = jnp.where(done[:, None], curve, jnp.uint32(0))
        return dataclasses.replace(
            state,
            next=jnp.maximum(state.next, jnp.max(outcome.trial) + 1),
            best=jnp.where(better, fitness[row], state.best),
            best_x=jnp.where(better, outcome.x[row], state.best_x),
            checksum=state.checksum + jnp.sum(bits) + jnp.sum(curve),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FakeFinished:
    outcome: Outcome
    metrics: dict[str, np.ndarray]
    values: np.ndarray


class FakePlan:
    def __init__(self, rows: int) -> None:
        self.rows = rows

    def to_json(self) -> str:
        return json.dumps({"programs": 2, "rows": self.rows})

    def __str__(self) -> str:
        return "Plan: 2 programs"


class FakeEngine:
    """Blocks of ``lanes`` rows, grouped by the last coordinate; no randomness.

    Replicas other than the first differ from it in value, and the third in length.

    Args:
        space: For its dimensions.
        rows: P.
        lanes: Rows of a block.
        direction: The user's direction.
        diverge: Rows with a first coordinate above this diverge.
        fragile: Rows with a first coordinate above this diverge from odd seeds.
        pause: Seconds that a block takes.
    """

    metric = "val_accuracy"
    points = POINTS

    def __init__(
        self,
        space: Space,
        rows: int = 8,
        *,
        lanes: int = 3,
        direction: str = "maximize",
        diverge: float = 2.0,
        fragile: float = 2.0,
        pause: float = 0.0,
    ) -> None:
        self.space, self.rows, self.lanes = space, rows, lanes
        self.direction = direction
        self.structural = ("width",)
        self.plan = FakePlan(rows)
        self.compile_seconds = 0.0
        self.run_seconds = 0.0
        self.diverge, self.fragile, self.pause = diverge, fragile, pause
        self.submitted: list[int] = []
        self.trained: list[tuple[int, int]] = []
        self.collected: list[int] = []
        self.members: list[int] = []
        self.on_event: Any = None
        self._groups: dict[int, collections.deque[tuple[int, int, np.ndarray]]] = {}
        self._last: dict[tuple[int, int], np.ndarray] = {}

    @property
    def pending(self) -> int:
        return sum(map(len, self._groups.values()))

    def submit(self, proposal: Proposal) -> None:
        numbers = proposal.trial.tolist(), proposal.replica.tolist()
        for trial, replica, x in zip(*numbers, proposal.x, strict=True):
            if trial != EMPTY:
                group = int(x[-1] >= 0.5)
                queue = self._groups.setdefault(group, collections.deque())
                queue.append((trial, replica, np.asarray(x)))
                self.submitted.append(trial)
        if self.on_event and not self.collected:
            self.on_event("compiled 1 of 2 programs")
            self.on_event("compiled 2 of 2 programs")

    def cancel(self) -> None:
        self._groups.clear()

    def collect(self) -> FakeFinished:
        time.sleep(self.pause)
        group = min(group for group, queue in self._groups.items() if queue)
        queue = self._groups[group]
        block = [queue.popleft() for _ in range(min(self.lanes, len(queue)))]
        trial = np.full((self.rows,), EMPTY, np.int32)
        x = np.zeros((self.rows, len(self.space.names)), np.float32)
        replica = np.zeros_like(trial)
        self._last = {}
        for row, (number, seed, point) in enumerate(block):
            index = self.rows - 1 - row  # engines may put rows anywhere
            trial[index], replica[index], x[index] = number, seed, point
            self._last[number, seed] = point
            self.collected.append(number)
            self.trained.append((number, seed))
        return self._finish(trial, replica, x)

    def _finish(
        self, trial: np.ndarray, replica: np.ndarray, x: np.ndarray
    ) -> FakeFinished:
        target = np.float32(1) - np.mean((x - np.float32(0.37)) ** 2, axis=1)
        noise = np.float32(0.1) * np.sin(trial * 12.9 + replica * 78.2)
        target = target + np.where(replica > 0, noise, 0).astype(np.float32)
        steps = np.arange(1, POINTS + 1, dtype=np.float32)
        accuracy = (target[:, None] * (1 - np.exp(-steps))).astype(np.float32)
        length = np.where(x[:, 1] > 0.8, POINTS - 2, POINTS).astype(np.int32)
        length = length - (replica == 2).astype(np.int32)
        bad = (x[:, 0] > self.diverge) | ((x[:, 0] > self.fragile) & (replica % 2 == 1))
        bad &= trial != EMPTY
        length = np.where(bad, 1, length)
        value = accuracy[np.arange(len(trial)), length - 1]
        sign = 1 if self.direction == "maximize" else -1
        fitness = np.where(bad, -np.inf, np.float32(sign) * value).astype(np.float32)
        status = np.where(bad, Status.DIVERGED, Status.COMPLETE).astype(np.int32)
        accuracy[bad] = np.nan
        outcome = Outcome(
            trial=trial,
            replica=replica,
            x=x,
            fitness=fitness[:, None],
            constraints=np.zeros((self.rows, 0), np.float32),
            variance=np.zeros((self.rows, 1), np.float32),
            status=status,
            spent=length.astype(np.float32),
            curve=np.float32(sign) * np.where(np.isnan(accuracy), -np.inf, accuracy),
            curve_len=length,
        )
        return FakeFinished(
            outcome=outcome,
            metrics={"val_accuracy": accuracy, "train_loss": 1 - accuracy},
            values=np.where(bad, np.nan, value),
        )

    def member(self, trial: int, replica: int = 0) -> Any:
        self.members.append(trial)
        w = self._last[trial, replica] + np.float32(replica)
        return {"params": {"w": w}, "step": np.int32(trial)}

    def template(self, params: dict[str, Any]) -> Any:
        dims = len(self.space.names)
        return {
            "params": {"w": jax.ShapeDtypeStruct((dims,), np.float32)},
            "step": jax.ShapeDtypeStruct((), np.int32),
        }


def facts(study: Any) -> list[tuple[Any, ...]]:
    """All that must not depend on when a study was stopped: everything but times."""
    return [
        (
            trial.number,
            trial.state.name,
            trial.value,
            tuple(trial.params.items()),
            trial.generation,
            {name: curve.tobytes() for name, curve in trial.curves.items()},
            str(trial.system_attrs),
            str(trial.user_attrs),
        )
        for trial in study.trials
    ]


def checksum(study: Any) -> int:
    """Of every bit that the algorithm was told."""
    return int(study._ledger.search.state().checksum)
