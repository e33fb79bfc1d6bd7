"""A search space as ConfigSpace's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ConfigSpace import (
    AndConjunction,
    CategoricalHyperparameter,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    InCondition,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from evotune._errors import SpaceError, raise_all
from evotune.space import Bool, Categorical, Ordinal, Permutation, Space


def to_configspace(
    space: Space, *, name: str | None = None, seed: int | None = None
) -> ConfigurationSpace:
    """The same space as a `ConfigurationSpace`: dimensions, conditions and constants.

    Ranges keep their log scale; those with steps, which ConfigSpace does not have,
    become ordinals of their values. A dimension without a default has ConfigSpace's.

    Args:
        space: Any whose dimensions of steps have at most 4096 of them.
        name: Of the configuration space.
        seed: Of its sampling.

    Raises:
        SpaceError: If a dimension has more steps or is a permutation, or ConfigSpace
            refuses a dimension or constant; all of them are listed.

    Example:
        >>> import evotune as et
        >>> found = to_configspace(et.Space(width=et.Int(8, 64, log=True)))
        >>> found["width"].lower, found["width"].upper, found["width"].log
        (8, 64, True)
    """
    found, problems, made = ConfigurationSpace(name=name, seed=seed), [], {}
    for entry, value in {**space.constants, **space.dimensions}.items():
        try:
            made[entry] = _hyperparameter(entry, value)
        except (TypeError, ValueError) as error:
            problems.append(f"{entry!r} has no place in a ConfigurationSpace: {error}")
    raise_all(problems, SpaceError, "The space")
    found.add(list(made.values()))
    for entry, dimension in space.dimensions.items():
        if dimension.when:
            found.add(_condition(entry, dimension.when, made))
    return found


def _hyperparameter(name: str, value: Any) -> Any:
    """One dimension or constant, as ConfigSpace has it."""
    if not hasattr(value, "when"):
        return Constant(name, value)
    if isinstance(value, Permutation):
        raise ValueError(
            f"it is an order of {value.count} items, which ConfigSpace does not know. "
            "Search it with an algorithm of evotune; elsewhere have a float for each "
            "item, and sort the items by them."
        )
    default = {} if value.default is None else {"default_value": value.default}
    if isinstance(value, Bool | Categorical):
        return CategoricalHyperparameter(name, value.values, **default)
    if isinstance(value, Ordinal):
        return OrdinalHyperparameter(name, value.values, **default)
    if value.step is not None and not value.log:
        if not value.values:
            raise ValueError(
                f"{value!r} has more than 4096 steps, which would be listed one by "
                "one. Leave `step` out, or use longer ones."
            )
        return OrdinalHyperparameter(name, value.values, **default)
    kind = (
        UniformIntegerHyperparameter
        if isinstance(value.low, int)
        else UniformFloatHyperparameter
    )
    return kind(name, value.low, value.high, log=value.log, **default)


def _condition(name: str, when: Mapping[str, Any], made: Mapping[str, Any]) -> Any:
    """When a dimension is active: each parent has one of its values."""
    needs: list[Any] = []
    for parent, values in when.items():
        pair = (made[name], made[parent])
        one = len(values) == 1
        needs.append(
            EqualsCondition(*pair, values[0]) if one else InCondition(*pair, [*values])
        )
    return needs[0] if len(needs) == 1 else AndConjunction(*needs)
