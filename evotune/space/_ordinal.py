"""Ordinal: one of several values in an order."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from evotune._contracts import Kind
from evotune.space._listed import Listed


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Ordinal(Listed):
    """One of several values in an order, of any kind.

    A search takes small steps among them, as among the values of an `Int`, and learns
    that neighbours are alike; their distances count for nothing. For the task it is as
    `Categorical`: numbers can be traced, sizes padded, and names chosen among.

    Attributes:
        choices: The values in their order: at least two, hashable, none equal to
            another.
        weights: How often each is drawn in proportion to the others, while nothing is
            known; None for equally often.
        default: The choice of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Example:
        >>> Ordinal([32, 64, 96, 256], default=64)
        Ordinal([32, 64, 96, 256], default=64)
    """

    kind: ClassVar[Kind] = Kind.INT

    choices: Iterable[Any]
    _: dataclasses.KW_ONLY
    weights: Iterable[float] | None = None
    default: Any = None
    when: Mapping[str, Any] | None = None
