"""Layers beyond a traced depth."""

from __future__ import annotations

import jax.numpy as jnp

from evotune import nn


def width_of_layer(
    layer: int, width: int | nn.Size, depth: int | nn.Size
) -> int | nn.Size:
    """The width of a layer: none of its units are active beyond the depth."""
    if layer == 0 or not isinstance(depth, nn.Size):
        return width
    active = jnp.asarray(nn.active(width), jnp.int32)
    return nn.Size(
        jnp.where(layer < depth.active, active, jnp.zeros_like(active)),
        nn.capacity(width),
    )
