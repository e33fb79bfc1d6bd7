"""How many distinct configurations a space with conditions has."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from evotune.space._conditions import Graph
from evotune.space._dimension import Dimension


def count(sizes: Sequence[int | float], graph: Graph) -> int | float:
    """The number of configurations; two that differ where inactive are the same.

    Dimensions without conditions multiply. The others are counted group by group (the
    connected parts of the graph), once for each way in which the parents' values switch
    their children on and off.

    Args:
        sizes: Number of values of each dimension; ``math.inf`` if continuous.
        graph: Which dimension is active when.
    """
    total: int | float = 1
    for group in _groups(graph):
        total = _times(total, _count_group(group, {}, sizes, graph))
    return total


def _times(left: int | float, right: int | float) -> int | float:
    """A product of counts, without turning a huge int into a float."""
    return math.inf if math.inf in (left, right) else left * right


def _plus(left: int | float, right: int | float) -> int | float:
    """A sum of counts, without turning a huge int into a float."""
    return math.inf if math.inf in (left, right) else left + right


def _groups(graph: Graph) -> list[list[int]]:
    """The dimensions in order, split into parts that no condition connects."""
    root = list(range(len(graph.conditions)))

    def find(dimension: int) -> int:
        while root[dimension] != dimension:
            dimension = root[dimension]
        return dimension

    for dimension, needs in enumerate(graph.conditions):
        for need in needs:
            root[find(dimension)] = find(need.parent)
    groups: dict[int, list[int]] = {}
    for dimension in graph.order:
        groups.setdefault(find(dimension), []).append(dimension)
    return list(groups.values())


def _count_group(
    group: list[int],
    chosen: dict[int, int],
    sizes: Sequence[int | float],
    graph: Graph,
) -> int | float:
    """Configurations of the dimensions in ``group``, given the levels of parents."""
    total: int | float = 1
    for position, dimension in enumerate(group):
        if not all(
            chosen.get(need.parent, -1) in need.levels
            for need in graph.conditions[dimension]
        ):
            continue
        if dimension not in graph.parents:
            total = _times(total, sizes[dimension])
            continue
        rest = group[position + 1 :]
        ways: int | float = 0
        for level, alike in _alike(dimension, int(sizes[dimension]), graph):
            more = _count_group(rest, {**chosen, dimension: level}, sizes, graph)
            ways = _plus(ways, _times(alike, more))
        return _times(total, ways)
    return total


def _alike(parent: int, size: int, graph: Graph) -> list[tuple[int, int]]:
    """One level of each set of levels that switch the same conditions on, and how many.

    Without this a parent of a thousand levels would be counted a thousand times.
    """
    needs = [
        frozenset(need.levels)
        for needs in graph.conditions
        for need in needs
        if need.parent == parent
    ]
    members: dict[tuple[bool, ...], list[int]] = {}
    for level in range(size):
        members.setdefault(tuple(level in need for need in needs), []).append(level)
    return [(levels[0], len(levels)) for levels in members.values()]


def in_words(
    size: int | float, dimensions: Collection[Dimension], *, most: bool = False
) -> str:
    """The size of a space as it is printed.

    Args:
        size: The number of configurations.
        dimensions: What it searches.
        most: Whether constraints make it fewer.
    """
    head = f"{len(dimensions)} dimension{'' if len(dimensions) == 1 else 's'}"
    head = f"{head}, at most" if most and not isinstance(size, float) else f"{head},"
    if isinstance(size, float):
        continuous = sum(math.isinf(dimension.size) for dimension in dimensions)
        return f"{head} {continuous} continuous: infinitely many configurations"
    if size < 10**12:
        return f"{head} {size:,} configurations"
    return f"{head} about 1e{math.floor(math.log10(size))} configurations"
