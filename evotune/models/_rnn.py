"""Recurrent networks, with hidden size, layers and pooling masked."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune._contracts import Binding
from evotune.models._checks import value_problems
from evotune.models._masked import (
    MaskedNetwork,
    limited,
    picked,
    runs_at,
    within_depth,
)
from evotune.models._network import Info, Variables
from evotune.models._residual import with_residual
from evotune.models._sequences import (
    as_series,
    check_symbols,
    last_step,
    mean_of_steps,
    series_shape,
    step_norm_problems,
)
from evotune.models._slicing import cut_like

CELLS: Mapping[str, type[linen.RNNCellBase]] = {
    "gru": linen.GRUCell,
    "lstm": linen.LSTMCell,
}
POOLINGS = ("last", "mean")

_GATES = {"gru": 3, "lstm": 4}


class RNNModule(linen.Module):
    """``depth`` recurrent layers over the steps, pooled and mapped to the outputs.

    The cells are flax's own, which take unused units as they are: with zero weights
    their hidden state stays zero. With plain values it is an ordinary Flax module.

    Attributes:
        outputs: Number of outputs.
        width: Units of the hidden state of each layer.
        depth: Number of layers.
        cell: "gru" or "lstm".
        pooling: "last" step or "mean" of all.
        norm: "none", or "layer" or "rms" on what each layer makes of its inputs.
        residual: Whether each layer adds its inputs, where they have its width.
        dropout: Rate on what each layer hands on.
        patch: Steps of a series that make one.
        vocab_size: Number of symbols, which are embedded; None for series of numbers.
        each_step: Whether every step is mapped to outputs, instead of one pooled.
    """

    outputs: int
    width: int | nn.Size = 64
    depth: int | nn.Size = 1
    cell: str = "gru"
    pooling: str | nn.Choice = "last"
    norm: str | nn.Choice = "none"
    residual: bool | jax.Array = False
    dropout: float | jax.Array = 0.0
    patch: int = 1
    vocab_size: int | None = None
    each_step: bool = False

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps f32[B, T], f32[B, T, C] or symbols i32[B, T] to f32[B, outputs].

        With ``each_step`` the outputs are f32[B, T, outputs].
        """
        inputs: int | nn.Size = self.width
        valid = None
        if self.vocab_size is None:
            x = as_series(x, patch=self.patch)
            inputs = x.shape[-1]
        else:
            check_symbols(x.shape[1:], self.patch)
            valid = None if self.each_step else x >= 0
            x = nn.Embed(self.vocab_size, self.width, name="embed")(jnp.maximum(x, 0))
        for index in range(nn.capacity(self.depth)):
            layer = functools.partial(
                RNNModule._layer, x=x, index=index, inputs=inputs, train=train
            )
            x = within_depth(self, index, self.depth, layer, x)
            inputs = self.width
        if not self.each_step:
            makers = {
                "last": lambda: last_step(x, valid),
                "mean": lambda: mean_of_steps(x, valid),
            }
            x = picked(self.pooling, POOLINGS, "pooling", makers)
        return nn.Dense(self.outputs, inputs=inputs, name="output")(x)

    def _layer(
        self, x: jax.Array, index: int, inputs: int | nn.Size, train: bool
    ) -> jax.Array:
        """What layer ``index`` makes of f32[B, T, inputs]."""
        features = limited(self.width, runs_at(index, self.depth))
        cell = make_cell(self.cell, inputs, features, x.dtype)
        hidden: Any = linen.RNN(cell, name=f"layer_{index}")(x)
        # None of `STEP_NORMS` has running statistics.
        norm = nn.Norm(self.norm, features, name=f"norm_{index}")
        hidden = norm(hidden, use_running_average=False)
        hidden = nn.Dropout(self.dropout, name=f"dropout_{index}")(
            hidden, deterministic=not train
        )
        same = index > 0 or self.vocab_size is not None
        return with_residual(hidden, x, self.residual, same)


def make_cell(
    name: str,
    inputs: int | nn.Size,
    features: int | nn.Size,
    dtype: jnp.dtype,
) -> linen.RNNCellBase:
    """A cell of flax, whose initial values are zero where unused.

    Kernels on the inputs are truncated normal of variance 1 / (active inputs), those on
    the hidden state are orthogonal in the active units. Parameters and the first
    hidden state are made in ``dtype``.
    """

    def kernel(key: jax.Array, _: Any, dtype: jnp.dtype) -> jax.Array:
        return nn.lecun_normal(key, inputs, features, dtype)

    def recurrent(key: jax.Array, _: Any, dtype: jnp.dtype) -> jax.Array:
        return nn.orthogonal(key, features, dtype)

    make: Any = CELLS[name]
    return make(
        nn.capacity(features),
        kernel_init=kernel,
        recurrent_kernel_init=recurrent,
        param_dtype=dtype,
        parent=None,
    )


@dataclasses.dataclass(frozen=True)
class RNN:
    """A recurrent network for series of numbers or of symbols.

    The arguments are used where the space names none. Symbols are embedded in ``width``
    units; a language model reads its outputs at every step.

    Args:
        width: Units of the hidden state of each layer.
        depth: Number of layers.
        cell: "gru" or "lstm"; in a space it takes one program for each.
        pooling: "last" step of the last layer, or "mean" of its steps.
        norm: "none", or "layer" or "rms" on what each layer makes of its inputs. Not
            "batch": its statistics would mix steps, whose distributions differ.
        residual: Whether each layer adds its inputs to what it makes of them; the first
            one, whose inputs have another width, does only where symbols are embedded.
        dropout: Rate on what each layer hands on, in [0, 1).
        patch: Steps of a series that make one.
        init_scale: Factor on the initial kernels, the orthogonal ones too.

    Reference:
        Cho et al. (2014), Learning phrase representations using RNN encoder-decoder;
        Hochreiter, Schmidhuber (1997), Long short-term memory; Wu et al. (2016),
        Google's neural machine translation system, for residual connections. The
        cells' own activations are fixed, as in all three.

    Example:
        >>> import evotune as et
        >>> model = et.models.RNN(patch=8)
        >>> task = et.tasks.Classification(et.datasets.digits(), model=model)
        >>> space = et.Space(width=et.Int(8, 64), cell=et.Categorical(["gru", "lstm"]))
    """

    width: int = 64
    depth: int = 1
    cell: str = "gru"
    pooling: str = "last"
    norm: str = "none"
    residual: bool = False
    dropout: float = 0.0
    patch: int = 1
    init_scale: float = 1.0

    skips: ClassVar[tuple[str, ...]] = ("depth",)

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Sizes and choices of functions are masked; the cell changes the layers."""
        return {
            "width": Binding.MASKED,
            "depth": Binding.MASKED,
            "cell": Binding.STATIC,
            "pooling": Binding.MASKED,
            "norm": Binding.MASKED,
            "residual": Binding.TRACED,
            "dropout": Binding.TRACED,
            "init_scale": Binding.TRACED,
            "patch": Binding.STATIC,
        }

    def network(self, hp: Any, info: Info) -> MaskedNetwork:
        """See `Model.network`."""
        values = self._values(hp)
        scale = values.pop("init_scale")
        module = RNNModule(
            outputs=info.num_outputs,
            vocab_size=info.vocab_size,
            each_step=info.each_step,
            **values,
        )
        return MaskedNetwork(module, info, init_scale=scale)

    def _values(self, hp: Mapping[str, Any]) -> dict[str, Any]:
        fields = dataclasses.asdict(self)
        return {name: hp.get(name, default) for name, default in fields.items()}

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Multiply-adds of one example's forward pass."""
        values = self._values(sizes)
        steps, inputs = series_shape(info.input_shape, patch=values["patch"])
        width, depth = values["width"], values["depth"]
        inputs = inputs if info.vocab_size is None else width
        gates = _GATES[values["cell"]] * width
        read = (inputs + width) + (depth - 1) * 2 * width
        ends = width * info.num_outputs * (steps if info.each_step else 1)
        return float(steps * gates * read + ends)

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Model.check`."""
        merged = {**dataclasses.asdict(self), **values}
        problems = value_problems(
            merged,
            sizes=("width", "depth", "patch"),
            options={"cell": tuple(CELLS), "pooling": POOLINGS},
            rates=("dropout",),
            factors=("init_scale",),
            switches=("residual",),
        )
        return problems + step_norm_problems(merged)

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """See `Model.slice`."""
        return cut_like(self.network(hp, info), variables)
