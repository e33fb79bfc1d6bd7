"""The box of a trust region: where it is in the cube, and rows in it."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import canonicalise, is_categorical
from evotune.algorithms._draws import latin_hypercube, uniforms
from evotune.algorithms._mutation import other_category

_CHANGED = 20.0
"""About how many coordinates of a candidate differ from those of the best trial."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    """The part of the cube that a trust region is.

    Attributes:
        center: f32[1, D], canonical.
        low: f32[1, D], lower walls along ordered dimensions.
        high: f32[1, D], upper walls.
        length: f32[], the chance of another category.
    """

    center: jax.Array
    low: jax.Array
    high: jax.Array
    length: jax.Array

    def bounded(self, x: jax.Array, geometry: Geometry) -> jax.Array:
        """f32[P, D], rows moved into the box; categories stay."""
        inside = jnp.clip(x, self.low, self.high)
        inside = jnp.where(is_categorical(geometry)[None], x, inside)
        return canonicalise(inside, geometry)

    def candidates(self, key: jax.Array, geometry: Geometry, count: int) -> jax.Array:
        """Rows in the box, each with some coordinates of the center.

        Args:
            key: Consumed.
            geometry: The space.
            count: C.

        Returns:
            f32[C, D], canonical.
        """
        shape = (count, geometry.dimensions)
        order, jitter, hits = uniforms(key, shape, shape, shape)
        center = jnp.broadcast_to(self.center, shape)
        u = latin_hypercube(order, jitter)
        moved = self.low + u * (self.high - self.low)
        unordered = is_categorical(geometry)[None]
        moved = jnp.where(unordered, other_category(u, center, geometry), moved)
        chance = min(1.0, _CHANGED / geometry.dimensions)
        rarely = chance * jnp.minimum(self.length, 1.0)
        changed = hits < jnp.where(unordered, rarely, chance)
        return canonicalise(jnp.where(changed, moved, center), geometry)


def box_about(
    center: jax.Array, length: jax.Array, log_lengths: jax.Array, geometry: Geometry
) -> Box:
    """The box of a region about its best trial.

    Side d is length x l_d / (l_1 ... l_D)^(1/D), of the length scales l of ordered
    dimensions, and reaches the neighbouring levels at least.

    Args:
        center: f32[1, D], canonical.
        length: f32[].
        log_lengths: f32[D], logarithms of the length scales.
        geometry: The space.
    """
    ordered = ~is_categorical(geometry)
    share = (ordered / max(ordered.sum(), 1)).astype(np.float32)
    stretch = jnp.exp(log_lengths - jnp.sum(share * log_lengths))
    reach = jnp.maximum(0.5 * length * stretch, _widest_cells(geometry))[None]
    return Box(
        center=center,
        low=jnp.maximum(center - reach, 0.0),
        high=jnp.minimum(center + reach, 1.0),
        length=length,
    )


def _widest_cells(geometry: Geometry) -> np.ndarray:
    """f32[D], the widest cell of each dimension; 0 where it is continuous."""
    widths = [
        max(np.diff(edges)) if edges else (1.0 / levels if levels else 0.0)
        for levels, edges in zip(geometry.levels, geometry.edges, strict=True)
    ]
    return np.asarray(widths, np.float32)
