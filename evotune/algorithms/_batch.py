"""A batch of different good ideas, chosen one after the other."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from evotune.algorithms._expected_improvement import log_expected_improvement


def believer_batch(
    mean: jax.Array,
    covariance: jax.Array,
    noise: jax.Array,
    allowed: jax.Array,
    best: jax.Array,
    *,
    size: int,
    acquisition: Callable[..., jax.Array] = log_expected_improvement,
) -> jax.Array:
    """Chooses rows by expected improvement, each as if those before it had come true.

    Row i, once chosen, is believed to turn out as predicted, which leaves all means as
    they are and takes c c^T from the covariance, c = C_i / sqrt(C_ii + noise). What is
    near a chosen row is then certain, and promises no improvement.

    Args:
        mean: f32[S], posterior means.
        covariance: f32[S, S], posterior covariance, without noise.
        noise: f32[], the variance of a trial.
        allowed: bool[S], which rows may be chosen; each is chosen once.
        best: f32[], what is to be improved on.
        size: Rows to choose.
        acquisition: What is looked for in the place of expected improvement.

    Returns:
        i32[size] different rows; once no other is allowed, row 0.

    Reference:
        Ginsbourger, Le Riche and Carraro (2010), "Kriging is well-suited to parallelize
        optimization". Differs from the paper: the variance is that of a trial, noise
        included, as it is trials among which the best is looked for.
    """

    def step(
        number: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        variance, taken, allowed, chosen = carry
        deviation = jnp.sqrt(variance + noise)
        promise = acquisition(mean, deviation, best)
        row = jnp.argmax(jnp.where(allowed, promise, -jnp.inf)).astype(jnp.int32)
        shared = covariance[row] - taken @ taken[row]
        column = shared / deviation[row]
        variance = jnp.maximum(variance - column**2, 1e-6)
        return (
            variance,
            taken.at[:, number].set(column),
            allowed.at[row].set(False),
            chosen.at[number].set(row),
        )

    carry = (
        jnp.maximum(jnp.diagonal(covariance), 1e-6),
        jnp.zeros((mean.shape[0], size), jnp.float32),
        allowed,
        jnp.zeros((size,), jnp.int32),
    )
    return jax.lax.fori_loop(0, size, step, carry)[3]
