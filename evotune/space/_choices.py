"""Dimensions whose values are names, not amounts: Categorical and Bool."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from evotune._contracts import Kind
from evotune._errors import nearest
from evotune.space._codec import MAX_LEVELS, Levels
from evotune.space._dimension import Dimension
from evotune.space._values import is_hashable, is_nan, listing, plain, typed


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Categorical(Dimension):
    """One of several values without an order, drawn with equal weights.

    Attributes:
        choices: The values: at least two, hashable, none equal to another. They may be
            anything; a space with other values than strings, numbers, booleans, None
            and tuples of these works, but cannot be written as JSON.
        default: The choice of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Example:
        >>> Categorical(["relu", "gelu", "tanh"])
        Categorical(['relu', 'gelu', 'tanh'])
    """

    kind: ClassVar[Kind] = Kind.CATEGORICAL

    choices: Iterable[Any]
    _: dataclasses.KW_ONLY
    default: Any = None
    when: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        choices: Any = self.choices
        if isinstance(choices, Iterable) and not isinstance(
            choices, (str, bytes, Mapping, set, frozenset)
        ):
            choices = tuple(map(plain, choices))
        self._normalise(choices=choices, default=plain(self.default))

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
        """Equal cells, in the order of the choices."""
        return Levels(tuple(self.choices))

    def _own_problems(self, name: str) -> list[str]:
        if not isinstance(self.choices, tuple):
            return [_not_a_list(name, self.choices)]
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
                '`Categorical(["relu", "gelu"])`.'
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
                f"{len(self.choices)}. If they have an order, use Int or Float."
            )
        return found


def _not_a_list(name: str, choices: Any) -> str:
    fix = 'Use `Categorical(["relu", "gelu"])`.'
    if isinstance(choices, (set, frozenset)):
        fix = (
            "A set has another order in every process; write a list: "
            f"`Categorical({sorted(choices, key=repr)!r})`."
        )
    elif isinstance(choices, Mapping):
        fix = f"To choose among its keys, use `Categorical({list(choices)!r})`."
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
                "Remove one: choices are drawn with equal weights."
            ] = None
        else:
            found[
                f"Choices of {name!r} must differ, but {first[choice]!r} and "
                f"{choice!r} are equal in Python. Write one as a string: "
                f"{str(choice)!r}."
            ] = None
    return list(found)


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bool(Dimension):
    """False or True.

    Attributes:
        default: The value of a trial that leaves this dimension out; None for none.
        when: The values of other dimensions under which this one is active.

    Example:
        >>> Bool(when={"optimizer": "sgd"})
        Bool(when={'optimizer': 'sgd'})
    """

    kind: ClassVar[Kind] = Kind.CATEGORICAL

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
