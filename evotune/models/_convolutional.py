"""What the convolutional families share: shapes of examples, and initial values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util

from evotune import nn
from evotune._errors import HyperparameterError
from evotune.models._network import Info, Variables

_MOST_DRAWN = 256
"""Kernels that `nn.conv_normals` can tell apart."""


def example_shape(shape: tuple[int, ...] | None, info: Info) -> tuple[int, ...]:
    """(*spatial, C) of one example: as given, or by its number of axes.

    One axis is a series of one channel; two are a series [T, C]; three an image
    [H, W, C].

    Raises:
        HyperparameterError: If examples cannot have it.
    """
    given = info.input_shape
    if shape is None:
        shape = given if len(given) > 1 else (*given, 1)
    if len(shape) < 2 or math.prod(shape) != math.prod(given):
        raise HyperparameterError(
            f"shape must be (H, W, C) or (T, C) of one example, but is {shape} where "
            f"examples have shape {given}. Use for instance `CNN(shape=(8, 8, 1))` "
            "for 64 features that are an image."
        )
    return tuple(shape)


def times(size: int | nn.Size, factor: int) -> int | nn.Size:
    """A size that is ``factor`` times as large."""
    if isinstance(size, nn.Size):
        return nn.Size(size.active * factor, size.capacity * factor)
    return size * factor


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer whose initial values are to be drawn.

    Attributes:
        kernel: Its window, inputs and outputs.
        norm: Path of the norm that follows it and makes its bias idle; "" for none.
    """

    kernel: nn.KernelShape
    norm: str = ""


def draw_layers(
    key: jax.Array, groups: Sequence[Mapping[str, Layer]], norm: str
) -> Variables:
    """Initial variables of layers, by their paths in the module; each group at once.

    The draws of a layer hang on its group and on how many layers stand before it there;
    what a member may lack has a group of its own. ``key`` is consumed.

    Args:
        key: A threefry PRNG key.
        groups: Layers by path, such as "stage_0_block_0/conv_0".
        norm: One of `nn.NORMS`, of all the layers that have one.
    """
    dtype = jnp.dtype(jnp.float32)
    params: dict[str, Any] = {}
    statistics: dict[str, Any] = {}
    for number, layers in enumerate(groups):
        kernels = _kernels(jax.random.fold_in(key, number) if number else key, layers)
        for path, layer in layers.items():
            params[f"{path}/kernel"] = kernels[path]
            zeros = jnp.zeros(kernels[path].shape[-1:], dtype)
            if norm == "none" or not layer.norm:
                params[f"{path}/bias"] = zeros
                continue
            own = nn.norm_params(norm, layer.kernel[-1], dtype)
            params |= {f"{layer.norm}/{name}": value for name, value in own.items()}
            if norm == "batch":
                used = nn.norm_scale(layer.kernel[-1], dtype)
                statistics |= {f"{layer.norm}/mean": zeros, f"{layer.norm}/var": used}
    variables = {"params": traverse_util.unflatten_dict(params, sep="/")}
    if statistics:
        variables["batch_stats"] = traverse_util.unflatten_dict(statistics, sep="/")
    return variables


def _kernels(key: jax.Array, layers: Mapping[str, Layer]) -> dict[str, jax.Array]:
    """The initial kernel of each layer."""
    shapes = [layer.kernel for layer in layers.values()]
    kernels: list[jax.Array] = []
    for first in range(0, len(shapes), _MOST_DRAWN):
        own = jax.random.fold_in(key, first) if first else key
        some = shapes[first : first + _MOST_DRAWN]
        kernels += nn.conv_normals(own, some, jnp.dtype(jnp.float32))
    return dict(zip(layers, kernels, strict=True))
