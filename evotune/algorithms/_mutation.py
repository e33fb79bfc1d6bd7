"""Mutation on the unit cube: small steps on ordered dimensions, resampling on others.

Steps are taken on the unit cube, where a logarithmic parameter is linear, so it is
perturbed on the log scale; and nothing leaves the cube. All take ``u``, f32[P, D] in
[0, 1), which at 1/2 leaves the coordinate as it is and is symmetric about it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import is_categorical, levels_of, middles_of


class Mutation(Protocol):
    """Moves points: ``(u f32[P, D], x f32[P, D], strength) -> f32[P, D]``.

    ``strength`` broadcasts against x and is the size of a step in unit-cube lengths.
    """

    def __call__(self, u: jax.Array, x: jax.Array, strength: jax.Array) -> jax.Array:
        """The points after their steps."""
        ...


def gaussian_mutation(u: jax.Array, x: jax.Array, strength: jax.Array) -> jax.Array:
    """A normal step, reflected at the walls of the cube.

    Reflection, unlike clipping, puts no mass on the walls.

    Args:
        u: f32[P, D] in [0, 1).
        x: f32[P, D] in the unit cube.
        strength: f32, broadcastable; the standard deviation of the step.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.full((1, 3), 0.5)
        >>> u = jnp.asarray([[0.5, 0.15865526, 0.8413447]])  # 0, -1 and +1 sigma
        >>> gaussian_mutation(u, x, jnp.full((1, 1), 0.1)).round(3)
        Array([[0.5, 0.4, 0.6]], dtype=float32)

    Reference:
        Baeck and Schwefel (1993), "An overview of evolutionary algorithms for parameter
        optimization". Differs from the paper: the walls reflect.
    """
    # erfinv at the open ends, where u = 0 would be an infinite step.
    centred = jnp.clip(2.0 * u - 1.0, -1.0 + 1e-6, 1.0 - 1e-6)
    step = np.float32(np.sqrt(2.0)) * jax.lax.erf_inv(centred) * strength
    return 1.0 - jnp.abs(1.0 - jnp.abs(x + step) % 2.0)


def polynomial_mutation(u: jax.Array, x: jax.Array, strength: jax.Array) -> jax.Array:
    """A step with polynomial density that ends exactly at the walls of the cube.

    With n the distribution index, for u < 1/2 the step is
    delta = (2 u + (1 - 2 u) (1 - x)^(n + 1))^(1 / (n + 1)) - 1, and its mirror image
    otherwise. The index follows from the strength: n = 1 / strength - 1, as the steps'
    mean size is about 1 / (n + 2) of the cube.

    Args:
        u: f32[P, D] in [0, 1).
        x: f32[P, D] in the unit cube.
        strength: f32 in (0, 1], broadcastable; 0.05 is the usual index of about 20.

    Reference:
        Deb and Deb (2014), "Analysing mutation schemes for real-parameter genetic
        algorithms". Differs from the paper: the index is given as a strength.
    """
    power = 1.0 / jnp.clip(strength, 1e-3, 1.0)
    down = (2.0 * u + (1.0 - 2.0 * u) * (1.0 - x) ** power) ** (1.0 / power) - 1.0
    rest = jnp.maximum(2.0 * (1.0 - u) + (2.0 * u - 1.0) * x**power, 0.0)
    up = 1.0 - rest ** (1.0 / power)
    return jnp.clip(x + jnp.where(u < 0.5, down, up), 0.0, 1.0)


def resample_category(u: jax.Array, x: jax.Array, levels: np.ndarray) -> jax.Array:
    """Another category, each of the others with the same chance.

    Args:
        u: f32[P, D] in [0, 1).
        x: f32[P, D] in the unit cube.
        levels: i32[D]; 0 where there are too many levels to mark, and any point will
            do. A dimension of one level stays.

    Returns:
        f32[P, D].

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> x = jnp.full((1, 2), 0.125)  # the first of four
        >>> resample_category(jnp.asarray([[0.0, 0.99]]), x, np.asarray([4, 4]))
        Array([[0.375, 0.875]], dtype=float32)
    """
    count = np.maximum(levels, 1).astype(np.float32)[None]
    shift = (1.0 + jnp.floor(u * np.maximum(count - 1.0, 1.0))) / count
    return jnp.where(levels[None] > 0, (x + shift) % 1.0, u)


def other_category(u: jax.Array, x: jax.Array, geometry: Geometry) -> jax.Array:
    """`resample_category` along all dimensions, also where cells are unequal.

    Args:
        u: f32[P, D] in [0, 1).
        x: f32[P, D] in the unit cube.
        geometry: The space.

    Returns:
        f32[P, D]; only what it holds for categorical dimensions has a meaning.
    """
    levels = np.asarray(geometry.levels, np.int32)
    other = resample_category(u, x, levels)
    uneven = is_categorical(geometry) & np.asarray([bool(e) for e in geometry.edges])
    if not uneven.any():
        return other
    # As if all cells were equal, and back to the middles of those that are not.
    count = np.maximum(levels, 1).astype(np.float32)[None]
    even = (levels_of(x, geometry).astype(jnp.float32) + 0.5) / count
    level = jnp.floor(resample_category(u, even, levels) * count).astype(jnp.int32)
    level = jnp.where(uneven[None], level, 0)
    return jnp.where(uneven[None], middles_of(level, geometry), other)


MUTATIONS: dict[str, Callable[..., jax.Array]] = {
    "gaussian": gaussian_mutation,
    "polynomial": polynomial_mutation,
}
"""The mutations that have a name."""
