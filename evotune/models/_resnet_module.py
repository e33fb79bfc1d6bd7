"""The residual network as a Flax module, and how its variables start."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune.models._convolutional import Layer, draw_layers
from evotune.models._masked import MaskedNetwork, Size, picked, within_depth
from evotune.models._network import Variables
from evotune.models._places import attended, draw_attention, excited, gate_layers
from evotune.models._residual import path_rate, resized
from evotune.models._resnet_sizes import (
    SKIPS,
    Convolution,
    main_path,
    outputs_of,
    projection,
    stem,
)


class ResNetModule(linen.Module):
    """A stem, stages of residual blocks, pooling over all places and an output layer.

    Each stage but the first one begins by halving every side and doubling the channels.
    With plain Python values it is an ordinary Flax module; `nn.Size` and `nn.Choice`
    pad it, and blocks beyond the active depth are passed by and hold zeros.

    Attributes:
        outputs: Number of outputs.
        shape: Of one example with its channels: (H, W, C) or (T, C).
        channels: Channels of the stem and inside the blocks of the first stage.
        kernel_size: Length of the window along each axis.
        stages: Number of stages.
        depth: Blocks in each stage.
        block: "basic" or "bottleneck".
        expansion: Outputs of a bottleneck block, as a multiple of what is inside.
        skip: "projection" or "identity" where a block changes shapes.
        norm: One of `nn.NORMS`, after each convolution.
        activation: Name of the activation.
        pool: "average" or "max" over all places.
        dropout: Rate of the dropout before the output layer.
        drop_path: Rate at which the last block drops its branch; see `nn.drop_path`.
        se: Whether blocks have squeeze and excitation.
        se_ratio: What channels are divided by in it.
        self_attention: Whether places attend to each other after the last stage.
        heads: Heads of that attention.
        head_size: Units of each head.
    """

    outputs: int
    shape: tuple[int, ...]
    channels: Size = 16
    kernel_size: Size = 3
    stages: int = 3
    depth: Size = 1
    block: str = "basic"
    expansion: Size = 4
    skip: str | nn.Choice = "projection"
    norm: str = "batch"
    activation: str | nn.Choice = "relu"
    pool: str | nn.Choice = "average"
    dropout: float | jax.Array = 0.0
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
        x = _convolved(stem(self), self.norm, x, "stem", train=train)
        x = nn.activation(self.activation, x)
        for stage in range(self.stages):
            for index in range(nn.capacity(self.depth)):
                block = functools.partial(
                    ResNetModule._block, x=x, stage=stage, index=index, train=train
                )
                x = within_depth(self, index, self.depth, block, x)
        last = outputs_of(self, self.stages - 1)
        x = attended(self, last, x)
        pooled = picked(
            self.pool,
            nn.POOLS,
            "pool",
            {
                "average": lambda: jnp.mean(x, axis=range(1, x.ndim - 1)),
                "max": lambda: jnp.max(x, axis=range(1, x.ndim - 1)),
            },
        )
        pooled = nn.Dropout(self.dropout, name="dropout")(
            pooled, deterministic=not train
        )
        return nn.Dense(self.outputs, inputs=last, name="output")(pooled)

    def _block(self, x: jax.Array, stage: int, index: int, train: bool) -> jax.Array:
        """What block ``index`` of a stage makes of x."""
        depth = nn.active(self.depth)
        before = stage * depth + index
        block = _Block(
            convolutions=tuple(main_path(self, stage, index)),
            projection=None if index else projection(self, stage),
            outputs=nn.capacity(outputs_of(self, stage)),
            skip=self.skip,
            norm=self.norm,
            activation=self.activation,
            drop_path=path_rate(self.drop_path, before, self.stages * depth),
            se=self.se,
            se_ratio=self.se_ratio,
            name=block_name(stage, index),
        )
        made: jax.Array = block(x, train=train)
        return made


class _Block(linen.Module):
    """activation(skip(x) + branch(x)), the branch being two or three convolutions."""

    convolutions: tuple[Convolution, ...]
    projection: Convolution | None
    outputs: int
    skip: str | nn.Choice
    norm: str
    activation: str | nn.Choice
    drop_path: float | jax.Array
    se: bool | jax.Array
    se_ratio: int | jax.Array

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        y = x
        for index, convolution in enumerate(self.convolutions):
            y = nn.activation(self.activation, y) if index else y
            y = _convolved(convolution, self.norm, y, str(index), train=train)
        features = self.convolutions[-1].features
        y = excited(self.se, y, features, self.se_ratio, "se")
        y = nn.DropPath(self.drop_path, name="drop_path")(y, deterministic=not train)
        return nn.activation(self.activation, self._skipped(x, train=train) + y)

    def _skipped(self, x: jax.Array, *, train: bool) -> jax.Array:
        step = max(convolution.strides for convolution in self.convolutions)
        projection = self.projection

        def identity() -> jax.Array:
            places = (slice(None, None, step),) * (x.ndim - 2) if step > 1 else ()
            return resized(x[:, *places], self.outputs)

        if projection is None:
            return identity()
        makers = {
            "identity": identity,
            "projection": lambda: _convolved(
                projection, self.norm, x, "skip", train=train
            ),
        }
        return picked(self.skip, SKIPS, "skip", makers)


def _convolved(
    convolution: Convolution, norm: str, x: jax.Array, name: str, *, train: bool
) -> jax.Array:
    """X after a convolution and its norm, as layers of the module that calls this."""
    y = nn.Conv(
        convolution.features,
        convolution.kernel_size,
        inputs=convolution.inputs,
        strides=convolution.strides,
        use_bias=norm == "none",
        centred=True,
        name=f"conv_{name}",
    )(x)
    if norm == "none":
        return y
    layer = nn.Norm(norm, convolution.features, name=f"norm_{name}")
    normed: jax.Array = layer(y, use_running_average=not train)
    return normed


def block_name(stage: int, index: int) -> str:
    """The name of a block among the layers of the module."""
    return f"stage_{stage}_block_{index}"


class ResNetNetwork(MaskedNetwork):
    """`ResNetModule`, with the initial values of all layers drawn at once."""

    module: ResNetModule

    def _draw(self, key: jax.Array) -> Variables:
        module = self.module
        axes = len(module.shape) - 1

        def layer(convolution: Convolution, norm: str) -> Layer:
            window = (convolution.kernel_size,) * axes
            kernel = (window, convolution.inputs, convolution.features)
            return Layer(kernel, norm=norm)

        last = outputs_of(module, module.stages - 1)
        main = {
            "output": Layer(((), last, module.outputs)),
            "conv_stem": layer(stem(module), "norm_stem"),
        }
        skips: dict[str, Layer] = {}
        gates: dict[str, Layer] = {}
        # Stage by stage within a block, so that no draw hangs on how many blocks are.
        for index in range(nn.capacity(module.depth)):
            for stage in range(module.stages):
                name = block_name(stage, index)
                path = main_path(module, stage, index)
                for number, convolution in enumerate(path):
                    main[f"{name}/conv_{number}"] = layer(
                        convolution, f"{name}/norm_{number}"
                    )
                changed = None if index else projection(module, stage)
                if changed is not None:
                    skips[f"{name}/conv_skip"] = layer(changed, f"{name}/norm_skip")
                gates |= gate_layers(
                    module.se, path[-1].features, module.se_ratio, f"{name}/se"
                )
        variables = draw_layers(key, [main, skips, gates], module.norm)
        variables["params"] |= draw_attention(module, last, key)
        return variables
