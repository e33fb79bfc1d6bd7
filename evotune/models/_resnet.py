"""The residual network, with channels, window, depth and skips masked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from evotune import nn
from evotune._contracts import Binding
from evotune.models._checks import stage_problems, value_problems
from evotune.models._convolutional import example_shape
from evotune.models._network import Info, Variables
from evotune.models._places import attention_products, gate_products
from evotune.models._resnet_module import ResNetModule, ResNetNetwork
from evotune.models._resnet_sizes import (
    BLOCKS,
    SKIPS,
    Convolution,
    main_path,
    outputs_of,
    projection,
    stem,
)
from evotune.models._slicing import cut_like

_SIZES = ("channels", "kernel_size", "depth", "expansion", "heads", "head_size")
_CHOICES = {
    "activation": tuple(nn.ACTIVATIONS),
    "pool": nn.POOLS,
    "skip": SKIPS,
}
_LAYOUT = {"block": BLOCKS, "norm": nn.NORMS}
_RATES = ("dropout", "drop_path")
_SWITCHES = ("se", "self_attention")
_BINDINGS: Mapping[str, Binding] = {
    **dict.fromkeys((*_SIZES, *_CHOICES), Binding.MASKED),
    **dict.fromkeys(("stages", *_LAYOUT), Binding.STATIC),
    **dict.fromkeys((*_RATES, *_SWITCHES, "se_ratio", "init_scale"), Binding.TRACED),
}


@dataclasses.dataclass(frozen=True)
class ResNet:
    """A residual network for images and series, with global pooling at its end.

    The arguments are used where the space names none. The stem is one convolution; each
    stage but the first one begins by halving every side and doubling the channels.

    Args:
        channels: Channels of the stem and inside the blocks of the first stage.
        kernel_size: Length of the window along each axis.
        stages: Number of stages.
        depth: Blocks in each stage.
        block: "basic", two convolutions with the window, or "bottleneck", one between
            two of window 1.
        expansion: Outputs of a bottleneck block, as a whole multiple of the channels
            inside; basic blocks do not read it.
        skip: Where a block changes shapes, "projection" by a convolution of window 1,
            or "identity", which skips places and adds channels of zeros.
        norm: "none", "layer" or "rms" (over the channels of a place) or "batch", after
            each convolution.
        activation: One of `evotune.nn.ACTIVATIONS`.
        pool: "average" or "max" over all places after the last stage.
        dropout: Rate of the dropout before the output layer, in [0, 1).
        drop_path: Stochastic depth, in [0, 1): the rate at which the last block drops
            its branch for an example; the rate of the others rises linearly to it.
        se: Whether blocks weigh their channels by squeeze and excitation.
        se_ratio: What the channels are divided by in it.
        self_attention: Whether places attend to each other after the last stage.
        heads: Heads of that attention.
        head_size: Units of each head.
        init_scale: Factor on the initial kernels, which have variance 1 / inputs.
        shape: Of one example with its channels; see `CNN`.

    Raises:
        HyperparameterError: If examples do not have ``shape``.

    Reference:
        He, Zhang, Ren, Sun (2016), Deep residual learning for image recognition,
        sections 3.3 and 4.2; Huang et al. (2016), Deep networks with stochastic depth;
        Hu, Shen, Sun (2018), Squeeze-and-excitation networks.

    Example:
        >>> import evotune as et
        >>> model = et.models.ResNet(shape=(8, 8, 1), stages=2)
        >>> task = et.tasks.Classification(et.datasets.digits(), model=model)
        >>> space = et.Space(
        ...     channels=et.Int(8, 32, log=True),
        ...     depth=et.Int(1, 3),
        ...     skip=et.Categorical(["projection", "identity"]),
        ...     drop_path=et.Float(0.0, 0.3),
        ...     se=et.Bool(),
        ... )
    """

    channels: int = 16
    kernel_size: int = 3
    stages: int = 3
    depth: int = 1
    block: str = "basic"
    expansion: int = 4
    skip: str = "projection"
    norm: str = "batch"
    activation: str = "relu"
    pool: str = "average"
    dropout: float = 0.0
    drop_path: float = 0.0
    se: bool = False
    se_ratio: int = 4
    self_attention: bool = False
    heads: int = 2
    head_size: int = 16
    init_scale: float = 1.0
    shape: tuple[int, ...] | None = None

    skips: ClassVar[tuple[str, ...]] = ("depth",)

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Sizes, skips and functions are masked; what changes the layers is static."""
        return _BINDINGS

    def network(self, hp: Any, info: Info) -> ResNetNetwork:
        """See `Model.network`."""
        scale = hp.get("init_scale", self.init_scale)
        return ResNetNetwork(self._module(hp, info), info, init_scale=scale)

    def _module(self, hp: Mapping[str, Any], info: Info) -> ResNetModule:
        values = {name: hp.get(name, getattr(self, name)) for name in _BINDINGS}
        del values["init_scale"]
        shape = example_shape(self.shape, info)
        return ResNetModule(info.num_outputs, shape, **values)

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Multiply-adds of one example's forward pass, in its matrix products."""
        module = self._module(sizes, info)
        convolutions = list(_convolutions(module))
        total = sum(windows * made for windows, made, _ in convolutions)
        features = nn.capacity(outputs_of(module, module.stages - 1))
        if module.se:
            made = (outputs_of(module, stage) for stage in range(module.stages))
            gates = [gate_products(nn.capacity(c), int(module.se_ratio)) for c in made]
            total += nn.capacity(module.depth) * sum(gates)
        if module.self_attention:
            heads, size = nn.capacity(module.heads), nn.capacity(module.head_size)
            places = math.prod(convolutions[-1][-1])
            total += attention_products(places, features, heads, size)
        return float(total + features * info.num_outputs)

    def window_elements(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Elements of the windows that one example's forward pass reads."""
        module = self._module(sizes, info)
        return float(sum(windows for windows, _, _ in _convolutions(module)))

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Model.check`."""
        merged = {**dataclasses.asdict(self), **values}
        problems = value_problems(
            merged,
            sizes=(*_SIZES, "stages", "se_ratio"),
            options={**_CHOICES, **_LAYOUT},
            rates=_RATES,
            switches=_SWITCHES,
            factors=("init_scale",),
        )
        return problems + stage_problems(merged)

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """See `Model.slice`."""
        return cut_like(self.network(hp, info), variables)


def _convolutions(module: ResNetModule) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """The convolutions of plain sizes, in the order of the blocks.

    Yields:
        Elements of its windows, channels that it makes, lengths of its outputs.
    """
    first = _windows(stem(module), module.shape[:-1])
    yield first
    lengths = first[-1]
    for stage in range(module.stages):
        for index in range(nn.capacity(module.depth)):
            skip = None if index else projection(module, stage)
            if skip is not None:
                yield _windows(skip, lengths)
            for convolution in main_path(module, stage, index):
                found = _windows(convolution, lengths)
                yield found
                lengths = found[-1]


def _windows(
    convolution: Convolution, lengths: tuple[int, ...]
) -> tuple[int, int, tuple[int, ...]]:
    out = tuple(-(-length // convolution.strides) for length in lengths)
    taps = nn.capacity(convolution.kernel_size) ** len(lengths)
    windows = math.prod(out) * taps * nn.capacity(convolution.inputs)
    return windows, nn.capacity(convolution.features), out
