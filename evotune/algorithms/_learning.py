"""A Gaussian process of the best and the newest trials, its kernel fitted to some."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY, Geometry
from evotune.algorithms._archive import normal_scores
from evotune.algorithms._gaussian_process import GaussianProcess, condition
from evotune.algorithms._marginal_likelihood import Prior, most_likely
from evotune.algorithms._population import Population


def learnt(
    told: Population, geometry: Geometry, prior: Prior, *, fitted: int, steps: int
) -> tuple[GaussianProcess, jax.Array]:
    """What some trials say of the whole space, and the best value among them.

    Fitness enters as normal scores. The kernel is fitted to a part of the trials, so
    that its Cholesky factors stay small, and then told all of them.

    Args:
        told: N places, best first.
        geometry: The space.
        prior: Of the kernel.
        fitted: Trials that the kernel is fitted to, half of them the best.
        steps: Of the fit.

    Returns:
        The process, and f32[], the best normal score; -inf where nobody is known.
    """
    known = told.trial != EMPTY
    values = normal_scores(told.fitness, known)
    some = _spread(known, min(fitted, known.shape[0]))
    found = most_likely(
        told.x[some], values[some], known[some], geometry, prior, steps=steps
    )
    process = condition(told.x, values, known, found, geometry)
    return process, jnp.max(jnp.where(known, values, -jnp.inf))


def _spread(known: jax.Array, size: int) -> jax.Array:
    """i32[size], places of the best trials, and of others over the whole range."""
    best = size // 2
    place = jnp.arange(size, dtype=jnp.int32)
    others = jnp.maximum(jnp.sum(known, dtype=jnp.int32), size) - best
    spread = best + (place - best) * others // (size - best)
    return jnp.where(place < best, place, spread)
