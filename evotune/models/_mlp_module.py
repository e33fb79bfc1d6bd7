"""The multilayer perceptron as a Flax module, and how its variables start."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune.models._masked import MaskedNetwork, masked_beyond, where_reached
from evotune.models._mlp_sizes import Layer, Width, hidden_layers
from evotune.models._network import Variables
from evotune.models._residual import path_rate, resized, with_residual

_INNER = "inner_"


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
        bottleneck: Units of a narrow layer in front of each hidden layer that adds its
            inputs, as a part of its width in (0, 1]; None for no such layer.
    """

    outputs: int
    width: Width = 64
    depth: int | nn.Size = 2
    activation: str | nn.Choice = "relu"
    dropout: float | jax.Array = 0.0
    norm: str | nn.Choice = "none"
    residual: bool | jax.Array = False
    drop_path: float | jax.Array = 0.0
    bottleneck: float | jax.Array | None = None

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps f32[B, ...] to f32[B, outputs]; examples are flattened first."""
        x = x.reshape((x.shape[0], -1))
        inputs: int | nn.Size = x.shape[-1]
        for index, layer in enumerate(self.layers(inputs)):
            past = resized(x, nn.capacity(layer.outputs))
            made = self._layer(x, index, layer, train)
            x = masked_beyond(index, self.depth, made, past)
            inputs = layer.outputs
        return nn.Dense(self.outputs, inputs=inputs, name="output")(x)

    def layers(self, inputs: int | nn.Size) -> list[Layer]:
        """The sizes of all hidden layers for examples of ``inputs`` values."""
        return hidden_layers(
            inputs,
            self.width,
            self.depth,
            residual=self.residual,
            bottleneck=self.bottleneck,
        )

    def _layer(self, x: jax.Array, index: int, layer: Layer, train: bool) -> jax.Array:
        """What hidden layer ``index`` makes of x, in its capacity."""
        read = self._narrowed(x, index, layer, train)
        hidden = self._hidden(read, index, layer.reads, layer.width, train)
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
        return resized(hidden, nn.capacity(layer.outputs))

    def _hidden(
        self,
        x: jax.Array,
        index: int,
        inputs: int | nn.Size,
        width: int | nn.Size,
        train: bool,
        prefix: str = "",
    ) -> jax.Array:
        """Weights, norm, activation and dropout, with names that have ``prefix``."""
        name = f"{prefix}hidden_{index}"
        hidden: jax.Array = nn.Dense(width, inputs=inputs, name=name)(x)

        def finished(module: MLPModule, hidden: jax.Array) -> jax.Array:
            if nn.norm_kinds(module.norm) != ("none",):
                norm = nn.Norm(module.norm, width, name=f"{prefix}norm_{index}")
                hidden = norm(hidden, use_running_average=not train)
            hidden = nn.activation(module.activation, hidden)
            drop = nn.Dropout(module.dropout, name=f"{prefix}dropout_{index}")
            return drop(hidden, deterministic=not train)

        return where_reached(self, index, self.depth, finished, hidden)

    def _narrowed(
        self, x: jax.Array, index: int, layer: Layer, train: bool
    ) -> jax.Array:
        """What a layer reads: x, or in a bottleneck block the narrow layer of it."""
        inner = layer.inner
        if inner is None:
            return x
        narrow = self._hidden(x, index, layer.inputs, inner.width, train, _INNER)
        if inner.used is True:
            return narrow
        units = nn.capacity(layer.reads)
        return jnp.where(inner.used, resized(narrow, units), resized(x, units))


class MLPNetwork(MaskedNetwork):
    """`MLPModule`, with the initial values of all layers drawn at once."""

    module: MLPModule

    def _draw(self, key: jax.Array) -> Variables:
        module, dtype = self.module, jnp.dtype(jnp.float32)
        layers = module.layers(math.prod(self.info.input_shape))
        # The output comes first, so that its draws do not hang on how many layers are.
        shapes: dict[str, tuple[int | nn.Size, int | nn.Size]] = {
            "output": (layers[-1].outputs, module.outputs)
        }
        widths: dict[str, int | nn.Size] = {}
        for index, layer in enumerate(layers):
            shapes[f"hidden_{index}"] = (layer.reads, layer.width)
            widths[f"norm_{index}"] = layer.width
            if layer.inner is not None:
                widths[f"{_INNER}norm_{index}"] = layer.inner.width
        drawn = nn.lecun_normals(key, list(shapes.values()), dtype)
        kernels = dict(zip(shapes, drawn, strict=True))
        if any(layer.inner for layer in layers):
            kernels |= _draw_inner(jax.random.fold_in(key, 1), layers, dtype)
        params: dict[str, Any] = {
            name: {"kernel": kernel, "bias": jnp.zeros(kernel.shape[1:], kernel.dtype)}
            for name, kernel in kernels.items()
        }
        statistics = {}
        kinds = nn.norm_kinds(module.norm)
        for name, width in widths.items() if kinds != ("none",) else ():
            params[name] = nn.norm_params(module.norm, width, dtype)
            if "batch" in kinds:
                zeros = jnp.zeros((nn.capacity(width),), dtype)
                statistics[name] = {"mean": zeros, "var": nn.norm_scale(width, dtype)}
        if statistics:
            return {"params": params, "batch_stats": statistics}
        return {"params": params}


def _draw_inner(
    key: jax.Array, layers: list[Layer], dtype: jnp.dtype
) -> dict[str, jax.Array]:
    """The kernels of narrow layers; empty ones stand for those that are not.

    So the draws of a layer do not hang on which others have one. ``key`` is consumed.
    """
    shapes = [(y.inputs, y.inner.width) if y.inner else (0, 0) for y in layers]
    return {
        f"{_INNER}hidden_{index}": kernel
        for index, kernel in enumerate(nn.lecun_normals(key, shapes, dtype))
        if layers[index].inner
    }
