"""Networks of evotune's own layers: what several families need to mask theirs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from evotune import nn
from evotune._errors import HyperparameterError, nearest
from evotune.models._linen import LinenNetwork
from evotune.models._network import Info, Variables

Size = int | nn.Size

_LAYER = re.compile(r"_(\d+)$")
"""The place within the depth, in the name of a layer such as "norm_1"."""


class MaskedNetwork(LinenNetwork):
    """A module of evotune's own layers, which take traced rates themselves."""

    def __init__(
        self,
        module: linen.Module,
        info: Info,
        *,
        init_scale: float | jax.Array = 1.0,
    ):
        """Wraps ``module``, whose initial kernels are multiplied by ``init_scale``."""
        super().__init__(module, info)
        self._init_scale = init_scale

    def init(self, key: jax.Array) -> Variables:
        """See `Network.init`."""
        variables, scale = self._draw(key), self._init_scale
        if isinstance(scale, float) and scale == 1.0:
            return variables

        def scaled(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
            if path[-1].key != "kernel":
                return leaf
            return leaf * jnp.asarray(scale, leaf.dtype)

        params = jax.tree_util.tree_map_with_path(scaled, variables["params"])
        return {**variables, "params": params}

    def layers(self, params: Mapping[str, Any]) -> Mapping[str, nn.InUse]:
        """See `Network.layers`: families number the layers that are within a depth."""
        depth = getattr(self.module, "depth", 1)
        if not isinstance(depth, nn.Size):
            return {}
        numbered = {name: _LAYER.search(name) for name in params}
        index = {name: int(found[1]) for name, found in numbered.items() if found}
        return {name: nn.in_use(index[name], depth) for name in index if index[name]}

    def _draw(self, key: jax.Array) -> Variables:
        """Initial variables, not scaled; families draw all of their layers at once."""
        return super().init(key)

    def _intercepted(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # layers of nn need no exchange


def picked(
    choice: str | nn.Choice,
    known: tuple[str, ...],
    name: str,
    makers: Mapping[str, Callable[[], jax.Array]],
) -> jax.Array:
    """What the maker named by ``choice`` returns; of a traced choice all are called."""
    options = choice.options if isinstance(choice, nn.Choice) else (choice,)
    for option in options:
        if option not in known:
            raise HyperparameterError(
                f"{name} must be one of {list(known)}, but got {option!r}."
                f"{nearest(str(option), known)}"
            )
    values = [makers[option]() for option in options]
    return nn.select(choice, values) if isinstance(choice, nn.Choice) else values[0]


def is_picked(choice: str | nn.Choice, option: str) -> jax.Array | None:
    """bool[], whether a traced choice picks ``option``; None where it is certain."""
    if not isinstance(choice, nn.Choice):
        return None
    return choice.index == choice.options.index(option)


def runs_at(index: int, depth: Size) -> jax.Array | None:
    """bool[], whether a block is within the depth; None where it is certain."""
    return index < depth.active if isinstance(depth, nn.Size) and index else None


def reached_at(index: int, depth: Size) -> jax.Array | None:
    """bool[], whether members that train together reach a block; None if unknown."""
    if not isinstance(depth, nn.Size) or not index:
        return None
    return nn.in_use(index, depth).reached


def within_depth(
    module: linen.Module,
    index: int,
    depth: Size,
    layer: Callable[[Any], jax.Array],
    past: jax.Array,
) -> jax.Array:
    """What ``layer(module)`` makes where layer ``index`` is within the depth.

    Elsewhere ``past``. A layer that no member trained together needs is not computed.
    """

    def masked(module: Any, past: jax.Array) -> jax.Array:
        return masked_beyond(index, depth, layer(module), past)

    return where_reached(module, index, depth, masked, past)


def masked_beyond(
    index: int, depth: Size, made: jax.Array, past: jax.Array
) -> jax.Array:
    """``made`` by layer ``index`` where that is within the depth, else ``past``."""
    within = runs_at(index, depth)
    return made if within is None else jnp.where(within, made, past)


def where_reached(
    module: linen.Module,
    index: int,
    depth: Size,
    part: Callable[[Any, jax.Array], jax.Array],
    x: jax.Array,
) -> jax.Array:
    """What ``part`` of layer ``index`` makes of x; x where no member needs the layer.

    The weights that ``part`` reads are copied for the way back, as by any conditional,
    so the large ones are better left out of it: `nn.Dense` passes by its own.

    Args:
        module: The ``part`` is given it; its modules are part of it.
        index: How many layers are below this one.
        depth: Number of layers.
        part: Its outputs have the shape of ``x``.
        x: What it reads.
    """
    reached = reached_at(index, depth)
    if reached is None:
        return part(module, x)
    made: jax.Array = linen.cond(reached, part, lambda _, x: x, module, x)
    return made


def limited(
    size: Size, used: jax.Array | None, *, reached: jax.Array | None = None
) -> Size:
    """``size``, with nothing active where not ``used``.

    Args:
        size: Units.
        used: bool[] of the member; None for all.
        reached: bool[], whether any member that trains beside it uses them; None where
            that is not known.
    """
    if used is None:
        return size
    count = jnp.asarray(nn.active(size), jnp.int32)
    most = None
    if reached is not None:
        units = size.most if isinstance(size, nn.Size) else count
        most = None if units is None else jnp.where(reached, units, 0)
    return nn.Size(
        jnp.where(used, count, jnp.zeros_like(count)), nn.capacity(size), most
    )


def product(a: Size, b: Size) -> Size:
    whole = nn.capacity(a) * nn.capacity(b)
    if isinstance(a, int) and isinstance(b, int):
        return whole
    return nn.Size(jnp.asarray(nn.active(a) * nn.active(b), jnp.int32), whole)


def where_used(
    used: bool | jax.Array,
    make: Callable[[jax.Array | None], jax.Array],
    x: jax.Array,
) -> jax.Array:
    """What ``make`` returns where ``used``, else x.

    ``make`` is given ``used`` if that is traced, to limit its layers by, else None.
    """
    if isinstance(used, jax.Array):
        return jnp.where(used, make(used), x)
    return make(None) if used else x
