"""Checks of what a user sets on an algorithm, in words that tell the way out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from evotune._errors import nearest


def count_problem(name: str, value: Any, least: int, why: str) -> list[str]:
    """A problem if ``value`` is not an integer of at least ``least``.

    Args:
        name: The argument's name.
        value: What was given.
        least: The smallest good value.
        why: What the number is for, as the end of a sentence: "to breed from".
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        if value >= least:
            return []
        got = f"`{name}={value}`"
    else:
        got = f"`{name}={value!r}`, a {type(value).__name__}"
    return [
        f"`{name}` must be an integer of at least {least}, {why}, but got {got}. "
        f"Use for example `{name}={max(least, 64 if 'size' in name else least)}`."
    ]


def batch_problem(batch_size: Any) -> list[str]:
    """A problem if ``batch_size`` is no number of rows."""
    return count_problem("batch_size", batch_size, 1, "the rows of a batch")


def range_problem(
    name: str, value: Any, low: float, high: float, use: str
) -> list[str]:
    """A problem if ``value`` is not a number in [``low``, ``high``].

    Args:
        name: The argument's name.
        value: What was given.
        low: The smallest good value.
        high: The largest good value.
        use: A good value, as code.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if number and low <= value <= high:  # False for NaN
        return []
    return [
        f"`{name}` must be a number from {low:g} to {high:g}, but got "
        f"`{name}={value!r}`. Use for example `{name}={use}`."
    ]


def choice_problem(
    name: str, value: Any, known: Mapping[str, Callable[..., Any]]
) -> list[str]:
    """A problem if ``value`` is neither a known name nor a function.

    Args:
        name: The argument's name.
        value: What was given.
        known: The functions that have a name.
    """
    if callable(value):
        return []
    return name_problem(name, value, known, "or a function, ")


def name_problem(
    name: str, value: Any, known: Collection[str], otherwise: str = ""
) -> list[str]:
    """A problem if ``value`` is not a known name.

    Args:
        name: The argument's name.
        value: What was given.
        known: The good names.
        otherwise: What else would do: "or a function, ".
    """
    if isinstance(value, str) and value in known:
        return []
    hint = nearest(value, known) if isinstance(value, str) else ""
    names = ", ".join(repr(each) for each in known)
    return [
        f"`{name}` must be one of {names}, {otherwise}but got `{name}={value!r}`.{hint}"
    ]


def named(
    choice: str | Callable[..., Any], known: Mapping[str, Callable[..., Any]]
) -> Callable[..., Any]:
    """The function of that name, or the function itself."""
    return known[choice] if isinstance(choice, str) else choice
