"""Search spaces to Optuna's distributions, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from evotune._errors import SpaceError, raise_all
from evotune.space import Bool, Categorical, Float, Int, Ordinal, Permutation, Space


def to_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each searched dimension, by name.

    Constants are left out, as Optuna has no word for them. The choices of an `Ordinal`
    lose their order.

    Args:
        space: Without conditions, priors, weights and constraints, which Optuna's
            distributions do not know.

    Raises:
        SpaceError: If the space has one of these, a permutation, or choices that Optuna
            does not store; all of them are listed.

    Example:
        >>> import evotune as et
        >>> to_distributions(et.Space(width=et.Int(8, 64, log=True)))
        {'width': IntDistribution(high=64, log=True, low=8, step=1)}
    """
    problems: list[str] = []
    found: dict[str, BaseDistribution] = {}
    for name, dimension in space.dimensions.items():
        if unknown := _unknown(dimension):
            problems.append(
                f"{name!r} has {unknown}, which Optuna's distributions do not know. "
                "Leave it out, or search with an algorithm of evotune."
            )
            continue
        if isinstance(dimension, Permutation):
            problems.append(f"{name!r} {_no_orders(dimension)}")
            continue
        try:
            found[name] = _distribution(dimension)
        except ValueError as error:
            problems.append(f"{name!r} has no distribution of Optuna's: {error}")
    problems += [
        f"The constraint {rule!r} has no counterpart among Optuna's distributions. "
        "Leave it out, or search with an algorithm of evotune."
        for rule in space.constraints
    ]
    raise_all(problems, SpaceError, "The space")
    return found


def _no_orders(dimension: Permutation) -> str:
    return (
        f"is an order of {dimension.count} items, which Optuna's distributions do not "
        "know. Search with an algorithm of evotune, or with `OptunaSearch`, whose "
        f"samplers see its {dimension.count - 1} axes; in a study of Optuna's own, "
        f"suggest {dimension.count} floats and sort the items by them."
    )


def _unknown(dimension: Any) -> str:
    """What a dimension has that no distribution has; "" if nothing."""
    names = {"when": "a condition", "prior": "a prior", "weights": "weights"}
    return next((words for name, words in names.items() if _given(dimension, name)), "")


def _given(dimension: Any, field: str) -> bool:
    return getattr(dimension, field, None) is not None


def _distribution(dimension: Any) -> BaseDistribution:
    match dimension:
        case Bool():
            return CategoricalDistribution((False, True))
        case Categorical() | Ordinal():
            return CategoricalDistribution(tuple(dimension.choices))
        case Int():
            step = 1 if dimension.step is None else dimension.step
            return IntDistribution(
                dimension.low, dimension.high, log=dimension.log, step=step
            )
        case _:
            return FloatDistribution(
                dimension.low, dimension.high, log=dimension.log, step=dimension.step
            )


def from_distributions(distributions: Mapping[str, BaseDistribution]) -> Space:
    """The space of Optuna's distributions; a single value becomes a constant.

    Raises:
        SpaceError: If a distribution is of another kind, or has no finite range.

    Example:
        >>> from optuna.distributions import FloatDistribution
        >>> space = from_distributions({"rate": FloatDistribution(1e-4, 0.1, log=True)})
        >>> space.dimensions["rate"]
        Float(0.0001, 0.1, log=True)
    """
    return Space({name: _dimension(name, one) for name, one in distributions.items()})


def _dimension(name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case CategoricalDistribution(choices=choices) if len(choices) == 1:
            return choices[0]
        case IntDistribution() | FloatDistribution() if distribution.single():
            return distribution.low
        case CategoricalDistribution(choices=choices):
            if set(map(type, choices)) == {bool}:
                return Bool()
            return Categorical(list(choices))
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Int(low, high, log=log, step=None if step == 1 else step)
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return Float(low, high, log=log, step=step)
    raise SpaceError(
        f"{name!r} is a {type(distribution).__name__}, which evotune does not know. "
        "Use FloatDistribution, IntDistribution or CategoricalDistribution."
    )
