"""Dimensions whose values are names, not amounts: Categorical and Bool."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from evotune._contracts import Kind
from evotune.space._codec import Levels
from evotune.space._listed import Listed
from evotune.space._scalar import Scalar
from evotune.space._values import plain


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Categorical(Listed):
    """One of several values without an order; `Ordinal` has one.

    Attributes:
        choices: The values: at least two, hashable, none equal to another. They may be
            anything; a space with other values than strings, numbers, booleans, None
            and tuples of these works, but cannot be written as JSON.
        weights: How often each is drawn in proportion to the others, while nothing is
            known; None for equally often.
        default: The choice of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Example:
        >>> Categorical(["relu", "gelu", "tanh"], weights=[2, 2, 1])
        Categorical(['relu', 'gelu', 'tanh'], weights=[2, 2, 1])
    """

    kind: ClassVar[Kind] = Kind.CATEGORICAL
    start: ClassVar[float] = 0.0

    choices: Iterable[Any]
    _: dataclasses.KW_ONLY
    weights: Iterable[float] | None = None
    default: Any = None
    when: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bool(Scalar):
    """False or True.

    Attributes:
        default: The value of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Example:
        >>> Bool(when={"optimizer": "sgd"})
        Bool(when={'optimizer': 'sgd'})
    """

    kind: ClassVar[Kind] = Kind.CATEGORICAL
    start: ClassVar[float] = 0.0

    _: dataclasses.KW_ONLY
    default: bool | None = None
    when: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self._normalise(default=plain(self.default))

    @property
    def size(self) -> int:
        """Two."""
        return 2

    def check(self, value: Any) -> bool:
        """``value`` itself, if it is False or True."""
        value = plain(value)
        if not isinstance(value, bool):
            raise ValueError(f"must be True or False, but got {value!r}.")
        return value

    def codec(self) -> Levels:
        """Two equal cells: False below one half, True above."""
        return Levels((False, True), bool)

    def _own_problems(self, name: str) -> list[str]:
        del name  # nothing but default and when, which every dimension checks
        return []
