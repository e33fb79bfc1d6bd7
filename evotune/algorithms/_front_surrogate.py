"""A surrogate of several objectives, which chooses children that widen the front."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import EMPTY, Geometry
from evotune.algorithms._archive import WORST, normal_scores
from evotune.algorithms._belief import believe
from evotune.algorithms._breeding import Breeding
from evotune.algorithms._compromises import DIVERGED, Compromises
from evotune.algorithms._dominance import nondominated_ranks
from evotune.algorithms._draws import key_after, uniforms
from evotune.algorithms._duplicates import fingerprint, repeats
from evotune.algorithms._front_state import FrontState
from evotune.algorithms._gaussian_process import GaussianProcess, noise_variance
from evotune.algorithms._hypervolume_improvement import (
    Front,
    draws,
    log_improvement,
    seen_from,
    widening_batch,
    with_values,
)
from evotune.algorithms._population import Population
from evotune.algorithms._surrogate import Surrogate

_FAR = np.float32(1e37)
"""The fitness of what is infeasible is below its negative."""

_BORN = 1 << 30
"""Makes a second key of one; no trial has this number."""


def widening_rows(
    surrogate: Surrogate,
    key: jax.Array,
    state: FrontState,
    breeding: Breeding,
    told: Compromises,
) -> jax.Array:
    """New rows of which each promises to widen the front, in its own way.

    A Gaussian process for each objective, of normal scores; of many children of the
    best compromises, and some points all over the cube, those are taken one by one
    that are expected to add most to the hypervolume in front of a reference point.

    Args:
        surrogate: Its settings.
        key: Consumed.
        state: Only read; none of what it has seen is proposed again.
        breeding: Makes the children.
        told: All that it knows, the best first.

    Returns:
        f32[P, D], canonical, of as many rows as trials under way are remembered.
    """
    size = state.underway.trial.shape[0]
    known, objectives = told.known, told.fitness.shape[1]
    values = jax.vmap(normal_scores, (1, None), 1)(ranked(told), known)
    direct, draw = uniforms(key, (objectives,), (objectives,))
    first = known & (nondominated_ranks(told.fitness, told.violation) == 0)
    front = seen_from(_reference(values, first), values, known, direct)
    processes = _processes(surrogate, told, values, state.geometry)
    hopes = _Hopes(processes=processes, front=front, normal=draws(objectives, draw))
    hopes = hopes.believing(state.underway)
    best = Population(
        x=told.x,
        fitness=jnp.where(told.violation < DIVERGED, 0.0, WORST),
        trial=told.trial,
    )
    own, (count, width) = key_after(key, jnp.int32(_BORN)), surrogate.counts(size)
    rows = surrogate.rows(own, best, breeding, state.geometry, count)
    again = repeats(fingerprint(rows), state.seen)
    promise = jnp.where(again, -jnp.inf, hopes.promise(rows))
    short = jax.lax.top_k(promise, width)[1]
    return hopes.batch(rows[short], ~again[short], size)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Hopes:
    """What is thought of rows that were not tried.

    Attributes:
        processes: Of each objective, [M] in all arrays.
        front: That they are to widen.
        normal: f32[S, M], from `draws`.
    """

    processes: GaussianProcess
    front: Front
    normal: jax.Array

    @property
    def noise(self) -> jax.Array:
        """f32[M], the variance of a trial."""
        return noise_variance(self.processes.hyperparameters.log_noise)

    def believing(self, running: Population) -> _Hopes:
        """The same once trials under way have turned out as predicted."""
        real = running.trial != EMPTY
        mean = self._predict(running.x)[0]
        believed = jnp.where(real[:, None], mean, -jnp.inf)
        believe_each = jax.vmap(believe, (0, None, None))
        return dataclasses.replace(
            self,
            processes=believe_each(self.processes, running.x, real),
            front=with_values(self.front, believed),
        )

    def promise(self, rows: jax.Array) -> jax.Array:
        """f32[P], `log_improvement` of rows f32[P, D]."""
        mean, variance = self._predict(rows)
        deviation = jnp.sqrt(variance + self.noise[None])
        return log_improvement(self.front, mean, deviation, self.normal)

    def batch(self, rows: jax.Array, allowed: jax.Array, size: int) -> jax.Array:
        """f32[N, D], some of rows f32[R, D], each in its own way.

        Args:
            rows: Of which is chosen.
            allowed: bool[R], which of them may be.
            size: N.
        """
        joint = jax.vmap(GaussianProcess.joint, (0, None))
        mean, shared = joint(self.processes, rows)
        return rows[
            widening_batch(
                *(self.front, mean.T, shared, self.noise, allowed, self.normal),
                size=size,
            )
        ]

    def _predict(self, rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """f32[P, M] means and variances of rows f32[P, D], without noise."""
        predict = jax.vmap(GaussianProcess.predict, (0, None), 1)
        mean, variance, _ = predict(self.processes, rows)
        return mean, variance


def ranked(told: Compromises) -> jax.Array:
    """f32[R, M], fitness, but by violation, and below all others, where infeasible."""
    share = told.violation / (1.0 + told.violation)
    below = -_FAR * (1.0 + jnp.where(told.known, share, 0.0))
    fitness = jnp.maximum(told.fitness, -_FAR)
    return jnp.where(told.feasible[:, None], fitness, below[:, None])


def _processes(
    surrogate: Surrogate, told: Compromises, values: jax.Array, geometry: Geometry
) -> GaussianProcess:
    """A process of each objective, [M] in all its arrays."""

    def fit(column: jax.Array) -> GaussianProcess:
        return surrogate.fit(told.x, column, told.known, geometry)

    return jax.vmap(fit)(values.T)


def _reference(values: jax.Array, first: jax.Array) -> jax.Array:
    """f32[M], a tenth beyond the ends of the front, or the median if that is further.

    Args:
        values: f32[N, M] normal scores, whose median is 0.
        first: bool[N], who is of the front.
    """
    least = jnp.min(jnp.where(first[:, None], values, jnp.inf), axis=0)
    most = jnp.max(jnp.where(first[:, None], values, -jnp.inf), axis=0)
    beyond = least - 0.1 * (most - least)
    return jnp.where(first.any(), jnp.minimum(beyond, 0.0), 0.0)
