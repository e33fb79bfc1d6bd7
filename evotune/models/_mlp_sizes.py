"""The hidden layers of a multilayer perceptron: how large each one is."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from evotune import nn
from evotune.models._masked import Size, limited, reached_at, runs_at

Width = Size | tuple[Size, ...]
"""Units of every hidden layer, or of one after the other; the last one repeats."""

Switch = bool | jax.Array
Ratio = float | jax.Array


@dataclasses.dataclass(frozen=True)
class Inner:
    """The narrow layer of a bottleneck block.

    Attributes:
        used: Whether there is one.
        width: Its units; none are active where there is none.
        reads: Units that the layer after it then reads: ``width``, or those that the
            block reads where there is none.
    """

    used: Switch
    width: Size
    reads: Size


@dataclasses.dataclass(frozen=True)
class Layer:
    """The sizes around one hidden layer.

    Attributes:
        inputs: Units that it reads.
        width: Its own units; none are active beyond the depth.
        outputs: Units of what the next layer reads: its own, or those of the last
            active layer before it.
        keeps_size: Whether it has as many units as it reads.
        inner: The narrow layer in front of it; None where there is none for certain.
    """

    inputs: Size
    width: Size
    outputs: Size
    keeps_size: Switch
    inner: Inner | None = None

    @property
    def reads(self) -> Size:
        """Rows of its own weights: ``inputs``, or the units of the narrow layer."""
        return self.inputs if self.inner is None else self.inner.reads

    @property
    def products(self) -> int:
        """Its weights, and those of the narrow layer, all units counted."""
        own = nn.capacity(self.reads) * nn.capacity(self.width)
        if self.inner is None:
            return own
        return own + nn.capacity(self.inputs) * nn.capacity(self.inner.width)


def hidden_layers(
    inputs: Size,
    width: Width,
    depth: Size,
    *,
    residual: Switch = False,
    bottleneck: Ratio | None = None,
) -> list[Layer]:
    """The hidden layers up to the capacity of ``depth``, in their order."""
    layers = []
    for index in range(nn.capacity(depth)):
        own, runs = width_at(width, index), runs_at(index, depth)
        used = limited(own, runs, reached=reached_at(index, depth))
        outputs = own
        if index > 0 and isinstance(depth, nn.Size) and isinstance(width, tuple):
            outputs = nn.Size(
                jnp.where(index < depth.active, _count(own), _count(inputs)),
                max(nn.capacity(own), nn.capacity(inputs)),
            )
        same, inner = _same_size(inputs, own), None
        if index > 0 and bottleneck is not None:
            units, adds = inner_width(own, bottleneck), _both(residual, same)
            inner = _inner(inputs, units, adds, runs)
        layers.append(Layer(inputs, used, outputs, same, inner))
        inputs = outputs
    return layers


def width_at(width: Width, index: int) -> Size:
    """The units of hidden layer ``index``, as far as it is in use."""
    if isinstance(width, tuple):
        return width[min(index, len(width) - 1)]
    return width


def inner_width(width: Size, bottleneck: Ratio) -> Size:
    """max(1, round(bottleneck * width)), halves to the even number.

    The product is one of float32, whether traced or not, so that both round alike.
    """
    whole = nn.capacity(width)
    if not isinstance(bottleneck, jax.Array):
        product = np.float32(bottleneck) * np.float32(whole)
        whole = max(1, round(float(product)))
        if isinstance(width, int):
            return whole
    ratio = jnp.asarray(bottleneck, jnp.float32)
    units = jnp.round(ratio * _count(width).astype(jnp.float32)).astype(jnp.int32)
    return nn.Size(jnp.maximum(units, 1), whole)


def _inner(
    inputs: Size, width: Size, used: Switch, runs: jax.Array | None
) -> Inner | None:
    """The narrow layer of ``width`` units where ``used``, within the depth."""
    if isinstance(used, bool):
        return Inner(True, limited(width, runs), width) if used else None
    return Inner(
        used,
        limited(limited(width, used), runs),
        nn.Size(
            jnp.where(used, _count(width), _count(inputs)),
            max(nn.capacity(width), nn.capacity(inputs)),
        ),
    )


def _both(a: Switch, b: Switch) -> Switch:
    if isinstance(a, bool) and isinstance(b, bool):
        return a and b
    return False if a is False or b is False else jnp.logical_and(a, b)


def _same_size(a: Size, b: Size) -> Switch:
    if a is b:
        return True
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return _count(a) == _count(b)


def _count(size: Size) -> jax.Array:
    return jnp.asarray(nn.active(size), jnp.int32)
