"""What a configuration promises, given what is predicted of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

from evotune.algorithms._expected_improvement import log_expected_improvement


class Acquisition(Protocol):
    """Ranks rows: ``(mean f32[P], deviation f32[P], best f32[]) -> f32[P]``.

    Larger is better: the logarithm of something positive, so that it can be multiplied.
    All are in units of normal scores (`normal_scores`), of mean 0 and variance 1 over
    the trials; ``deviation`` is that of a trial, noise included.
    """

    def __call__(
        self, mean: jax.Array, deviation: jax.Array, best: jax.Array
    ) -> jax.Array:
        """What each row promises."""
        ...


def log_probability_of_improvement(
    mean: jax.Array, deviation: jax.Array, best: jax.Array
) -> jax.Array:
    """Log P[y > best] for y ~ N(mean, deviation^2): likely steps, however small.

    Args:
        mean: f32[P].
        deviation: f32[P], positive.
        best: f32[], what is to be improved on.

    Example:
        >>> import jax.numpy as jnp
        >>> float(log_probability_of_improvement(*jnp.asarray([[1.0], [2.0]]), 1.0)[0])
        -0.6931471824645996

    Reference:
        Kushner (1964), "A new method of locating the maximum point of an arbitrary
        multipeak curve in the presence of noise". Differs from the paper: there is no
        margin by which to improve.
    """
    return jax.scipy.stats.norm.logcdf((mean - best) / deviation)


def upper_confidence_bound(
    mean: jax.Array, deviation: jax.Array, best: jax.Array, *, beta: float = 2.0
) -> jax.Array:
    """Log log(1 + exp(mean + beta x deviation)): what a row may be, with some luck.

    Args:
        mean: f32[P].
        deviation: f32[P], positive.
        best: f32[], not read.
        beta: Deviations of luck; the larger, the more is explored.

    Reference:
        Srinivas et al. (2010), "Gaussian process optimization in the bandit setting: no
        regret and experimental design". Differs from the paper: beta stays, and is the
        root of theirs; the bound is made positive as Gonzalez et al. (2016) do.
    """
    del best
    return jnp.log(jax.nn.softplus(mean + beta * deviation))


ACQUISITIONS: dict[str, Callable[..., jax.Array]] = {
    "log_expected_improvement": log_expected_improvement,
    "log_probability_of_improvement": log_probability_of_improvement,
    "upper_confidence_bound": upper_confidence_bound,
}
"""The acquisitions that have a name."""
