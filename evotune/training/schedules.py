"""Learning-rate schedules whose shape and lengths may be traced.

Each is a pure function ``schedule(step, horizon, ...) -> factor``: f32[], by which a
rate is multiplied in a step.

- ``step`` counts the updates made before this one, from 0;
- ``horizon`` is the number of steps that the schedule is laid out over;
- all other arguments are numbers too, and any of them may be traced or differ between
  the members of a population.

optax's schedules of the same names test their lengths in Python, which tracers refuse;
these compute the same values. Beyond ``horizon`` a schedule stays at its last value,
except for `exponential` without ``final``, which goes on falling, and `inverse_sqrt`.

Example:
    >>> from evotune.training import schedules
    >>> [round(float(schedules.cosine(t, 4)), 2) for t in range(5)]
    [1.0, 0.85, 0.5, 0.15, 0.0]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

__all__ = [
    "SCHEDULES",
    "WARMUPS",
    "constant",
    "cosine",
    "cosine_restarts",
    "exponential",
    "exponential_staircase",
    "exponential_warmup",
    "inverse_sqrt",
    "linear",
    "linear_warmup",
    "one_cycle",
    "polynomial",
    "step_decay",
]

_TOLERANCE = 1e-3
"""Steps that rounding may bring a boundary forward by; steps are whole numbers."""


def constant(step: ArrayLike, horizon: ArrayLike) -> jax.Array:
    """Always 1."""
    del step, horizon
    return jnp.ones((), jnp.float32)


def linear(step: ArrayLike, horizon: ArrayLike, *, final: ArrayLike = 0.0) -> jax.Array:
    """From 1 to ``final`` in a straight line: 1 + (final - 1) t / T.

    Source: `optax.linear_schedule`.
    """
    return _between(1.0 - _progress(step, horizon), final)


def polynomial(
    step: ArrayLike,
    horizon: ArrayLike,
    *,
    power: ArrayLike = 2.0,
    final: ArrayLike = 0.0,
) -> jax.Array:
    """From 1 to ``final``: final + (1 - final) (1 - t / T)^power, with power > 0.

    Source: `optax.polynomial_schedule`.
    """
    return _between((1.0 - _progress(step, horizon)) ** _f32(power), final)


def step_decay(
    step: ArrayLike, horizon: ArrayLike, *, decay_rate: ArrayLike = 0.1
) -> jax.Array:
    """Multiplied by ``decay_rate`` at a half and at three quarters of the horizon.

    Source: He et al. (2016), Deep residual learning for image recognition, section
    4.2; `optax.piecewise_constant_schedule`.
    """
    halves = _f32(step) + _TOLERANCE >= _f32([0.5, 0.75]) * _f32(horizon)
    return _f32(decay_rate) ** jnp.sum(halves, dtype=jnp.float32)


def exponential(
    step: ArrayLike,
    horizon: ArrayLike,
    *,
    decay_rate: ArrayLike = 0.1,
    decay_fraction: ArrayLike = 1 / 3,
    final: ArrayLike = 0.0,
) -> jax.Array:
    """max(final, decay_rate^(t / L)), where L = decay_fraction T.

    Args:
        step: t.
        horizon: T.
        decay_rate: Factor, in (0, 1], by which it falls in L steps.
        decay_fraction: L as a fraction of the horizon, above 0.
        final: Lower bound.

    Source: `optax.exponential_decay`.
    """
    lengths = _f32(step) / _length(horizon, decay_fraction)
    return jnp.maximum(_f32(decay_rate) ** lengths, _f32(final))


def exponential_staircase(
    step: ArrayLike,
    horizon: ArrayLike,
    *,
    decay_rate: ArrayLike = 0.1,
    decay_fraction: ArrayLike = 1 / 3,
    final: ArrayLike = 0.0,
) -> jax.Array:
    """max(final, decay_rate^floor(t / L)), where L = decay_fraction T.

    Arguments as of `exponential`.

    Source: `optax.exponential_decay` with ``staircase=True``.
    """
    stairs = _whole_lengths(step, _length(horizon, decay_fraction))
    return jnp.maximum(_f32(decay_rate) ** stairs, _f32(final))


def cosine(
    step: ArrayLike,
    horizon: ArrayLike,
    *,
    final: ArrayLike = 0.0,
) -> jax.Array:
    """From 1 to ``final``: final + (1 - final) (1 + cos(pi t / T)) / 2.

    Source: Loshchilov, Hutter (2017), SGDR: Stochastic gradient descent with warm
    restarts; `optax.cosine_decay_schedule`.
    """
    return _between(_half_wave(_progress(step, horizon)), final)


def cosine_restarts(
    step: ArrayLike,
    horizon: ArrayLike,
    *,
    cycles: ArrayLike = 3,
    final: ArrayLike = 0.0,
) -> jax.Array:
    """`cosine` over each of ``cycles`` equal parts of the horizon.

    Source: Loshchilov, Hutter (2017), as `cosine`; `optax.sgdr_schedule`.
    """
    t, total = _clip(step, horizon)
    length = total / _f32(cycles)
    whole = jnp.minimum(_whole_lengths(t, length), jnp.ceil(_f32(cycles)) - 1.0)
    return cosine(t - whole * length, length, final=final)


def one_cycle(
    step: ArrayLike,
    horizon: ArrayLike,
    *,
    rise: ArrayLike = 0.3,
    start: ArrayLike = 1 / 25,
    final: ArrayLike = 1 / 25e4,
) -> jax.Array:
    """From ``start`` up to 1, then down to ``final``, each half a cosine wave.

    Args:
        step: t.
        horizon: T.
        rise: Fraction of the horizon that it rises in; whole steps, rounded down.
        start: First value.
        final: Last value.

    Source: Smith, Topin (2018), Super-convergence: very fast training of neural
    networks using large learning rates; `optax.cosine_onecycle_schedule`.
    """
    t, total = _clip(step, horizon)
    top = jnp.floor(_f32(rise) * total)
    up = _half_wave(1.0 - t / jnp.maximum(top, 1.0))
    down = _half_wave((t - top) / jnp.maximum(total - top, 1.0))
    return jnp.where(t < top, _between(up, start), _between(down, final))


def inverse_sqrt(
    step: ArrayLike, horizon: ArrayLike, *, decay_fraction: ArrayLike = 0.1
) -> jax.Array:
    """1 / sqrt(1 + t / L), where L = decay_fraction T.

    After a warmup of L steps it is the schedule of the source, sqrt(L / n) in step n.

    Source: Vaswani et al. (2017), Attention is all you need, section 5.3.
    """
    return jax.lax.rsqrt(1.0 + _f32(step) / _length(horizon, decay_fraction))


def linear_warmup(
    step: ArrayLike, length: ArrayLike, *, start: ArrayLike = 0.01
) -> jax.Array:
    """From ``start`` up to 1 in ``length`` steps, in a straight line.

    Source: Goyal et al. (2017), Accurate, large minibatch SGD; `optax.linear_schedule`.
    """
    return _between(_progress(step, length), start)


def exponential_warmup(
    step: ArrayLike, length: ArrayLike, *, start: ArrayLike = 0.01
) -> jax.Array:
    """From ``start`` > 0 up to 1 in ``length`` steps by a constant factor a step.

    The formula is start^(1 - t / length).

    Source: `optax.exponential_decay` with a rate above 1.
    """
    return _f32(start) ** (1.0 - _progress(step, length))


SCHEDULES: Mapping[str, Callable[..., jax.Array]] = {
    "constant": constant,
    "linear": linear,
    "polynomial": polynomial,
    "step": step_decay,
    "exponential": exponential,
    "exponential_staircase": exponential_staircase,
    "cosine": cosine,
    "cosine_restarts": cosine_restarts,
    "one_cycle": one_cycle,
    "inverse_sqrt": inverse_sqrt,
}
"""Schedules by the names that the hyperparameter ``schedule`` may have."""

WARMUPS: Mapping[str, Callable[..., jax.Array]] = {
    "linear": linear_warmup,
    "exponential": exponential_warmup,
}
"""What ``warmup_shape`` may be."""


def _f32(value: ArrayLike | list[float]) -> jax.Array:
    return jnp.asarray(value, jnp.float32)


def _clip(step: ArrayLike, horizon: ArrayLike) -> tuple[jax.Array, jax.Array]:
    """(t, T) with T >= 1, so that nothing is divided by 0, and t in [0, T]."""
    total = jnp.maximum(_f32(horizon), 1.0)
    return jnp.clip(_f32(step), 0.0, total), total


def _progress(step: ArrayLike, horizon: ArrayLike) -> jax.Array:
    """The share t / T of the horizon, in [0, 1]."""
    t, total = _clip(step, horizon)
    return jnp.minimum(t / total, 1.0)  # a rounded reciprocal may go beyond 1


def _length(horizon: ArrayLike, fraction: ArrayLike) -> jax.Array:
    return jnp.maximum(_f32(horizon), 1.0) * _f32(fraction)


def _whole_lengths(step: ArrayLike, length: jax.Array) -> jax.Array:
    """How many whole lengths have passed, where rounding delays none by a step."""
    return jnp.floor((_f32(step) + _TOLERANCE) / length)


def _between(share: jax.Array, final: ArrayLike) -> jax.Array:
    """1 where ``share`` is 1, ``final`` where it is 0."""
    return (1.0 - _f32(final)) * share + _f32(final)


def _half_wave(progress: jax.Array) -> jax.Array:
    """From 1 down to 0 while ``progress`` goes from 0 to 1."""
    return 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
