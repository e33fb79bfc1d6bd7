"""Forbidden: a combination of values that is never tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evotune._errors import nearest
from evotune.space._dimension import Conditions, Dimension
from evotune.space._rules import Configuration, Rule
from evotune.space._values import typed


class Forbidden(Rule):
    """A combination of values that is never tried.

    Where several values are listed for a name, any of them counts. A combination with a
    dimension that is inactive is not forbidden.

    Args:
        mapping: Values by name; for names with dots.
        **values: Values by name.

    Example:
        >>> from evotune.space import Categorical, Space
        >>> space = Space(
        ...     optimizer=Categorical(["sgd", "adam"]),
        ...     norm=Categorical(["none", "batch", "layer"]),
        ...     constraints=[Forbidden(optimizer="sgd", norm=["none", "layer"])],
        ... )
        >>> {"optimizer": "sgd", "norm": "none"} in space
        False
        >>> {"optimizer": "sgd", "norm": "batch"} in space
        True
    """

    __slots__ = ("_values",)

    def __init__(
        self, mapping: Mapping[str, Any] | None = None, /, **values: Any
    ) -> None:
        self._values = Conditions({**(mapping or {}), **values})

    @property
    def given(self) -> Forbidden:
        """The combination itself."""
        return self

    @property
    def values(self) -> Conditions:
        """By name the values, a tuple for each."""
        return self._values

    def says(self, configuration: Configuration) -> bool:
        """Whether a configuration is another one."""
        pairs = self._values.items()
        return not all(configuration[name] in values for name, values in pairs)

    def problems(self, entries: Mapping[str, Any]) -> list[str]:
        """Unknown names, and values that their dimensions do not have."""
        found = [] if self._values else ["Forbidden() forbids everything: name values."]
        for name, values in self._values.items():
            if name not in entries:
                found.append(
                    f"{self!r} names {name!r}, which the space does not have."
                    f"{nearest(str(name), entries)}"
                )
            elif not values:
                found.append(f"{self!r} lists no value of {name!r}. List one at least.")
            elif isinstance(entries[name], Dimension):
                for value in values:
                    try:
                        entries[name].check(value)
                    except ValueError as error:
                        found.append(f"{self!r}: {name!r} {error}")
        return found

    def kept(self, entries: Mapping[str, Any], gone: frozenset[str]) -> Rule | None:
        """What is left of it, if all of its names still have one of their values."""
        if gone & set(self._values):
            return None
        left = {
            name: [value for value in values if _has(entries[name], value)]
            for name, values in self._values.items()
        }
        return Forbidden(left) if all(left.values()) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Forbidden):
            return NotImplemented
        return bool(typed(self._values) == typed(other._values))

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        return f"Forbidden({self._values!r})"


def _has(entry: Any, value: Any) -> bool:
    """Whether a dimension or a constant has a value."""
    if not isinstance(entry, Dimension):
        return bool(entry == value)
    try:
        entry.check(value)
    except ValueError:
        return False
    return True
