"""Lists of values that a user writes, of any kind, of which no two may be equal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evotune.space._codec import MAX_LEVELS
from evotune.space._values import is_hashable, is_nan, listing, plain, typed


def as_tuple(values: Any) -> Any:
    """A list or another iterable with an order as a tuple of plain values."""
    if isinstance(values, Iterable) and not isinstance(
        values, (str, bytes, Mapping, set, frozenset)
    ):
        return tuple(map(plain, values))
    return values


def list_problems(
    name: str, values: Any, *, word: str, kind: str, repeated: str
) -> list[str]:
    """What is wrong with the values that a dimension lists.

    Args:
        name: The dimension's.
        values: What `as_tuple` made of what was given.
        word: What they are called, "choices" or "items", as the argument is.
        kind: The class of the dimension.
        repeated: What to do about a value that is listed twice.
    """
    if not isinstance(values, tuple):
        return [_not_a_list(name, values, word, kind)]
    unhashable = [value for value in values if not is_hashable(value)]
    if unhashable:
        return [_unhashable(name, unhashable, word)]
    found = _repetitions(name, values, word, repeated)
    if any(map(is_nan, values)):
        found.append(
            f"{word.title()} of {name!r} must equal themselves, but one is NaN. Use "
            "None for a missing value."
        )
    if not values:
        found.append(
            f"`{word}` of {name!r} is empty. List the values: "
            f'`{kind}(["relu", "gelu"])`.'
        )
    elif len(values) > MAX_LEVELS:
        fix = " If they are evenly spaced, use Int or Float."
        found.append(
            f"`{word}` of {name!r} must hold at most {MAX_LEVELS} values, but got "
            f"{len(values)}.{fix if word == 'choices' else ''}"
        )
    return found


def _not_a_list(name: str, values: Any, word: str, kind: str) -> str:
    fix = f'Use `{kind}(["relu", "gelu"])`.'
    if isinstance(values, (set, frozenset)):
        fix = (
            "A set has another order in every process; write a list: "
            f"`{kind}({sorted(values, key=repr)!r})`."
        )
    elif isinstance(values, Mapping):
        verb = "choose among" if word == "choices" else "order"
        fix = f"To {verb} its keys, use `{kind}({list(values)!r})`."
    return f"`{word}` of {name!r} must be a list, but got {values!r}. {fix}"


def _unhashable(name: str, values: list[Any], word: str) -> str:
    fix = "Use names, and look the objects up by name where they are needed."
    if isinstance(values[0], list):
        fix = f"Use tuples: `{tuple(values[0])!r}`."
    return (
        f"{word.title()} of {name!r} must be hashable, but got {listing(values)} of "
        f"type {type(values[0]).__name__}. {fix}"
    )


def _repetitions(
    name: str, values: tuple[Any, ...], word: str, repeated: str
) -> list[str]:
    found: dict[str, None] = {}  # as an ordered set: a value listed thrice is told once
    first: dict[Any, Any] = {}
    for value in values:
        if value not in first:
            first[value] = value
        elif typed(first[value]) == typed(value):
            found[
                f"{word.title()} of {name!r} must differ, but {value!r} is listed "
                f"twice. {repeated}"
            ] = None
        else:
            found[
                f"{word.title()} of {name!r} must differ, but {first[value]!r} and "
                f"{value!r} are equal in Python. Write one as a string: "
                f"{str(value)!r}."
            ] = None
    return list(found)
