"""Initial values that do not depend on padding."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import jax
import jax.extend
import jax.numpy as jnp

from evotune.nn._traced import Size, active, capacity, unit_mask

# Standard deviation of a unit normal truncated to [-2, 2], as in flax and Keras.
_TRUNCATED_STDDEV = 0.87962566103423978

_GRID = 24  # rows of a kernel are counted in these bits, kernels in those above


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
    return lecun_normals(key, [(inputs, outputs)], dtype)[0]


def lecun_normals(
    key: jax.Array, shapes: Sequence[tuple[int | Size, int | Size]], dtype: jnp.dtype
) -> list[jax.Array]:
    """Several kernels at once, as `lecun_normal` makes them, with draws of their own.

    The code that draws is most of what initialising a small network compiles, so that
    all of its kernels had better share it. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        shapes: (inputs, outputs) of each kernel.
        dtype: dtype of the kernels.
    """
    sizes = [(capacity(inputs), capacity(outputs)) for inputs, outputs in shapes]
    flat = _truncated_normal(_bits(key, sizes))
    ends = itertools.accumulate(rows * columns for rows, columns in sizes)
    pieces = jnp.split(flat, list(ends)[:-1])
    return [
        _scaled(piece.reshape(size), inputs, outputs).astype(dtype)
        for piece, size, (inputs, outputs) in zip(pieces, sizes, shapes, strict=True)
    ]


def orthogonal(key: jax.Array, units: int | Size, dtype: jnp.dtype) -> jax.Array:
    """A random orthogonal matrix over the active units; zero where unused.

    The same for every capacity, but for rounding: unused units stand as an identity of
    their own in the matrix that is decomposed. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        units: Rows and columns.
        dtype: dtype of the matrix.

    Returns:
        dtype[capacity(units), capacity(units)].

    Reference:
        Saxe, McClelland, Ganguli (2014), Exact solutions to the nonlinear dynamics of
        learning in deep linear neural networks.
    """
    draws = lecun_normal(key, units, units, jnp.dtype(jnp.float32))
    used = unit_mask(units)
    if used is not None:
        draws += jnp.diag(jnp.where(used, 0.0, 1.0))
    q, r = jnp.linalg.qr(draws)
    q *= jnp.sign(jnp.diag(r))[None]  # one of each pair, so that it is unique
    if used is not None:
        q = jnp.where(used[None] & used[:, None], q, jnp.zeros_like(q))
    return q.astype(dtype)


def _scaled(draws: jax.Array, inputs: int | Size, outputs: int | Size) -> jax.Array:
    """Draws times the standard deviation; zero where unused."""
    fan_in = jnp.maximum(jnp.asarray(active(inputs), jnp.float32), 1.0)
    kernel = draws * (jax.lax.rsqrt(fan_in) / _TRUNCATED_STDDEV)
    for axis, mask in enumerate((unit_mask(inputs), unit_mask(outputs))):
        if mask is not None:
            used = jnp.expand_dims(mask, 1 - axis)
            kernel = jnp.where(used, kernel, jnp.zeros_like(kernel))
    return kernel


def _bits(key: jax.Array, sizes: Sequence[tuple[int, int]]) -> jax.Array:
    """u32 random bits of several grids, one after the other, flattened.

    Those of entry (r, c) of grid g depend on the key, g, r and c alone: one threefry
    call on the counters (g and r, c).
    """
    high = [_iota(size, 0) + jnp.uint32(g << _GRID) for g, size in enumerate(sizes)]
    low = [_iota(size, 1) for size in sizes]
    counter = jnp.concatenate([*high, *low])
    words = jax.extend.random.threefry_2x32(jax.random.key_data(key), counter)
    first, second = jnp.split(words, 2)
    return first ^ second


def _iota(size: tuple[int, int], axis: int) -> jax.Array:
    return jax.lax.broadcasted_iota(jnp.uint32, size, axis).ravel()


def _truncated_normal(bits: jax.Array) -> jax.Array:
    """f32 draws from a unit normal truncated to [-2, 2], by inversion."""
    one = jnp.uint32(0x3F800000)  # the bits of 1.0: the mantissa then spans [1, 2)
    mantissa = jax.lax.shift_right_logical(bits, jnp.uint32(9))
    uniform = jax.lax.bitcast_convert_type(mantissa | one, jnp.float32) - 1.0
    bound = math.erf(2.0 / math.sqrt(2.0))
    draws = math.sqrt(2.0) * jax.lax.erf_inv((2.0 * uniform - 1.0) * bound)
    return jnp.clip(draws, -2.0, 2.0)
