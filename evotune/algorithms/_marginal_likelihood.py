"""The length scales and the noise that explain some trials best."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import optax

from evotune._contracts import Geometry
from evotune.algorithms._gaussian_process import (
    Hyperparameters,
    inverse_factor,
)
from evotune.algorithms._kernel import matern, matern_slope, squared_differences


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior:
    """What is thought of a space before any trial: logarithms are normal.

    Attributes:
        length: The median length scale, in unit-cube lengths, of one dimension; that of
            D is sqrt(D) times as long, as distances are.
        length_spread: Standard deviation of its logarithm.
        noise: The median variance of the noise, where that of all trials is 1.
        noise_spread: Standard deviation of its logarithm.

    Reference:
        Hvarfner, Hellsten and Nardi (2024), "Vanilla Bayesian optimization performs
        great in high dimensions", for the factor sqrt(D).
    """

    length: float
    length_spread: float
    noise: float
    noise_spread: float

    def median(self, dimensions: int) -> Hyperparameters:
        """The hyperparameters in the middle of the prior."""
        log_length = math.log(self.length) + 0.5 * math.log(dimensions)
        return Hyperparameters(
            log_lengths=jnp.full((dimensions,), log_length, jnp.float32),
            log_noise=jnp.full((), math.log(self.noise), jnp.float32),
        )


def most_likely(
    x: jax.Array,
    y: jax.Array,
    known: jax.Array,
    geometry: Geometry,
    prior: Prior,
    *,
    unit: jax.Array | float = 1.0,
    steps: int,
    learning_rate: float = 0.1,
) -> Hyperparameters:
    """Maximises the marginal likelihood times the prior by Adam, from its middle.

    Args:
        x: f32[N, D], canonical.
        y: f32[N] values, about 0 and of about unit variance.
        known: bool[N], which rows count; where none does, the prior's middle is best.
        geometry: The space.
        prior: Of the hyperparameters.
        unit: f32[D], what the prior's lengths are in, in unit-cube lengths.
        steps: Of Adam.
        learning_rate: Of Adam, in units of the logarithms.
    """
    unit = jnp.broadcast_to(unit, (geometry.dimensions,)).astype(jnp.float32)
    squared = squared_differences(x, x, geometry) / (unit**2)[:, None, None]
    start = prior.median(geometry.dimensions)
    adam = optax.adam(learning_rate)

    def step(
        carry: tuple[Hyperparameters, optax.OptState], _: None
    ) -> tuple[tuple[Hyperparameters, optax.OptState], None]:
        point, state = carry
        slope = _slope(point, squared, y, known, prior)
        with jax.numpy_dtype_promotion("standard"):  # optax counts in integers
            update, state = adam.update(slope, state)
        return (optax.apply_updates(point, update), state), None

    found = jax.lax.scan(step, (start, adam.init(start)), length=steps)[0][0]
    return dataclasses.replace(found, log_lengths=found.log_lengths + jnp.log(unit))


def _slope(
    point: Hyperparameters,
    squared: jax.Array,
    y: jax.Array,
    known: jax.Array,
    prior: Prior,
) -> Hyperparameters:
    """The gradient of the negative logarithm of likelihood times prior.

    That of the likelihood is sum_ij W_ij dC_ij with C the trials' covariance and
    W = (C^-1 - w w^T) / 2, w = C^-1 y (Rasmussen and Williams, equation 5.9), so that
    nothing is differentiated through the Cholesky factor.
    """
    scale = jnp.exp(-2.0 * point.log_lengths)
    distance = jnp.tensordot(scale, squared, 1)
    factor = inverse_factor(matern(distance), known, point.log_noise)
    weights = factor.T @ (factor @ jnp.where(known, y, 0.0))
    slopes = 0.5 * (factor.T @ factor - weights[:, None] * weights[None])
    # Rows that do not count are those of the identity: 0 but on the diagonal, where
    # nothing is a distance.
    pulls = slopes * matern_slope(distance)
    lengths = -2.0 * scale * jnp.tensordot(squared, pulls, 2)
    own = jnp.where(known, jnp.diagonal(slopes), 0.0)
    noise = jnp.exp(point.log_noise) * jnp.sum(own)

    middle = prior.median(point.log_lengths.shape[0])
    longer = point.log_lengths - middle.log_lengths
    louder = point.log_noise - middle.log_noise
    return Hyperparameters(
        log_lengths=lengths + longer / prior.length_spread**2,
        log_noise=noise + louder / prior.noise_spread**2,
    )
