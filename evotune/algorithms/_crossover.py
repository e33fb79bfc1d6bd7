"""Crossover: one child of two parents.

All take ``u``, f32[P, D] in [0, 1), and parents ``a`` and ``b``, f32[P, D] in the unit
cube, and return f32[P, D] children in the unit cube. All are complementary: swapping
the parents gives the other child of the pair, and the two add up to ``a + b`` wherever
neither was clipped, so that each method keeps the parents' mean. Calling twice, with
the parents swapped, gives both children.

Coordinates of categorical dimensions may come out between two categories; the genetic
algorithm then gives them those of either parent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp


class Crossover(Protocol):
    """Makes children: ``(u, a, b) -> child``, each f32[P, D]."""

    def __call__(self, u: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        """One child of each pair."""
        ...


def uniform_crossover(u: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """Each coordinate from either parent, by a fair coin.

    Args:
        u: f32[P, D] in [0, 1).
        a: f32[P, D] first parents.
        b: f32[P, D] second parents.

    Example:
        >>> import jax.numpy as jnp
        >>> u = jnp.asarray([[0.2, 0.7, 0.4]])
        >>> uniform_crossover(u, jnp.zeros((1, 3)), jnp.ones((1, 3)))
        Array([[0., 1., 0.]], dtype=float32)

    Reference:
        Syswerda (1989), "Uniform crossover in genetic algorithms". Differs from the
        paper: none.
    """
    return jnp.where(u < 0.5, a, b)


def one_point_crossover(u: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """The coordinates before a random cut from ``a``, those after it from ``b``.

    Args:
        u: f32[P, D] in [0, 1); the first column places the cut at 1 to D - 1.
        a: f32[P, D] first parents.
        b: f32[P, D] second parents.

    Reference:
        Holland (1975), "Adaptation in Natural and Artificial Systems". Differs from the
        book: with one dimension there is no cut, and the child is ``a``.
    """
    dimensions = a.shape[1]
    cut = 1.0 + jnp.floor(u[:, :1] * max(dimensions - 1, 1))
    return jnp.where(jnp.arange(dimensions, dtype=jnp.float32)[None] < cut, a, b)


def two_point_crossover(u: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """The coordinates between two random cuts from ``b``, the others from ``a``.

    The dimensions are a ring, so that the first and the last are neighbours, and the
    two cuts differ.

    Args:
        u: f32[P, D] in [0, 1); the first column places one cut, the last the length.
        a: f32[P, D] first parents.
        b: f32[P, D] second parents.

    Reference:
        De Jong (1975), "An analysis of the behavior of a class of genetic adaptive
        systems". Differs from the thesis: with one dimension the child is ``a``.
    """
    dimensions = a.shape[1]
    if dimensions == 1:
        return a
    start = jnp.floor(u[:, :1] * dimensions)
    length = 1.0 + jnp.floor(u[:, -1:] * (dimensions - 1))
    offset = (jnp.arange(dimensions, dtype=jnp.float32)[None] - start) % dimensions
    return jnp.where(offset < length, b, a)


def blend_crossover(
    u: jax.Array, a: jax.Array, b: jax.Array, *, alpha: float = 0.3
) -> jax.Array:
    """BLX-alpha: each coordinate uniform on the parents' interval, widened by alpha.

    With d = b - a, the child is a + w d, where w is uniform on [-alpha, 1 + alpha].

    Args:
        u: f32[P, D] in [0, 1).
        a: f32[P, D] first parents.
        b: f32[P, D] second parents.
        alpha: By how many lengths of the interval it grows at each end.

    Reference:
        Eshelman and Schaffer (1993), "Real-coded genetic algorithms and
        interval-schemata". Differs from the paper: children are clipped to the cube.
    """
    weight = u * (1.0 + 2.0 * alpha) - alpha
    return jnp.clip(a + weight * (b - a), 0.0, 1.0)


def simulated_binary_crossover(
    u: jax.Array, a: jax.Array, b: jax.Array, *, eta: float = 15.0
) -> jax.Array:
    """SBX: children lie about the parents as those of one-point binary crossover do.

    With v uniform, beta = (2 v)^(1 / (eta + 1)) where v <= 1/2, else
    (1 / (2 (1 - v)))^(1 / (eta + 1)); the child is ((1 + s) a + (1 - s) b) / 2 with
    s = beta or -beta by a fair coin. The coin and v are both read off one number.

    Args:
        u: f32[P, D] in [0, 1).
        a: f32[P, D] first parents.
        b: f32[P, D] second parents.
        eta: Distribution index; the larger, the nearer children are to parents.

    Reference:
        Deb and Agrawal (1995), "Simulated binary crossover for continuous search
        space". Differs from the paper: every coordinate crosses, and children are
        clipped to the cube.
    """
    v = jnp.abs(2.0 * u - 1.0)
    power = 1.0 / (eta + 1.0)
    inner = (2.0 * v) ** power
    outer = (0.5 / jnp.maximum(1.0 - v, 1e-7)) ** power
    beta = jnp.where(v <= 0.5, inner, outer)
    signed = jnp.where(u < 0.5, beta, -beta)
    child = 0.5 * ((a + b) + signed * (a - b))
    return jnp.clip(child, 0.0, 1.0)


CROSSOVERS: dict[str, Callable[..., jax.Array]] = {
    "uniform": uniform_crossover,
    "one_point": one_point_crossover,
    "two_point": two_point_crossover,
    "blend": blend_crossover,
    "simulated_binary": simulated_binary_crossover,
}
"""The crossovers that have a name."""
