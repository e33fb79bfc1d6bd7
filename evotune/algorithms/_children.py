"""Children of the holders of seats, each of which competes for a seat."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from evotune._contracts import Geometry
from evotune.algorithms._breeding import Breeding
from evotune.algorithms._differences import rivals
from evotune.algorithms._draws import uniforms
from evotune.algorithms._niching import niched
from evotune.algorithms._seats import Seats


@dataclasses.dataclass(frozen=True, kw_only=True)
class Born:
    """Children that compete for the seats of their trials.

    Attributes:
        x: f32[P, D] in the unit cube.
        crossed: bool[P], which of them have selected parents, and are to be mutated;
            the others are rivals of the holder of their seat, by differences.
        ready: bool[P], whose seat is held; the others are no children of anybody.
    """

    x: jax.Array
    crossed: jax.Array
    ready: jax.Array


def children_of_seats(
    key: jax.Array,
    seats: Seats,
    trial: jax.Array,
    breeding: Breeding,
    geometry: Geometry,
    differing: jax.Array,
    niche_radius: float,
) -> Born:
    """Children made in one of two ways: crossed, or by differences between holders.

    Differences take four holders; until there are as many, all are crossed.

    Args:
        key: Consumed.
        seats: Who may breed.
        trial: i32[P], the children.
        breeding: The operators.
        geometry: The space.
        differing: f32[P], the chance of a child to be made by differences.
        niche_radius: Of selected parents, none lies as near to a better one.
    """
    count, dimensions = trial.shape[0], geometry.dimensions
    rows = (count, dimensions)
    u = uniforms(
        key,
        *((2 * count,), (count, 1), rows),
        *((count, 5), rows, rows, rows, (count,)),
    )
    seat, holders = seats.seat(trial), seats.holders
    known = jnp.isfinite(holders.fitness)
    differ = rivals(
        *("current_to_pbest", holders, geometry, seat, seats.drawn(trial)), *u[3:7]
    )
    crossed = (u[7] >= differing) | (jnp.sum(known, dtype=jnp.int32) < 4)
    parents = niched(seats.ranked(), geometry, radius=niche_radius)
    child = breeding.cross(parents, geometry, *u[:3])
    return Born(
        x=jnp.where(crossed[:, None], child, differ),
        crossed=crossed,
        ready=known[seat],
    )
