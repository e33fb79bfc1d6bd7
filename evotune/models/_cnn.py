"""The convolutional network, with channels, window, depth and width masked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from evotune import nn
from evotune._contracts import Binding
from evotune.models._checks import stage_problems, value_problems
from evotune.models._cnn_module import CNNModule, CNNNetwork, spatial_shapes
from evotune.models._convolutional import example_shape
from evotune.models._network import Info, Variables
from evotune.models._places import attention_products, gate_products
from evotune.models._slicing import cut_like

_SIZES = ("channels", "kernel_size", "depth", "width", "heads", "head_size")
_RATES = ("dropout", "drop_path")
_SWITCHES = ("residual", "se", "self_attention")
_BINDINGS: Mapping[str, Binding] = {
    **dict.fromkeys((*_SIZES, "activation", "pool"), Binding.MASKED),
    **dict.fromkeys(("stages", "norm"), Binding.STATIC),
    **dict.fromkeys((*_RATES, "init_scale", "se_ratio", *_SWITCHES), Binding.TRACED),
}


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
        norm: "none", "layer" or "rms" (over the channels of a place) or "batch", after
            each convolution.
        pool: "max" or "average".
        dropout: Rate of the dropout before the output layer, in [0, 1).
        residual: Whether each convolution adds its inputs, but for the first one of a
            stage, which changes the channels.
        drop_path: Stochastic depth, in [0, 1): the rate at which the last convolution
            drops what it adds to its inputs, for whole examples; that of convolution l
            of all L is ``drop_path * l / L``. Those that do not add their inputs drop
            nothing.
        se: Whether convolutions are followed by squeeze and excitation.
        se_ratio: What the channels are divided by in it.
        self_attention: Whether places attend to each other after the last stage.
        heads: Heads of that attention.
        head_size: Units of each head.
        init_scale: Factor on the initial kernels, which have variance 1 / inputs.
        shape: Of one example with its channels, (H, W, C) or (T, C). None takes
            examples of three axes as (H, W, C), of two as (T, C), of one as (T,).

    Raises:
        HyperparameterError: If examples do not have ``shape``.

    Reference:
        Huang et al. (2016), Deep networks with stochastic depth; Hu, Shen, Sun (2018),
        Squeeze-and-excitation networks.

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
    residual: bool = False
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
        """Sizes and choices of functions are masked; what changes the layers is not."""
        return _BINDINGS

    def network(self, hp: Any, info: Info) -> CNNNetwork:
        """See `Model.network`."""
        values = self._values(hp)
        scale = values.pop("init_scale")
        shape = example_shape(self.shape, info)
        module = CNNModule(info.num_outputs, shape, **values)
        return CNNNetwork(module, info, init_scale=scale)

    def _values(self, hp: Mapping[str, Any]) -> dict[str, Any]:
        return {name: hp.get(name, getattr(self, name)) for name in _BINDINGS}

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Multiply-adds of one example's forward pass, in its matrix products."""
        values = self._values(sizes)
        total = 0
        for windows, features in self._stages(values, info):
            total += windows * features
            if values["se"]:
                total += gate_products(features, values["se_ratio"]) * values["depth"]
        places = math.prod(self._shapes(values, info)[-1])
        if values["self_attention"]:
            heads, size = values["heads"], values["head_size"]
            total += attention_products(places, features, heads, size)
        head = places * features + info.num_outputs
        return float(total + head * values["width"])

    def window_elements(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Elements of the windows that one example's forward pass reads."""
        stages = self._stages(self._values(sizes), info)
        return float(sum(windows for windows, _ in stages))

    def _stages(
        self, values: Mapping[str, Any], info: Info
    ) -> Iterator[tuple[int, int]]:
        """Of each stage, the elements of all its windows, and the channels it makes."""
        *shapes, _ = self._shapes(values, info)
        inputs = example_shape(self.shape, info)[-1]
        for stage, lengths in enumerate(shapes):
            features = values["channels"] * 2**stage
            taps = values["kernel_size"] ** len(lengths)
            rows = inputs + (values["depth"] - 1) * features
            yield math.prod(lengths) * taps * rows, features
            inputs = features

    def _shapes(
        self, values: Mapping[str, Any], info: Info
    ) -> Sequence[tuple[int, ...]]:
        """Lengths of the spatial axes in each stage, and after the last."""
        return spatial_shapes(example_shape(self.shape, info), values["stages"])

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Model.check`."""
        merged = {**dataclasses.asdict(self), **values}
        problems = value_problems(
            merged,
            sizes=(*_SIZES, "stages", "se_ratio"),
            options={
                "activation": tuple(nn.ACTIVATIONS),
                "norm": nn.NORMS,
                "pool": nn.POOLS,
            },
            rates=_RATES,
            switches=_SWITCHES,
            factors=("init_scale",),
        )
        return problems + stage_problems(merged)

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """See `Model.slice`."""
        return cut_like(self.network(hp, info), variables)
