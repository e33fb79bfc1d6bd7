"""The convolutional network, with channels, window, depth and width masked."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune._contracts import Binding
from evotune._errors import HyperparameterError
from evotune.models._checks import (
    as_tuple,
    option_problems,
    rate_problems,
    size_problems,
)
from evotune.models._depth import width_of_layer
from evotune.models._linen import LinenNetwork
from evotune.models._network import Info, Variables

NORMS = ("none", "batch")


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
        norm: "none", or "batch" between each convolution and its activation.
        pool: "max" or "average".
        dropout: Rate of the dropout before the output layer.
    """

    outputs: int
    shape: tuple[int, ...]
    channels: int | nn.Size = 16
    kernel_size: int | nn.Size = 3
    stages: int = 2
    depth: int | nn.Size = 1
    width: int | nn.Size = 64
    activation: str | nn.Choice = "relu"
    norm: str = "none"
    pool: str | nn.Choice = "max"
    dropout: float | jax.Array = 0.0

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps f32[B, ...] to f32[B, outputs]; examples are given ``shape`` first."""
        x = x.reshape((x.shape[0], *self.shape))
        inputs: int | nn.Size = self.shape[-1]
        for stage in range(self.stages):
            channels = times(self.channels, 2**stage)
            for layer in range(nn.capacity(self.depth)):
                features = width_of_layer(layer, channels, self.depth)
                hidden = nn.Conv(
                    features,
                    self.kernel_size,
                    inputs=inputs,
                    use_bias=self.norm == "none",
                    name=f"conv_{stage}_{layer}",
                )(x)
                if self.norm == "batch":
                    norm = nn.BatchNorm(features, name=f"norm_{stage}_{layer}")
                    hidden = norm(hidden, use_running_average=not train)
                hidden = nn.activation(self.activation, hidden)
                if layer > 0 and isinstance(self.depth, nn.Size):
                    hidden = jnp.where(layer < self.depth.active, hidden, x)
                x, inputs = hidden, channels
            x = nn.pool(self.pool, x)
        places = math.prod(x.shape[1:-1])
        # Channels go first, so that those in use stay together.
        x = jnp.moveaxis(x, -1, 1).reshape((x.shape[0], -1))
        x = nn.Dense(self.width, inputs=times(inputs, places), name="hidden")(x)
        x = nn.activation(self.activation, x)
        x = nn.Dropout(self.dropout, name="dropout")(x, deterministic=not train)
        return nn.Dense(self.outputs, inputs=self.width, name="output")(x)


def times(size: int | nn.Size, factor: int) -> int | nn.Size:
    """A size that is ``factor`` times as large."""
    if isinstance(size, nn.Size):
        return nn.Size(size.active * factor, size.capacity * factor)
    return size * factor


class CNNNetwork(LinenNetwork):
    """`CNNModule`, with the initial values of all layers drawn at once."""

    module: CNNModule

    def _intercepted(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # layers of nn need no exchange

    def init(self, key: jax.Array) -> Variables:
        """See `Network.init`."""
        module = self.module
        last = times(module.channels, 2 ** (module.stages - 1))
        places = math.prod(spatial_shapes(module.shape, module.stages)[-1])
        shapes: dict[str, nn.KernelShape] = {
            "output": ((), module.width, module.outputs),
            "hidden": ((), times(last, places), module.width),
        }
        # Stage by stage within a layer, so that no draw hangs on how many layers are.
        window = (module.kernel_size,) * (len(module.shape) - 1)
        for layer in range(nn.capacity(module.depth)):
            inputs: int | nn.Size = module.shape[-1]
            for stage in range(module.stages):
                channels = times(module.channels, 2**stage)
                features = width_of_layer(layer, channels, module.depth)
                ins = inputs if layer == 0 else channels
                shapes[f"conv_{stage}_{layer}"] = (window, ins, features)
                inputs = channels
        kernels = nn.conv_normals(key, list(shapes.values()), jnp.dtype(jnp.float32))
        params: dict[str, Any] = {}
        statistics: dict[str, Any] = {}
        for (name, shape), kernel in zip(shapes.items(), kernels, strict=True):
            params[name] = {"kernel": kernel}
            zeros = jnp.zeros(kernel.shape[-1:], kernel.dtype)
            if module.norm == "none" or not name.startswith("conv"):
                params[name]["bias"] = zeros
                continue
            mask = nn.unit_mask(shape[-1])
            ones = jnp.ones_like(zeros)
            scale = ones if mask is None else mask.astype(zeros.dtype)
            norm = name.replace("conv", "norm")
            params[norm] = {"scale": scale, "bias": zeros}
            statistics[norm] = {"mean": zeros, "var": ones}
        if not statistics:
            return {"params": params}
        return {"params": params, "batch_stats": statistics}


def spatial_shapes(shape: tuple[int, ...], stages: int) -> list[tuple[int, ...]]:
    """Lengths of the spatial axes in each stage, and after the last."""
    shapes = [tuple(shape[:-1])]
    for _ in range(stages):
        shapes.append(tuple(max(1, length // 2) for length in shapes[-1]))
    return shapes


@dataclasses.dataclass(frozen=True)
class CNN:
    """A convolutional network for images and series.

    The arguments are used where the space names none.

    Args:
        channels: Channels of the first stage; each further stage has twice as many.
        kernel_size: Length of the window along each axis.
        stages: Stages, each followed by pooling of 2 along each axis.
        depth: Convolutions in each stage.
        width: Units of the hidden layer after the stages.
        activation: One of `evotune.nn.ACTIVATIONS`.
        norm: "none", or "batch" for batch normalisation after each convolution.
        pool: "max" or "average".
        dropout: Rate of the dropout before the output layer, in [0, 1).
        shape: Of one example with its channels, (H, W, C) or (T, C). None takes
            examples of three axes as (H, W, C), of two as (H, W), of one as (T,).

    Raises:
        HyperparameterError: If examples do not have ``shape``.

    Example:
        >>> import evotune as et
        >>> model = et.models.CNN(shape=(8, 8, 1))  # digits are 64 features
        >>> task = et.tasks.Classification(et.datasets.digits(), model=model)
    """

    channels: int = 16
    kernel_size: int = 3
    stages: int = 2
    depth: int = 1
    width: int = 64
    activation: str = "relu"
    norm: str = "none"
    pool: str = "max"
    dropout: float = 0.0
    shape: tuple[int, ...] | None = None

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Sizes and choices of functions are masked; what changes the layers is not."""
        masked = ("channels", "kernel_size", "depth", "width", "activation", "pool")
        return {
            **dict.fromkeys(masked, Binding.MASKED),
            "stages": Binding.STATIC,
            "norm": Binding.STATIC,
            "dropout": Binding.TRACED,
        }

    def network(self, hp: Any, info: Info) -> CNNNetwork:
        """See `Model.network`."""
        values = {name: hp.get(name, getattr(self, name)) for name in self.bindings}
        shape = example_shape(self.shape, info)
        return CNNNetwork(CNNModule(info.num_outputs, shape, **values), info)

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Multiply-adds of one example's forward pass, in its matrix products."""
        channels, kernel_size, stages, depth, width = (
            sizes.get(name, getattr(self, name))
            for name in ("channels", "kernel_size", "stages", "depth", "width")
        )
        shape = example_shape(self.shape, info)
        taps = kernel_size ** (len(shape) - 1)
        shapes = spatial_shapes(shape, stages)
        total, inputs = 0, shape[-1]
        for stage, lengths in enumerate(shapes[:-1]):
            features = channels * 2**stage
            rows = inputs + (depth - 1) * features
            total += math.prod(lengths) * taps * rows * features
            inputs = features
        head = math.prod(shapes[-1]) * inputs + info.num_outputs
        return float(total + head * width)

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Model.check`."""
        merged = {**{n: getattr(self, n) for n in self.bindings}, **values}
        sizes = ("channels", "kernel_size", "stages", "depth", "width")
        return [
            *size_problems(merged, sizes),
            *option_problems(merged, "activation", tuple(nn.ACTIVATIONS)),
            *option_problems(merged, "norm", NORMS),
            *option_problems(merged, "pool", nn.POOLS),
            *rate_problems(merged, "dropout"),
            *_many_stages(merged),
        ]

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """Cuts padded ``variables`` to the true sizes in ``hp``."""
        channels, kernel_size, stages, depth, width = (
            hp.get(name, getattr(self, name))
            for name in ("channels", "kernel_size", "stages", "depth", "width")
        )
        shape = example_shape(self.shape, info)
        places = math.prod(spatial_shapes(shape, stages)[-1])
        padded, params = variables["params"], {}
        statistics = variables.get("batch_stats", {})
        cut_statistics = {}
        inputs = shape[-1]
        for stage in range(stages):
            features = channels * 2**stage
            for layer in range(depth):
                conv, norm = f"conv_{stage}_{layer}", f"norm_{stage}_{layer}"
                params[conv] = cut_conv(padded[conv], kernel_size, inputs, features)
                if norm in padded:
                    params[norm] = cut_units(padded[norm], features)
                    cut_statistics[norm] = cut_units(statistics[norm], features)
                inputs = features
        hidden = padded["hidden"]
        params["hidden"] = {
            "kernel": hidden["kernel"][: inputs * places, :width],
            "bias": hidden["bias"][:width],
        }
        output = padded["output"]
        params["output"] = {"kernel": output["kernel"][:width], "bias": output["bias"]}
        cut = {"batch_stats": cut_statistics} if statistics else {}
        return {**variables, **cut, "params": params}


def example_shape(shape: tuple[int, ...] | None, info: Info) -> tuple[int, ...]:
    """(*spatial, C) of one example: as given, or by its number of axes.

    Raises:
        HyperparameterError: If examples cannot have it.
    """
    given = info.input_shape
    if shape is None:
        shape = given if len(given) == 3 else (*given, 1)
    if len(shape) < 2 or math.prod(shape) != math.prod(given):
        raise HyperparameterError(
            f"shape must be (H, W, C) or (T, C) of one example, but is {shape} where "
            f"examples have shape {given}. Use for instance `CNN(shape=(8, 8, 1))` "
            "for 64 features that are an image."
        )
    return tuple(shape)


def cut_conv(
    layer: Mapping[str, jax.Array], size: int, inputs: int, features: int
) -> dict[str, jax.Array]:
    """A convolution's parameters of its true window and channels."""
    kernel = layer["kernel"]
    for axis in range(kernel.ndim - 2):
        first = nn.first_tap(size, kernel.shape[axis])
        kernel = jax.lax.slice_in_dim(kernel, first, first + size, axis=axis)
    rest = {name: value for name, value in layer.items() if name != "kernel"}
    return {"kernel": kernel[..., :inputs, :features], **cut_units(rest, features)}


def cut_units(layer: Mapping[str, jax.Array], units: int) -> dict[str, jax.Array]:
    """Parameters of one entry a unit, of the true number of units."""
    return {name: value[:units] for name, value in layer.items()}


def _many_stages(values: Mapping[str, Any]) -> list[str]:
    return [
        f"stages must be at most 8, as channels double in each, but may be {value!r}. "
        "Use `stages=Int(1, 3)`."
        for value in as_tuple(values["stages"])
        if isinstance(value, int) and value > 8
    ]
