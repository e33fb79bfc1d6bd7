"""What a model is made of: its layers, their shapes and how many parameters."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
from flax import traverse_util

from evotune._errors import HyperparameterError
from evotune.models._linen import LinenNetwork
from evotune.models._network import Info, Network
from evotune.models._user import as_model


@dataclasses.dataclass(frozen=True, kw_only=True)
class DescribedLayer:
    """One layer of a `Description`.

    Attributes:
        name: Its path in the module, such as "hidden_0".
        outputs: Shape of what it returns for one example; None where unknown.
        weights: Shape of each of its parameters by name.
    """

    name: str
    outputs: tuple[int, ...] | None
    weights: Mapping[str, tuple[int, ...]]

    @property
    def parameters(self) -> int:
        """How many numbers it trains."""
        return sum(math.prod(shape) for shape in self.weights.values())


@dataclasses.dataclass(frozen=True, repr=False, kw_only=True)
class Description:
    """A model's layers; its repr is a table of them.

    Attributes:
        name: Class of the Flax module.
        inputs: Shape of one example.
        layers: Those that have parameters, in the order of the module.
        statistics: How many numbers are kept beside the parameters, such as running
            means of batch norm.
    """

    name: str
    inputs: tuple[int, ...]
    layers: tuple[DescribedLayer, ...]
    statistics: int

    @property
    def parameters(self) -> int:
        """How many numbers the model trains."""
        return sum(layer.parameters for layer in self.layers)

    def __repr__(self) -> str:
        header = ("layer", "outputs", "weights", "parameters")
        rows = [
            (
                layer.name,
                "" if layer.outputs is None else _shape(layer.outputs),
                ", ".join(f"{k} {_shape(v)}" for k, v in layer.weights.items()),
                f"{layer.parameters:,}",
            )
            for layer in self.layers
        ]
        table = [header, *rows, ("total", "", "", f"{self.parameters:,}")]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [f"{self.name} of inputs {_shape(self.inputs)}"]
        for *words, count in table:
            cells = [word.ljust(w) for word, w in zip(words, widths, strict=False)]
            lines.append("  " + "  ".join([*cells, count.rjust(widths[-1])]))
        if self.statistics:
            lines.append(f"  and {self.statistics:,} running statistics, not trained")
        return "\n".join(lines)


def describe(
    model: Any, params: Mapping[str, Any], info_or_task: Any = None
) -> Description:
    """The layers, shapes and parameter counts of a model with plain hyperparameters.

    Nothing is computed, so that it is quick for models of any size.

    Args:
        model: A model family such as `MLP`, a function that returns a Flax module, or
            a linen module; as tasks take it.
        params: Plain hyperparameters by name, such as ``result.best.params``; those
            that the model does not read are ignored.
        info_or_task: A task, or an `Info` with the shape of the inputs and the number
            of outputs.

    Raises:
        TypeError: If there is no `Info` to be had of ``info_or_task``.

    Example:
        >>> import evotune as et
        >>> info = et.models.Info(input_shape=(64,), num_outputs=10)
        >>> et.models.describe(et.models.MLP(), {"width": 32, "depth": 1}, info)
        MLPModule of inputs [64]
          layer     outputs  weights                     parameters
          hidden_0  [32]     bias [32], kernel [64, 32]       2,080
          output    [10]     bias [10], kernel [32, 10]         330
          total                                               2,410
    """
    network, variables, info = _traced(model, params, info_or_task)
    weights = traverse_util.flatten_dict(dict(variables["params"]))
    shapes = _output_shapes(network, variables, info)
    layers: dict[str, dict[str, tuple[int, ...]]] = {}
    for path, leaf in weights.items():
        name = "/".join(str(part) for part in path[:-1])
        layers.setdefault(name, {})[str(path[-1])] = tuple(leaf.shape)
    order = [*(name for name in shapes if name in layers), *layers]
    return Description(
        name=_name(network),
        inputs=info.input_shape,
        layers=tuple(
            DescribedLayer(name=name, outputs=shapes.get(name), weights=layers[name])
            for name in dict.fromkeys(order)
        ),
        statistics=sum(
            leaf.size
            for collection, tree in variables.items()
            if collection != "params"
            for leaf in jax.tree.leaves(tree)
        ),
    )


def parameter_count(
    model: Any, params: Mapping[str, Any], info_or_task: Any = None
) -> int:
    """How many numbers a model with plain hyperparameters trains.

    That of `describe`, but quicker, as no shapes of outputs are looked for. It takes
    and raises the same.

    Example:
        >>> import evotune as et
        >>> info = et.models.Info(input_shape=(64,), num_outputs=10)
        >>> et.models.parameter_count(et.models.MLP(), {"width": 32, "depth": 1}, info)
        2410
    """
    _, variables, _ = _traced(model, params, info_or_task)
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def _traced(
    model: Any, params: Mapping[str, Any], info_or_task: Any
) -> tuple[Network, Any, Info]:
    """A network, the shapes of its initial variables, and what it was made for."""
    info = getattr(info_or_task, "info", info_or_task)
    if not isinstance(info, Info):
        raise TypeError(
            "A model is made for a shape of inputs and a number of outputs, but got "
            f"{info_or_task!r}. Pass the task, or "
            "`et.models.Info(input_shape=(64,), num_outputs=10)`."
        )
    network = as_model(model).network(_Values(params), info)
    return network, jax.eval_shape(network.init, jax.random.key(0)), info


class _Values(dict[str, Any]):
    """Plain hyperparameters by item and by attribute, with and without their dots."""

    def __init__(self, values: Mapping[str, Any]):
        last = {name.rpartition(".")[2]: value for name, value in values.items()}
        super().__init__({**last, **values})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        inner = {k[len(name) + 1 :]: self[k] for k in self if k.startswith(f"{name}.")}
        if name in self or not inner:
            try:
                return self[name]
            except KeyError:
                raise HyperparameterError(
                    f"The model reads hyperparameter {name!r}, but `params` has only "
                    f"{', '.join(self) or 'none'}. Add `{name!r}: ...` to it."
                ) from None
        return _Values(inner)


def _output_shapes(
    network: Network, variables: Any, info: Info
) -> dict[str, tuple[int, ...]]:
    """Shapes for one example by layer, in the order of calls; {} where unknown."""
    if not isinstance(network, LinenNetwork):
        return {}
    shapes: dict[str, tuple[int, ...]] = {}

    def look(variables: Any, x: jax.Array) -> None:  # a pytree would be sorted by name
        seen = traverse_util.flatten_dict(network.intermediates(variables, x))
        for path, values in seen.items():
            if path[-1] == "__call__" and hasattr(values[0], "shape"):
                shapes["/".join(path[:-1])] = tuple(values[0].shape[1:])

    x = jax.ShapeDtypeStruct((1, *info.input_shape), info.input_dtype)
    jax.eval_shape(look, variables, x)
    return shapes


def _name(network: Network) -> str:
    """The class of the network's module."""
    if isinstance(network, LinenNetwork):
        return type(network.module).__name__
    names: list[str] = []

    def look(key: jax.Array) -> None:
        names.append(type(network.fitted(network.init(key))).__name__)

    jax.eval_shape(look, jax.random.key(0))
    return names[0]


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"
