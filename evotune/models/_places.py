"""Layers that look at all places of an image or series: gates and attention."""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune.models._convolutional import Layer
from evotune.models._masked import Size, limited, where_used
from evotune.models._network import Variables

Switch = bool | jax.Array

_ATTENTION = "attention"
_DRAWS = 2**16
"""What its key is folded with; the groups of other layers are small numbers."""


def excited(
    used: Switch, x: jax.Array, features: Size, ratio: int | jax.Array, name: str
) -> jax.Array:
    """X after `nn.SqueezeExcitation` where ``used``; see `gate_layers`."""

    def make(mask: jax.Array | None) -> jax.Array:
        own, squeezed = limited(features, mask), limited(reduced(features, ratio), mask)
        return nn.SqueezeExcitation(own, squeezed, name=name)(x)

    return where_used(used, make, x)


def gate_layers(
    used: Switch, features: Size, ratio: int | jax.Array, name: str
) -> dict[str, Layer]:
    """The layers of `excited`, to draw; none where it is off for certain."""
    if used is False:
        return {}
    mask = used if isinstance(used, jax.Array) else None
    own, squeezed = limited(features, mask), limited(reduced(features, ratio), mask)
    return {
        f"{name}/squeeze": Layer(((), own, squeezed)),
        f"{name}/excite": Layer(((), squeezed, own)),
    }


def reduced(size: Size, ratio: int | jax.Array) -> Size:
    """``size`` divided by ``ratio``, rounded down, but at least 1 where it is."""
    if isinstance(size, int) and isinstance(ratio, int):
        return max(1, size // ratio)
    whole = nn.capacity(size)
    count = jnp.asarray(nn.active(size), jnp.int32)
    divided = jnp.maximum(count // jnp.asarray(ratio, jnp.int32), 1)
    return nn.Size(
        jnp.minimum(divided, count),
        max(1, whole // ratio) if isinstance(ratio, int) else whole,
    )


class PlaceAttention(linen.Module):
    """x + attention(norm(x)), every place to every other, for members that use it.

    Attributes:
        features: Channels of x.
        heads: Number of heads.
        head_size: Units of each head.
        used: Whether it is there at all; False is for its caller to leave out.

    Reference:
        Wang, Girshick, Gupta, He (2018), Non-local neural networks. Differs from the
        paper: several heads, and a layer norm before them.
    """

    features: Size
    heads: Size
    head_size: Size
    used: Switch = True

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """f32[B, *spatial, features]."""

        def make(mask: jax.Array | None) -> jax.Array:
            features = limited(self.features, mask)
            attention = nn.MultiHeadAttention(
                limited(self.heads, mask), self.head_size, features, name="attention"
            )
            places = x.reshape((x.shape[0], -1, x.shape[-1]))
            normed = nn.LayerNorm(features, name="norm")(places)
            seen = attention(normed, deterministic=True)
            return x + seen.reshape(x.shape)

        return where_used(self.used, make, x)


class Attends(Protocol):
    """A module whose places may attend to each other."""

    self_attention: Switch
    heads: Size
    head_size: Size


def attended(module: Attends, features: Size, x: jax.Array) -> jax.Array:
    """X after `PlaceAttention` as ``module`` has it, as a layer of the caller's."""
    if module.self_attention is False:
        return x
    layer = PlaceAttention(
        features,
        module.heads,
        module.head_size,
        module.self_attention,
        name=_ATTENTION,
    )
    y: jax.Array = layer(x)
    return y


def draw_attention(module: Attends, features: Size, key: jax.Array) -> Variables:
    """Initial parameters of `attended` by their layer, {} where it is off for certain.

    ``key`` may have drawn other layers by `draw_layers`.
    """
    if module.self_attention is False:
        return {}
    layer = PlaceAttention(
        features, module.heads, module.head_size, module.self_attention, parent=None
    )
    x = jnp.zeros((1, 1, nn.capacity(features)), jnp.float32)
    own = jax.random.fold_in(key, _DRAWS)
    return {_ATTENTION: dict(layer.init(own, x)["params"])}


def gate_products(features: int, ratio: int) -> int:
    """Multiply-adds of `excited` for one example."""
    return 2 * features * nn.capacity(reduced(features, int(ratio)))


def attention_products(places: int, features: int, heads: int, head_size: int) -> int:
    """Multiply-adds of `PlaceAttention` for one example."""
    inner = heads * head_size
    return places * (4 * features * inner + 2 * places * inner)
