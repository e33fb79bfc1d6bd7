"""What Categorical and Ordinal share: a list of values, each with its weight."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evotune._errors import nearest
from evotune.space._cells import cells
from evotune.space._codec import MAX_LEVELS, Levels
from evotune.space._dimension import Dimension
from evotune.space._values import (
    is_finite,
    is_hashable,
    is_nan,
    listing,
    plain,
    typed,
)


class Listed(Dimension):
    """A dimension whose values are listed one by one, of any kind."""

    __slots__ = ()

    choices: Iterable[Any]
    weights: Iterable[float] | None
    default: Any

    def __post_init__(self) -> None:
        self._normalise(
            choices=_as_tuple(self.choices),
            weights=_as_tuple(self.weights),
            default=plain(self.default),
        )

    @property
    def size(self) -> int:
        """Number of choices."""
        return len(tuple(self.choices))

    def check(self, value: Any) -> Any:
        """The choice that equals ``value``; a bool equals no number here."""
        value = plain(value)
        if is_hashable(value):
            for choice in self.choices:
                if choice == value and isinstance(choice, bool) == isinstance(
                    value, bool
                ):
                    return choice
        names = [choice for choice in self.choices if isinstance(choice, str)]
        hint = nearest(value, names) if isinstance(value, str) else ""
        raise ValueError(
            f"must be one of {listing(tuple(self.choices))}, but got {value!r}.{hint}"
        )

    def codec(self) -> Levels:
        """Cells in the order of the choices: equal ones, or as wide as the weights."""
        choices, weights = tuple(self.choices), tuple(self.weights or ())
        return Levels(choices, edges=cells(weights) if len(set(weights)) > 1 else ())

    def _own_problems(self, name: str) -> list[str]:
        kind = type(self).__name__
        if not isinstance(self.choices, tuple):
            return [_not_a_list(name, self.choices, kind)]
        unhashable = [choice for choice in self.choices if not is_hashable(choice)]
        if unhashable:
            return [_unhashable(name, unhashable)]
        found = _repeated(name, self.choices)
        if any(map(is_nan, self.choices)):
            found.append(
                f"Choices of {name!r} must equal themselves, but one is NaN. Use None "
                "for a missing value."
            )
        if not self.choices:
            found.append(
                f"`choices` of {name!r} is empty. List the values to choose from: "
                f'`{kind}(["relu", "gelu"])`.'
            )
        elif len(self.choices) == 1 and not found:
            found.append(
                f"`choices` of {name!r} must hold at least two values, but got only "
                f"{self.choices[0]!r}. A single value is a constant: put "
                f"`{self.choices[0]!r}` in place of the dimension."
            )
        elif len(self.choices) > MAX_LEVELS:
            found.append(
                f"`choices` of {name!r} must hold at most {MAX_LEVELS} values, but got "
                f"{len(self.choices)}. If they are evenly spaced, use Int or Float."
            )
        return found or self._weight_problems(name)

    def _weight_problems(self, name: str) -> list[str]:
        weights, count = self.weights, self.size
        if weights is None:
            return []
        fix = f"Use `weights={[count, *[1] * (count - 1)]!r}`."
        if not isinstance(weights, tuple) or len(weights) != count:
            return [
                f"`weights` of {name!r} must be a list of {count} numbers, one for "
                f"each choice, but got {_shown(weights)}. {fix}"
            ]
        if not all(is_finite(weight) and weight > 0 for weight in weights):
            return [
                f"`weights` of {name!r} must be finite numbers above 0, but got "
                f"{_shown(weights)}. Remove a choice that is never to be drawn."
            ]
        return []


def _as_tuple(values: Any) -> Any:
    """A list or another iterable with an order as a tuple of plain values."""
    if isinstance(values, Iterable) and not isinstance(
        values, (str, bytes, Mapping, set, frozenset)
    ):
        return tuple(map(plain, values))
    return values


def _shown(weights: Any) -> str:
    return repr(list(weights) if isinstance(weights, tuple) else weights)


def _not_a_list(name: str, choices: Any, kind: str) -> str:
    fix = f'Use `{kind}(["relu", "gelu"])`.'
    if isinstance(choices, (set, frozenset)):
        fix = (
            "A set has another order in every process; write a list: "
            f"`{kind}({sorted(choices, key=repr)!r})`."
        )
    elif isinstance(choices, Mapping):
        fix = f"To choose among its keys, use `{kind}({list(choices)!r})`."
    return f"`choices` of {name!r} must be a list, but got {choices!r}. {fix}"


def _unhashable(name: str, choices: list[Any]) -> str:
    fix = "Use names, and look the objects up by name where they are needed."
    if isinstance(choices[0], list):
        fix = f"Use tuples: `{tuple(choices[0])!r}`."
    return (
        f"Choices of {name!r} must be hashable, but got {listing(choices)} of type "
        f"{type(choices[0]).__name__}. {fix}"
    )


def _repeated(name: str, choices: tuple[Any, ...]) -> list[str]:
    found: dict[str, None] = {}  # as an ordered set: a value listed thrice is told once
    first: dict[Any, Any] = {}
    for choice in choices:
        if choice not in first:
            first[choice] = choice
        elif typed(first[choice]) == typed(choice):
            found[
                f"Choices of {name!r} must differ, but {choice!r} is listed twice. "
                "Remove one; `weights=` says what is to be drawn more often."
            ] = None
        else:
            found[
                f"Choices of {name!r} must differ, but {first[choice]!r} and "
                f"{choice!r} are equal in Python. Write one as a string: "
                f"{str(choice)!r}."
            ] = None
    return list(found)
