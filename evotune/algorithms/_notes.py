"""What a method wants to know of a trial when its result comes, in bounded memory."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import EMPTY


@dataclasses.dataclass(frozen=True, kw_only=True)
class Notes:
    """A ring of R notes; that of trial t is at place t modulo R, and drives out others.

    Attributes:
        trial: i32[R], whose note it is; EMPTY where a place is free.
        value: f32[R, C], what is noted.
    """

    trial: jax.Array
    value: jax.Array


jax.tree_util.register_dataclass(Notes, ["trial", "value"], [])


def no_notes(size: int, width: int) -> Notes:
    """R = ``size`` free places for notes of ``width`` numbers."""
    return Notes(
        trial=jnp.full((size,), EMPTY, jnp.int32),
        value=jnp.zeros((size, width), jnp.float32),
    )


def noted(notes: Notes, trial: jax.Array, value: jax.Array) -> Notes:
    """The notes with some written in; of two for one place the newer trial's stays.

    Args:
        notes: Before.
        trial: i32[P]; EMPTY rows are ignored.
        value: f32[P, C].
    """
    size = notes.trial.shape[0]
    goal = jnp.where(trial == EMPTY, size, jnp.remainder(trial, jnp.int32(size)))
    newest = notes.trial.at[goal].max(trial, mode="drop")
    writes = (trial > notes.trial[goal % size]) & (trial == newest[goal % size])
    row = jnp.where(writes, goal, size)
    return Notes(trial=newest, value=notes.value.at[row].set(value, mode="drop"))


def look_up(notes: Notes, trial: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The notes of some trials.

    Args:
        notes: Only read.
        trial: i32[P].

    Returns:
        f32[P, C] notes, and bool[P] whether there is one.
    """
    place = jnp.remainder(trial, jnp.int32(notes.trial.shape[0]))
    found = (notes.trial[place] == trial) & (trial != EMPTY)
    return notes.value[place], found
