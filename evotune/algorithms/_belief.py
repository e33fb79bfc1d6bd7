"""Trials under way, taken to turn out as they are predicted."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune.algorithms._gaussian_process import (
    GaussianProcess,
    inverse_factor,
)
from evotune.algorithms._kernel import covariance


def believe(process: GaussianProcess, x: jax.Array, real: jax.Array) -> GaussianProcess:
    """The process that has been told some rows more, with the values it predicts.

    No mean changes, and what is near a believed row is more certain. Cheaper than to
    start anew: with L the factor of the N trials, A = L^-1 k(X, x) and B the factor of
    the rows' own posterior covariance, noise included, the inverse of the factor of all
    is [[L^-1, 0], [-B^-1 A^T L^-1, B^-1]].

    Args:
        process: Of N trials.
        x: f32[R, D], canonical rows.
        real: bool[R], which of them count.

    Returns:
        The process of N + R trials.

    Reference:
        Ginsbourger, Le Riche and Carraro (2010), "Kriging is well-suited to parallelize
        optimization". Differs from the paper: none.
    """
    lengths = process.hyperparameters.log_lengths
    columns = process.predict(x)[2]
    joint = covariance(x, x, lengths, process.geometry) - columns.T @ columns
    own = inverse_factor(joint, real, process.hyperparameters.log_noise)
    cross = jnp.where(real[:, None], own @ (columns.T @ process.factor), 0.0)
    blank = jnp.zeros((process.x.shape[0], x.shape[0]), jnp.float32)
    return dataclasses.replace(
        process,
        x=jnp.concatenate([process.x, x]),
        known=jnp.concatenate([process.known, real]),
        factor=jnp.block([[process.factor, blank], [-cross, own]]),
        weights=jnp.concatenate([process.weights, jnp.zeros(real.shape, jnp.float32)]),
    )
