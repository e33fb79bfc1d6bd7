"""The logarithm of expected improvement, exact where improvement is hopeless too."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

_FAR = -2.0
"""Below it, the direct formula cancels."""

_TERMS = 16
"""Of the continued fraction: within 2e-5 at ``_FAR``, exact in float32 beyond -3."""


def log_expected_improvement(
    mean: jax.Array, deviation: jax.Array, best: jax.Array
) -> jax.Array:
    """Log E[max(y - best, 0)] for y ~ N(mean, deviation^2): log deviation + log h(z).

    With z = (mean - best) / deviation, h(z) = phi(z) + z Phi(z). Expected improvement
    itself is 0 in float32 below z = -14, where its logarithm still ranks.

    Args:
        mean: f32[P].
        deviation: f32[P], positive.
        best: f32[], what is to be improved on.

    Returns:
        f32[P].

    Example:
        >>> import jax.numpy as jnp
        >>> far = log_expected_improvement(jnp.zeros(1), jnp.ones(1), jnp.float32(40.0))
        >>> round(float(far[0]), 2)
        -808.3

    Reference:
        Ament et al. (2023), "Unexpected improvements to expected improvement for
        Bayesian optimization". Differs from the paper: see `log_h`.
    """
    return jnp.log(deviation) + log_h((mean - best) / deviation)


def log_h(z: jax.Array) -> jax.Array:
    """log(phi(z) + z Phi(z)), with finite gradients everywhere.

    For t = -z, h = phi(t) (1 - t R(t)) with Mills' ratio R(t). Its continued fraction
    R = 1 / (t + K), K = 1 / (t + 2 / (t + 3 / (t + ...))), gives h = phi(t) K / (t + K)
    where nothing cancels.

    Args:
        z: f32[...].

    Reference:
        Laplace (1805), "Traité de mécanique céleste", for the continued fraction. Ament
        et al. (2023) reach the same figure by the scaled complementary error function,
        which JAX does not have.
    """
    near = jnp.maximum(z, _FAR)  # so that no branch has an infinite gradient
    density = jnp.exp(-0.5 * near * near) * np.float32(1.0 / math.sqrt(2.0 * math.pi))
    direct = jnp.log(density + near * jax.scipy.stats.norm.cdf(near))

    t = -jnp.minimum(z, _FAR)
    fraction = t
    for term in range(_TERMS, 1, -1):
        fraction = t + term / fraction
    tail = (
        -0.5 * t * t
        - np.float32(0.5 * math.log(2.0 * math.pi))
        - jnp.log(t * fraction + 1.0)
    )
    return jnp.where(z > _FAR, direct, tail)
