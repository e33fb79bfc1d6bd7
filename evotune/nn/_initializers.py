"""Initial values that do not depend on padding."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.nn._traced import Size, active, capacity, unit_mask

# Standard deviation of a unit normal truncated to [-2, 2], as in flax and Keras.
_TRUNCATED_STDDEV = 0.87962566103423978


def lecun_normal(
    key: jax.Array, inputs: int | Size, outputs: int | Size, dtype: jnp.dtype
) -> jax.Array:
    """A truncated-normal kernel of variance 1 / (active inputs); zero where unused.

    Draws are prefix-stable: row r is drawn from ``fold_in(key, r)``, and element c of a
    row does not depend on the length of the row, so that entry (r, c) is the same for
    every capacity. ``key`` is consumed.

    Args:
        key: A PRNG key.
        inputs: Fan-in.
        outputs: Fan-out.
        dtype: dtype of the kernel.

    Returns:
        dtype[capacity(inputs), capacity(outputs)].

    Reference:
        LeCun, Bottou, Orr, Mueller (1998), Efficient BackProp, section 4.6.
    """
    rows = jnp.arange(capacity(inputs))
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    width = capacity(outputs)
    with jax.threefry_partitionable(True):
        draws = jax.vmap(
            lambda row_key: jax.random.truncated_normal(
                row_key, -2.0, 2.0, (width,), dtype
            )
        )(keys)
    fan_in = jnp.maximum(jnp.asarray(active(inputs), dtype), jnp.asarray(1, dtype))
    kernel = draws * (jax.lax.rsqrt(fan_in) / _TRUNCATED_STDDEV).astype(dtype)
    row_mask, column_mask = unit_mask(inputs), unit_mask(outputs)
    if row_mask is not None:
        kernel = jnp.where(row_mask[:, None], kernel, jnp.zeros_like(kernel))
    if column_mask is not None:
        kernel = jnp.where(column_mask[None, :], kernel, jnp.zeros_like(kernel))
    return kernel
