"""Where to look for what promises most: everywhere, and about the best trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry
from evotune.algorithms._breeding import mutated
from evotune.algorithms._cube import canonicalise
from evotune.algorithms._draws import latin_hypercube, uniforms
from evotune.algorithms._mutation import gaussian_mutation

Rows = Callable[[jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Steps:
    """Random steps from some rows, most of them short.

    A coordinate is changed with a chance of 1.5 / D, in some rows of twice or four
    times as much; the size of a step is log-uniform.

    Attributes:
        least: The shortest steps, in unit-cube lengths; of a level, at least.
        most: The longest steps.
    """

    least: float = 0.003
    most: float = 0.3

    def taken(
        self,
        start: jax.Array,
        size: jax.Array,
        hits: jax.Array,
        steps: jax.Array,
        geometry: Geometry,
    ) -> jax.Array:
        """Where the steps lead.

        Args:
            start: f32[R, D], rows before.
            size: f32[R, 1] uniform numbers that choose how long the steps are.
            hits: f32[R, D] uniform numbers that choose what is changed.
            steps: f32[R, D] uniform numbers that choose how.
            geometry: The space.

        Returns:
            f32[R, D], canonical.
        """
        double = 2.0 ** (jnp.arange(start.shape[0]) % 3).astype(jnp.float32)
        rate = (1.5 / geometry.dimensions) * double[:, None]
        strength = self.most * (self.least / self.most) ** size
        moved = mutated(
            start,
            hits,
            steps,
            geometry=geometry,
            rate=rate,
            mutation=gaussian_mutation,
            strength=strength,
        )
        return canonicalise(moved, geometry)


STEPS = Steps()


def candidates(
    key: jax.Array, best: jax.Array, known: jax.Array, geometry: Geometry, count: int
) -> jax.Array:
    """Rows to rank: half of them fill the cube, half lie about the best trials.

    Args:
        key: Consumed.
        best: f32[B, D], the best trials, best first.
        known: i32[], how many of them there are.
        geometry: The space.
        count: C, two at least.

    Returns:
        f32[C, D], canonical.
    """
    near, far = count // 2, count - count // 2
    shape, fill = (near, geometry.dimensions), (far, geometry.dimensions)
    u = uniforms(key, (near,), (near, 1), shape, shape, fill, fill)
    places = jnp.clip(known, 1, best.shape[0]).astype(jnp.float32)
    parent = jnp.floor(u[0] * places).astype(jnp.int32)
    local = STEPS.taken(best[parent], u[1], u[2], u[3], geometry)
    return jnp.concatenate([local, canonicalise(latin_hypercube(u[4], u[5]), geometry)])


def climbed(
    key: jax.Array,
    start: jax.Array,
    promise: Rows,
    geometry: Geometry,
    *,
    steps: int,
    bounded: Rows,
) -> jax.Array:
    """Rows after some random steps each, of which those that promise more are taken.

    It needs no gradient, so levels, categories and conditions are searched as numbers
    are.

    Args:
        key: Consumed.
        start: f32[R, D], canonical.
        promise: ``f32[R, D] -> f32[R]``, larger is better.
        geometry: The space.
        steps: How many are tried.
        bounded: ``f32[R, D] -> f32[R, D]``, where a step may end.

    Returns:
        f32[R, D], canonical, none of which promises less than before.
    """
    rows = start.shape
    u = uniforms(key, (steps, rows[0], 1), (steps, *rows), (steps, *rows))

    def step(
        carry: tuple[jax.Array, jax.Array], draw: tuple[jax.Array, ...]
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        (x, before), (size, hits, moves) = carry, draw
        tried = bounded(STEPS.taken(x, size, hits, moves, geometry))
        after = promise(tried)
        better = after > before
        x = jnp.where(better[:, None], tried, x)
        return (x, jnp.where(better, after, before)), None

    return jax.lax.scan(step, (start, promise(start)), u)[0][0]
