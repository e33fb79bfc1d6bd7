"""The multilayer perceptron, with width, depth, activation and norm masked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from evotune import nn
from evotune._contracts import Binding
from evotune.models._checks import as_tuple, value_problems
from evotune.models._mlp_module import MLPModule, MLPNetwork
from evotune.models._mlp_sizes import Width, hidden_layers, width_at
from evotune.models._network import Info, Variables
from evotune.models._slicing import cut_like

NAMED_LAYERS = 8
"""Hidden layers whose widths have names of their own, `width_0` and on."""

_DEFAULT_DEPTH = 2
_BINDINGS: Mapping[str, Binding] = {
    "width": Binding.MASKED,
    **{f"width_{layer}": Binding.MASKED for layer in range(NAMED_LAYERS)},
    "depth": Binding.MASKED,
    "activation": Binding.MASKED,
    "norm": Binding.MASKED,
    "residual": Binding.TRACED,
    "dropout": Binding.TRACED,
    "init_scale": Binding.TRACED,
    "drop_path": Binding.TRACED,
    "bottleneck": Binding.TRACED,
}
_MODULE = ("activation", "dropout", "norm", "residual", "drop_path", "bottleneck")


@dataclasses.dataclass(frozen=True)
class MLP:
    """A multilayer perceptron; the arguments are used where the space names none.

    In a hidden layer the norm follows the weights, then come activation and dropout. A
    space may also have ``width_0``, ``width_1`` and so on, the units of the first, the
    second hidden layer; layers that it does not name have ``width``.

    Args:
        width: Units of each hidden layer, or of one after the other as a tuple, the
            last of which repeats.
        depth: Number of hidden layers; None for as many as ``width`` lists, or 2.
        activation: One of `evotune.nn.ACTIVATIONS`.
        dropout: Rate of the dropout after each activation, in [0, 1).
        norm: One of `evotune.nn.NORMS`.
        residual: Whether a hidden layer adds its inputs to its outputs, from the second
            one on and where they are as many.
        init_scale: Factor on the initial kernels, which have variance 1 / inputs.
        drop_path: Stochastic depth, in [0, 1): the rate at which the last hidden layer
            drops what it adds to its inputs, for whole examples; that of layer l of L
            is ``drop_path * l / L``. Layers that add nothing to their inputs drop
            nothing.
        bottleneck: In (0, 1], makes each layer that adds its inputs a block of two: the
            first has round(bottleneck * width) units, at least 1, and norm, activation
            and dropout of its own. Other layers stay as they are; None has no blocks.

    Reference:
        He, Zhang, Ren, Sun (2016), Deep residual learning for image recognition; Huang
        et al. (2016), Deep networks with stochastic depth. Differs from the papers: the
        last activation comes before the sum; and a bottleneck has two layers, as in
        Gorishniy et al. (2021), Revisiting deep learning models for tabular data.

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
        >>> space = et.Space(
        ...     depth=et.Int(1, 3),
        ...     width_0=et.Int(16, 128, log=True),
        ...     width_1=et.Int(16, 64, log=True),
        ...     norm=et.Categorical(["none", "layer", "batch"]),
        ...     residual=et.Bool(),
        ... )
    """

    width: int | tuple[int, ...] = 64
    depth: int | None = None
    activation: str = "relu"
    dropout: float = 0.0
    norm: str = "none"
    residual: bool = False
    init_scale: float = 1.0
    drop_path: float = 0.0
    bottleneck: float | None = None

    skips: ClassVar[tuple[str, ...]] = ("depth",)

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Sizes, activation and norm are masked; rates and switches are traced."""
        return _BINDINGS

    def network(self, hp: Any, info: Info) -> MLPNetwork:
        """See `Model.network`."""
        module = MLPModule(
            outputs=info.num_outputs,
            width=self._width(hp),
            depth=self._depth(hp),
            **{name: hp.get(name, getattr(self, name)) for name in _MODULE},
        )
        init_scale = hp.get("init_scale", self.init_scale)
        return MLPNetwork(module, info, init_scale=init_scale)

    def _depth(self, hp: Mapping[str, Any]) -> Any:
        default = _DEFAULT_DEPTH if self.depth is None else self.depth
        if self.depth is None and isinstance(self.width, tuple):
            default = len(self.width)
        return hp.get("depth", default)

    def _width(self, hp: Mapping[str, Any]) -> Width:
        """The width of all layers, or a tuple of each one's where any has its own."""
        width: Width = hp.get("width", self.width)
        names = [f"width_{layer}" for layer in range(NAMED_LAYERS)]
        if not any(name in hp for name in names):
            return width
        layers = nn.capacity(self._depth(hp))
        return tuple(
            hp.get(f"width_{layer}", width_at(width, layer)) for layer in range(layers)
        )

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Multiply-adds of one example's forward pass: the number of weights."""
        layers = hidden_layers(
            math.prod(info.input_shape),
            self._width(sizes),
            self._depth(sizes),
            residual=sizes.get("residual", self.residual),
            bottleneck=sizes.get("bottleneck", self.bottleneck),
        )
        output = nn.capacity(layers[-1].outputs) * info.num_outputs
        return float(sum(layer.products for layer in layers) + output)

    def weights(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Entries of all kernels: an example meets each of them once."""
        return self.multiply_adds(sizes, info)

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Model.check`."""
        merged = {**dataclasses.asdict(self), "depth": self._depth({}), **values}
        sizes = [name for name in merged if name.rpartition("_")[0] == "width"]
        problems = value_problems(
            merged,
            sizes=("width", "depth", *sizes),
            options={"activation": tuple(nn.ACTIVATIONS), "norm": nn.NORMS},
            rates=("dropout", "drop_path"),
            switches=("residual",),
            factors=("init_scale",),
        )
        return problems or [*_unused_widths(merged, sizes), *_bottlenecks(merged)]

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """Cuts padded ``variables`` to the width, depth and norm in ``hp``."""
        return cut_like(self.network(hp, info), variables)


def _unused_widths(values: Mapping[str, Any], names: list[str]) -> list[str]:
    """Problems with widths of layers beyond every depth."""
    deepest = max(as_tuple(values["depth"]))
    return [
        f"{name} is the width of a hidden layer that never is: depth is at "
        f"most {deepest}, and the first layer is width_0. Leave {name} out, "
        f"or use `depth=Int(1, {int(name.rpartition('_')[2]) + 1})`."
        for name in names
        if int(name.rpartition("_")[2]) >= deepest
    ]


def _bottlenecks(values: Mapping[str, Any]) -> list[str]:
    """Problems with the ratio of residual blocks, which may be None."""
    ratios = [ratio for ratio in as_tuple(values["bottleneck"]) if ratio is not None]
    if ratios and True not in as_tuple(values["residual"]):
        return [
            f"bottleneck is of layers that add their inputs, but may be {ratios[0]!r} "
            "while residual is False. Use `residual=True` or `residual=Bool()`."
        ]
    return [
        f"bottleneck must lie in (0, 1], but may be {ratio!r}. "
        "Use `bottleneck=Float(0.25, 1.0)`."
        for ratio in ratios
        if not 0.0 < ratio <= 1.0
    ]
