"""From a function of one member to one of all lanes of all devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from evotune.engine._devices import MEMBERS, REPLICATED, shares_host_memory
from evotune.engine._member import Member

_LANES = "lanes"
"""The axis of the members that one device trains."""


def over_lanes(
    function: Callable[..., Member],
    mesh: Mesh,
    *,
    members: int,
    shared: int,
    in_turn: bool = False,
) -> Callable[..., Member]:
    """``function`` of one member, for all lanes of all devices.

    Args:
        function: Its first arguments have an axis of members, the last ones none.
        mesh: The devices.
        members: How many of the first.
        shared: How many of the last.
        in_turn: Whether CPU devices take one member after the other. XLA's runtime
            of jax 0.10 waits forever for several batched QR decompositions in one
            program on several CPU devices; initial weights are full of them.
    """
    axes = (0,) * members + (None,) * shared
    on_device = jax.vmap(function, in_axes=axes, axis_name=_LANES)
    if in_turn and shares_host_memory(mesh):

        def on_device(*arguments: Any) -> Member:
            rows, rest = arguments[:members], arguments[members:]
            made: Member = jax.lax.map(lambda row: function(*row, *rest), rows)
            return made

    return jax.shard_map(
        on_device,
        mesh=mesh,
        in_specs=(*[MEMBERS] * members, *[REPLICATED] * shared),
        out_specs=MEMBERS,
        check_vma=False,
    )


def most(size: jax.Array) -> jax.Array:
    """i32[] the largest of the members on this device; no other one is asked."""
    return jax.lax.pmax(size, _LANES)


def any_lane(condition: jax.Array) -> jax.Array:
    """Whether bool[] holds for any member on this device; no other one is asked."""
    return jax.lax.pmax(condition.astype(jnp.int32), _LANES) > 0


def gather(into: Member, kept: Member, index: jax.Array, chosen: jax.Array) -> Member:
    """``into``, with ``kept[index]`` in the lanes that are chosen."""

    def leaf(old: jax.Array, source: jax.Array) -> jax.Array:
        lanes = chosen.reshape(-1, *[1] * (old.ndim - 1))
        return jnp.where(lanes, jnp.take(source, index, axis=0), old)

    gathered: Member = jax.tree.map(leaf, into, kept)
    return gathered
