"""Uniform random numbers for a whole batch, drawn in one go.

The operators of this package are plain functions of uniform numbers, not of keys. A
call of the threefry generator takes longer to compile than a whole generation of
operators, so an algorithm draws once and hands the numbers round; and a test can pick
the numbers by hand.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp


def uniforms(key: jax.Array, *shapes: tuple[int, ...]) -> tuple[jax.Array, ...]:
    """One array of uniform numbers in [0, 1) for each of ``shapes``.

    Args:
        key: Consumed.
        *shapes: Shapes of the arrays, f32 each.

    Returns:
        Independent arrays of these shapes.
    """
    sizes = [math.prod(shape) for shape in shapes]
    # Flat, because XLA compiles threefry over one axis four times faster than over
    # two; behind a barrier, so that no consumer fuses a second copy of the generator.
    flat = jax.random.uniform(key, (sum(sizes),), jnp.float32)
    flat = jax.lax.optimization_barrier(flat)
    arrays, start = [], 0
    for shape, size in zip(shapes, sizes, strict=True):
        arrays.append(flat[start : start + size].reshape(shape))
        start += size
    return tuple(arrays)


def key_after(key: jax.Array, counter: jax.Array) -> jax.Array:
    """A key for what follows ``counter``, so that one key serves more than one `ask`.

    The cipher behind the keys takes any words for a key, so the counter goes into the
    first word. `jax.random.fold_in` runs the cipher once more, which would add a tenth
    to the time that a whole `ask` takes to compile.

    Args:
        key: Consumed.
        counter: i32[].
    """
    words = jax.random.key_data(key)
    words = words.at[0].set(words[0] ^ counter.astype(jnp.uint32))
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return words
    return jax.random.wrap_key_data(words, impl=jax.random.key_impl(key))


def salted_key(salt: jax.Array) -> jax.Array:
    """The key that a state keeps as numbers, for draws that `tell` repeats.

    Args:
        salt: u32[2].
    """
    return jax.random.wrap_key_data(salt, impl="threefry2x32")


def trial_uniforms(key: jax.Array, trial: jax.Array, dimensions: int) -> jax.Array:
    """Uniform numbers in [0, 1) that hang on the key and the trial number alone.

    A trial has the same numbers in whatever batch, and at whatever row, it is drawn.

    Args:
        key: Consumed.
        trial: i32[P] trial numbers.
        dimensions: D, numbers to a trial.

    Returns:
        f32[P, D].
    """
    column = jnp.arange(dimensions, dtype=jnp.uint32)
    counter = trial.astype(jnp.uint32)[:, None] * jnp.uint32(dimensions) + column[None]
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, counter.reshape(-1))
    word = jax.random.key_data(keys)[:, 0]
    return fractions(word).reshape(trial.shape[0], dimensions)


def fractions(word: jax.Array) -> jax.Array:
    """Words of 32 random bits as numbers in [0, 1).

    Args:
        word: u32, any shape.

    Returns:
        f32 of that shape: the upper 24 bits are every multiple of 2^-24 below one,
        exact in float32.
    """
    return (word >> jnp.uint32(8)).astype(jnp.float32) * jnp.float32(2.0**-24)


def latin_hypercube(order: jax.Array, jitter: jax.Array) -> jax.Array:
    """A Latin hypercube sample: each of P equal slices of each axis holds one point.

    Args:
        order: f32[P, D] uniform numbers; their ranks permute the slices of each axis.
        jitter: f32[P, D] uniform numbers; the place within a slice.

    Returns:
        f32[P, D] in [0, 1).

    Reference:
        McKay, Beckman and Conover (1979), "A comparison of three methods for selecting
        values of input variables in the analysis of output from a computer code".
        Differs from the paper: none.
    """
    points = order.shape[0]
    slices = jnp.argsort(order, axis=0).astype(jnp.float32)
    # A product, as jit makes one of a division; it can round up to one.
    width = jnp.float32(1.0 / points)
    return jnp.minimum((slices + jitter) * width, jnp.float32(1.0 - 2.0**-24))
