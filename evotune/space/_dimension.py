"""What every kind of dimension has in common."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from evotune._contracts import Kind
from evotune.space._codec import Codec, Column
from evotune.space._values import plain, typed


class Conditions(Mapping[str, tuple[Any, ...]]):
    """The values that other dimensions must have: every name, any of its values.

    An immutable mapping, made from what a user passes as ``when``.

    Example:
        >>> Conditions({"optimizer": "sgd", "depth": [2, 3]})
        {'optimizer': 'sgd', 'depth': [2, 3]}
    """

    __slots__ = ("_values",)

    def __init__(self, when: Mapping[str, Any]) -> None:
        """Lists and sets hold several values; anything else is one value."""
        self._values = {
            plain(name): tuple(map(plain, value))
            if isinstance(value, (list, set, frozenset, range))
            else (plain(value),)
            for name, value in when.items()
        }
        if isinstance(when, Conditions):
            self._values = dict(when._values)

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values))

    def __repr__(self) -> str:
        return repr(
            {
                name: values[0] if len(values) == 1 else list(values)
                for name, values in self._values.items()
            }
        )

    def problems(self, name: str) -> list[str]:
        """What is wrong with the conditions of dimension ``name`` by themselves."""
        found = []
        if not self._values:
            found.append(
                f"`when` of {name!r} is empty. Leave it out, or name a dimension: "
                "`when={'optimizer': 'sgd'}`."
            )
        for parent, values in self._values.items():
            if not isinstance(parent, str):
                found.append(
                    f"`when` of {name!r} must map names to values, but has the key "
                    f"{parent!r}."
                )
            elif not values:
                found.append(
                    f"`when` of {name!r} allows no value of {parent!r}, so that "
                    f"{name!r} is never active. Give it at least one value."
                )
        return found


class Dimension(abc.ABC):
    """One thing that may vary: a frozen description, checked when a `Space` is made.

    Nothing but a `Space` uses a dimension, and only there has it a name. It therefore
    accepts anything when made, and ``Space(...)`` reports the problems of all its
    dimensions at once, each with its name and a fix as code, instead of stopping
    nameless at the first. To check one alone, call ``problems("name")``.

    A dimension takes one axis of the unit cube (`Scalar`), or several, with a codec
    each, whose values `join` makes one of.
    """

    __slots__ = ()

    kind: ClassVar[Kind]
    start: ClassVar[float] = 0.5
    """Where its axes rest while it is inactive and has no default."""
    default: Any
    when: Mapping[str, Any] | None

    @property
    @abc.abstractmethod
    def size(self) -> int | float:
        """Number of distinct values; ``math.inf`` of a continuous dimension."""

    @abc.abstractmethod
    def check(self, value: Any) -> Any:
        """``value`` as the plain value of this dimension that it equals.

        Raises:
            ValueError: If the dimension does not have that value; the message is to
                follow the dimension's name.
        """

    @abc.abstractmethod
    def codecs(self) -> tuple[Codec, ...]:
        """What each of its axes is decoded by; the dimension must have no problems."""

    @abc.abstractmethod
    def join(self, parts: Sequence[Column]) -> Column:
        """P values of the dimension, from what its axes were decoded to."""

    @abc.abstractmethod
    def split(self, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        """P values of each axis: the inverse of `join`."""

    @property
    @abc.abstractmethod
    def values(self) -> tuple[Any, ...]:
        """All values in order; () where continuous or more than 4096."""

    @abc.abstractmethod
    def _own_problems(self, name: str) -> list[str]:
        """The problems other than those of ``default`` and ``when``."""

    def problems(self, name: str) -> list[str]:
        """Every rule that this dimension breaks by itself, in words for ``name``."""
        found = self._own_problems(name)
        if not found and self.default is not None:
            try:
                self.check(self.default)
            except ValueError as error:
                found.append(
                    f"`default` of {name!r} {error} Change it, or leave it out."
                )
        if isinstance(self.when, Conditions):
            found += self.when.problems(name)
        elif self.when is not None:
            found.append(
                f"`when` of {name!r} must map names of dimensions to values, but got "
                f"`when={self.when!r}`. Use `when={{'optimizer': 'sgd'}}`."
            )
        return found

    def _normalise(self, **changes: Any) -> None:
        """Sets fields of the frozen dataclass while it is made."""
        if isinstance(self.when, Mapping):
            changes["when"] = Conditions(self.when)
        for name, value in changes.items():
            object.__setattr__(self, name, value)

    def _fields(self) -> dict[str, Any]:
        """The fields by name, in the order of the constructor."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {field.name: getattr(self, field.name) for field in fields}

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Dimension):
            return NotImplemented
        return bool(typed(self._fields()) == typed(other._fields()))

    def __hash__(self) -> int:
        return hash((type(self), *self._fields().values()))

    def __repr__(self) -> str:
        shown = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if not field.kw_only:
                shown.append(repr(list(value) if isinstance(value, tuple) else value))
            elif value is not field.default:
                if field.name == "weights" and isinstance(value, tuple):
                    value = list(value)
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"
