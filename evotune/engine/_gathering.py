"""The members of a new block, fetched from the blocks that they were kept in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from evotune.engine._member import Member
from evotune.engine._pool import Kept, Place
from evotune.engine._program import Program


def gathered(program: Program, places: Sequence[Place]) -> Member:
    """A block of the members in ``places``, a lane each.

    CPU devices share the memory of the host, which copies rows at once from any number
    of blocks; a program that fetches from one block after the other took three to eight
    times as long. It serves accelerators, whose states must not pass through the host.
    """
    kept = list(dict.fromkeys(place.kept for place in places))
    repacked = any(block.lanes != program.spec.lanes for block in kept)
    if not program.gathers or repacked:
        members: Member = program.put(_copied(places))
        return members
    return _on_devices(program, places, kept)


def _copied(places: Sequence[Place]) -> Member:
    """The members, stacked in the memory of the host."""
    first, structure = jax.tree.flatten(places[0].kept.block)
    members: Member = jax.tree.unflatten(
        structure,
        [
            np.stack([place.kept.rows[number][place.lane] for place in places])
            for number in range(len(first))
        ],
    )
    return members


def _on_devices(
    program: Program, places: Sequence[Place], kept: Sequence[Kept]
) -> Member:
    lanes = np.asarray([place.lane for place in places], np.int32)
    members: Member = program.put(kept[0].block)
    for block in kept:
        chosen = np.asarray([place.kept is block for place in places])
        index = np.where(chosen, lanes, 0).astype(np.int32)
        source: Any = program.put(block.block)
        members = program.gather(members, source, *program.put((index, chosen)))
    return members
