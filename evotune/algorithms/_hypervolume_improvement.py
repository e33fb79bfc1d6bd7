"""What a trial is expected to add to the hypervolume of a front, and batches of them.

A hypervolume is a mean over directions: seen from the reference point, how far along a
direction the front reaches, to the power of the number of objectives. So nothing is
sliced into boxes, and any number of objectives is one formula.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

DIRECTIONS = 64
"""Along which a front is measured."""

DRAWS = 8
"""Of a trial's objectives, for the mean over what may come of it."""

_BLUR = 0.02
"""Reach, in deviations of all trials, below which hopeless rows are told apart."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Front:
    """How far a front reaches.

    Attributes:
        reference: f32[M], where it is seen from; values are larger the better.
        directions: f32[L, M] unit vectors, positive.
        reach: f32[L], along each direction, at least 0.
    """

    reference: jax.Array
    directions: jax.Array
    reach: jax.Array


jax.tree_util.register_dataclass(Front, ["reference", "directions", "reach"], [])


def seen_from(
    reference: jax.Array, values: jax.Array, known: jax.Array, shift: jax.Array
) -> Front:
    """The front of some values.

    Args:
        reference: f32[M].
        values: f32[N, M].
        known: bool[N], which of them count.
        shift: f32[M] uniform numbers, which shift the directions.
    """
    spread = jnp.abs(_normal(DIRECTIONS, reference.shape[0], shift))
    length = jnp.linalg.norm(spread, axis=1, keepdims=True)
    front = Front(
        reference=reference,
        directions=jnp.maximum(spread / length, 1e-3),
        reach=jnp.zeros((DIRECTIONS,), jnp.float32),
    )
    return with_values(front, jnp.where(known[:, None], values, -jnp.inf))


def with_values(front: Front, values: jax.Array) -> Front:
    """The front of itself and values f32[N, M] more."""
    farthest = jnp.max(_reach(front, values), axis=0)
    return dataclasses.replace(front, reach=jnp.maximum(front.reach, farthest))


def _reach(front: Front, values: jax.Array) -> jax.Array:
    """f32[N, L], how far values f32[N, M] reach along each direction.

    min_m (y_m - r_m) / lambda_m: the box below a value ends there.
    """
    above = values - front.reference[None]
    # One objective after the other: N x L x M at once would take M times the memory.
    reach = jnp.full((values.shape[0], front.reach.shape[0]), jnp.inf, jnp.float32)
    for objective, part in zip(above.T, front.directions.T, strict=True):
        reach = jnp.minimum(reach, objective[:, None] / part[None])
    return reach


def draws(objectives: int, shift: jax.Array) -> jax.Array:
    """f32[S, M] standard normal numbers, evenly spread.

    Args:
        objectives: M.
        shift: f32[M] uniform numbers, which shift them.
    """
    return _normal(DRAWS, objectives, shift)


def _normal(count: int, dimensions: int, shift: jax.Array) -> jax.Array:
    """f32[count, dimensions], normal numbers at the points of a Kronecker sequence.

    Reference:
        Roberts (2018), "The unreasonable effectiveness of quasirandom sequences": the
        point n has the coordinates n / g^d modulo 1, where g^(D + 1) = g + 1.
    """
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1.0)
    points = (np.arange(1, count + 1)[:, None] * steps) % 1.0
    shifted = (jnp.asarray(points, jnp.float32) + shift[None]) % 1.0
    return jax.scipy.special.ndtri(jnp.clip(shifted, 1e-4, 1.0 - 1e-4))


def log_improvement(
    front: Front, mean: jax.Array, deviation: jax.Array, normal: jax.Array
) -> jax.Array:
    """Log E[how much a trial adds to the front's hypervolume], up to a constant.

    With t its reach and T that of the front, a trial adds the mean over directions of
    max(t, T)^M - T^M. The maximum is blurred, T + b log(1 + exp((t - T) / b)), so that
    the logarithm ranks rows too that all draws find hopeless.

    Args:
        front: M objectives.
        mean: f32[P, M].
        deviation: f32[P, M].
        normal: f32[S, M], from `draws`.

    Returns:
        f32[P].

    Reference:
        Golovin and Zhang (2020), "Random hypervolume scalarizations for provable
        multi-objective black box optimization". Differs from the paper: the expectation
        is taken, of a blurred maximum.
    """
    objectives = mean.shape[1]

    def gain(each: jax.Array) -> jax.Array:
        reach = _reach(front, mean + deviation * each[None])
        further = _BLUR * jax.nn.softplus((reach - front.reach[None]) / _BLUR)
        farther = (front.reach[None] + further) ** objectives
        return jnp.mean(farther - front.reach[None] ** objectives, axis=1)

    total = jnp.sum(jax.lax.map(gain, normal), axis=0)
    return jnp.log(jnp.maximum(total, 1e-35))


def widening_batch(
    front: Front,
    mean: jax.Array,
    covariance: jax.Array,
    noise: jax.Array,
    allowed: jax.Array,
    normal: jax.Array,
    *,
    size: int,
) -> jax.Array:
    """Chooses rows by `log_improvement`, each as if those before it had come true.

    A row, once chosen, is believed to turn out as predicted: it widens the front, and
    makes what is near it certain.

    Args:
        front: M objectives.
        mean: f32[R, M], posterior means.
        covariance: f32[M, R, R], posterior covariances, without noise.
        noise: f32[M], the variance of a trial.
        allowed: bool[R], which rows may be chosen; each is chosen once.
        normal: f32[S, M], from `draws`.
        size: Rows to choose.

    Returns:
        i32[size] different rows; once no other is allowed, row 0.
    """
    objectives, rows = covariance.shape[:2]

    def step(number: jax.Array, carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        variance, taken, allowed, reach, chosen = carry
        deviation = jnp.sqrt(variance + noise[:, None])
        wider = dataclasses.replace(front, reach=reach)
        promise = log_improvement(wider, mean, deviation.T, normal)
        row = jnp.argmax(jnp.where(allowed, promise, -jnp.inf)).astype(jnp.int32)
        shared = covariance[:, row] - jnp.einsum("mrk,mk->mr", taken, taken[:, row])
        column = shared / deviation[:, row, None]
        return (
            jnp.maximum(variance - column**2, 1e-6),
            taken.at[:, :, number].set(column),
            allowed.at[row].set(False),
            with_values(wider, mean[row][None]).reach,
            chosen.at[number].set(row),
        )

    carry = (
        jnp.maximum(jnp.diagonal(covariance, axis1=1, axis2=2), 1e-6),
        jnp.zeros((objectives, rows, size), jnp.float32),
        allowed,
        front.reach,
        jnp.zeros((size,), jnp.int32),
    )
    return jax.lax.fori_loop(0, size, step, carry)[4]
