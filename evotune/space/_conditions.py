"""Which dimensions are active: conditions resolved against the parents they name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evotune._contracts import Condition
from evotune._errors import nearest
from evotune.space._codec import MAX_LEVELS
from evotune.space._dimension import Conditions, Dimension
from evotune.space._scalar import Scalar


@dataclasses.dataclass(frozen=True, slots=True)
class Graph:
    """The conditions of a space, by the index of its dimensions.

    Attributes:
        conditions: For each dimension, those that must all hold.
        order: The dimensions, parents before their children.
        parents: The dimensions that decide whether others are active.
    """

    conditions: tuple[tuple[Condition, ...], ...]
    order: tuple[int, ...]
    parents: frozenset[int]

    def mask(
        self,
        dimension: int,
        masks: Mapping[int, NDArray[np.bool_]],
        levels: Mapping[int, NDArray[np.int64]],
        rows: int,
    ) -> NDArray[np.bool_]:
        """bool[P]: the rows in which a dimension is active.

        Args:
            dimension: Its index.
            masks: bool[P] of every parent.
            levels: i64[P] of every parent.
            rows: P.
        """
        active = np.ones(rows, np.bool_)
        for need in self.conditions[dimension]:
            active &= masks[need.parent]
            active &= np.isin(levels[need.parent], need.levels)
        return active


def resolve(
    dimensions: Mapping[str, Dimension],
    constants: Mapping[str, Any],
    sound: set[str],
) -> tuple[dict[str, list[tuple[str, tuple[int, ...]]]], list[str]]:
    """The levels of each dimension's parents that switch it on, and the problems.

    Args:
        dimensions: All searched dimensions by name.
        constants: All constants by name.
        sound: The names of the dimensions that have no problems of their own.
    """
    problems: list[str] = []
    edges: dict[str, list[tuple[str, tuple[int, ...]]]] = {}
    for name, dimension in dimensions.items():
        edges[name] = []
        if not isinstance(dimension.when, Conditions):
            continue
        for parent, values in dimension.when.items():
            problem = _parent_problem(name, parent, values, dimensions, constants)
            if problem:
                problems.append(problem)
            elif parent in sound:
                levels, found = _levels(name, parent, values, dimensions[parent])
                problems += found
                edges[name].append((parent, levels))
    order = {name: index for index, name in enumerate(dimensions)}
    for needs in edges.values():
        needs.sort(key=lambda need: order[need[0]])
    return edges, problems + _cycles(dimensions)


def graph(edges: Mapping[str, list[tuple[str, tuple[int, ...]]]]) -> Graph:
    """The conditions by index; there must be no cycle."""
    index = {name: position for position, name in enumerate(edges)}
    conditions = tuple(
        tuple(Condition(parent=index[parent], levels=levels) for parent, levels in need)
        for need in edges.values()
    )
    order: dict[int, None] = {}

    def visit(dimension: int) -> None:
        for need in conditions[dimension]:
            visit(need.parent)
        order[dimension] = None  # keeps its first place

    for dimension in range(len(conditions)):
        visit(dimension)
    parents = frozenset(need.parent for needs in conditions for need in needs)
    return Graph(conditions, tuple(order), parents)


def _parent_problem(
    name: str,
    parent: str,
    values: tuple[Any, ...],
    dimensions: Mapping[str, Dimension],
    constants: Mapping[str, Any],
) -> str:
    if parent in constants:
        value = constants[parent]
        fix = (
            f"{name!r} is then always active: leave `when` out."
            if value in values
            else f"{name!r} is then never active: remove it."
        )
        return (
            f"`when` of {name!r} names {parent!r}, which is the constant {value!r}. "
            f"{fix} Or make {parent!r} a dimension."
        )
    if parent not in dimensions:
        fix = f" Add it: `{parent}=Categorical({[*values, '...']!r})`."
        return (
            f"`when` of {name!r} names {parent!r}, which is not a dimension of the "
            f"space.{nearest(str(parent), dimensions) or fix}"
        )
    return ""


def _levels(
    name: str, parent: str, values: tuple[Any, ...], dimension: Dimension
) -> tuple[tuple[int, ...], list[str]]:
    """The levels of ``dimension`` that have one of ``values``, and the problems."""
    if not isinstance(dimension, Scalar) or not dimension.size <= MAX_LEVELS:
        what = (
            f"has more than {MAX_LEVELS} values"
            if isinstance(dimension, Scalar)
            else "is an order of items"
        )
        return (), [
            f"`when` of {name!r} names {parent!r}, which {what}. A Categorical, a "
            "Bool, or an Int or Float with few steps can decide whether "
            f"{name!r} is active; {dimension!r} cannot."
        ]
    if len(values) == 1 and isinstance(values[0], tuple):
        try:  # a tuple is one choice where the parent has it, else several values
            dimension.check(values[0])
        except ValueError:
            values = values[0]
    level = {value: index for index, value in enumerate(dimension.values)}
    found: set[int] = set()
    problems = []
    for value in values:
        try:
            found.add(level[dimension.check(value)])
        except ValueError as error:
            problems.append(f"`when` of {name!r}: {parent!r} {error}")
    return tuple(sorted(found)), problems


def _cycles(dimensions: Mapping[str, Dimension]) -> list[str]:
    """One problem for each cycle of conditions."""
    problems: list[str] = []
    finished: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            cycle = " -> ".join(map(repr, [*path[path.index(name) :], name]))
            problems.append(
                f"Conditions form a cycle, {cycle}: each needs the next to be active. "
                "Remove one `when` of them."
            )
            return
        if name in finished:
            return
        when = dimensions[name].when
        for parent in when if isinstance(when, Conditions) else ():
            if parent in dimensions:
                visit(parent, [*path, name])
        finished.add(name)

    for name in dimensions:
        visit(name, [])
    return problems
