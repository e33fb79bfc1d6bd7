"""How alike two configurations are: a kernel for ordered, unordered and absent values.

A Matern kernel of a distance in a Euclidean space that the unit cube is laid out in, so
it is positive definite whatever the dimensions are.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import active, is_categorical, levels_of

_ABSENT = 0.5
"""How far an absent value lies above the middle of the present ones."""

_UNROLLED = 8
"""Dimensions that are summed at once: in one loop each, XLA is many times slower."""


class _Axes(NamedTuple):
    """Where rows lie along each dimension, one after the other.

    Attributes:
        value: f32[D, P].
        above: f32[D, P], off the axis; None where no dimension is ever absent.
    """

    value: jax.Array
    above: jax.Array | None


def squared_differences(a: jax.Array, b: jax.Array, geometry: Geometry) -> jax.Array:
    """How far each row of ``a`` lies from each of ``b`` along each dimension, squared.

    Two ordered values are as far apart as in the cube, two categories that differ 1,
    as the corners of a simplex are. A dimension that is inactive in both rows adds
    nothing; inactive in one of them, it lies at rest there, and 0.5 off the axis.

    Args:
        a: f32[P, D], canonical.
        b: f32[Q, D], canonical.
        geometry: The space.

    Returns:
        f32[D, P, Q].

    Example:
        >>> import jax.numpy as jnp
        >>> from evotune.testing import choice, cube, floating
        >>> space = cube(floating(), choice(2))
        >>> rows = jnp.asarray([[0.0, 0.25], [0.5, 0.75]])
        >>> squared_differences(rows, rows, space)[:, 0].tolist()
        [[0.0, 0.25], [0.0, 1.0]]

    Reference:
        Swersky et al. (2014), "Raiders of the lost architecture: kernels for Bayesian
        optimization in conditional parameter spaces". Differs from the paper: present
        values lie on a line, not on an arc.
    """
    unordered = jnp.asarray(is_categorical(geometry))
    return jax.vmap(_apart)(_axes(a, geometry), _axes(b, geometry), unordered)


def scaled_squares(
    a: jax.Array, b: jax.Array, log_lengths: jax.Array, geometry: Geometry
) -> jax.Array:
    """Squared distances of the rows of ``a`` to those of ``b``, in length scales.

    Args:
        a: f32[P, D], canonical.
        b: f32[Q, D], canonical.
        log_lengths: f32[D], logarithms of the length scales, in unit-cube lengths.
        geometry: The space.

    Returns:
        f32[P, Q].
    """
    axes = _axes(a, geometry), _axes(b, geometry), jnp.asarray(is_categorical(geometry))

    def further(
        total: jax.Array, one: tuple[_Axes, _Axes, jax.Array, jax.Array]
    ) -> tuple[jax.Array, None]:
        return total + one[3] * _apart(*one[:3]), None

    # One after the other: a product would need all D x P x Q differences at once.
    start = jnp.zeros((a.shape[0], b.shape[0]), jnp.float32)
    scaled = (*axes, jnp.exp(-2.0 * log_lengths))
    return jax.lax.scan(further, start, scaled, unroll=_UNROLLED)[0]


def _axes(x: jax.Array, geometry: Geometry) -> _Axes:
    """Where rows f32[P, D] lie."""
    if not any(geometry.conditions):
        return _Axes(x.T, None)
    absent = ~active(levels_of(x, geometry), geometry)
    return _Axes(x.T, jnp.where(absent.T, jnp.float32(_ABSENT), 0.0))


def _apart(a: _Axes, b: _Axes, unordered: jax.Array) -> jax.Array:
    """f32[P, Q], squared differences along one dimension."""
    step = a.value[:, None] - b.value[None]
    squared = jnp.where(unordered, (step != 0.0).astype(jnp.float32), step * step)
    if a.above is None or b.above is None:
        return squared
    return squared + (a.above[:, None] - b.above[None]) ** 2


def matern(squared: jax.Array) -> jax.Array:
    """The Matern kernel of smoothness 5/2 at squared distances.

    k(r) = (1 + s + s^2 / 3) exp(-s) with s = sqrt(5) r.

    Args:
        squared: f32[...], r^2 in units of the length scale.

    Reference:
        Rasmussen and Williams (2006), "Gaussian processes for machine learning",
        equation 4.17. Differs from the book: r^2 is at least 1e-12.
    """
    s = _scaled_distance(squared)
    return (1.0 + s + s * s / 3.0) * jnp.exp(-s)


def matern_slope(squared: jax.Array) -> jax.Array:
    """The derivative of `matern` by its argument: -5/6 (1 + s) exp(-s)."""
    s = _scaled_distance(squared)
    return np.float32(-5.0 / 6.0) * (1.0 + s) * jnp.exp(-s)


def _scaled_distance(squared: jax.Array) -> jax.Array:
    """The s of `matern`, sqrt(5) r."""
    return np.float32(math.sqrt(5.0)) * jnp.sqrt(jnp.maximum(squared, 1e-12))


def covariance(
    a: jax.Array, b: jax.Array, log_lengths: jax.Array, geometry: Geometry
) -> jax.Array:
    """The prior covariance of the rows of ``a`` with those of ``b``, variance 1.

    Args:
        a: f32[P, D], canonical.
        b: f32[Q, D], canonical.
        log_lengths: f32[D], logarithms of the length scales, in unit-cube lengths.
        geometry: The space.

    Returns:
        f32[P, Q] in (0, 1].
    """
    return matern(scaled_squares(a, b, log_lengths, geometry))
