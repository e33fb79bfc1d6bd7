"""All columns of a space at once: rows of the unit cube to parameters and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evotune._contracts import Condition
from evotune._errors import HyperparameterError, nearest, raise_all
from evotune.space._codec import Codec, Column, Levels
from evotune.space._conditions import Graph
from evotune.space._dimension import Dimension
from evotune.space._values import is_hashable, plain

Columns = dict[str, Column]
"""P plain values by name: an array of numbers or booleans, or a list of the rest."""


class Cube:
    """The codec of a whole space, with its conditions.

    Attributes:
        axes: The name of the dimension that each of the D axes belongs to.
        codecs: The codec of each of the D axes.
        canonical: f32[D]: the coordinates of inactive dimensions: of the default, or
            else of the first choice, the items as given, or the middle of the range.
    """

    def __init__(
        self,
        dimensions: Mapping[str, Dimension],
        constants: Mapping[str, Any],
        graph: Graph,
    ) -> None:
        """The codec of sound dimensions whose conditions are ``graph``."""
        self._dimensions = dimensions
        self._constants = constants
        self._names = tuple(dimensions)
        self._graph = graph
        axes: list[str] = []
        codecs: list[Codec] = []
        spans: list[range] = []
        for name, dimension in dimensions.items():
            own = dimension.codecs()
            spans.append(range(len(axes), len(axes) + len(own)))
            codecs += own
            axes += [name] * len(own)
        self.axes, self.codecs = tuple(axes), tuple(codecs)
        self._spans = tuple(spans)  # the axes of each dimension
        self.canonical = np.concatenate(
            [self._rest(index) for index in range(len(dimensions))]
        )

    def _rest(self, index: int) -> NDArray[np.float32]:
        """f32[A]: where the axes of a dimension rest while it is inactive."""
        dimension = self._dimensions[self._names[index]]
        if dimension.default is not None:
            return self._encoded(index, [dimension.check(dimension.default)])[0]
        start = np.array([dimension.start], np.float32)
        return np.concatenate([self.codecs[a].snap(start) for a in self._spans[index]])

    def _encoded(self, index: int, values: Sequence[Any]) -> NDArray[np.float32]:
        """f32[P, A]: the canonical coordinates of P values of a dimension."""
        parts = self._dimensions[self._names[index]].split(values)
        codecs = [self.codecs[axis] for axis in self._spans[index]]
        columns = [c.encode(part) for c, part in zip(codecs, parts, strict=True)]
        return np.stack(columns, axis=1)

    def conditions(self) -> tuple[tuple[Condition, ...], ...]:
        """The conditions of each of the D axes, whose parents are axes, too."""
        return tuple(
            tuple(
                Condition(parent=self._spans[need.parent].start, levels=need.levels)
                for need in needs
            )
            for needs, span in zip(self._graph.conditions, self._spans, strict=True)
            for _ in span
        )

    def coordinates(self, x: ArrayLike) -> NDArray[np.float32]:
        """``x`` as f32[P, D] in the unit cube.

        Raises:
            ValueError: If ``x`` has another shape, or holds NaN.
        """
        with np.errstate(over="ignore"):  # a huge float64 becomes inf, then 1
            rows = np.asarray(x, np.float32)
        width = len(self.axes)
        if rows.ndim != 2 or rows.shape[1] != width:
            fix = " For a single row use `x[None, :]`." if rows.ndim == 1 else ""
            names = [
                repr(name) if len(span) == 1 else f"{name!r} ({len(span)} columns)"
                for name, span in zip(self._names, self._spans, strict=True)
            ]
            raise ValueError(
                f"`x` must have the shape [P, {width}], a column for each of "
                f"{', '.join(names)}, but got {list(rows.shape)}.{fix}"
            )
        if np.isnan(rows).any():
            row, column = np.argwhere(np.isnan(rows))[0]
            raise ValueError(
                f"`x` must hold numbers, but row {row} is NaN at "
                f"{self.axes[column]!r}. Look for the step that made it."
            )
        return np.clip(rows, np.float32(0), np.float32(1))

    def masks(self, x: NDArray[np.float32]) -> dict[int, NDArray[np.bool_]]:
        """By dimension, bool[P]: where it is active."""
        masks: dict[int, NDArray[np.bool_]] = {}
        levels: dict[int, NDArray[np.int64]] = {}
        for index in self._graph.order:
            masks[index] = self._graph.mask(index, masks, levels, len(x))
            self._read_level(index, x, levels)
        return masks

    def _read_level(
        self, index: int, x: NDArray[np.float32], into: dict[int, NDArray[np.int64]]
    ) -> None:
        axis, *_ = self._spans[index]  # parents have one
        codec = self.codecs[axis]
        if index in self._graph.parents and isinstance(codec, Levels):
            into[index] = codec.level(x[:, axis])

    def snap(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """f32[P, D]: the canonical coordinates of what each row decodes to."""
        masks = self.masks(x)
        snapped = np.empty_like(x)
        for index, span in enumerate(self._spans):
            for axis in span:
                column = self.codecs[axis].snap(x[:, axis])
                snapped[:, axis] = np.where(masks[index], column, self.canonical[axis])
        return snapped

    def decode(self, x: NDArray[np.float32]) -> Columns:
        """The values of every dimension; inactive ones at their canonical value."""
        masks = self.masks(x)
        columns: Columns = {}
        for index, (name, dimension) in enumerate(self._dimensions.items()):
            parts = []
            for axis in self._spans[index]:
                column = np.where(masks[index], x[:, axis], self.canonical[axis])
                parts.append(self.codecs[axis].decode(column))
            columns[name] = dimension.join(parts)
        return columns

    def params(self, x: NDArray[np.float32]) -> list[dict[str, Any]]:
        """A dictionary for each row, of its active dimensions only."""
        masks = self.masks(x)
        columns = [
            column if isinstance(column, list) else column.tolist()
            for column in self.decode(x).values()
        ]
        rows = [
            dict(zip(self._names, row, strict=True))
            for row in zip(*columns, strict=True)
        ]
        for index, name in enumerate(self._names):
            for row in np.flatnonzero(~masks[index]):
                del rows[row][name]
        return rows

    def encode(self, params: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """f32[P, D]: the canonical coordinates of each dictionary.

        Raises:
            HyperparameterError: If a row breaks a rule; with all problems of that row.
        """
        x = np.tile(self.canonical, (len(params), 1))
        masks: dict[int, NDArray[np.bool_]] = {}
        levels: dict[int, NDArray[np.int64]] = {}
        problems = [self._strangers(row) for row in params]
        for index in self._graph.order:
            masks[index] = self._graph.mask(index, masks, levels, len(params))
            rows, values = self._given(index, params, masks[index], problems)
            span = self._spans[index]
            x[rows, span.start : span.stop] = self._encoded(index, values)
            self._read_level(index, x, levels)
        for number, found in enumerate(problems):
            raise_all(found, HyperparameterError, f"Row {number} of `params`")
        return x

    def _given(
        self,
        index: int,
        params: Sequence[Mapping[str, Any]],
        active: NDArray[np.bool_],
        problems: list[list[str]],
    ) -> tuple[list[int], list[Any]]:
        """The rows that give an active dimension a value, and these values."""
        name = self._names[index]
        dimension = self._dimensions[name]
        rows: list[int] = []
        values: list[Any] = []
        for number, row in enumerate(params):
            if name in row:
                try:
                    value = dimension.check(row[name])
                except ValueError as error:
                    problems[number].append(f"{name!r} {error}")
                    continue
                if active[number]:
                    rows.append(number)
                    values.append(value)
            elif active[number] and dimension.default is None and not problems[number]:
                cause = f" where {dimension.when!r}" if dimension.when else ""
                problems[number].append(
                    f"{name!r} is active{cause} and has no default, but has no value "
                    f"in {dict(row)!r:.80}. Add it, or give it a default: "
                    f"`{name}={type(dimension).__name__}(..., default=...)`."
                )
        return rows, values

    def _strangers(self, row: Mapping[str, Any]) -> list[str]:
        """Problems of the names in a row that are no dimensions."""
        problems = []
        for name, value in row.items():
            if name in self._dimensions:
                continue
            if name not in self._constants:
                problems.append(self.unknown(name, "the space"))
                continue
            value, constant = plain(value), self._constants[name]
            if not is_hashable(value) or value != constant:
                problems.append(
                    f"{name!r} is the constant {constant!r} of the space, but got "
                    f"{value!r:.80}. Leave it out, or make it a dimension."
                )
        return problems

    def unknown(self, name: Any, where: str) -> str:
        """The message for a name that is neither dimension nor constant."""
        known = [*self._names, *self._constants]
        hint = nearest(str(name), known) or f" It has {', '.join(map(repr, known))}."
        return f"{name!r} is not a name of {where}.{hint}"
