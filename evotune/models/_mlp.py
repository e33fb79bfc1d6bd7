"""The multilayer perceptron, with width, depth and activation masked."""

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
from evotune._errors import nearest
from evotune.models._linen import LinenNetwork
from evotune.models._network import Info, Variables


class MLPModule(linen.Module):
    """``depth`` hidden layers of ``width`` units and one output layer.

    With plain Python values it is an ordinary Flax module. `nn.Size` and `nn.Choice`
    pad it: all layers up to the capacity of ``depth`` are computed, and those beyond
    the active depth are passed by and hold zeros.

    Attributes:
        outputs: Number of outputs.
        width: Units of each hidden layer, >= 1.
        depth: Number of hidden layers, >= 1.
        activation: Name of the activation after each hidden layer.
        dropout: Rate of the dropout after each activation.
    """

    outputs: int
    width: int | nn.Size = 64
    depth: int | nn.Size = 2
    activation: str | nn.Choice = "relu"
    dropout: float | jax.Array = 0.0

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps f32[B, ...] to f32[B, outputs]; examples are flattened first."""
        x = x.reshape((x.shape[0], -1))
        inputs: int | nn.Size = x.shape[-1]
        for layer in range(nn.capacity(self.depth)):
            width = width_of_layer(layer, self.width, self.depth)
            hidden = nn.Dense(width, inputs=inputs, name=f"hidden_{layer}")(x)
            hidden = nn.activation(self.activation, hidden)
            hidden = nn.Dropout(self.dropout, name=f"dropout_{layer}")(
                hidden, deterministic=not train
            )
            if layer > 0 and isinstance(self.depth, nn.Size):
                hidden = jnp.where(layer < self.depth.active, hidden, x)
            x, inputs = hidden, self.width
        return nn.Dense(self.outputs, inputs=inputs, name="output")(x)


def width_of_layer(
    layer: int, width: int | nn.Size, depth: int | nn.Size
) -> int | nn.Size:
    """The width of a hidden layer: none of its units are active beyond the depth."""
    if layer == 0 or not isinstance(depth, nn.Size):
        return width
    active = jnp.asarray(nn.active(width), jnp.int32)
    return nn.Size(
        jnp.where(layer < depth.active, active, jnp.zeros_like(active)),
        nn.capacity(width),
    )


class MLPNetwork(LinenNetwork):
    """`MLPModule`, with the initial values of all layers drawn at once."""

    module: MLPModule

    def _intercepted(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # nn.Dropout takes traced rates itself

    def init(self, key: jax.Array) -> Variables:
        """See `Network.init`."""
        module = self.module
        inputs: int | nn.Size = math.prod(self.info.input_shape)
        # The output comes first, so that its draws do not hang on how many layers are.
        shapes: dict[str, tuple[int | nn.Size, int | nn.Size]] = {
            "output": (module.width, module.outputs)
        }
        for layer in range(nn.capacity(module.depth)):
            width = width_of_layer(layer, module.width, module.depth)
            shapes[f"hidden_{layer}"] = (inputs, width)
            inputs = module.width
        kernels = nn.lecun_normals(key, list(shapes.values()), jnp.dtype(jnp.float32))
        params = {
            name: {"kernel": kernel, "bias": jnp.zeros(kernel.shape[1:], kernel.dtype)}
            for name, kernel in zip(shapes, kernels, strict=True)
        }
        return {"params": params}


@dataclasses.dataclass(frozen=True)
class MLP:
    """A multilayer perceptron; the arguments are used where the space names none.

    Args:
        width: Units of each hidden layer.
        depth: Number of hidden layers.
        activation: One of `evotune.nn.ACTIVATIONS`.
        dropout: Rate of the dropout after each activation, in [0, 1).

    Example:
        >>> import evotune as et
        >>> task = et.tasks.Classification(et.datasets.digits(), model=et.models.MLP())
    """

    width: int = 64
    depth: int = 2
    activation: str = "relu"
    dropout: float = 0.0

    @property
    def bindings(self) -> Mapping[str, Binding]:
        """Sizes and the activation are masked, the dropout rate is traced."""
        return {
            "width": Binding.MASKED,
            "depth": Binding.MASKED,
            "activation": Binding.MASKED,
            "dropout": Binding.TRACED,
        }

    def network(self, hp: Any, info: Info) -> MLPNetwork:
        """See `Model.network`."""
        values = {
            field.name: hp.get(field.name, getattr(self, field.name))
            for field in dataclasses.fields(self)
        }
        return MLPNetwork(MLPModule(outputs=info.num_outputs, **values), info)

    def multiply_adds(self, sizes: Mapping[str, Any], info: Info) -> float:
        """Multiply-adds of one example's forward pass: the number of weights."""
        width = sizes.get("width", self.width)
        depth = sizes.get("depth", self.depth)
        inputs = math.prod(info.input_shape)
        return float(width * (inputs + (depth - 1) * width + info.num_outputs))

    def check(self, values: Mapping[str, tuple[Any, ...]]) -> list[str]:
        """See `Model.check`."""
        merged = {**dataclasses.asdict(self), **values}
        problems = [
            f"{name} must be an integer of at least 1, but may be {value!r}. "
            f"Use `{name}=Int(1, ...)`."
            for name in ("width", "depth")
            for value in _tuple(merged[name])
            if isinstance(value, bool) or not isinstance(value, int) or value < 1
        ]
        problems += [
            f"activation must be one of {sorted(nn.ACTIVATIONS)}, but may be {value!r}."
            f"{nearest(str(value), nn.ACTIVATIONS)}"
            for value in _tuple(merged["activation"])
            if value not in nn.ACTIVATIONS
        ]
        problems += [
            f"dropout must lie in [0, 1), but may be {value!r}. "
            "Use `dropout=Float(0.0, 0.5)`."
            for value in _tuple(merged["dropout"])
            if not 0.0 <= value < 1.0
        ]
        return problems

    def slice(self, variables: Variables, hp: Any, info: Info) -> Variables:
        """Cuts padded ``variables`` to the width and depth in ``hp``."""
        width, depth = hp.get("width", self.width), hp.get("depth", self.depth)
        padded = variables["params"]
        params = {}
        for layer in range(depth):
            dense = padded[f"hidden_{layer}"]
            kernel = dense["kernel"] if layer == 0 else dense["kernel"][:width]
            params[f"hidden_{layer}"] = {
                "kernel": kernel[:, :width],
                "bias": dense["bias"][:width],
            }
        output = padded["output"]
        params["output"] = {"kernel": output["kernel"][:width], "bias": output["bias"]}
        return {**variables, "params": params}


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
