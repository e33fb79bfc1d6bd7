"""A Gaussian process of many trials, its kernel fitted to some of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry
from evotune.algorithms._gaussian_process import GaussianProcess, condition
from evotune.algorithms._marginal_likelihood import Prior, most_likely


def learnt(
    x: jax.Array,
    values: jax.Array,
    known: jax.Array,
    geometry: Geometry,
    prior: Prior,
    *,
    unit: jax.Array | float = 1.0,
    fitted: int,
    steps: int,
) -> GaussianProcess:
    """What some trials say of the whole space.

    The kernel is fitted to a part of the trials, so that its Cholesky factors stay
    small, and then told all of them.

    Args:
        x: f32[N, D], canonical, the best first.
        values: f32[N], about 0 and of about unit variance, such as normal scores.
        known: bool[N], which of them count: the first ones.
        geometry: The space.
        prior: Of the kernel.
        unit: f32[D], what the prior's lengths are in, in unit-cube lengths.
        fitted: Trials that the kernel is fitted to, half of them the best.
        steps: Of the fit.
    """
    some = _spread(known, min(fitted, known.shape[0]))
    found = most_likely(
        *(x[some], values[some], known[some], geometry, prior), unit=unit, steps=steps
    )
    return condition(x, values, known, found, geometry)


def _spread(known: jax.Array, size: int) -> jax.Array:
    """i32[size], places of the best trials, and of others over the whole range."""
    best = size // 2
    place = jnp.arange(size, dtype=jnp.int32)
    others = jnp.maximum(jnp.sum(known, dtype=jnp.int32), size) - best
    spread = best + (place - best) * others // (size - best)
    return jnp.where(place < best, place, spread)
