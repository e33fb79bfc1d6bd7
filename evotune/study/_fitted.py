"""What an algorithm and a space must know of each other before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evotune._contracts import Algorithm
from evotune._errors import SpaceError

if TYPE_CHECKING:
    from evotune.space import Space


def fitted(algorithm: Algorithm, space: Space, objectives: int) -> Algorithm:
    """The algorithm for a space, whose dimensions have names here, and indices there.

    An algorithm with a method ``with_names(names)`` may name dimensions in its
    settings, and is told the name of each axis, as ``space.axes`` has them; one with
    a method ``size(geometry)`` may refuse a space.

    Args:
        algorithm: As the user made it.
        space: What is searched.
        objectives: M, how many values a trial has.

    Raises:
        ValueError: If the settings name a dimension that there is not, or the algorithm
            refuses the space or the number of objectives.
    """
    _check_objectives(algorithm, objectives)
    with_names = getattr(algorithm, "with_names", None)
    if with_names is not None:
        algorithm = with_names(space.axes)
    _check_size(algorithm, space)
    return algorithm


def default_algorithm(objectives: int) -> Algorithm:
    """What searches where nobody says how: `NSGA2` for several objectives."""
    from evotune.algorithms import NSGA2, GeneticAlgorithm

    return GeneticAlgorithm() if objectives == 1 else NSGA2(objectives=objectives)


def _check_objectives(algorithm: Algorithm, objectives: int) -> None:
    """Refuses an algorithm that ranks another number of objectives."""
    ranks = getattr(algorithm, "objectives", 1)
    if ranks is None or ranks == objectives:
        return
    name = type(algorithm).__name__
    fix = (
        f"Use et.algorithms.NSGA2(objectives={objectives}), or RandomSearch() to "
        "compare with."
    )
    if objectives == 1:
        fix = (
            f"Use GeneticAlgorithm() or {name}(objectives=1), or name more objectives: "
            "Classification(..., objectives=['accuracy', 'parameters']), or "
            "Study(..., directions=['maximize', 'minimize'])."
        )
    raise ValueError(
        "An algorithm must rank as many objectives as a trial has values, but "
        f"{name} ranks {ranks} and there {'is' if objectives == 1 else 'are'} "
        f"{objectives}. {fix}"
    )


def _check_size(algorithm: Algorithm, space: Space) -> None:
    """Lets an algorithm that counts its points refuse the space before anything runs.

    It knows dimensions by their index only; here they have names.
    """
    size = getattr(algorithm, "size", None)
    if size is None:
        return
    try:
        size(space.geometry())
    except ValueError as error:
        index = getattr(error, "dimension", None)
        if index is None:
            raise
        named = str(error).replace(
            f"dimension {index} ", f"dimension {space.axes[index]!r} "
        )
        raise SpaceError(named) from error
