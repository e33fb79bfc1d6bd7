"""The scores of attention, with a gradient whose products run at full speed."""

from __future__ import annotations

import jax
import jax.numpy as jnp


@jax.custom_vjp
def scores(query: jax.Array, key: jax.Array) -> jax.Array:
    """f32[..., H, T, T]: how much each step (rows) looks at each, Q K^T by heads.

    The gradient of the keys is made as Q^T G, transposed. By the rule of `jnp.einsum`
    it is G^T Q, and XLA has no fast product on CPU for a G that lies the other way:
    at eight steps and heads of eight units it takes eight times as long as the others.

    Reverse mode only: `jax.jvp` of it is an error, as of every `jax.custom_vjp`.

    Args:
        query: f32[..., T, H, N], Q.
        key: f32[..., T, H, N], K.
    """
    return jnp.einsum("...qhn,...khn->...hqk", query, key)


def _forward(
    query: jax.Array, key: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return scores(query, key), (query, key)


def _backward(
    kept: tuple[jax.Array, jax.Array], gradient: jax.Array
) -> tuple[jax.Array, jax.Array]:
    query, key = kept
    of_query = jnp.einsum("...hqk,...khn->...qhn", gradient, key)
    of_key = jnp.einsum("...qhn,...hqk->...hnk", query, gradient)
    return of_query, jnp.moveaxis(of_key, -1, -3)


scores.defvjp(_forward, _backward)
