"""Initial values that do not depend on padding."""

from __future__ import annotations

import math

import jax
import jax.extend
import jax.numpy as jnp

from evotune.nn._traced import Size, active, capacity, unit_mask

# Standard deviation of a unit normal truncated to [-2, 2], as in flax and Keras.
_TRUNCATED_STDDEV = 0.87962566103423978


def lecun_normal(
    key: jax.Array, inputs: int | Size, outputs: int | Size, dtype: jnp.dtype
) -> jax.Array:
    """A truncated-normal kernel of variance 1 / (active inputs); zero where unused.

    Entry (r, c) is the same for every capacity. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        inputs: Fan-in.
        outputs: Fan-out.
        dtype: dtype of the kernel.

    Returns:
        dtype[capacity(inputs), capacity(outputs)].

    Reference:
        LeCun, Bottou, Orr, Mueller (1998), Efficient BackProp, section 4.6.
    """
    draws = _truncated_normal(_bits(key, capacity(inputs), capacity(outputs)))
    fan_in = jnp.maximum(jnp.asarray(active(inputs), jnp.float32), 1.0)
    kernel = draws * (jax.lax.rsqrt(fan_in) / _TRUNCATED_STDDEV)
    for axis, mask in enumerate((unit_mask(inputs), unit_mask(outputs))):
        if mask is not None:
            used = jnp.expand_dims(mask, 1 - axis)
            kernel = jnp.where(used, kernel, jnp.zeros_like(kernel))
    return kernel.astype(dtype)


def _bits(key: jax.Array, rows: int, columns: int) -> jax.Array:
    """u32[rows, columns] random bits; those of (r, c) depend on key, r and c alone.

    One threefry call on the counters (r, c): a key for each row, by `fold_in`, would
    take two, and their code is a third of what a small training program compiles.
    """
    shape = (rows, columns)
    counters = [jax.lax.broadcasted_iota(jnp.uint32, shape, axis) for axis in (0, 1)]
    counter = jnp.concatenate([c.ravel() for c in counters])
    words = jax.extend.random.threefry_2x32(jax.random.key_data(key), counter)
    first, second = jnp.split(words, 2)
    return (first ^ second).reshape(shape)


def _truncated_normal(bits: jax.Array) -> jax.Array:
    """f32 draws from a unit normal truncated to [-2, 2], by inversion."""
    one = jnp.uint32(0x3F800000)  # the bits of 1.0: the mantissa then spans [1, 2)
    mantissa = jax.lax.shift_right_logical(bits, jnp.uint32(9))
    uniform = jax.lax.bitcast_convert_type(mantissa | one, jnp.float32) - 1.0
    bound = math.erf(2.0 / math.sqrt(2.0))
    draws = math.sqrt(2.0) * jax.lax.erf_inv((2.0 * uniform - 1.0) * bound)
    return jnp.clip(draws, -2.0, 2.0)
