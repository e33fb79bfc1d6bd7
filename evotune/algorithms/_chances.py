"""Chances of categories, and how they learn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from evotune._contracts import Geometry
from evotune.algorithms._cube import is_categorical, levels_of


def first_chances(geometry: Geometry) -> np.ndarray:
    """f32[D, L], the widths of the cells of each category's levels; 0 elsewhere."""
    count = _levels(geometry)
    place = np.arange(max(int(count.max(initial=1)), 1))[None]
    chances = (place < count[:, None]) / np.maximum(count, 1)[:, None]
    for d in np.flatnonzero(count):
        if geometry.edges[d]:
            chances[d, : count[d]] = np.diff(geometry.edges[d])
    return chances.astype(np.float32)


def levels_drawn(chances: jax.Array, u: jax.Array) -> jax.Array:
    """The level that each uniform number chooses.

    Args:
        chances: f32[D, L].
        u: f32[P, D] in [0, 1).

    Returns:
        i32[P, D]; 0 in dimensions without chances.
    """
    below = jnp.cumsum(chances, axis=1)[None] <= u[:, :, None]
    count = jnp.sum(chances > 0.0, axis=1, dtype=jnp.int32)
    level = jnp.sum(below, axis=2, dtype=jnp.int32)
    return jnp.clip(level, 0, jnp.maximum(count - 1, 0)[None])


def learnt_chances(
    chances: jax.Array, x: jax.Array, weight: jax.Array, geometry: Geometry
) -> jax.Array:
    """The chances after a step towards the weighted frequencies of some rows.

    q <- q + eta (<one hot>_w - q), with eta = mu_eff / (mu_eff + K) for K the number of
    free chances; then each is raised to (1 - 0.73^(1/N)) / (levels - 1) or more, with N
    categorical dimensions, and the others give in proportion.

    Args:
        chances: f32[D, L].
        x: f32[R, D] in the unit cube.
        weight: f32[R], which sum to 1, or are all 0.
        geometry: The space.

    Reference:
        Hamano et al. (2024), "CatCMA: stochastic optimization for mixed-category
        problems", for the gradient and the margin. Differs from the paper: eta follows
        from the formula above and does not adapt.
    """
    count = _levels(geometry)
    dimensions = np.arange(count.size)
    free = max(int(np.maximum(count - 1, 0).sum()), 1)
    mu = 1.0 / jnp.maximum(jnp.sum(weight**2), 1e-6)
    level = jnp.where(count[None] > 0, levels_of(x, geometry), 0)
    rows = jnp.broadcast_to(weight[:, None], level.shape)
    frequency = jnp.zeros_like(chances).at[dimensions[None], level].add(rows)
    chances = chances + mu / (mu + free) * (frequency - chances)

    number = max(int((count > 1).sum()), 1)
    least = (1.0 - 0.73 ** (1.0 / number)) / np.maximum(count - 1, 1)
    least = np.minimum(least, 1.0 / np.maximum(count, 1)).astype(np.float32)[:, None]
    raised = jnp.maximum(chances, least)
    real = np.arange(chances.shape[1])[None] < count[:, None]
    raised = jnp.where(real, raised, 0.0)
    over = jnp.where(real, raised - least, 0.0)
    excess = jnp.sum(raised, axis=1, keepdims=True) - 1.0
    spare = jnp.maximum(jnp.sum(over, axis=1, keepdims=True), 1e-6)
    return jnp.where(real, raised - excess * over / spare, 0.0)


def _levels(geometry: Geometry) -> np.ndarray:
    """i32[D], the levels of categorical dimensions; 0 elsewhere."""
    return np.where(is_categorical(geometry), np.asarray(geometry.levels), 0)
