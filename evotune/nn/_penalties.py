"""Penalties that leave unused weights alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def absolute_sum(weights: jax.Array) -> jax.Array:
    """f32[]: sum of |w|, with the subgradient sign(w), which is 0 at 0.

    JAX's own gradient of |w| at 0 is 1, which would move padded weights off zero.
    """
    return jnp.sum(weights * jnp.sign(jax.lax.stop_gradient(weights)))
