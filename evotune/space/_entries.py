"""What a user passes to `Space`, sorted into dimensions and constants and checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from evotune._errors import SpaceError, raise_all
from evotune.space._conditions import Graph, graph, resolve
from evotune.space._dimension import Dimension
from evotune.space._values import is_hashable, is_nan, plain


def build(
    mapping: Mapping[str, Any] | None, named: Mapping[str, Any]
) -> tuple[dict[str, Dimension], dict[str, Any], Graph]:
    """The dimensions, the constants and the conditions of a space.

    Conditions come back in the order of the parents and of their values, so that spaces
    which mean the same are equal.

    Raises:
        SpaceError: Once, with every problem found.
        TypeError: If ``mapping`` is no mapping.
    """
    if mapping is not None and not isinstance(mapping, Mapping):
        raise TypeError(
            "The positional argument of Space must map names to dimensions, but got "
            f"{mapping!r:.80}. Use `Space({{'learning_rate': Float(1e-4, 1e-1)}})`."
        )
    entries = {**(mapping or {}), **named}
    problems = [
        f"Names must be given once, but {name!r} is both in the mapping and a keyword "
        "argument. Remove one of the two."
        for name in named
        if name in (mapping or {})
    ]
    dimensions: dict[str, Dimension] = {}
    constants: dict[str, Any] = {}
    sound: set[str] = set()
    for name, value in entries.items():
        problems += _name_problems(name, entries)
        if isinstance(value, Dimension):
            dimensions[name] = value
            found = value.problems(name)
            sound |= set() if found else {name}
        else:
            constants[name] = plain(value)
            found = _constant_problems(name, constants[name])
        problems += found
    if not dimensions and not problems:
        problems.append(_empty(constants))
    edges, found = resolve(dimensions, constants, sound)
    raise_all(problems + found, SpaceError, "The space")
    for name, needs in edges.items():
        if needs:
            when = {
                parent: [dimensions[parent].values[level] for level in levels]
                for parent, levels in needs
            }
            changed: Any = dataclasses.replace(dimensions[name], when=when)  # type: ignore[type-var]
            dimensions[name] = changed
    return dimensions, constants, graph(edges)


def _empty(constants: Mapping[str, Any]) -> str:
    fix = "`Space(learning_rate=Float(1e-4, 1e-1, log=True))`"
    if not constants:
        return f"A space must have at least one dimension, but got none. Use {fix}."
    name, value = next(iter(constants.items()))
    return (
        "A space must have at least one dimension, but got only constants: "
        f"{', '.join(map(repr, constants))}. Nothing is left to search: replace a "
        f"constant by a range, such as `{name}=Categorical([{value!r}, ...])`."
    )


def _name_problems(name: Any, entries: Mapping[Any, Any]) -> list[str]:
    if not isinstance(name, str):
        return [f"Names must be strings, but got {name!r}. Use `{str(name)!r}`."]
    parts = name.split(".")
    if not all(part and part == part.strip() for part in parts):
        return [
            f"Names must be words, joined by single dots, but got {name!r}. Use a name "
            "such as 'learning_rate' or 'optimizer.learning_rate'."
        ]
    groups = [".".join(parts[:length]) for length in range(1, len(parts))]
    return [
        f"Names must not clash, but {group!r} is a value of its own and the group of "
        f"{name!r}. Rename one, for example {group!r} to '{group}.name'."
        for group in groups
        if group in entries
    ]


def _constant_problems(name: str, value: Any) -> list[str]:
    if isinstance(value, type) and issubclass(value, Dimension):
        return [
            f"{name!r} is the class {value.__name__} itself. Call it with its "
            f"arguments, such as `{name}={value.__name__}(...)`."
        ]
    if isinstance(value, Mapping) or hasattr(value, "geometry"):
        return [
            f"{name!r} is a {type(value).__name__}, and spaces do not nest. Use names "
            f"with dots: `Space({{'{name}.learning_rate': Float(1e-4, 1e-1)}})`."
        ]
    if isinstance(value, range):
        last = value[-1] if value else value.stop
        step = "" if value.step == 1 else f", step={value.step}"
        return [
            f"{name!r} is {value!r}, which is neither a dimension nor one value. To "
            f"search it, use `{name}=Int({value.start}, {last}{step})`."
        ]
    if not is_hashable(value):
        fix = "Pass a name, and look the object up where it is used."
        if isinstance(value, (list, set)):
            values = list(value)
            fix = (
                f"To search over its values, use `{name}=Categorical({values!r})`; for "
                f"one constant, a tuple: `{name}={tuple(values)!r}`."
            )
        return [
            f"A constant must be hashable, but {name!r} is {value!r:.80} of type "
            f"{type(value).__name__}. {fix}"
        ]
    if is_nan(value):
        return [
            f"A constant must be a value, but {name!r} is NaN. Use None for a setting "
            "that is off."
        ]
    return []
