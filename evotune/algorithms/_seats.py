"""A population of seats: every trial competes for one, whenever its result comes."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.algorithms._population import Population, nobody


def seat_of(trial: jax.Array, seats: int) -> jax.Array:
    """The seat that a trial competes for: its number modulo ``seats``, i32[P]."""
    return jnp.remainder(trial, jnp.int32(seats))


def holders(everyone: Population, seats: int) -> tuple[jax.Array, jax.Array]:
    """Who holds each seat: the best of those that compete for it, of equals the newer.

    That is a property of the set of trials told, so results may come in any order.

    Args:
        everyone: R places, from `evotune.algorithms._population.joined`.
        seats: N.

    Returns:
        i32[N], the place of each seat's holder, and bool[N], whether there is one.
    """
    seat = jnp.arange(seats, dtype=jnp.int32)[:, None]
    fitness = everyone.fitness
    # Comparing all with all compiles in a fraction of the time that scatters take.
    rivals = (seat_of(everyone.trial, seats)[None] == seat) & jnp.isfinite(fitness)[
        None
    ]
    best = jnp.max(jnp.where(rivals, fitness[None], -jnp.inf), axis=1, keepdims=True)
    equals = rivals & (fitness[None] == best)
    newest = jnp.where(equals, everyone.trial[None], jnp.int32(-1))
    return jnp.argmax(newest, axis=1), rivals.any(axis=1)


def seated(everyone: Population, seats: int) -> Population:
    """The holders of all seats, in the order of seats; nobody where there is none.

    Args:
        everyone: R places, from `evotune.algorithms._population.joined`.
        seats: N.
    """
    place, taken = holders(everyone, seats)
    empty = nobody(seats, everyone.x.shape[1])
    return Population(
        x=jnp.where(taken[:, None], everyone.x[place], empty.x),
        fitness=jnp.where(taken, everyone.fitness[place], empty.fitness),
        trial=jnp.where(taken, everyone.trial[place], empty.trial),
    )
