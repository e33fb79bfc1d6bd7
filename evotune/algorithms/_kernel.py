"""How alike two configurations are: a kernel for ordered, unordered and absent values.

A Matern kernel of a distance in a Euclidean space that the unit cube is laid out in, so
it is positive definite whatever the dimensions are.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import active, is_categorical, levels_of

_ABSENT = 0.5
"""How far an absent value lies above the middle of the present ones."""


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
        f32[P, Q, D].

    Example:
        >>> import jax.numpy as jnp
        >>> from evotune.testing import choice, cube, floating
        >>> space = cube(floating(), choice(2))
        >>> rows = jnp.asarray([[0.0, 0.25], [0.5, 0.75]])
        >>> squared_differences(rows, rows, space)[0].tolist()
        [[0.0, 0.0], [0.25, 1.0]]

    Reference:
        Swersky et al. (2014), "Raiders of the lost architecture: kernels for Bayesian
        optimization in conditional parameter spaces". Differs from the paper: present
        values lie on a line, not on an arc.
    """
    step = a[:, None] - b[None]
    unordered = is_categorical(geometry)[None, None]
    squared = jnp.where(unordered, (step != 0.0).astype(jnp.float32), step**2)
    if not any(geometry.conditions):
        return squared
    here, there = (active(levels_of(each, geometry), geometry) for each in (a, b))
    apart = here[:, None] != there[None]
    return squared + jnp.where(apart, jnp.float32(_ABSENT**2), 0.0)


def matern(squared: jax.Array) -> jax.Array:
    """The Matern kernel of smoothness 5/2 at squared distances.

    k(r) = (1 + s + s^2 / 3) exp(-s) with s = sqrt(5) r.

    Args:
        squared: f32[...], r^2 in units of the length scale.

    Reference:
        Rasmussen and Williams (2006), "Gaussian processes for machine learning",
        equation 4.17. Differs from the book: r^2 is at least 1e-12, for a gradient.
    """
    s = np.float32(math.sqrt(5.0)) * jnp.sqrt(jnp.maximum(squared, 1e-12))
    return (1.0 + s + s * s / 3.0) * jnp.exp(-s)


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
    scale = jnp.exp(-2.0 * log_lengths)[None, None]
    # A sum, which XLA fuses: a product would need all P x Q x D differences at once.
    return jnp.sum(squared_differences(a, b, geometry) * scale, axis=2)


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
