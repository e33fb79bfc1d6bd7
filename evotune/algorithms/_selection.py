"""Parent selection: which places of a ranked population become parents.

Each function maps uniform numbers to places by the inverse of the method's cumulative
distribution, so one number makes one choice, and stratified numbers make a stratified
choice (Baker's stochastic universal sampling).

All take ``u``, f32[R] in [0, 1), and ``fitness``, f32[N], best first, with -inf on the
places that hold nobody (they come last, and are never chosen unless all are such).
All return i32[R] places in [0, N).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp


class Selection(Protocol):
    """Chooses parents: ``(u f32[R], fitness f32[N]) -> i32[R]``."""

    def __call__(self, u: jax.Array, fitness: jax.Array) -> jax.Array:
        """The places of R parents."""
        ...


def _filled(fitness: jax.Array) -> jax.Array:
    """f32[], how many places hold somebody; at least 1."""
    return jnp.maximum(jnp.sum(jnp.isfinite(fitness), dtype=jnp.float32), 1.0)


def _places(position: jax.Array, filled: jax.Array) -> jax.Array:
    """Rounds positions in [0, filled] down to places, i32[R]."""
    return jnp.clip(jnp.floor(position), 0.0, filled - 1.0).astype(jnp.int32)


def tournament_selection(
    u: jax.Array, fitness: jax.Array, *, size: float = 2.0
) -> jax.Array:
    """The best of ``size`` places drawn with replacement.

    The best of k uniform ranks among m is at rank r or beyond with probability
    ((m - r) / m)^k, so floor(m (1 - u^(1/k))) has the distribution of the winner, ties
    going to the earlier place.

    Args:
        u: f32[R] in [0, 1).
        fitness: f32[N], best first.
        size: k, at least 1; 1 chooses uniformly.

    Example:
        >>> import jax.numpy as jnp
        >>> fitness = jnp.asarray([0.9, 0.8, 0.5, -jnp.inf])
        >>> tournament_selection(jnp.asarray([0.0, 0.5, 0.99]), fitness, size=2)
        Array([2, 0, 0], dtype=int32)

    Reference:
        Goldberg and Deb (1991), "A comparative analysis of selection schemes used in
        genetic algorithms". Differs from the paper: the winner's rank is drawn from its
        distribution, not by drawing the contestants.
    """
    filled = _filled(fitness)
    return _places(filled * (1.0 - u ** (1.0 / size)), filled)


def linear_rank_selection(
    u: jax.Array, fitness: jax.Array, *, pressure: float = 1.5
) -> jax.Array:
    """Chances fall linearly with rank, from ``pressure`` / m to (2 - pressure) / m.

    With s the pressure and t = r / m, the cumulative distribution is s t - (s - 1) t^2.

    Args:
        u: f32[R] in [0, 1).
        fitness: f32[N], best first.
        pressure: s in [1, 2], the expected number of children of the best among m.

    Reference:
        Baker (1985), "Adaptive selection methods for genetic algorithms". Differs from
        the paper: ranks are continuous before they are rounded down.
    """
    filled = _filled(fitness)
    # The root of (s - 1) t^2 - s t + u in the form that holds for s = 1 too.
    root = jnp.sqrt(jnp.maximum(pressure**2 - 4.0 * (pressure - 1.0) * u, 0.0))
    return _places(filled * 2.0 * u / (pressure + root), filled)


def roulette_selection(u: jax.Array, fitness: jax.Array) -> jax.Array:
    """Chances in proportion to fitness above the worst place that holds somebody.

    Where all are equally fit, all have the same chance.

    Args:
        u: f32[R] in [0, 1).
        fitness: f32[N], best first.

    Reference:
        Holland (1975), "Adaptation in Natural and Artificial Systems". Differs from the
        book: fitness is shifted so that the worst has weight 0, for scores of any sign.
    """
    known = jnp.isfinite(fitness)
    worst = jnp.min(jnp.where(known, fitness, jnp.inf))
    weight = jnp.where(known, fitness - worst, 0.0)
    flat = jnp.sum(weight) <= 0.0
    total = jnp.cumsum(jnp.where(flat, known.astype(jnp.float32), weight))
    place = jnp.searchsorted(total, u * total[-1], side="right")
    return jnp.clip(place, 0, _filled(fitness).astype(jnp.int32) - 1)


def truncation_selection(
    u: jax.Array, fitness: jax.Array, *, fraction: float = 0.25
) -> jax.Array:
    """Equal chances for the best ``fraction`` of the places, none for the rest.

    Args:
        u: f32[R] in [0, 1).
        fitness: f32[N], best first.
        fraction: In (0, 1]; at least one place is kept.

    Reference:
        Muehlenbein and Schlierkamp-Voosen (1993), "Predictive models for the breeder
        genetic algorithm". Differs from the paper: none.
    """
    filled = _filled(fitness)
    kept = jnp.maximum(jnp.ceil(filled * fraction), 1.0)
    return _places(kept * u, kept)


SELECTIONS: dict[str, Callable[..., jax.Array]] = {
    "tournament": tournament_selection,
    "linear_rank": linear_rank_selection,
    "roulette": roulette_selection,
    "truncation": truncation_selection,
}
"""The selections that have a name."""
