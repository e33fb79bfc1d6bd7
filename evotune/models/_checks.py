"""What the model families say about values that they cannot use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evotune._errors import nearest


def value_problems(
    values: Mapping[str, Any],
    *,
    sizes: Sequence[str] = (),
    options: Mapping[str, Sequence[str]] | None = None,
    rates: Sequence[str] = (),
    factors: Sequence[str] = (),
    switches: Sequence[str] = (),
) -> list[str]:
    """Problems with the values of a family's hyperparameters, by what they are.

    Args:
        values: Extreme values or choices by name, as a tuple, or a plain value.
        sizes: Names of integers of at least 1.
        options: What each name that is one of several strings may be.
        rates: Names of numbers in [0, 1).
        factors: Names of numbers above 0.
        switches: Names of bools.
    """
    problems = size_problems(values, sizes)
    for name, known in (options or {}).items():
        problems += option_problems(values, name, known)
    for name in rates:
        problems += rate_problems(values, name)
    for names, rule, fix, holds in (
        (switches, "be a bool", "Bool()", lambda v: isinstance(v, bool)),
        (factors, "be above 0", "Float(0.5, 2.0, log=True)", lambda v: v > 0),
    ):
        problems += [
            f"{name} must {rule}, but may be {value!r}. Use `{name}={fix}`."
            for name in names
            for value in as_tuple(values[name])
            if not holds(value)
        ]
    return problems


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


def stage_problems(values: Mapping[str, Any]) -> list[str]:
    """Problems with a number of stages, each of which doubles the channels."""
    return [
        f"stages must be at most 8, as channels double in each, but may be {value!r}. "
        "Use `stages=Int(1, 3)`."
        for value in as_tuple(values["stages"])
        if isinstance(value, int) and value > 8
    ]


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Extreme values or choices; a plain value is its own only one."""
    return value if isinstance(value, tuple) else (value,)
