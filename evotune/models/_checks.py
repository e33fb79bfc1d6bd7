"""What the model families say about values that they cannot use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evotune._errors import nearest


def size_problems(values: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Problems with sizes, which are integers of at least 1."""
    return [
        f"{name} must be an integer of at least 1, but may be {value!r}. "
        f"Use `{name}=Int(1, ...)`."
        for name in names
        for value in as_tuple(values[name])
        if isinstance(value, bool) or not isinstance(value, int) or value < 1
    ]


def option_problems(
    values: Mapping[str, Any], name: str, options: Sequence[str]
) -> list[str]:
    """Problems with a name that must be one of ``options``."""
    return [
        f"{name} must be one of {sorted(options)}, but may be {value!r}."
        f"{nearest(str(value), options)}"
        for value in as_tuple(values[name])
        if value not in options
    ]


def rate_problems(values: Mapping[str, Any], name: str) -> list[str]:
    """Problems with a rate in [0, 1)."""
    return [
        f"{name} must lie in [0, 1), but may be {value!r}. "
        f"Use `{name}=Float(0.0, 0.5)`."
        for value in as_tuple(values[name])
        if not 0.0 <= value < 1.0
    ]


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Extreme values or choices; a plain value is its own only one."""
    return value if isinstance(value, tuple) else (value,)
