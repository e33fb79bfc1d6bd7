"""The convolutions of a residual network: where each one stands, and how large."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from evotune import nn
from evotune.models._convolutional import times
from evotune.models._masked import Size, is_picked, limited, product, runs_at

if TYPE_CHECKING:
    from evotune.models._resnet_module import ResNetModule

BLOCKS = ("basic", "bottleneck")
SKIPS = ("projection", "identity")


@dataclasses.dataclass(frozen=True)
class Convolution:
    """The sizes of one convolution.

    Attributes:
        kernel_size: Length of its window along each axis.
        inputs: Channels that it reads.
        features: Channels that it makes; none are active in a block that is not.
        strides: Steps of its window along each axis.
    """

    kernel_size: Size
    inputs: Size
    features: Size
    strides: int = 1


def stem(module: ResNetModule) -> Convolution:
    """What comes before the stages."""
    return Convolution(module.kernel_size, module.shape[-1], module.channels)


def main_path(module: ResNetModule, stage: int, index: int) -> list[Convolution]:
    """The convolutions of a block, one after the other.

    The one with the window halves the sides, as in most code since the paper, which has
    the first one do it.
    """
    runs = runs_at(index, module.depth)
    inner = limited(times(module.channels, 2**stage), runs)
    inputs = outputs_of(module, stage) if index else inputs_of(module, stage)
    strides = strides_of(stage, index)
    if module.block == "basic":
        return [
            Convolution(module.kernel_size, inputs, inner, strides),
            Convolution(module.kernel_size, inner, inner),
        ]
    return [
        Convolution(1, inputs, inner),
        Convolution(module.kernel_size, inner, inner, strides),
        Convolution(1, inner, limited(outputs_of(module, stage), runs)),
    ]


def projection(module: ResNetModule, stage: int) -> Convolution | None:
    """What the skip of the first block in a stage may be; None where it is not."""
    skip, features = module.skip, outputs_of(module, stage)
    options = skip.options if isinstance(skip, nn.Choice) else (skip,)
    changes = stage > 0 or module.block == "bottleneck"
    if not changes or "projection" not in options:
        return None
    used = limited(features, is_picked(skip, "projection"))
    return Convolution(1, inputs_of(module, stage), used, strides_of(stage, 0))


def outputs_of(module: ResNetModule, stage: int) -> Size:
    """Channels that each block of a stage makes."""
    inner = times(module.channels, 2**stage)
    return inner if module.block == "basic" else product(inner, module.expansion)


def inputs_of(module: ResNetModule, stage: int) -> Size:
    """Channels that the first block of a stage reads."""
    return outputs_of(module, stage - 1) if stage else module.channels


def strides_of(stage: int, index: int) -> int:
    """Every stage but the first one begins by halving the sides."""
    return 2 if stage and not index else 1
