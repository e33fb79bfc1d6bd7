"""The normal distribution that CMA-ES draws from, and how it learns."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gaussian:
    """N(m, (sigma A)^2 C) over n dimensions, with what its adaptation remembers.

    Attributes:
        mean: f32[n], m.
        sigma: f32[], the step size.
        margin: f32[n], the diagonal of A, which keeps levels within reach.
        covariance: f32[n, n], C.
        root: f32[n, n], the symmetric square root of C.
        inverse_root: f32[n, n], its inverse.
        path_sigma: f32[n], the evolution path of the step size.
        path: f32[n], the evolution path of the covariance.
        updates: f32[], how often it has learnt.
    """

    mean: jax.Array
    sigma: jax.Array
    margin: jax.Array
    covariance: jax.Array
    root: jax.Array
    inverse_root: jax.Array
    path_sigma: jax.Array
    path: jax.Array
    updates: jax.Array

    @property
    def deviation(self) -> jax.Array:
        """f32[n], the standard deviation along each dimension."""
        return self.sigma * self.margin * jnp.sqrt(jnp.diagonal(self.covariance))


jax.tree_util.register_dataclass(
    Gaussian, [field.name for field in dataclasses.fields(Gaussian)], []
)


def round_about(mean: jax.Array, sigma: float) -> Gaussian:
    """The same deviation in every direction.

    Args:
        mean: f32[n].
        sigma: The deviation.
    """
    n = mean.shape[0]
    identity, zero = jnp.eye(n, dtype=jnp.float32), jnp.zeros((n,), jnp.float32)
    return Gaussian(
        mean=mean,
        sigma=jnp.full((), sigma, jnp.float32),
        margin=jnp.ones((n,), jnp.float32),
        covariance=identity,
        root=identity,
        inverse_root=identity,
        path_sigma=zero,
        path=zero,
        updates=jnp.zeros((), jnp.float32),
    )


def rank_weights(rank: jax.Array, size: jax.Array) -> jax.Array:
    """The recombination weights of the better half, ln((size + 1) / 2) - ln(rank + 1).

    Args:
        rank: i32[R], 0 for the best; ranks of ``size`` / 2 and more weigh nothing.
        size: f32[], lambda.

    Returns:
        f32[R] that sum to 1.
    """
    place = rank.astype(jnp.float32) + 1.0
    raw = jnp.log((size + 1.0) / 2.0) - jnp.log(place)
    weight = jnp.where(place <= jnp.floor(size / 2.0), raw, 0.0)
    return weight / jnp.sum(weight)


def learnt(gaussian: Gaussian, v: jax.Array, weight: jax.Array) -> Gaussian:
    """The distribution after one generation of CMA-ES.

    In the tutorial's symbols, with y_i = A^-1 (v_i - m) / sigma:

        m       <- m + sigma <y>_w
        p_sigma <- (1 - c_sigma) p_sigma
                   + sqrt(c_sigma (2 - c_sigma) mu_eff) C^-1/2 <y>_w
        p_c     <- (1 - c_c) p_c + h sqrt(c_c (2 - c_c) mu_eff) <y>_w
        C       <- (1 - c_1 - c_mu) C + c_1 p_c p_c' + c_mu sum_i w_i y_i y_i'
        sigma   <- sigma exp(c_sigma / d_sigma (|p_sigma| / E|N(0, I)| - 1))

    A y that is longer than sqrt(n) + 3 by C's measure, of a point that came from
    elsewhere, is shortened to that.

    Args:
        gaussian: Before.
        v: f32[R, n], points.
        weight: f32[R] from `rank_weights`; 0 where a point does not count.

    Reference:
        Hansen (2016), "The CMA evolution strategy: a tutorial". Differs from the paper:
        no negative weights, and long steps are shortened as in Hansen (2011),
        "Injecting external solutions into CMA-ES".
    """
    n = v.shape[1]
    mu = 1.0 / jnp.sum(weight**2)
    c_sigma = (mu + 2.0) / (n + mu + 5.0)
    grows = jnp.sqrt(jnp.maximum((mu - 1.0) / (n + 1.0), 0.0)) - 1.0
    d_sigma = 1.0 + 2.0 * jnp.maximum(0.0, grows) + c_sigma
    c_c = (4.0 + mu / n) / (n + 4.0 + 2.0 * mu / n)
    c_1 = 2.0 / ((n + 1.3) ** 2 + mu)
    c_mu = jnp.minimum(1.0 - c_1, 2.0 * (mu - 2.0 + 1.0 / mu) / ((n + 2.0) ** 2 + mu))
    length = math.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n**2))

    y = (v - gaussian.mean[None]) / (gaussian.sigma * gaussian.margin)[None]
    norm = jnp.linalg.norm(y @ gaussian.inverse_root, axis=1, keepdims=True)
    y = y * jnp.minimum(1.0, (math.sqrt(n) + 3.0) / jnp.maximum(norm, 1e-12))
    step = weight @ y
    updates = gaussian.updates + 1.0

    path_sigma = (1.0 - c_sigma) * gaussian.path_sigma + jnp.sqrt(
        c_sigma * (2.0 - c_sigma) * mu
    ) * (gaussian.inverse_root @ step)
    stretch = jnp.linalg.norm(path_sigma)
    settled = jnp.sqrt(1.0 - (1.0 - c_sigma) ** (2.0 * updates))
    steady = stretch < settled * (1.4 + 2.0 / (n + 1.0)) * length
    h = steady.astype(jnp.float32)
    path = (1.0 - c_c) * gaussian.path + h * jnp.sqrt(c_c * (2.0 - c_c) * mu) * step
    lost = c_1 * (1.0 - h) * c_c * (2.0 - c_c)
    covariance = (
        (1.0 - c_1 - c_mu + lost) * gaussian.covariance
        + c_1 * (path[:, None] * path[None])
        + c_mu * (y.T @ (weight[:, None] * y))
    )
    covariance = 0.5 * (covariance + covariance.T)
    growth = jnp.exp(jnp.minimum(c_sigma / d_sigma * (stretch / length - 1.0), 1.0))
    root, inverse_root = _roots(covariance)
    return dataclasses.replace(
        gaussian,
        mean=gaussian.mean + gaussian.sigma * step,
        sigma=jnp.clip(gaussian.sigma * growth, 1e-6, 1.0),
        covariance=covariance,
        root=root,
        inverse_root=inverse_root,
        path_sigma=path_sigma,
        path=path,
        updates=updates,
    )


def _roots(covariance: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The symmetric square root of a matrix, and its inverse."""
    values, vectors = jnp.linalg.eigh(covariance)
    lengths = jnp.sqrt(jnp.maximum(values, 1e-12))
    root = (vectors * lengths[None]) @ vectors.T
    return root, (vectors / lengths[None]) @ vectors.T


def with_margin(
    gaussian: Gaussian, low: jax.Array, high: jax.Array, least: jax.Array
) -> Gaussian:
    """Keeps the chance of leaving the mean's level at ``least`` or above.

    Within a cell (low, high) of some dimension, the chance to fall below or above it is
    raised to least / 2 or more each, by moving the mean and widening A; in the first or
    last cell the mean moves until the chance to leave it is ``least``.

    Args:
        gaussian: Its mean lies in the unit cube.
        low: f32[n], the lower ends of the cells that the mean lies in; 0 where first.
        high: f32[n], the upper ends; 1 where last, and all of [0, 1] where continuous.
        least: f32[], alpha.

    Reference:
        Hamano, Saito, Nomura and Shirakawa (2022), "CMA-ES with margin: lower-bounding
        marginal probability for mixed-integer black-box optimization". Differs from the
        paper: none.
    """
    mean, deviation = gaussian.mean, gaussian.deviation
    first, last = low <= 0.0, high >= 1.0
    # At the ends the mean is no further from its only wall than that chance allows.
    reach = -jax.scipy.special.ndtri(least) * deviation
    at_first = jnp.maximum(mean, high - reach)
    at_last = jnp.minimum(mean, low + reach)

    below = jax.scipy.special.ndtr((low - mean) / deviation)
    above = jax.scipy.special.ndtr((mean - high) / deviation)
    within = 1.0 - below - above
    raised_below = jnp.maximum(below, least / 2.0)
    raised_above = jnp.maximum(above, least / 2.0)
    total = raised_below + raised_above + within
    excess = (1.0 - total) / jnp.maximum(total - 1.5 * least, 1e-6)
    to_low = -jax.scipy.special.ndtri(
        raised_below + excess * (raised_below - least / 2.0)
    )
    to_high = -jax.scipy.special.ndtri(
        raised_above + excess * (raised_above - least / 2.0)
    )
    both = jnp.maximum(to_low + to_high, 1e-6)
    inner = (low * to_high + high * to_low) / both
    wider = gaussian.margin * (high - low) / both / deviation

    raised = (raised_below > below) | (raised_above > above)
    inside = ~first & ~last
    mean = jnp.where(inside & raised, inner, mean)
    mean = jnp.where(first & ~last, at_first, jnp.where(last & ~first, at_last, mean))
    return dataclasses.replace(
        gaussian,
        mean=mean,
        margin=jnp.where(inside & raised, wider, gaussian.margin),
    )
