"""Penalties on the size of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from evotune import nn, training


def penalty(
    hp: Mapping[str, Any], params: Any, regularized: training.Mask
) -> jax.Array | float:
    """l1 * sum |w| + l2 * sum w^2 over the weights that ``regularized`` picks."""
    if "l1" not in hp and "l2" not in hp:
        return 0.0
    chosen = jax.tree.leaves(regularized(params))
    leaves = zip(jax.tree.leaves(params), chosen, strict=True)
    kernels = [leaf for leaf, is_chosen in leaves if is_chosen]
    total: jax.Array | float = 0.0
    if "l1" in hp:
        total += hp["l1"] * sum(nn.absolute_sum(w) for w in kernels)
    if "l2" in hp:
        total += hp["l2"] * sum(jnp.sum(jnp.square(w)) for w in kernels)
    return total
