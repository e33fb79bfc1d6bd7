"""Sizes and choices that may differ between the members of one compiled program.

A layer of `evotune.nn` takes plain Python values, and is then an ordinary Flax layer,
or these two, and is then padded: arrays have the capacity's shape, and what lies beyond
the active size is exactly zero and stays so.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp

_NOT_STATIC = (
    "a {kind} is traced: its value differs between members of one compiled program and "
    "is not known in Python. Layers of evotune.nn accept it; other code needs the "
    "hyperparameter as static: `static=[name]`."
)


@dataclasses.dataclass(frozen=True, eq=False)
class Size:
    """A size with a traced active part: ``active`` of ``capacity`` units are in use.

    Attributes:
        active: i32[] number of units in use, 0 <= active <= capacity.
        capacity: Units that arrays are padded to.
        most: i32[] the largest ``active`` of the members that train together, one value
            for all of them, so that what nobody needs can be skipped; None where it is
            not known.
    """

    active: jax.Array
    capacity: int
    most: jax.Array | None = None

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError(_NOT_STATIC.format(kind="Size"))

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        raise TypeError(_NOT_STATIC.format(kind="Size"))

    def __index__(self) -> NoReturn:
        raise TypeError(_NOT_STATIC.format(kind="Size"))

    def __str__(self) -> NoReturn:
        raise TypeError(_NOT_STATIC.format(kind="Size"))


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """One of ``options``, picked by a traced index.

    Attributes:
        index: i32[] which option is in use.
        options: The values to choose from, the same for every member.
    """

    index: jax.Array
    options: tuple[Any, ...]

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError(_NOT_STATIC.format(kind="Choice"))

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> NoReturn:
        raise TypeError(_NOT_STATIC.format(kind="Choice"))

    def __str__(self) -> NoReturn:
        raise TypeError(_NOT_STATIC.format(kind="Choice"))


@dataclasses.dataclass(frozen=True, eq=False)
class InUse:
    """Whether a layer is in use.

    Attributes:
        active: bool[], by this member.
        reached: bool[], by any of the members that train together, one value for all of
            them; None where that is not known.
    """

    active: jax.Array
    reached: jax.Array | None


def in_use(index: int, depth: Size) -> InUse:
    """Whether the layer that has ``index`` others below it is within ``depth``."""
    most = depth.most
    return InUse(index < depth.active, None if most is None else index < most)


def reached(*sizes: int | Size) -> jax.Array | None:
    """bool[], whether members that train together have any unit of each of ``sizes``.

    None where that is not known, and where it is certain.
    """
    most = [size.most for size in sizes if isinstance(size, Size)]
    known = [count > 0 for count in most if count is not None]
    return functools.reduce(jnp.logical_and, known) if known else None


def capacity(size: int | Size) -> int:
    """Units that arrays are padded to; of a plain int, itself."""
    return size.capacity if isinstance(size, Size) else size


def active(size: int | Size) -> int | jax.Array:
    """Units in use: i32[] of a `Size`; of a plain int, itself."""
    return size.active if isinstance(size, Size) else size


def unit_mask(size: int | Size) -> jax.Array | None:
    """bool[capacity], true for units in use; None where all of them are."""
    if not isinstance(size, Size):
        return None
    return jnp.arange(size.capacity) < size.active


def select(choice: Choice, values: Sequence[jax.Array]) -> jax.Array:
    """The one of ``values`` (all of one shape) that ``choice`` picks."""
    return jax.lax.select_n(choice.index, *values)
