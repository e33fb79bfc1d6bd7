"""Networks of evotune's own layers: what several families need to mask theirs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from evotune import nn
from evotune._errors import HyperparameterError, nearest
from evotune.models._linen import LinenNetwork

Size = int | nn.Size


class MaskedNetwork(LinenNetwork):
    """A module of evotune's own layers, which take traced rates themselves."""

    def _intercepted(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


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


def limited(size: Size, used: jax.Array | None) -> Size:
    """``size``, with nothing active where not ``used``."""
    if used is None:
        return size
    count = jnp.asarray(nn.active(size), jnp.int32)
    return nn.Size(jnp.where(used, count, jnp.zeros_like(count)), nn.capacity(size))


def product(a: Size, b: Size) -> Size:
    whole = nn.capacity(a) * nn.capacity(b)
    if isinstance(a, int) and isinstance(b, int):
        return whole
    return nn.Size(jnp.asarray(nn.active(a) * nn.active(b), jnp.int32), whole)
