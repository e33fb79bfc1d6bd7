"""Calling users' functions by the names of their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters that can be passed by name; () where unknown."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(p.name for p in parameters if p.kind in named)


def call_by_name(function: Callable[..., T], **available: Any) -> T:
    """Calls ``function`` with those of ``available`` that its signature names.

    Raises:
        TypeError: If a required parameter is not among ``available``.

    Example:
        >>> call_by_name(lambda hp: hp + 1, hp=1, info=None)
        2
    """
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return function(**available)
    missing = [
        p.name
        for p in parameters
        if p.default is inspect.Parameter.empty
        and p.kind is not inspect.Parameter.VAR_POSITIONAL
        and (p.name not in available or p.kind is inspect.Parameter.POSITIONAL_ONLY)
    ]
    if missing:
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"evotune passes arguments by name, but {name} requires "
            f"{', '.join(map(repr, missing))}, which is not one of "
            f"{', '.join(available)}. Rename the argument or give it a default."
        )
    names = [p.name for p in parameters if p.name in available]
    return function(**{name: available[name] for name in names})
