"""Unit cubes to test algorithms on, and those that break careless code."""

from __future__ import annotations

import dataclasses
import math

from evotune._contracts import Condition, Geometry, Kind


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """One dimension of a unit cube, from which `cube` makes a `Geometry`.

    Attributes:
        kind: Whether and how its points are ordered.
        levels: Number of levels; 0 where it is continuous.
        edges: The cell edges, where the cells are unequal.
        structural: Whether it changes the shape of what is trained.
        when: Conditions that must all hold for it to be active.
    """

    kind: Kind = Kind.FLOAT
    levels: int = 0
    edges: tuple[float, ...] = ()
    structural: bool = False
    when: tuple[Condition, ...] = ()


def floating(*, levels: int = 0, when: tuple[Condition, ...] = ()) -> Axis:
    """A number, in steps where ``levels`` is given."""
    return Axis(kind=Kind.FLOAT, levels=levels, when=when)


def integer(levels: int, *, when: tuple[Condition, ...] = ()) -> Axis:
    """An integer of ``levels`` equal cells."""
    return Axis(kind=Kind.INT, levels=levels, when=when)


def log_integer(low: int, high: int, *, when: tuple[Condition, ...] = ()) -> Axis:
    """The integers of [low, high] on a log scale: unequal cells."""
    marks = [low - 0.5 + step for step in range(high - low + 2)]
    first, last = math.log(marks[0]), math.log(marks[-1])
    edges = tuple((math.log(mark) - first) / (last - first) for mark in marks)
    levels = high - low + 1
    return Axis(kind=Kind.INT, levels=levels, edges=edges, structural=True, when=when)


def choice(
    levels: int,
    *,
    edges: tuple[float, ...] = (),
    when: tuple[Condition, ...] = (),
) -> Axis:
    """One of ``levels`` unordered choices, of unequal cells where there are edges."""
    return Axis(kind=Kind.CATEGORICAL, levels=levels, edges=edges, when=when)


def cube(*axes: Axis) -> Geometry:
    """The geometry of some axes; inactive ones rest at the middle, or middle level.

    Example:
        >>> cube(floating(), choice(3)).dimensions
        2
    """
    resting = []
    for axis in axes:
        level = axis.levels // 2
        if axis.edges:
            resting.append((axis.edges[level] + axis.edges[level + 1]) / 2)
        else:
            resting.append((level + 0.5) / axis.levels if axis.levels else 0.5)
    return Geometry(
        kinds=tuple(axis.kind for axis in axes),
        levels=tuple(axis.levels for axis in axes),
        edges=tuple(axis.edges for axis in axes),
        structural=tuple(axis.structural for axis in axes),
        conditions=tuple(axis.when for axis in axes),
        canonical=tuple(resting),
    )


def _when(parent: int, *levels: int) -> tuple[Condition, ...]:
    return (Condition(parent=parent, levels=levels),)


GEOMETRIES: dict[str, Geometry] = {
    "one_float": cube(floating()),
    "one_choice": cube(choice(3)),
    "mixed": cube(
        floating(), floating(levels=11), integer(7), log_integer(16, 64), choice(3)
    ),
    "all_choices": cube(choice(2), choice(3), choice(5), choice(4)),
    "one_level": cube(choice(1), integer(1), floating(), floating(levels=1)),
    "conditional": cube(
        choice(3),
        floating(when=_when(0, 0)),
        log_integer(4, 32, when=_when(0, 1, 2)),
        choice(4, edges=(0.0, 0.5, 0.75, 0.875, 1.0), when=_when(0, 2)),
        integer(5, when=_when(3, 1, 3)),
        floating(when=(*_when(0, 2), *_when(4, 0, 1))),
    ),
    "many": cube(*([floating(), integer(9), choice(4), floating()] * 25)),
}
"""Geometries by what is odd about them."""
