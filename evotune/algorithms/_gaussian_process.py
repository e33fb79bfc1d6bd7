"""A Gaussian process: what trials say about configurations that were not tried."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry
from evotune.algorithms._kernel import covariance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What is learnt of the trials beside their values.

    Attributes:
        log_lengths: f32[D], logarithms of length scales in unit-cube lengths.
        log_noise: f32[], logarithm of the variance of a trial about the function.
    """

    log_lengths: jax.Array
    log_noise: jax.Array


jax.tree_util.register_dataclass(Hyperparameters, ["log_lengths", "log_noise"], [])


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianProcess:
    """The posterior of a function of prior mean 0 and variance 1, given N trials.

    Attributes:
        geometry: The space, static.
        x: f32[N, D], canonical rows of the trials.
        known: bool[N], which rows count.
        hyperparameters: Of the kernel.
        factor: f32[N, N], the inverse of the Cholesky factor of the trials' covariance.
        weights: f32[N], so that the mean at x* is k(x*, x) weights.
    """

    geometry: Geometry
    x: jax.Array
    known: jax.Array
    hyperparameters: Hyperparameters
    factor: jax.Array
    weights: jax.Array

    def predict(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The mean and variance of the function at some rows, without noise.

        Args:
            x: f32[P, D], canonical.

        Returns:
            f32[P] means, f32[P] variances, and f32[N, P] columns a_i, such that the
            posterior covariance of rows i and j is k(x_i, x_j) - a_i . a_j.
        """
        lengths = self.hyperparameters.log_lengths
        cross = covariance(self.x, x, lengths, self.geometry)
        cross = jnp.where(self.known[:, None], cross, 0.0)
        columns = self.factor @ cross
        variance = 1.0 - jnp.sum(columns**2, axis=0)
        return self.weights @ cross, jnp.maximum(variance, 1e-6), columns

    def joint(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """f32[P] means of rows f32[P, D], and f32[P, P] covariances, without noise."""
        mean, _, columns = self.predict(x)
        prior = covariance(x, x, self.hyperparameters.log_lengths, self.geometry)
        return mean, prior - columns.T @ columns


jax.tree_util.register_dataclass(
    GaussianProcess,
    ["x", "known", "hyperparameters", "factor", "weights"],
    ["geometry"],
)


def condition(
    x: jax.Array,
    y: jax.Array,
    known: jax.Array,
    hyperparameters: Hyperparameters,
    geometry: Geometry,
) -> GaussianProcess:
    """The Gaussian process that knows some trials.

    Args:
        x: f32[N, D], canonical.
        y: f32[N] values, about 0 and of about unit variance.
        known: bool[N]; other rows change nothing, so that N can stay as it is while
            trials come in.
        hyperparameters: Of the kernel.
        geometry: The space.

    Example:
        >>> import jax.numpy as jnp
        >>> from evotune.testing import cube, floating
        >>> told = Hyperparameters(log_lengths=jnp.zeros(1), log_noise=jnp.float32(-9))
        >>> x, y = jnp.asarray([[0.2], [0.8]]), jnp.asarray([1.0, -1.0])
        >>> process = condition(x, y, jnp.ones(2, bool), told, cube(floating()))
        >>> process.predict(x)[0].round(2)
        Array([ 1., -1.], dtype=float32)

    Reference:
        Rasmussen and Williams (2006), "Gaussian processes for machine learning",
        algorithm 2.1. Differs from the book: the factor is inverted once, so that
        predictions are matrix products.
    """
    prior = covariance(x, x, hyperparameters.log_lengths, geometry)
    factor = inverse_factor(prior, known, hyperparameters.log_noise)
    weights = factor.T @ (factor @ jnp.where(known, y, 0.0))
    return GaussianProcess(
        geometry=geometry,
        x=x,
        known=known,
        hyperparameters=hyperparameters,
        factor=factor,
        weights=weights,
    )


def noise_variance(log_noise: jax.Array) -> jax.Array:
    """f32[], at least 3e-4: what rounding adds to covariances of 512 equal trials."""
    return jnp.exp(log_noise) + 3e-4


def inverse_factor(
    prior: jax.Array, known: jax.Array, log_noise: jax.Array
) -> jax.Array:
    """f32[N, N], the inverse of L with L L^T = prior + noise, lower triangular.

    Args:
        prior: f32[N, N], covariances without noise.
        known: bool[N]; rows that do not count become those of the identity.
        log_noise: f32[].
    """
    both = known[:, None] & known[None]
    own = jnp.where(known, jnp.diagonal(prior) + noise_variance(log_noise), 1.0)
    noisy = jnp.fill_diagonal(jnp.where(both, prior, 0.0), own, inplace=False)
    identity = jnp.eye(prior.shape[0], dtype=prior.dtype)
    factor = jnp.linalg.cholesky(noisy)
    return jax.scipy.linalg.solve_triangular(factor, identity, lower=True)
