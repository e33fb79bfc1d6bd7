"""Points of Sobol's sequence, and scrambling that keeps what makes them even."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from evotune.algorithms._draws import fractions
from evotune.algorithms._joe_kuo import TABLED, tabled_numbers

POINTS_LOG2 = 20
"""The sequence has 2^20 points; after them it starts again, scrambled otherwise."""

MOST_DIMENSIONS = 21201
"""Dimensions that Joe and Kuo's table of direction numbers has."""


@functools.lru_cache(maxsize=8)
def direction_numbers(dimensions: int) -> np.ndarray:
    """The direction numbers v of Sobol's sequence, as 32-bit binary fractions.

    Args:
        dimensions: D, from 1 to `MOST_DIMENSIONS`.

    Returns:
        u32[20, D].

    Reference:
        Joe and Kuo (2008), "Constructing Sobol sequences with better two-dimensional
        projections". Differs from the paper: none.
    """
    if dimensions <= TABLED:
        return tabled_numbers(dimensions, POINTS_LOG2)
    return _scipy_numbers(dimensions)


def _scipy_numbers(dimensions: int) -> np.ndarray:
    """Direction numbers, u32[20, D], read off scipy's unscrambled points.

    As point i is the exclusive or of the v_k for which bit k of i ^ (i >> 1) is set,
    v_0 is point 1, and v_k is that of point 2^k and v_(k-1).
    """
    from scipy.stats import qmc  # a second to import, so that few dimensions do without

    sequence = qmc.Sobol(dimensions, scramble=False, bits=32)
    numbers = np.zeros((POINTS_LOG2, dimensions), np.uint32)
    last, passed = np.zeros(dimensions, np.uint32), 0
    for k in range(POINTS_LOG2):
        if 2**k > passed:
            sequence.fast_forward(2**k - passed)
        point = (sequence.random(1)[0] * 2.0**32).astype(np.uint32)
        numbers[k] = last = point ^ last
        passed = 2**k + 1
    return numbers


def sobol_words(index: jax.Array, numbers: np.ndarray) -> jax.Array:
    """Points of the sequence in Gray-code order, as 32-bit binary fractions.

    Args:
        index: u32[P], below 2^20.
        numbers: u32[20, D] from `direction_numbers`.

    Returns:
        u32[P, D].

    Reference:
        Antonov and Saleev (1979), "An economic method of computing LP-tau sequences".
        Differs from the paper: a point is computed from its index, not from the point
        before it.
    """
    gray = index ^ (index >> jnp.uint32(1))
    bit = (gray[:, None] >> jnp.arange(POINTS_LOG2, dtype=jnp.uint32)[None]) & 1
    terms = jnp.where(bit[:, :, None] > 0, jnp.asarray(numbers)[None], jnp.uint32(0))
    return jax.lax.reduce(terms, np.uint32(0), jax.lax.bitwise_xor, (1,))


def owen_scramble(words: jax.Array, seed: jax.Array) -> jax.Array:
    """Nested uniform scrambling by a hash: each bit may flip, as those above it decide.

    Points that are evenly spread over every dyadic box stay so.

    Args:
        words: u32[P, D] binary fractions.
        seed: u32[P, D], the same within one column for all points of one sequence.

    Returns:
        u32[P, D].

    Reference:
        Burley (2020), "Practical hash-based Owen scrambling", after Laine and Karras
        (2011), "Stratified sampling for stochastic transparency". Differs from the
        paper: the order of points is not shuffled.
    """
    word = _reversed_bits(words) + seed
    for factor in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6):
        word = word ^ (word * jnp.uint32(factor))
    return _reversed_bits(word)


def scrambling(key: jax.Array, dimensions: int) -> jax.Array:
    """u32[D], which scrambling each dimension has: the same for all with the same key.

    Args:
        key: Consumed.
        dimensions: D.
    """
    return jax.random.bits(key, (dimensions,), jnp.uint32)


def sobol_points(
    trial: jax.Array, seed: jax.Array, *, scramble: bool = True
) -> jax.Array:
    """The points of trials: trial t has point t of a scrambled Sobol sequence.

    Args:
        trial: i32[P], 0 or more; after 2^20 points come others of the same kind.
        seed: u32[D], from `scrambling`. Dimensions beyond `MOST_DIMENSIONS` are those
            from the first on, scrambled otherwise.
        scramble: Whether ``seed`` is used.

    Returns:
        f32[P, D] in [0, 1).
    """
    index, dimensions = trial.astype(jnp.uint32), seed.shape[0]
    numbers = direction_numbers(min(dimensions, MOST_DIMENSIONS))
    numbers = numbers[:, np.arange(dimensions) % numbers.shape[1]]
    words = sobol_words(index & jnp.uint32(2**POINTS_LOG2 - 1), numbers)
    if scramble:
        lap = (index >> jnp.uint32(POINTS_LOG2)) * jnp.uint32(0x9E3779B1)
        words = owen_scramble(words, seed[None] ^ lap[:, None])
    return fractions(words)


def _reversed_bits(word: jax.Array) -> jax.Array:
    """u32 words read from their other end."""
    for shift, mask in (
        (1, 0x55555555),
        (2, 0x33333333),
        (4, 0x0F0F0F0F),
        (8, 0x00FF00FF),
        (16, 0x0000FFFF),
    ):
        by, low = jnp.uint32(shift), jnp.uint32(mask)
        word = ((word & low) << by) | ((word >> by) & low)
    return word
