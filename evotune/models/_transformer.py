"""The Transformer encoder, with its sizes and choices masked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from evotune import nn
from evotune._contracts import Binding
from evotune.models._checks import value_problems
from evotune.models._masked import MaskedNetwork
from evotune.models._network import Info, Variables
from evotune.models._sequences import series_shape, step_norm_problems
from evotune.models._slicing import cut_like
from evotune.models._transformer_module import (
    NORM_POSITIONS,
    POOLINGS,
    POSITIONS,
    TransformerModule,
)

_SIZES = ("width", "heads", "head_size", "mlp_ratio", "depth")
_RATES = ("dropout", "attention_dropout", "drop_path")
_CHOICES = {
    "activation": tuple(nn.ACTIVATIONS),
    "norm_position": NORM_POSITIONS,
    "position": POSITIONS,
    "pooling": POOLINGS,
}
_BINDINGS: Mapping[str, Binding] = {
    **dict.fromkeys((*_SIZES, *_CHOICES, "norm"), Binding.MASKED),
    **dict.fromkeys((*_RATES, "residual", "init_scale"), Binding.TRACED),
    "pooling": Binding.STATIC,
    "patch": Binding.STATIC,
}


@dataclasses.dataclass(frozen=True)
class Transformer:
    """A Transformer for series [T] or [T, C] of numbers or symbols, and for images.

    Images are read by patches. In a language model it has outputs at every step, each
    of which attends to itself and those before it; else it is an encoder.

    The arguments are used where the space names none. Heads and head size are free of
    ``width``: attention maps from ``width`` to ``heads * head_size`` and back.

    Args:
        width: Units of the residual stream.
        heads: Heads of each block.
        head_size: Units of each head.
        mlp_ratio: Units of a block's hidden layer, as a whole multiple of ``width``.
        depth: Number of blocks.
        activation: One of `evotune.nn.ACTIVATIONS`.
        norm: "layer", "rms" or "none". Not "batch": its statistics, over the steps of
            all examples, would mix in padded steps, and later ones in a language model.
        norm_position: "pre" or "post".
        position: "learned", "sinusoidal" or "none".
        pooling: "mean" of all steps, or the stream of an added "class" token.
        residual: Whether each layer adds its outputs to what it has read.
        dropout: Rate on the embedding and on what each layer adds, in [0, 1).
        attention_dropout: Rate on the attention weights, in [0, 1).
        drop_path: Stochastic depth, in [0, 1): the rate at which both layers of the
            last block drop what they add, for whole examples; that of block l of L is
            ``drop_path * l / L``. Without ``residual`` nothing is dropped.
        init_scale: Factor on the initial kernels, which have variance 1 / inputs.
        image_shape: (height, width) or (height, width, channels) where the examples are
            flattened images; those of three axes are images anyway.
        patch: Steps of a series that make one, or the side of an image's patches.

    Reference:
        Vaswani et al. (2017), Attention is all you need; Dosovitskiy et al. (2021), An
        image is worth 16x16 words; Huang et al. (2016), Deep networks with stochastic
        depth; Zhang, Sennrich (2019), Root mean square layer normalization.

    Example:
        >>> import evotune as et
        >>> model = et.models.Transformer(image_shape=(8, 8), patch=2)
        >>> task = et.tasks.Classification(et.datasets.digits(), model=model)
        >>> space = et.Space(
        ...     heads=et.Int(1, 4),
        ...     head_size=et.Int(4, 16),
        ...     norm=et.Categorical(["layer", "rms"]),
        ...     norm_position=et.Categorical(["pre", "post"]),
        ...     attention_dropout=et.Float(0.0, 0.3),
        ... )
    """

    width: int = 64
    heads: int = 4
    head_size: int = 16
    mlp_ratio: int = 2
    depth: int = 2
    activation: str = "gelu"
    norm: str = "layer"
    norm_position: str = "pre"
    position: str = "learned"
    pooling: str = "mean"
    residual: bool = True
    dropout: float = 0.0
    attention_dropout: float = 0.0
    drop_path: float = 0.0
    init_scale: float = 1.0
    image_shape: tuple[int, ...] | None = None
    patch: int = 1

    skips: ClassVar[tuple[str, ...]] = ("depth",)

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Sizes and most choices are masked; pooling and patch change shapes."""
        return _BINDINGS

    def network(self, hp: Any, info: Info) -> MaskedNetwork:
        """See `Model.network`."""
        values = self._values(hp)
        scale = values.pop("init_scale")
        module = TransformerModule(
            outputs=info.num_outputs,
            vocab_size=info.vocab_size,
            each_step=info.each_step,
            **values,
        )
        return MaskedNetwork(module, info, init_scale=scale)

    def _values(self, hp: Mapping[str, Any]) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        found = {name: hp.get(name, fields[name]) for name in _BINDINGS}
        return {**fields, **found}

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Multiply-adds of one example's forward pass, attention included."""
        values = self._values(sizes)
        steps, inputs = series_shape(
            info.input_shape, image_shape=self.image_shape, patch=values["patch"]
        )
        width, inner = values["width"], values["heads"] * values["head_size"]
        length = steps + (values["pooling"] == "class" and not info.each_step)
        projections = 4 * width * inner + 2 * width * width * values["mlp_ratio"]
        block = length * (projections + 2 * length * inner)
        ends = width * info.num_outputs * (steps if info.each_step else 1)
        if info.vocab_size is None:
            ends += steps * inputs * width
        return float(ends + values["depth"] * block)

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Model.check`."""
        merged = {**dataclasses.asdict(self), **values}
        problems = value_problems(
            merged,
            sizes=(*_SIZES, "patch"),
            options=_CHOICES,
            rates=_RATES,
            factors=("init_scale",),
            switches=("residual",),
        )
        return problems + step_norm_problems(merged)

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """See `Model.slice`."""
        return cut_like(self.network(hp, info), variables)
