"""What Categorical and Ordinal share: a list of values, each with its weight."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evotune._errors import nearest
from evotune.space._cells import cells
from evotune.space._codec import Levels
from evotune.space._distinct import as_tuple, list_problems
from evotune.space._scalar import Scalar
from evotune.space._values import is_finite, is_hashable, listing, plain


class Listed(Scalar):
    """A dimension whose values are listed one by one, of any kind."""

    __slots__ = ()

    choices: Iterable[Any]
    weights: Iterable[float] | None
    default: Any

    def __post_init__(self) -> None:
        self._normalise(
            choices=as_tuple(self.choices),
            weights=as_tuple(self.weights),
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
        found = list_problems(
            name,
            self.choices,
            word="choices",
            kind=kind,
            repeated="Remove one; `weights=` says what is to be drawn more often.",
        )
        if not found and self.size == 1:
            (choice,) = self.choices
            found.append(
                f"`choices` of {name!r} must hold at least two values, but got only "
                f"{choice!r}. A single value is a constant: put `{choice!r}` in place "
                "of the dimension."
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


def _shown(weights: Any) -> str:
    return repr(list(weights) if isinstance(weights, tuple) else weights)
