"""Which rows have been seen before, in bounded memory."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

HISTORY = 65536
"""Places of the table of past trials, where nobody says otherwise."""


def _mix(word: jax.Array) -> jax.Array:
    """Spreads every bit of u32 words over all bits: the finaliser of MurmurHash3."""
    word = (word ^ (word >> jnp.uint32(16))) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> jnp.uint32(13))) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> jnp.uint32(16))


def fingerprint(x: jax.Array) -> jax.Array:
    """64 bits that stand for a canonical row: equal rows have equal ones.

    Two different rows share theirs with a chance of about 2^-63, and then one of them
    is mutated once more than it need be.

    Args:
        x: f32[P, D], canonical.

    Returns:
        u32[P, 2]: where to look in the history, and what to look for, never 0.
    """
    # Adding zero turns -0.0 into 0.0, which is equal but has other bits.
    bits = jax.lax.bitcast_convert_type(x + 0.0, jnp.uint32)
    column = np.arange(1, x.shape[1] + 1, dtype=np.uint32)
    words = [
        jnp.sum(_mix(bits ^ (column * np.uint32(salt))[None]), axis=1, dtype=jnp.uint32)
        for salt in (0x9E3779B1, 0x7FEB352D)
    ]
    first, second = words
    return jnp.stack([_mix(first), _mix(second) | jnp.uint32(1)], axis=1)


def remember(seen: jax.Array, trial: jax.Array, marks: jax.Array) -> jax.Array:
    """The history with some trials written in.

    The history is a table in which each fingerprint has one place. A new one drives out
    whichever was there, so a table of H places that n trials have been written into has
    forgotten a given one with a chance of about n / H, and memory never grows.

    Args:
        seen: u32[H], the second word of the fingerprint at each place; 0 where none.
        trial: i32[P] trial numbers; negative rows are ignored.
        marks: u32[P, 2] their fingerprints.

    Returns:
        u32[H].
    """
    word = jnp.where(trial >= 0, marks[:, 1], jnp.uint32(0))
    # The largest, where two rows want one place: the same on every device.
    new = jnp.zeros_like(seen).at[_place(marks, seen)].max(word)
    return jnp.where(new > 0, new, seen)


def repeats(marks: jax.Array, seen: jax.Array) -> jax.Array:
    """Whether each row is in the history, or equals a row before it.

    Args:
        marks: u32[P, 2] fingerprints of the rows.
        seen: u32[H] the history.

    Returns:
        bool[P].
    """
    row = jnp.arange(marks.shape[0])
    equal = (marks[:, None] == marks[None]).all(axis=2)
    earlier = (equal & (row[None] < row[:, None])).any(axis=1)
    return earlier | (seen[_place(marks, seen)] == marks[:, 1])


def _place(marks: jax.Array, seen: jax.Array) -> jax.Array:
    """i32[P], where each fingerprint belongs in the history."""
    return (marks[:, 0] % jnp.uint32(seen.shape[0])).astype(jnp.int32)
