"""Initial kernels, of convolutions too, which do not depend on padding."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np

from evotune.nn._traced import Size, active, capacity, unit_mask

# Standard deviation of a unit normal truncated to [-2, 2], as in flax and Keras.
_TRUNCATED_STDDEV = 0.87962566103423978

_GRID = 24  # rows of a kernel are counted in these bits, kernels in those above

Window = tuple[int | Size, ...]
KernelShape = tuple[Window, int | Size, int | Size]

_HALF = 16  # columns are counted in these bits of a word, rows in those above


def conv_normals(
    key: jax.Array, shapes: Sequence[KernelShape], dtype: jnp.dtype
) -> list[jax.Array]:
    """Truncated-normal kernels of variance 1 / (active taps x active inputs), at once.

    Taps are counted from the window's centre outwards, so that entry (tap, r, c) is the
    same for every capacity; what is unused is zero. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        shapes: (window, inputs, outputs) of each kernel; the window has one size for
            each spatial axis, and is () for a dense layer.
        dtype: dtype of the kernels.

    Returns:
        dtype[*window, inputs, outputs] of capacities, for each of the shapes.

    Reference:
        LeCun, Bottou, Orr, Mueller (1998), Efficient BackProp, section 4.6.
    """
    counters = [_counters(number, *shape) for number, shape in enumerate(shapes)]
    high, low = (jnp.concatenate(words) for words in zip(*counters, strict=True))
    words = jax.extend.random.threefry_2x32(
        jax.random.key_data(key), jnp.concatenate([high, low])
    )
    first, second = jnp.split(words, 2)
    ends = itertools.accumulate(words.size for words, _ in counters)
    pieces = jnp.split(_truncated_normal(first ^ second), list(ends)[:-1])
    return [
        _scaled(piece, *shape).astype(dtype)
        for piece, shape in zip(pieces, shapes, strict=True)
    ]


def first_tap(size: int, padded: int) -> int:
    """Where the taps of a window of ``size`` begin in one of ``padded`` taps.

    Both are centred as "SAME" centres them: (size - 1) // 2 taps before the middle one.
    """
    return (padded - 1) // 2 - (size - 1) // 2


def tap_mask(size: int | Size) -> jax.Array | None:
    """bool[capacity], true for taps in use, around the centre; None for all."""
    if not isinstance(size, Size):
        return None
    offset = jnp.arange(size.capacity) - (size.capacity - 1) // 2
    return (offset >= -((size.active - 1) // 2)) & (offset <= size.active // 2)


def _counters(
    number: int, window: Window, inputs: int | Size, outputs: int | Size
) -> tuple[jax.Array, jax.Array]:
    """Two u32 words for each entry, flattened; no two entries share them."""
    codes = _tap_codes([capacity(size) for size in window])
    shape = (codes.size, capacity(inputs), capacity(outputs))
    row, column = (jax.lax.broadcasted_iota(jnp.uint32, shape, i) for i in (1, 2))
    if window:
        high = jnp.broadcast_to(jnp.asarray(codes)[:, None, None], shape)
        low = (row << jnp.uint32(_HALF)) | column
    else:
        high, low = row, column
    return (high + jnp.uint32(number << _GRID)).ravel(), low.ravel()


def _tap_codes(window: Sequence[int]) -> np.ndarray:
    """u32[taps]: a number for each tap that hangs on its place around the centre."""
    axes = [np.arange(size) - (size - 1) // 2 for size in window]
    # 0, 1, -1, 2, -2, ... along an axis, and pairs of them in growing squares.
    codes = [np.where(axis > 0, 2 * axis - 1, -2 * axis) for axis in axes]
    grids = np.meshgrid(*codes, indexing="ij") if codes else [np.zeros((), np.int64)]
    return np.asarray(functools.reduce(_pair, grids), np.uint32).ravel()


def _pair(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    largest = np.maximum(a, b)
    return largest * largest + largest + a - b


def _scaled(
    draws: jax.Array, window: Window, inputs: int | Size, outputs: int | Size
) -> jax.Array:
    sizes = (*window, inputs, outputs)
    kernel = draws.reshape([capacity(size) for size in sizes])
    fan_in = math.prod(
        (jnp.asarray(active(size), jnp.float32) for size in (*window, inputs)),
        start=jnp.ones((), jnp.float32),
    )
    fan_in = jnp.maximum(fan_in, 1.0)
    kernel = kernel * (jax.lax.rsqrt(fan_in) / _TRUNCATED_STDDEV)
    masks = [*map(tap_mask, window), unit_mask(inputs), unit_mask(outputs)]
    for axis, mask in enumerate(masks):
        if mask is not None:
            others = [i for i in range(kernel.ndim) if i != axis]
            used = jnp.expand_dims(mask, others)
            kernel = jnp.where(used, kernel, jnp.zeros_like(kernel))
    return kernel


def _truncated_normal(bits: jax.Array) -> jax.Array:
    """f32 draws from a unit normal truncated to [-2, 2], by inversion."""
    one = jnp.uint32(0x3F800000)  # the bits of 1.0: the mantissa then spans [1, 2)
    mantissa = jax.lax.shift_right_logical(bits, jnp.uint32(9))
    uniform = jax.lax.bitcast_convert_type(mantissa | one, jnp.float32) - 1.0
    bound = math.erf(2.0 / math.sqrt(2.0))
    draws = math.sqrt(2.0) * jax.lax.erf_inv((2.0 * uniform - 1.0) * bound)
    return jnp.clip(draws, -2.0, 2.0)
