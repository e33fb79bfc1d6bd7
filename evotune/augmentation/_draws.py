"""How much each example of a batch is changed."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

Rate = float | jax.Array
"""A strength or a probability: a Python number or f32[]."""


def switches(key: jax.Array, rows: int, probability: Rate) -> jax.Array:
    """bool[rows], each true with ``probability``; at 0 none is, at 1 all are.

    Example:
        >>> switches(jax.random.key(0), 3, 1.0).tolist()
        [True, True, True]
    """
    return jax.random.uniform(key, (rows,)) < jnp.asarray(probability, jnp.float32)


def amounts(
    key: jax.Array, shape: Sequence[int], strength: Rate, probability: Rate
) -> jax.Array:
    """Uniform in [-strength, strength), and 0 for the examples that stay as they are.

    Args:
        key: A PRNG key, consumed.
        shape: (B, ...): examples, then what each of them needs.
        strength: The largest absolute value.
        probability: Share of the examples that are changed.

    Returns:
        f32[*shape].

    Example:
        >>> amounts(jax.random.key(0), (2,), 0.1, 1.0).shape
        (2,)
    """
    size_key, switch_key = jax.random.split(key)
    sizes = jax.random.uniform(size_key, shape, minval=-1.0, maxval=1.0)
    sizes = sizes * jnp.asarray(strength, jnp.float32)
    on = per_example(switches(switch_key, shape[0], probability), sizes)
    return jnp.where(on, sizes, jnp.zeros_like(sizes))


def per_example(values: jax.Array, like: jax.Array) -> jax.Array:
    """[B] as [B, 1, ..., 1], with as many axes as ``like`` has."""
    return jax.lax.expand_dims(values, range(1, like.ndim))


def changed(amount: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    """``new`` where an example's ``amount`` f32[B] is not 0, else exactly ``old``."""
    return jnp.where(per_example(amount != 0.0, old), new.astype(old.dtype), old)
