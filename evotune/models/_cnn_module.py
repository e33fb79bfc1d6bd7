"""The convolutional network as a Flax module, and how its variables start."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune.models._convolutional import Layer, draw_layers, times
from evotune.models._masked import MaskedNetwork, Size, limited, runs_at, within_depth
from evotune.models._network import Variables
from evotune.models._places import (
    attended,
    draw_attention,
    excited,
    gate_layers,
)
from evotune.models._residual import path_rate, with_residual


class CNNModule(linen.Module):
    """Stages of convolutions, each halved in size by pooling, and a dense head.

    A stage has ``depth`` convolutions, and twice the channels of the stage before. With
    plain Python values it is an ordinary Flax module; `nn.Size` and `nn.Choice` pad it.

    Attributes:
        outputs: Number of outputs.
        shape: Of one example with its channels: (H, W, C) or (T, C).
        channels: Channels of the first stage, >= 1.
        kernel_size: Length of the window along each axis, >= 1.
        stages: Number of stages, >= 1.
        depth: Convolutions in each stage, >= 1.
        width: Units of the hidden layer in the head, >= 1.
        activation: Name of the activation after each convolution and hidden layer.
        norm: One of `nn.NORMS`, between each convolution and its activation.
        pool: "max" or "average".
        dropout: Rate of the dropout before the output layer.
        residual: Whether a convolution adds its inputs to its outputs, but for the
            first one of each stage, which changes the channels.
        drop_path: Rate at which the last convolution drops what it adds to its inputs;
            see `nn.drop_path`.
        se: Whether convolutions are followed by squeeze and excitation.
        se_ratio: What channels are divided by in it.
        self_attention: Whether places attend to each other after the last stage.
        heads: Heads of that attention.
        head_size: Units of each head.
    """

    outputs: int
    shape: tuple[int, ...]
    channels: Size = 16
    kernel_size: Size = 3
    stages: int = 2
    depth: Size = 1
    width: Size = 64
    activation: str | nn.Choice = "relu"
    norm: str = "none"
    pool: str | nn.Choice = "max"
    dropout: float | jax.Array = 0.0
    residual: bool | jax.Array = False
    drop_path: float | jax.Array = 0.0
    se: bool | jax.Array = False
    se_ratio: int | jax.Array = 4
    self_attention: bool | jax.Array = False
    heads: Size = 2
    head_size: Size = 16

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps f32[B, ...] to f32[B, outputs]; examples are given ``shape`` first."""
        x = x.reshape((x.shape[0], *self.shape))
        inputs: Size = self.shape[-1]
        for stage in range(self.stages):
            channels = times(self.channels, 2**stage)
            for layer in range(nn.capacity(self.depth)):
                convolution = functools.partial(
                    CNNModule._layer,
                    x=x,
                    place=(stage, layer),
                    inputs=inputs,
                    channels=channels,
                    train=train,
                )
                x = within_depth(self, layer, self.depth, convolution, x)
                inputs = channels
            x = nn.pool(self.pool, x)
        x = attended(self, inputs, x)
        places = math.prod(x.shape[1:-1])
        # Channels go first, so that those in use stay together.
        x = jnp.moveaxis(x, -1, 1).reshape((x.shape[0], -1))
        x = nn.Dense(self.width, inputs=times(inputs, places), name="hidden")(x)
        x = nn.activation(self.activation, x)
        x = nn.Dropout(self.dropout, name="dropout")(x, deterministic=not train)
        return nn.Dense(self.outputs, inputs=self.width, name="output")(x)

    def _layer(
        self,
        x: jax.Array,
        place: tuple[int, int],
        inputs: Size,
        channels: Size,
        train: bool,
    ) -> jax.Array:
        """What the convolution at ``place``, a stage and a layer of it, makes of x."""
        stage, layer = place
        features = limited(channels, runs_at(layer, self.depth))
        hidden: jax.Array = nn.Conv(
            features,
            self.kernel_size,
            inputs=inputs,
            use_bias=self.norm == "none",
            name=f"conv_{stage}_{layer}",
        )(x)
        if self.norm != "none":
            norm = nn.Norm(self.norm, features, name=f"norm_{stage}_{layer}")
            hidden = norm(hidden, use_running_average=not train)
        hidden = nn.activation(self.activation, hidden)
        name = f"se_{stage}_{layer}"
        hidden = excited(self.se, hidden, features, self.se_ratio, name)
        if layer:
            drop = self._dropped(stage, layer, train)
            hidden = with_residual(hidden, x, self.residual, drop=drop)
        return hidden

    def _dropped(
        self, stage: int, layer: int, train: bool
    ) -> Callable[[jax.Array], jax.Array]:
        """Stochastic depth at the place of a convolution among all that are active."""
        depth = nn.active(self.depth)
        rate = path_rate(self.drop_path, stage * depth + layer, self.stages * depth)
        drop = nn.DropPath(rate, name=f"drop_path_{stage}_{layer}")
        return functools.partial(drop, deterministic=not train)


class CNNNetwork(MaskedNetwork):
    """`CNNModule`, with the initial values of all layers drawn at once."""

    module: CNNModule

    def _draw(self, key: jax.Array) -> Variables:
        module = self.module
        last = times(module.channels, 2 ** (module.stages - 1))
        places = math.prod(spatial_shapes(module.shape, module.stages)[-1])
        layers = {
            "output": Layer(((), module.width, module.outputs)),
            "hidden": Layer(((), times(last, places), module.width)),
        }
        gates: dict[str, Layer] = {}
        # Stage by stage within a layer, so that no draw hangs on how many layers are.
        window = (module.kernel_size,) * (len(module.shape) - 1)
        for layer in range(nn.capacity(module.depth)):
            inputs: Size = module.shape[-1]
            for stage in range(module.stages):
                channels = times(module.channels, 2**stage)
                features = limited(channels, runs_at(layer, module.depth))
                ins = inputs if layer == 0 else channels
                name = f"{stage}_{layer}"
                kernel = (window, ins, features)
                layers[f"conv_{name}"] = Layer(kernel, norm=f"norm_{name}")
                inputs = channels
                name = f"se_{stage}_{layer}"
                gates |= gate_layers(module.se, features, module.se_ratio, name)
        variables = draw_layers(key, [layers, gates], module.norm)
        variables["params"] |= draw_attention(module, last, key)
        return variables


def spatial_shapes(shape: tuple[int, ...], stages: int) -> list[tuple[int, ...]]:
    """Lengths of the spatial axes in each stage, and after the last."""
    shapes = [tuple(shape[:-1])]
    for _ in range(stages):
        shapes.append(tuple(max(1, length // 2) for length in shapes[-1]))
    return shapes
