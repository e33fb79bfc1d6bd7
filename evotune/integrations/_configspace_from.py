"""ConfigSpace's search space as evotune's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from evotune._errors import SpaceError, raise_all
from evotune.space import Bool, Categorical, Float, Int, Space

_MOST_VALUES = 4096
"""Of an integer that others depend on."""


def from_configspace(space: ConfigurationSpace) -> Space:
    """The same space as a `Space`: dimensions, conditions and constants.

    Ordinals of evenly spaced numbers become `Int` or `Float` with a step, others a
    `Categorical`, which has no order. Hyperparameters of a single value are constants.
    Conditions may be any that say of each parent by itself which values it must have:
    equal, unequal, in, less, greater, joined by "and", by "or" for one parent. Defaults
    are carried over, unless they are those that ConfigSpace sets by itself.

    Args:
        space: Without forbidden clauses and priors.

    Raises:
        SpaceError: If it has forbidden clauses, distributions that are not uniform,
            conditions across parents, or conditions of a constant; all are listed.

    Example:
        >>> from ConfigSpace import ConfigurationSpace
        >>> found = from_configspace(
        ...     ConfigurationSpace({"rate": (0.1, 0.9), "epochs": 20})
        ... )
        >>> found.dimensions, found.constants
        ({'rate': Float(0.1, 0.9)}, {'epochs': 20})
    """
    problems = [
        f"It forbids some configurations, {clause!r}, which a Space cannot. Leave the "
        "clause out, or let `when=` switch a dimension off."
        for clause in space.forbidden_clauses
    ]
    conditions: dict[str, list[Any]] = {}
    for condition in space.conditions:
        conditions.setdefault(condition.child.name, []).append(condition)
    entries: dict[str, Any] = {}
    for hyperparameter in space.values():
        name = hyperparameter.name
        try:
            when = _when(conditions.get(name, []))
            entries[name] = _entry(hyperparameter, when)
        except ValueError as error:
            problems.append(f"{name!r} {error}")
    raise_all(problems, SpaceError, "The configuration space")
    return Space(entries)


def _entry(given: Any, when: dict[str, list[Any]] | None) -> Any:
    """A dimension, or the value of a constant."""
    if len(values := _values(given)) == 1:
        if when is not None:
            raise ValueError(
                f"is the constant {values[0]!r} under a condition, but constants of a "
                "Space always hold. Leave the condition out."
            )
        return values[0]
    settings = {"default": _default(given), "when": when}
    match given:
        case CategoricalHyperparameter():
            if len(set(given.probabilities.tolist())) > 1:
                raise ValueError(
                    f"has weights, {given.weights!r}, but choices of a Space are all "
                    "as likely. Leave them out, as `to_uniform()` does."
                )
            return _choice(given.choices, settings)
        case OrdinalHyperparameter():
            return _evenly_spaced(given.sequence, settings) or _choice(
                given.sequence, settings
            )
        case UniformIntegerHyperparameter():
            return Int(int(given.lower), int(given.upper), log=given.log, **settings)
        case UniformFloatHyperparameter():
            return Float(given.lower, given.upper, log=given.log, **settings)
    raise ValueError(
        f"is a {type(given).__name__}, but a Space has no such prior. Use a uniform "
        "one, as its `to_uniform()` makes it."
    )


def _values(given: Any) -> Sequence[Any]:
    """All values in order; () where there are too many to list, or any number."""
    match given:
        case Constant():
            return (given.value,)
        case CategoricalHyperparameter():
            return tuple(given.choices)
        case OrdinalHyperparameter():
            return tuple(given.sequence)
        case UniformIntegerHyperparameter():
            low, high = int(given.lower), int(given.upper)
            return range(low, high + 1) if high - low < _MOST_VALUES else ()
    return ()


def _default(given: Any) -> Any:
    """What somebody has set; None where it is what ConfigSpace sets by itself."""
    match given:
        case CategoricalHyperparameter():
            usual = given.choices[0]
        case OrdinalHyperparameter():
            usual = given.sequence[0]
        case UniformIntegerHyperparameter() | UniformFloatHyperparameter():
            again = type(given)(given.name, given.lower, given.upper, log=given.log)
            usual = again.default_value
        case _:
            return None
    return None if given.default_value == usual else given.default_value


def _choice(values: Sequence[Any], settings: dict[str, Any]) -> Any:
    if set(map(type, values)) == {bool}:
        return Bool(**settings)
    return Categorical(list(values), **settings)


def _evenly_spaced(values: Sequence[Any], settings: dict[str, Any]) -> Any:
    """A range with a step, or None where the values are not numbers of one."""
    kinds = set(map(type, values))
    if not (kinds <= {int} or kinds <= {float}):
        return None
    low, high = values[0], values[-1]
    step = (high - low) / (len(values) - 1)
    if any(abs(low + at * step - x) > 1e-9 * abs(step) for at, x in enumerate(values)):
        return None
    low, high, step = min(low, high), max(low, high), abs(step)
    if kinds == {int}:
        return Int(low, high, step=None if step == 1 else round(step), **settings)
    return Float(low, high, step=float(f"{step:.12g}"), **settings)


def _when(conditions: Sequence[Any]) -> dict[str, list[Any]] | None:
    """By parent, the values with which the child of some conditions is active."""
    found: dict[str, list[Any]] = {}
    literals = [
        each
        for condition in conditions
        for each in (
            condition.components
            if isinstance(condition, AndConjunction)
            else [condition]
        )
    ]
    if any(isinstance(each, AndConjunction) for each in literals):
        return _when(literals)
    for each in literals:
        parent = _only_parent(each)
        values = [
            value
            for value in _listed(parent)
            if each.satisfied_by_value({parent.name: value})
        ]
        before = found.get(parent.name, values)
        found[parent.name] = [value for value in before if value in values]
        if not found[parent.name]:
            raise ValueError(
                f"is never active, as no value of {parent.name!r} meets its "
                "conditions. Leave it out."
            )
        if len(_values(parent)) == 1:  # a constant that always holds
            del found[parent.name]
    return found or None


def _only_parent(condition: Any) -> Any:
    """The one hyperparameter that a condition asks."""
    if not hasattr(condition, "components"):
        return condition.parent
    literals = condition.dlcs
    parents = {each.parent.name: each.parent for each in literals}
    if len(parents) > 1:
        raise ValueError(
            f"is active if one of several parents, {', '.join(map(repr, parents))}, "
            "has some value, but `when` of a Space asks all of them. Use one parent "
            "whose values say which."
        )
    return next(iter(parents.values()))


def _listed(parent: Any) -> Sequence[Any]:
    """The values of a parent."""
    if not (values := _values(parent)):
        raise ValueError(
            f"has a condition on {parent.name!r}, which has more than {_MOST_VALUES} "
            "values. A categorical, an ordinal or a short range of integers can decide "
            "whether it is active."
        )
    return values
