"""One member's training on data that come in chunks: a chunk, and the end of an epoch.

`train_member` in two programs: one trains on the chunk that is on the device, the other
scores and notes the epoch when all chunks have been there.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from evotune._cache import CachedFunction
from evotune.engine._epochs import Lesson
from evotune.engine._member import Member, order_key, where

_CHUNKS = 2**31
"""Folded into an epoch's key for the order of its chunks; no chunk has this number."""


def draw_chunk_order(epochs: int, chunks: int, seed: np.ndarray) -> np.ndarray:
    """i32[T, C]: the order in which each epoch visits its chunks.

    Args:
        epochs: T, how many.
        chunks: C, in each.
        seed: u32[2] seed of the study.
    """
    if chunks == 1:
        return np.zeros((epochs, 1), np.int32)
    return np.asarray(CachedFunction(_chunk_order, static=2)(epochs, chunks, seed))


def _chunk_order(epochs: int, chunks: int, seed: jax.Array) -> jax.Array:
    seed_key = jax.random.wrap_key_data(seed, impl="threefry2x32")

    def of_epoch(epoch: jax.Array) -> jax.Array:
        key = jax.random.fold_in(order_key(seed_key), epoch)
        return jax.random.permutation(jax.random.fold_in(key, _CHUNKS), chunks)

    return jax.lax.map(of_epoch, jnp.arange(epochs))


def train_on_chunk(
    lesson: Lesson,
    member: Member,
    stop: jax.Array,
    data: Any,
    order: None,
    visit: jax.Array,
    *,
    chunks: int,
) -> Member:
    """Trains one member on a chunk; the arguments are those of `train_member`.

    The rows of a chunk are shuffled anew in every epoch; those of the only one as rows
    of data that are held at once.

    Args:
        lesson: Of the member.
        member: Where it stands.
        stop: See `train_member`.
        data: Those of the chunk in the place of all.
        order: Is drawn here.
        visit: i32[3] the epoch, the number of the chunk, and its place in the epoch.
        chunks: C, in an epoch.
    """
    del order
    epoch, chunk, place = visit
    batches = lesson.batches(data, epoch, None if chunks == 1 else chunk)
    count = jax.tree.leaves(batches)[0].shape[0]
    state, recorded = lesson.steps(member.state, data, batches, epoch, place * count)
    runs = epoch < stop
    if member.patience is not None:
        runs &= ~member.patience.under(lesson.hp).is_over
    zero = jnp.zeros((), jnp.float32)
    means = [
        jnp.mean(recorded[name]).astype(jnp.float32) if name in recorded else zero
        for name in lesson.metrics
    ]
    assert member.recorded is not None
    before = jnp.where(place > 0, member.recorded, zero)
    return dataclasses.replace(
        member,
        state=where(runs, state, member.state),
        recorded=before + jnp.stack(means) / chunks,
    )


def end_epoch(
    lesson: Lesson,
    member: Member,
    stop: jax.Array,
    data: Any,
    order: None,
    visit: jax.Array,
) -> Member:
    """Scores one member after the last chunk of an epoch, and notes it.

    The arguments are those of `train_on_chunk`.
    """
    del order
    if member.patience is not None:
        patience = member.patience.under(lesson.hp)
        member = dataclasses.replace(member, patience=patience)
    assert member.recorded is not None
    names = lesson.metrics
    means = zip(names, jnp.split(member.recorded, len(names)), strict=True)
    row = lesson.row(member.state, data, dict(means), visit[0])
    return lesson.after(member, member.state, row, visit[0], stop)
