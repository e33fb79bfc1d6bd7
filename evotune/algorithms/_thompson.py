"""A batch of the best rows of functions drawn from what is known."""

from __future__ import annotations

import jax
import jax.numpy as jnp

_RIDGE = 1e-3
"""Added to variances, as rounding makes covariances of many near rows indefinite."""


def thompson_batch(
    mean: jax.Array, covariance: jax.Array, normal: jax.Array, allowed: jax.Array
) -> jax.Array:
    """Chooses the best row of each of some functions drawn from the posterior.

    A row is chosen as often as it is likely to be the best of all, so rows differ as
    much as the posterior is in doubt.

    Args:
        mean: f32[S], posterior means.
        covariance: f32[S, S], posterior covariance, without noise.
        normal: f32[P, S], standard normal numbers, a row for each function.
        allowed: bool[S], which rows may be chosen; each is chosen once.

    Returns:
        i32[P] different rows; once no other is allowed, row 0.

    Reference:
        Thompson (1933), "On the likelihood that one unknown probability exceeds
        another"; in batches, Kandasamy et al. (2018), "Parallelised Bayesian
        optimisation via Thompson sampling". Differs from the papers: functions are
        drawn at the candidates only, and a row that one has chosen is not another's.
    """
    size = normal.shape[0]
    ridge = jnp.float32(_RIDGE) * jnp.eye(mean.shape[0], dtype=jnp.float32)
    factor = jnp.linalg.cholesky(covariance + ridge)
    drawn = mean[None] + normal @ factor.T

    def step(
        number: jax.Array, carry: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        allowed, chosen = carry
        row = jnp.argmax(jnp.where(allowed, drawn[number], -jnp.inf)).astype(jnp.int32)
        return allowed.at[row].set(False), chosen.at[number].set(row)

    carry = (allowed, jnp.zeros((size,), jnp.int32))
    return jax.lax.fori_loop(0, size, step, carry)[1]
