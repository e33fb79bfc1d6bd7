"""One step of an optimiser, which passes by layers that no member has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from evotune import nn
from evotune.training._clipping import clipping, unclipped
from evotune.training._optimizers import make_optimizer
from evotune.training._regularized import Mask

Layers = Callable[[Any], Mapping[str, nn.InUse]]
"""Parameters -> for some of their top-level names, whether that layer is in use."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stepper:
    """The optimiser that ``hp`` describes, and how parameters move by it.

    A layer that not every member of a padded program has gets an optimiser state of its
    own. While it is not in use, its parameters and its state stay as they are, and
    where no member that trains beside uses it either, they are not even read: of a step
    on a small batch the optimiser is half of the work.

    Attributes:
        hp: See `make_optimizer`.
        decayed: Which parameters decay; see `make_optimizer`.
        layers: Which layers may be out of use; it names the same ones in every call.
    """

    hp: Mapping[str, Any]
    decayed: Mask
    layers: Layers

    def init(self, params: Any) -> Any:
        """The state before the first step."""
        layers = self.layers(params)
        if not layers:
            return make_optimizer(self.hp, decayed=self.decayed).init(params)
        mask = self.decayed(params)
        return {
            name: self._part(mask, names).init(_only(params, names))
            for name, names in _parts(params, layers).items()
        }

    def step(self, gradients: Any, state: Any, params: Any) -> tuple[Any, Any]:
        """The parameters after a step down ``gradients``, and the state."""
        layers = self.layers(params)
        if not layers:
            optimizer = make_optimizer(self.hp, decayed=self.decayed)
            return _stepped(optimizer, gradients, state, params)
        for bound in clipping(self.hp):
            gradients, _ = bound.update(gradients, bound.init(params), params)
        mask = self.decayed(params)
        moved: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for name, names in _parts(params, layers).items():
            optimizer = self._part(mask, names)
            own = _only(gradients, names), state[name], _only(params, names)
            if name in layers:
                part, after[name] = _where_used(layers[name], optimizer, *own)
            else:
                part, after[name] = _stepped(optimizer, *own)
            moved |= part
        return {name: moved[name] for name in params}, after

    def _part(self, mask: Any, names: list[str]) -> optax.GradientTransformation:
        """The optimiser of what is under ``names``; the bounds are those of all."""
        own = _only(mask, names)
        return make_optimizer(unclipped(self.hp), decayed=lambda _: own)


def _parts(params: Any, layers: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names that share a state: all that are always in use, and each layer."""
    always = [name for name in params if name not in layers]
    return {"always": always, **{name: [name] for name in layers}}


def _stepped(
    optimizer: optax.GradientTransformation, gradients: Any, state: Any, params: Any
) -> tuple[Any, Any]:
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state


def _where_used(
    used: nn.InUse,
    optimizer: optax.GradientTransformation,
    gradients: Any,
    state: Any,
    params: Any,
) -> tuple[Any, Any]:
    """The parameters of a layer after a step and the state, where it is in use."""

    def step(gradients: Any, old: tuple[Any, Any]) -> tuple[Any, Any]:
        new = _stepped(optimizer, gradients, old[1], old[0])
        return jax.tree.map(lambda a, b: jnp.where(used.active, a, b), new, old)

    if used.reached is None:
        return step(gradients, (params, state))

    def turn(index: jax.Array, old: tuple[Any, Any]) -> tuple[Any, Any]:
        # What hangs on the gradients alone would else be computed before the loop.
        first = index == 0
        return step(jax.tree.map(lambda g: jnp.where(first, g, 0), gradients), old)

    # A loop of one turn or none: XLA copies what passes through a conditional, and lets
    # what a loop carries lie where it is.
    times = used.reached.astype(jnp.int32)
    result: tuple[Any, Any] = jax.lax.fori_loop(0, times, turn, (params, state))
    return result


def _only(tree: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: tree[name] for name in names}
