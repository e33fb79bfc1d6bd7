"""Dimensions that take one axis of the unit cube."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from evotune.space._codec import Codec, Column, Levels
from evotune.space._dimension import Dimension


class Scalar(Dimension):
    """A dimension whose values are what its one axis is decoded to."""

    __slots__ = ()

    @abc.abstractmethod
    def codec(self) -> Codec:
        """The map between values and [0, 1]; the dimension must have no problems."""

    def codecs(self) -> tuple[Codec, ...]:
        """The one codec."""
        return (self.codec(),)

    def join(self, parts: Sequence[Column]) -> Column:
        """The one part."""
        (column,) = parts
        return column

    def split(self, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """The values as the one part."""
        return (values,)

    @property
    def values(self) -> tuple[Any, ...]:
        """All values in order; () where continuous or more than 4096."""
        codec = self.codec()
        return codec.values if isinstance(codec, Levels) else ()
