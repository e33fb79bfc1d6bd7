"""Where a search begins, before there is anything to learn from."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from evotune.algorithms._sobol import sobol_points


def initial_design(
    trial: jax.Array,
    size: int | jax.Array,
    seed: jax.Array,
    u: jax.Array,
    *,
    start: int | jax.Array = 0,
) -> jax.Array:
    """Where a search begins: the first trials are points of a scrambled Sobol sequence.

    Later trials that are sampled all the same, because there is nobody to learn from,
    are uniform. Of the sequence, trials 64 apart have neighbouring first coordinates,
    so that one seat of a population would be sampled in the same place for ever.

    Args:
        trial: i32[P], 0 or more.
        size: N, how many trials are of the sequence.
        seed: u32[D], from `scrambling`.
        u: f32[P, D], uniform numbers.
        start: Of the search, or of the last time that it began again.

    Returns:
        f32[P, D] in [0, 1).
    """
    return jnp.where((trial - start < size)[:, None], sobol_points(trial, seed), u)
