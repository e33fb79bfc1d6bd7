"""The multilayer perceptron as a Flax module, and how its variables start."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune.models._masked import MaskedNetwork, limited, runs_at
from evotune.models._network import Variables
from evotune.models._residual import path_rate, resized, with_residual

Width = int | nn.Size | tuple[int | nn.Size, ...]
"""Units of every hidden layer, or of one after the other; the last one repeats."""


class MLPModule(linen.Module):
    """``depth`` hidden layers of ``width`` units and one output layer.

    With plain Python values it is an ordinary Flax module. `nn.Size` and `nn.Choice`
    pad it: all layers up to the capacity of ``depth`` are computed, and those beyond
    the active depth are passed by and hold zeros.

    Attributes:
        outputs: Number of outputs.
        width: Units of each hidden layer, >= 1.
        depth: Number of hidden layers, >= 1.
        activation: Name of the activation after each hidden layer.
        dropout: Rate of the dropout after each activation.
        norm: Name of the norm before each activation.
        residual: Whether a hidden layer adds its inputs to its outputs where they are
            as many; the first one never does.
        drop_path: Rate at which the last hidden layer drops what it adds to its inputs;
            see `nn.drop_path`.
    """

    outputs: int
    width: Width = 64
    depth: int | nn.Size = 2
    activation: str | nn.Choice = "relu"
    dropout: float | jax.Array = 0.0
    norm: str | nn.Choice = "none"
    residual: bool | jax.Array = False
    drop_path: float | jax.Array = 0.0

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps f32[B, ...] to f32[B, outputs]; examples are flattened first."""
        x = x.reshape((x.shape[0], -1))
        inputs: int | nn.Size = x.shape[-1]
        for index, layer in enumerate(hidden_layers(inputs, self.width, self.depth)):
            hidden = nn.Dense(layer.width, inputs=layer.inputs, name=f"hidden_{index}")(
                x
            )
            if nn.norm_kinds(self.norm) != ("none",):
                hidden = nn.Norm(self.norm, layer.width, name=f"norm_{index}")(
                    hidden, use_running_average=not train
                )
            hidden = nn.activation(self.activation, hidden)
            hidden = nn.Dropout(self.dropout, name=f"dropout_{index}")(
                hidden, deterministic=not train
            )
            if index > 0:
                rate = path_rate(self.drop_path, index, nn.active(self.depth))
                drop = nn.DropPath(rate, name=f"drop_path_{index}")
                hidden = with_residual(
                    hidden,
                    x,
                    self.residual,
                    layer.keeps_size,
                    drop=functools.partial(drop, deterministic=not train),
                )
            hidden = resized(hidden, nn.capacity(layer.outputs))
            if index > 0 and isinstance(self.depth, nn.Size):
                past = resized(x, nn.capacity(layer.outputs))
                hidden = jnp.where(index < self.depth.active, hidden, past)
            x, inputs = hidden, layer.outputs
        return nn.Dense(self.outputs, inputs=inputs, name="output")(x)


@dataclasses.dataclass(frozen=True)
class Layer:
    """The sizes around one hidden layer.

    Attributes:
        inputs: Units that it reads.
        width: Its own units; none are active beyond the depth.
        outputs: Units of what the next layer reads: its own, or those of the last
            active layer before it.
        keeps_size: Whether it has as many units as it reads.
    """

    inputs: int | nn.Size
    width: int | nn.Size
    outputs: int | nn.Size
    keeps_size: bool | jax.Array


def hidden_layers(
    inputs: int | nn.Size, width: Width, depth: int | nn.Size
) -> list[Layer]:
    """The hidden layers up to the capacity of ``depth``, in their order."""
    layers = []
    for index in range(nn.capacity(depth)):
        own = width_at(width, index)
        used, outputs = limited(own, runs_at(index, depth)), own
        if index > 0 and isinstance(depth, nn.Size) and isinstance(width, tuple):
            outputs = nn.Size(
                jnp.where(index < depth.active, _count(own), _count(inputs)),
                max(nn.capacity(own), nn.capacity(inputs)),
            )
        layers.append(Layer(inputs, used, outputs, _same_size(inputs, own)))
        inputs = outputs
    return layers


def width_at(width: Width, index: int) -> int | nn.Size:
    """The units of hidden layer ``index``, as far as it is in use."""
    if isinstance(width, tuple):
        return width[min(index, len(width) - 1)]
    return width


def _same_size(a: int | nn.Size, b: int | nn.Size) -> bool | jax.Array:
    if a is b:
        return True
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return _count(a) == _count(b)


def _count(size: int | nn.Size) -> jax.Array:
    return jnp.asarray(nn.active(size), jnp.int32)


class MLPNetwork(MaskedNetwork):
    """`MLPModule`, with the initial values of all layers drawn at once."""

    module: MLPModule

    def _draw(self, key: jax.Array) -> Variables:
        module, dtype = self.module, jnp.dtype(jnp.float32)
        inputs = math.prod(self.info.input_shape)
        layers = hidden_layers(inputs, module.width, module.depth)
        # The output comes first, so that its draws do not hang on how many layers are.
        shapes: dict[str, tuple[int | nn.Size, int | nn.Size]] = {
            "output": (layers[-1].outputs, module.outputs)
        }
        for index, layer in enumerate(layers):
            shapes[f"hidden_{index}"] = (layer.inputs, layer.width)
        kernels = nn.lecun_normals(key, list(shapes.values()), dtype)
        params: dict[str, Any] = {
            name: {"kernel": kernel, "bias": jnp.zeros(kernel.shape[1:], kernel.dtype)}
            for name, kernel in zip(shapes, kernels, strict=True)
        }
        statistics = {}
        kinds = nn.norm_kinds(module.norm)
        for index, layer in enumerate(layers if kinds != ("none",) else []):
            zeros = jnp.zeros((nn.capacity(layer.width),), dtype)
            params[f"norm_{index}"] = {
                "scale": nn.norm_scale(layer.width, dtype, module.norm),
                "bias": zeros,
            }
            if "batch" in kinds:
                var = nn.norm_scale(layer.width, dtype)
                statistics[f"norm_{index}"] = {"mean": zeros, "var": var}
        if statistics:
            return {"params": params, "batch_stats": statistics}
        return {"params": params}
