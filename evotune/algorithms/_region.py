"""How large the region is that a search has closed in on, by dimension."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import is_categorical

_CELLS = 2.0
"""The least size along levels, in cells: a neighbour is never far away."""


def region_size(
    x: jax.Array, known: jax.Array, geometry: Geometry, least: float
) -> jax.Array:
    """The size of the region that some trials fill; 1 where they fill the cube.

    size_d = sqrt(12) std_d, the width of an interval over which they would be spread
    evenly, kept in [least, 1]; two cells of an ordered dimension at least, and 1 along
    categories, none of which is nearer than another.

    Args:
        x: f32[N, D], canonical.
        known: bool[N], which rows count.
        geometry: The space.
        least: The smallest size.

    Returns:
        f32[D].

    Example:
        >>> import jax.numpy as jnp
        >>> from evotune.testing import choice, cube, floating
        >>> x = jnp.asarray([[0.5, 0.25], [0.6, 0.75]])
        >>> space = cube(floating(), choice(2))
        >>> region_size(x, jnp.ones(2, bool), space, least=0.01).round(2)
        Array([0.17, 1.  ], dtype=float32)

    Reference:
        Eriksson et al. (2019), "Scalable global optimization via local Bayesian
        optimization", for a process that is as fine as the region it looks at. Differs
        from the paper: the region is measured, not steered, and nothing outside it is
        ruled out.
    """
    weight = known.astype(jnp.float32)[:, None]
    count = jnp.maximum(jnp.sum(weight), 1.0)
    mean = jnp.sum(weight * x, axis=0) / count
    variance = jnp.sum(weight * (x - mean[None]) ** 2, axis=0) / count
    size = math.sqrt(12.0) * jnp.sqrt(variance)
    levels = np.asarray(geometry.levels, np.float32)
    cells = np.where(levels > 0, _CELLS / np.maximum(levels, 1.0), 0.0)
    smallest = np.clip(cells, least, 1.0).astype(np.float32)
    size = jnp.clip(size, smallest, 1.0)
    return jnp.where(is_categorical(geometry), 1.0, size)
