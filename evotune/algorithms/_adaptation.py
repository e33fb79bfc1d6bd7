"""How large the steps of mutation are, and how they follow the search.

An adaptation reads the ranked population only. What it finds does not hang on the order
in which results arrived, or on which of them belonged to one generation, so it also
holds for results that come back one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp


class Adaptation(Protocol):
    """Finds strengths: ``(x f32[N, D], fitness f32[N]) -> f32[1, D]``.

    Places of the population are best first; those with fitness -inf hold nobody.
    """

    def __call__(self, x: jax.Array, fitness: jax.Array) -> jax.Array:
        """The strength of a step along each dimension, in unit-cube lengths."""
        ...


def constant_strength(
    x: jax.Array, fitness: jax.Array, *, strength: float = 0.1
) -> jax.Array:
    """The same strength for ever.

    Args:
        x: f32[N, D], only its shape counts.
        fitness: f32[N], not read.
        strength: In unit-cube lengths.
    """
    del fitness
    return jnp.full((1, x.shape[1]), strength, jnp.float32)


def spread_strength(
    x: jax.Array,
    fitness: jax.Array,
    *,
    scale: float = 2.0,
    fraction: float = 0.5,
    least: float = 0.01,
    most: float = 0.3,
) -> jax.Array:
    """Steps in proportion to how far the better members lie apart, by dimension.

    strength_d = scale * std_d of the best ``fraction``, kept in [least, most]. Wide
    where the good ones disagree, or at the start; narrow once they agree. Dimensions
    that do not matter keep their spread, and go on being explored.

    Args:
        x: f32[N, D], best first.
        fitness: f32[N].
        scale: Strength for each unit of standard deviation.
        fraction: In (0, 1], which part of the population is looked at; at least two.
        least: The smallest strength, in unit-cube lengths.
        most: The largest strength.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([[0.5, 0.1], [0.5, 0.2], [0.9, 0.9], [0.0, 0.0]])
        >>> spread_strength(x, jnp.asarray([4.0, 3.0, 2.0, 1.0])).round(3)
        Array([[0.01, 0.1 ]], dtype=float32)

    Reference:
        Beyer and Deb (2001), "On self-adaptive features in real-parameter evolutionary
        algorithms", show that steps which follow the spread of the population adapt
        themselves. Differs from the paper: the spread is measured, and mutation uses
        it, where they study crossovers which have the property built in.
    """
    known = jnp.isfinite(fitness)
    count = jnp.sum(known, dtype=jnp.float32)
    best = jnp.maximum(jnp.ceil(count * fraction), 2.0)
    place = jnp.arange(fitness.shape[0], dtype=jnp.float32)
    weight = (known & (place < best)).astype(jnp.float32)[:, None]
    weight = weight / jnp.maximum(jnp.sum(weight), 1.0)
    mean = jnp.sum(weight * x, axis=0, keepdims=True)
    variance = jnp.sum(weight * (x - mean) ** 2, axis=0, keepdims=True)
    return jnp.clip(scale * jnp.sqrt(variance), least, most)


ADAPTATIONS: dict[str, Callable[..., jax.Array]] = {
    "spread": spread_strength,
    "constant": constant_strength,
}
"""The adaptations that have a name."""
