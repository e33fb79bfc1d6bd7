"""Trial numbers: every proposed row has one that nobody has had."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY


def next_trials(counter: jax.Array, rows: int) -> jax.Array:
    """i32[rows], the numbers that follow ``counter`` (i32[]), the next free one."""
    return counter + jnp.arange(rows, dtype=jnp.int32)


def advance(counter: jax.Array, trial: jax.Array) -> jax.Array:
    """The next free trial number once some numbers have been told.

    Numbers above the counter, of trials that others have run, push it beyond them.

    Args:
        counter: i32[], the next free number so far.
        trial: i32[P] numbers told; EMPTY is ignored.
    """
    return jnp.maximum(counter, jnp.max(trial, initial=EMPTY) + 1)
