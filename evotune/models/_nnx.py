"""An nnx module, used as it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
from flax import nnx

from evotune import nn
from evotune._signatures import parameter_names
from evotune.models._network import Variables
from evotune.models._pooling import fast_pooling

_MODE_FLAGS = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
}
_STATISTICS = nnx.Not(nnx.Any(nnx.Param, nnx.RngState))


class NnxNetwork:
    """Wraps what ``build(rngs)`` returns, without changing it.

    The module is built anew in every trace and given its variables, so that traced
    hyperparameters may sit in its attributes; what its constructor draws is then unused
    and costs nothing. A traced dropout rate works: the class of `flax.nnx.Dropout`
    nodes is exchanged for one that computes the same draws. Convolutions and pooling
    are computed in the form that is fast for a population.
    """

    def __init__(self, build: Callable[[nnx.Rngs], nnx.Module]):
        """Wraps ``build``, a function from `nnx.Rngs` to a module."""
        self._build = build

    def fitted(self, variables: Variables) -> nnx.Module:
        """The module with ``variables`` in it, in evaluation mode."""
        return self._restored(variables)

    def layers(self, params: Mapping[str, Any]) -> Mapping[str, nn.InUse]:
        """See `Network.layers`: all of a user's own are."""
        return {}

    def init(self, key: jax.Array) -> Variables:
        """Initial variables, exactly as ``build(nnx.Rngs(key))`` makes them."""
        return _variables(self._build(nnx.Rngs(key)))

    def apply(
        self, variables: Variables, x: jax.Array, *, train: bool, key: jax.Array | None
    ) -> tuple[jax.Array, Variables]:
        """See `Network.apply`."""
        module = self._restored(variables, train=train, key=key)
        names = parameter_names(type(module).__call__)
        flag = next((name for name in _MODE_FLAGS if name in names), None)
        mode = {} if flag is None else {flag: _MODE_FLAGS[flag] is train}
        with _fast_convolutions(module), fast_pooling():
            outputs = module(x, **mode)
        return outputs, (_variables(module) if train else variables)

    def _restored(
        self, variables: Variables, *, train: bool = False, key: jax.Array | None = None
    ) -> Any:
        module = self._build(nnx.Rngs(0))
        for collection in ("params", "statistics"):
            values = variables.get(collection)
            if values:
                state = nnx.state(module, _filter(collection))
                nnx.replace_by_pure_dict(state, values)
                nnx.update(module, state)
        _exchange_dropout(module)
        if train:
            module.train()
            tags = {
                node.key.tag
                for _, node in nnx.iter_graph(module)
                if isinstance(node, nnx.RngStream)
            }
            if tags and key is not None:
                reseed: Any = nnx.reseed
                reseed(module, **dict.fromkeys(sorted(tags), key))
        else:
            module.eval()
        return module


def _filter(collection: str) -> Any:
    return nnx.Param if collection == "params" else _STATISTICS


def _variables(module: nnx.Module) -> Variables:
    collections = {
        name: nnx.to_pure_dict(nnx.state(module, _filter(name)))
        for name in ("params", "statistics")
    }
    return {
        name: values
        for name, values in collections.items()
        if values or name == "params"
    }


@contextlib.contextmanager
def _fast_convolutions(module: nnx.Module) -> Iterator[None]:
    """Gives `nnx.Conv` nodes another function, unless they have one of their own."""
    nodes = [
        node
        for _, node in nnx.iter_modules(module)
        if isinstance(node, nnx.Conv)
        and node.conv_general_dilated is jax.lax.conv_general_dilated
    ]
    for node in nodes:
        node.conv_general_dilated = nn.conv_general_dilated
    try:
        yield
    finally:
        for node in nodes:
            node.conv_general_dilated = jax.lax.conv_general_dilated


def _exchange_dropout(module: nnx.Module) -> None:
    for _, node in nnx.iter_modules(module):
        if type(node) is nnx.Dropout and isinstance(node.rate, jax.Array):
            node.__class__ = _TracedDropout


class _TracedDropout(nnx.Dropout):
    """`flax.nnx.Dropout` for a rate that Python cannot compare with 0."""

    def __call__(
        self,
        inputs: jax.Array,
        *,
        deterministic: bool | None = None,
        rngs: Any = None,
    ) -> jax.Array:
        if self.deterministic if deterministic is None else deterministic:
            return inputs
        rngs = self.rngs if rngs is None else rngs
        if isinstance(rngs, nnx.Rngs):
            key = rngs[self.rng_collection]()
        elif isinstance(rngs, jax.Array):
            key = rngs
        else:
            key = rngs()
        return nn.dropout(key, inputs, self.rate, broadcast_dims=self.broadcast_dims)
