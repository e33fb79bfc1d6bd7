"""Search methods far from those that evotune has, sketched on its contract.

Each is under 40 lines, jits, and uses the fields of `Proposal` and `Outcome` as they
are: they exist to prove that later methods need no change to them. They are sketches:
they show where each method's decisions go, not how to make them well.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, FRESH, Geometry, Outcome, Proposal, Status
from evotune._contracts import fresh as fresh_trials

State = dict[str, Any]


def _put(old: jax.Array, where: jax.Array, place: jax.Array, new: Any) -> jax.Array:
    """``old`` with ``new`` written at ``place`` in the rows where ``where`` holds."""
    return old.at[jnp.where(where, place, old.shape[0])].set(new, mode="drop")


def _kernel(a: jax.Array, b: jax.Array, scale: float) -> jax.Array:
    """The Gaussian kernel between two sets of points."""
    return jnp.exp(-((a[:, None] - b[None]) ** 2).sum(2) / (2.0 * scale**2))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PopulationBasedTraining:
    """Jaderberg et al. (2017): the worst continue a copy of the best, perturbed."""

    batch_size: int = 8
    interval: float = 3.0
    quantile: float = 0.25
    perturbation: float = 0.1

    def init(self, key: jax.Array, geometry: Geometry) -> State:
        rows = self.batch_size
        x = jax.random.uniform(key, (rows, geometry.dimensions))
        fitness = jnp.full((rows,), -jnp.inf)
        spent = jnp.zeros((rows,))
        return {"x": x, "fitness": fitness, "spent": spent, "next": jnp.int32(0)}

    def ask(self, key: jax.Array, state: State) -> Proposal:
        rows, lane = self.batch_size, jnp.arange(self.batch_size)
        best = jnp.argsort(-state["fitness"])
        moved = int(rows * self.quantile)
        source = lane.at[best[rows - moved :]].set(best[:moved])
        step = self.perturbation * jax.random.normal(key, state["x"].shape)
        explored = jnp.clip(state["x"][source] + step, 0.0, 1.0)
        x = jnp.where((source == lane)[:, None], state["x"], explored)
        started = state["spent"] > 0.0
        return dataclasses.replace(
            fresh_trials(
                jnp.where(started[:, None], x, state["x"]), state["next"] + lane
            ),
            source=jnp.where(started, source, FRESH),
            slot=lane,
            until=state["spent"][source] + self.interval,
        )

    def tell(self, state: State, outcome: Outcome) -> State:
        lane, real = outcome.trial % self.batch_size, outcome.trial != EMPTY
        done = real & (outcome.status != Status.RUNNING)
        return {
            "x": _put(state["x"], done, lane, outcome.x),
            "fitness": _put(state["fitness"], done, lane, outcome.fitness[:, 0]),
            "spent": _put(state["spent"], done, lane, outcome.spent),
            "next": jnp.maximum(state["next"], outcome.trial.max() + 1),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuccessiveHalving:
    """Jamieson and Talwalkar (2016): a rung keeps 1 / eta, for eta times as long."""

    batch_size: int = 9
    eta: int = 3

    def init(self, key: jax.Array, geometry: Geometry) -> State:
        x = jax.random.uniform(key, (self.batch_size, geometry.dimensions))
        none = jnp.zeros((self.batch_size,))
        return {"x": x, "fitness": none, "spent": none, "alive": none == 0.0}

    def ask(self, key: jax.Array, state: State) -> Proposal:
        spent, alive = state["spent"], state["alive"]
        order = jnp.argsort(jnp.where(alive, -state["fitness"], jnp.inf))
        started = spent.max() > 0.0
        kept = jnp.where(started, alive.sum() // self.eta, self.batch_size)
        trial = jnp.where(jnp.arange(self.batch_size) < kept, order, EMPTY)
        return dataclasses.replace(
            fresh_trials(state["x"][order], trial),
            source=jnp.where(started, order, FRESH),
            slot=order,
            until=jnp.where(started, spent[order] * self.eta, 1.0),
            horizon=jnp.full(trial.shape, 9.0),
        )

    def tell(self, state: State, outcome: Outcome) -> State:
        real = outcome.trial != EMPTY
        running = real & (outcome.status == Status.RUNNING)
        done, place = real & ~running, outcome.trial
        raced = _put(jnp.zeros_like(state["alive"]), running, place, True)
        return {
            "x": _put(state["x"], real, place, outcome.x),
            "fitness": _put(state["fitness"], done, place, outcome.fitness[:, 0]),
            "spent": _put(state["spent"], done, place, outcome.spent),
            "alive": jnp.where(running.any(), raced, state["alive"]),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class AsynchronousHalving:
    """Li et al. (2020), ASHA: promote a rung's top 1 / eta, else start."""

    batch_size: int = 2
    eta: int = 3
    rungs: int = 3
    capacity: int = 32

    def init(self, key: jax.Array, geometry: Geometry) -> State:
        x = jax.random.uniform(key, (self.capacity, geometry.dimensions))
        score = jnp.full((self.capacity, self.rungs), -jnp.inf)
        return {"x": x, "score": score, "rung": jnp.full((self.capacity,), -1)}

    def ask(self, key: jax.Array, state: State) -> Proposal:
        score, rung = state["score"], state["rung"]
        better, done = (score[None] > score[:, None]).sum(1), jnp.isfinite(score)
        top = done & (better < done.sum(0)[None] // self.eta)
        at = jnp.arange(self.rungs)[None] == rung[:, None]
        promoted = (at & top)[:, :-1].any(1)
        # The highest rung first; then trials that have not started, in their order.
        priority = jnp.where(promoted, rung + 1, jnp.where(rung < 0, 0, -1))
        trial = jnp.argsort(-priority)[: self.batch_size]
        target = jnp.where(priority[trial] > 0, rung[trial] + 1, 0)
        return dataclasses.replace(
            fresh_trials(
                state["x"][trial], jnp.where(priority[trial] < 0, EMPTY, trial)
            ),
            source=jnp.where(target > 0, trial, FRESH),
            slot=trial,
            until=jnp.float32(self.eta) ** target,
        )

    def tell(self, state: State, outcome: Outcome) -> State:
        trial, real = outcome.trial, outcome.trial != EMPTY
        running = real & (outcome.status == Status.RUNNING)
        row = jnp.where(real & ~running, trial, self.capacity)
        rung, fitness = state["rung"][trial], outcome.fitness[:, 0]
        return {  # a pending row goes one rung further, which nothing need say
            "x": _put(state["x"], real, trial, outcome.x),
            "score": state["score"].at[row, rung].set(fitness, mode="drop"),
            "rung": _put(state["rung"], running, trial, rung + 1),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoldRacing:
    """After Maron and Moore (1994): a fold at a time, until a trial falls behind."""

    batch_size: int = 8
    folds: int = 5
    margin: float = 0.05

    def init(self, key: jax.Array, geometry: Geometry) -> State:
        x = jax.random.uniform(key, (self.batch_size, geometry.dimensions))
        return {"x": x, "score": jnp.full((self.batch_size, self.folds), jnp.nan)}

    def ask(self, key: jax.Array, state: State) -> Proposal:
        count = jnp.isfinite(state["score"]).sum(1)
        mean = jnp.nanmean(state["score"], axis=1)
        behind = mean < jnp.nanmax(mean) - self.margin
        going = ~behind & (count < self.folds)
        trial = jnp.where(going, jnp.arange(self.batch_size), EMPTY)
        return dataclasses.replace(
            fresh_trials(state["x"], trial), replica=jnp.where(going, count, 0)
        )

    def tell(self, state: State, outcome: Outcome) -> State:
        real = outcome.trial != EMPTY
        done = real & (outcome.status != Status.RUNNING)
        row = jnp.where(done, outcome.trial, self.batch_size)
        score = state["score"].at[row, outcome.replica]
        return {
            "x": _put(state["x"], real, outcome.trial, outcome.x),
            "score": score.set(outcome.fitness[:, 0], mode="drop"),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class BayesianSearch:
    """Desautels et al. (2014), GP-BUCB: pending points narrow the variance only."""

    batch_size: int = 4
    capacity: int = 64
    scale: float = 0.2

    def init(self, key: jax.Array, geometry: Geometry) -> State:
        x = jnp.zeros((self.capacity, geometry.dimensions))
        none = jnp.zeros((self.capacity,))
        return {"x": x, "y": none, "known": none > 0.0, "told": none > 0.0}

    def _posterior(self, at: jax.Array, s: State, rows: jax.Array) -> Any:
        both = (rows[:, None] & rows[None]).astype(jnp.float32)
        gram = _kernel(s["x"], s["x"], self.scale) * both
        cross = _kernel(at, s["x"], self.scale) * rows[None].astype(jnp.float32)
        weight = jnp.linalg.solve(gram + 1e-3 * jnp.eye(self.capacity), cross.T)
        return s["y"] @ weight, 1.0 - (cross.T * weight).sum(0)

    def ask(self, key: jax.Array, state: State) -> Proposal:
        points = jax.random.uniform(key, (256, state["x"].shape[1]))
        first = state["known"].sum()

        def pick(row: jax.Array, s: State) -> State:
            mean, _ = self._posterior(points, s, s["told"])
            _, variance = self._posterior(points, s, s["known"])
            bound = mean + 2.0 * jnp.sqrt(jnp.maximum(variance, 0.0))
            x = s["x"].at[first + row].set(points[jnp.argmax(bound)])
            return {**s, "x": x, "known": s["known"].at[first + row].set(True)}

        picked = jax.lax.fori_loop(0, self.batch_size, pick, state)
        trial = first + jnp.arange(self.batch_size)
        return fresh_trials(picked["x"][trial], trial)

    def tell(self, state: State, outcome: Outcome) -> State:
        trial, real = outcome.trial, outcome.trial != EMPTY
        done = real & (outcome.status != Status.RUNNING)
        return {
            "x": _put(state["x"], real, trial, outcome.x),
            "y": _put(state["y"], done, trial, outcome.fitness[:, 0]),
            "known": _put(state["known"], real, trial, True),
            "told": _put(state["told"], done, trial, True),
        }


SKETCHES = (
    PopulationBasedTraining,
    SuccessiveHalving,
    AsynchronousHalving,
    FoldRacing,
    BayesianSearch,
)
