"""Spaces as JSON text and as fingerprints."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from evotune._errors import SpaceError, nearest
from evotune.space._choices import Bool, Categorical
from evotune.space._dimension import Dimension
from evotune.space._float import Float
from evotune.space._int import Int

SCHEMA_VERSION = 1
"""Of the JSON form; raised whenever an older reader would misread it."""

_TYPES: dict[str, type[Dimension]] = {
    "float": Float,
    "int": Int,
    "categorical": Categorical,
    "bool": Bool,
}


def dumps(dimensions: Mapping[str, Dimension], constants: Mapping[str, Any]) -> str:
    """The space as JSON, which `loads` reads back.

    Raises:
        SpaceError: If a choice or constant is no string, number, boolean, None or tuple
            of these.
    """
    return json.dumps(_document(dimensions, constants, exact=True), allow_nan=False)


def loads(document: str | Mapping[str, Any]) -> dict[str, Any]:
    """The dimensions and constants by name, from JSON text or what was read from it.

    Raises:
        SpaceError: If the text is no JSON, or no space that this version can read.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except json.JSONDecodeError as error:
            raise SpaceError(
                f"A space must be JSON as `Space.to_json()` writes it, but the text "
                f"cannot be read as JSON: {error}."
            ) from error
    if not isinstance(document, Mapping) or "dimensions" not in document:
        raise SpaceError(
            "A space must be JSON as `Space.to_json()` writes it, an object with "
            f"`schema_version` and `dimensions`, but got {document!r:.80}."
        )
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SpaceError(
            f"`schema_version` of a space must be {SCHEMA_VERSION}, but got "
            f"{version!r}. It was written by another version of evotune: read it with "
            "that version, or with a newer one."
        )
    try:
        entries = dict(map(_dimension, document["dimensions"]))
        constants = document.get("constants", {})
        return entries | {name: _value(value) for name, value in constants.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SpaceError(
            f"The JSON of a space is damaged: {error}. Write it anew with "
            "`Space.to_json()`."
        ) from error


def fingerprint(
    dimensions: Mapping[str, Dimension], constants: Mapping[str, Any]
) -> str:
    """Twelve hex digits that two spaces share if, in practice, they are equal.

    Values that JSON cannot hold count by the name they are imported under, or else by
    their ``repr`` without addresses, so that every process finds the same digits.
    """
    document = _document(dimensions, constants, exact=False)
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _document(
    dimensions: Mapping[str, Dimension], constants: Mapping[str, Any], *, exact: bool
) -> dict[str, Any]:
    kinds = {type_: name for name, type_ in _TYPES.items()}
    listed = []
    for name, dimension in dimensions.items():
        entry: dict[str, Any] = {"name": name, "type": kinds[type(dimension)]}
        for field, value in dimension._fields().items():
            if field == "when" and value is not None:
                entry[field] = {
                    parent: [_plain(choice, parent, exact) for choice in choices]
                    for parent, choices in value.items()
                }
            elif field == "choices":
                entry[field] = [_plain(choice, name, exact) for choice in value]
            elif value is not None:
                entry[field] = _plain(value, name, exact)
        listed.append(entry)
    fixed = {name: _plain(value, name, exact) for name, value in constants.items()}
    return {
        "schema_version": SCHEMA_VERSION,
        "dimensions": listed,
        "constants": fixed,
    }


def _plain(value: Any, name: str, exact: bool) -> Any:
    """A value as JSON; what JSON lacks is an object of one key."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if type(value) is tuple:
        return {"tuple": [_plain(item, name, exact) for item in value]}
    if not exact:
        return {"object": _describe(value)}
    raise SpaceError(
        f"A space is written as JSON only if its values are strings, numbers, "
        f"booleans, None or tuples of these, but {name!r} has {value!r} of type "
        f"{type(value).__name__}. Use a name in its place, and look the object up "
        f"where it is used: `{{{getattr(value, '__name__', 'name')!r}: ...}}`."
    )


def _describe(value: Any) -> str:
    """What names a value in every process: functions and classes by their import."""
    if hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    kind, text = type(value), repr(value)
    return f"{kind.__module__}.{kind.__qualname__} {'' if ' at 0x' in text else text}"


def _value(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "tuple":
        return tuple(map(_value, content))
    if tag == "float":
        return float(content)
    raise ValueError(f"unknown kind of value {tag!r}")


def _dimension(entry: Mapping[str, Any]) -> tuple[str, Dimension]:
    fields = dict(entry)
    name, kind = fields.pop("name"), fields.pop("type")
    if kind not in _TYPES:
        raise ValueError(
            f"{name!r} has the unknown type {kind!r}.{nearest(str(kind), _TYPES)}"
        )
    when = fields.pop("when", None)
    if when is not None:
        when = {parent: list(map(_value, values)) for parent, values in when.items()}
    if "choices" in fields:
        fields["choices"] = list(map(_value, fields["choices"]))
    if "default" in fields:
        fields["default"] = _value(fields["default"])
    return name, _TYPES[kind](**fields | {"when": when})
