"""Stochastic depth: a residual branch dropped for whole examples."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen

from evotune.nn._dropout import divisor


def drop_path(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Zeroes whole examples of x with probability ``rate``, scales the rest.

    y_b = x_b * keep_b / (1 - rate), keep_b ~ Bernoulli(1 - rate) for each example b, so
    that the expectation of y is x. More examples only append draws. ``key`` is
    consumed.

    Args:
        key: A PRNG key.
        x: f[B, ...], what a residual branch adds.
        rate: Probability of zeroing, in [0, 1].

    Reference:
        Huang, Sun, Liu, Sedra, Weinberger (2016), Deep networks with stochastic depth.
        Differs from the paper: examples are drawn one by one, not a batch at once, and
        the branch is scaled in training instead of in evaluation.

    Example:
        >>> import jax
        >>> from evotune import nn
        >>> y = nn.drop_path(jax.random.key(1), jax.numpy.ones((4, 2)), 0.5)
        >>> y.tolist()
        [[2.0, 2.0], [0.0, 0.0], [2.0, 2.0], [2.0, 2.0]]
    """
    keep = 1.0 - jnp.asarray(rate, jnp.float32)
    with jax.threefry_partitionable(True):
        kept = jax.random.bernoulli(key, keep, x.shape[:1])
    kept = jax.lax.expand_dims(kept, range(1, x.ndim))
    return jnp.where(kept, x / divisor(keep, x.dtype), jnp.zeros_like(x))


class DropPath(linen.Module):
    """`drop_path` in training, with a rate that may be traced.

    Attributes:
        rate: Probability of dropping an example's branch, in [0, 1]. A Python 0.0 draws
            nothing.
    """

    rate: float | jax.Array

    @linen.compact
    def __call__(self, x: jax.Array, *, deterministic: bool) -> jax.Array:
        """f[B, ...], unchanged where ``deterministic``."""
        if deterministic or (isinstance(self.rate, float) and self.rate == 0.0):
            return x
        return drop_path(self.make_rng("dropout"), x, self.rate)
