"""Residual connections: adding what a layer has read to what it makes."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def with_residual(
    hidden: jax.Array,
    x: jax.Array,
    residual: bool | jax.Array,
    same: bool | jax.Array = True,
    *,
    drop: Callable[[jax.Array], jax.Array] = lambda hidden: hidden,
) -> jax.Array:
    """drop(hidden) + x where ``residual`` holds and both have the ``same`` active size.

    Else ``hidden``, of which nothing is dropped.
    """
    if residual is False or same is False:
        return hidden
    added = drop(hidden) + resized(x, hidden.shape[-1])
    if residual is True and same is True:
        return added
    return jnp.where(jnp.logical_and(residual, same), added, hidden)


def resized(x: jax.Array, units: int) -> jax.Array:
    """``x`` with its last axis cut or padded by zeros; unused units only."""
    missing = units - x.shape[-1]
    if missing <= 0:
        return x[..., :units] if missing else x
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)])


def path_rate(
    rate: float | jax.Array, before: int | jax.Array, layers: int | jax.Array
) -> float | jax.Array:
    """Rate at which the layer that has ``before`` others below it drops its branch.

    rate * (before + 1) / layers, which rises linearly to ``rate`` at the last of them:
    see `nn.drop_path`.
    """
    if isinstance(rate, float) and rate == 0.0:
        return rate
    if isinstance(before, int) and isinstance(layers, int):
        return rate * ((before + 1) / layers)
    place = jnp.asarray(before + 1, jnp.float32) / jnp.asarray(layers, jnp.float32)
    return jnp.asarray(rate, jnp.float32) * place
