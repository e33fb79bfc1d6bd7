"""Spaces as JSON text and as fingerprints."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from evotune._errors import SpaceError, nearest
from evotune.space._choices import Bool, Categorical
from evotune.space._dimension import Dimension
from evotune.space._float import Float
from evotune.space._forbidden import Forbidden
from evotune.space._int import Int
from evotune.space._ordinal import Ordinal
from evotune.space._permutation import Permutation
from evotune.space._prior import Beta, Normal, Prior
from evotune.space._rules import Rule, Written

SCHEMA_VERSION = 2
"""Of the JSON form; raised whenever an older reader would misread it.

Version 2 has constraints; a space without any is written as version 1.
"""

_TYPES: dict[str, type[Dimension]] = {
    "float": Float,
    "int": Int,
    "categorical": Categorical,
    "ordinal": Ordinal,
    "bool": Bool,
    "permutation": Permutation,
}

_LISTS = frozenset({"choices", "weights", "items"})
"""Fields that are lists of values."""

_PRIORS: dict[str, type[Prior]] = {"normal": Normal, "beta": Beta}


def dumps(
    dimensions: Mapping[str, Dimension],
    constants: Mapping[str, Any],
    rules: Sequence[Rule] = (),
) -> str:
    """The space as JSON, which `loads` reads back.

    Raises:
        SpaceError: If a choice or constant is no string, number, boolean, None or tuple
            of these, or a rule is a function.
    """
    found = _document(dimensions, constants, rules, exact=True)
    return json.dumps(found, allow_nan=False)


def loads(
    document: str | Mapping[str, Any],
) -> tuple[dict[str, Any], list[str | Forbidden]]:
    """Dimensions and constants by name, and rules, from JSON or what was read from it.

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
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise SpaceError(
            f"`schema_version` of a space must be 1 to {SCHEMA_VERSION}, but got "
            f"{version!r}. It was written by another version of evotune: read it with "
            "that version, or with a newer one."
        )
    try:
        entries = dict(map(_dimension, document["dimensions"]))
        constants = document.get("constants", {})
        entries |= {name: _value(value) for name, value in constants.items()}
        return entries, list(map(_read_rule, document.get("constraints", [])))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SpaceError(
            f"The JSON of a space is damaged: {error}. Write it anew with "
            "`Space.to_json()`."
        ) from error


def fingerprint(
    dimensions: Mapping[str, Dimension],
    constants: Mapping[str, Any],
    rules: Sequence[Rule] = (),
) -> str:
    """Twelve hex digits that two spaces share if, in practice, they are equal.

    Values that JSON cannot hold count by the name they are imported under, or else by
    their ``repr`` without addresses, so that every process finds the same digits.
    """
    document = _document(dimensions, constants, rules, exact=False)
    text = json.dumps(document, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _document(
    dimensions: Mapping[str, Dimension],
    constants: Mapping[str, Any],
    rules: Sequence[Rule],
    *,
    exact: bool,
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
            elif field in _LISTS and value is not None:
                entry[field] = [_plain(choice, name, exact) for choice in value]
            elif isinstance(value, Prior):
                entry[field] = _prior(value)
            elif value is not None:
                entry[field] = _plain(value, name, exact)
        listed.append(entry)
    fixed = {name: _plain(value, name, exact) for name, value in constants.items()}
    if not rules:
        return {"schema_version": 1, "dimensions": listed, "constants": fixed}
    return {
        "schema_version": SCHEMA_VERSION,
        "dimensions": listed,
        "constants": fixed,
        "constraints": [_rule(rule, exact) for rule in rules],
    }


def _rule(rule: Rule, exact: bool) -> Any:
    """A rule as its text, or as an object of its values."""
    if isinstance(rule, Written):
        return rule.given
    if isinstance(rule, Forbidden):
        values = {
            name: [_plain(value, name, exact) for value in options]
            for name, options in rule.values.items()
        }
        return {"forbidden": values}
    if not exact:
        return {"object": _describe(rule.given)}
    raise SpaceError(
        "A constraint is written as JSON, and a study with `storage` recorded, only if "
        f"it is an expression or a Forbidden, but {rule!r} is a function. Write it as "
        "text, such as `constraints=['width * depth <= 512']`."
    )


def _read_rule(rule: Any) -> str | Forbidden:
    if isinstance(rule, str):
        return rule
    values = rule["forbidden"].items()
    return Forbidden({name: list(map(_value, each)) for name, each in values})


def _prior(prior: Prior) -> dict[str, Any]:
    """A prior as an object with its kind and its numbers."""
    (kind,) = (name for name, type_ in _PRIORS.items() if type(prior) is type_)
    return {"type": kind, **dataclasses.asdict(prior)}  # type: ignore[call-overload]


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
    for field in fields.keys() & _LISTS:
        fields[field] = list(map(_value, fields[field]))
    if "default" in fields:
        fields["default"] = _value(fields["default"])
    if "prior" in fields:
        numbers = dict(fields["prior"])
        fields["prior"] = _PRIORS[numbers.pop("type")](**numbers)
    return name, _TYPES[kind](**fields | {"when": when})
