"""All columns of a space at once: rows of the unit cube to parameters and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evotune._contracts import Kind
from evotune._errors import HyperparameterError, nearest, raise_all
from evotune.space._codec import Levels
from evotune.space._conditions import Graph
from evotune.space._dimension import Dimension
from evotune.space._values import is_hashable, plain

Columns = dict[str, NDArray[Any] | list[Any]]
"""P plain values by name: an array of numbers or booleans, or a list of choices."""


class Cube:
    """The codec of a whole space, with its conditions.

    Attributes:
        codecs: The codec of each of the D dimensions.
        canonical: f32[D]: the coordinates of inactive dimensions: of the default, or
            else of the first choice or the middle of the range.
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
        self.codecs = tuple(dimension.codec() for dimension in dimensions.values())
        self.canonical = np.array(
            [self._rest(index) for index in range(len(dimensions))], np.float32
        )

    def _rest(self, index: int) -> Any:
        dimension, codec = self._dimensions[self._names[index]], self.codecs[index]
        if dimension.default is not None:
            return codec.encode([dimension.check(dimension.default)])[0]
        start = 0.0 if dimension.kind is Kind.CATEGORICAL else 0.5
        return codec.snap(np.array([start], np.float32))[0]

    def coordinates(self, x: ArrayLike) -> NDArray[np.float32]:
        """``x`` as f32[P, D] in the unit cube.

        Raises:
            ValueError: If ``x`` has another shape, or holds NaN.
        """
        with np.errstate(over="ignore"):  # a huge float64 becomes inf, then 1
            rows = np.asarray(x, np.float32)
        width = len(self._names)
        if rows.ndim != 2 or rows.shape[1] != width:
            fix = " For a single row use `x[None, :]`." if rows.ndim == 1 else ""
            raise ValueError(
                f"`x` must have the shape [P, {width}], a column for each of "
                f"{', '.join(map(repr, self._names))}, but got {list(rows.shape)}.{fix}"
            )
        if np.isnan(rows).any():
            row, column = np.argwhere(np.isnan(rows))[0]
            raise ValueError(
                f"`x` must hold numbers, but row {row} is NaN at "
                f"{self._names[column]!r}. Look for the step that made it."
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
        codec = self.codecs[index]
        if index in self._graph.parents and isinstance(codec, Levels):
            into[index] = codec.level(x[:, index])

    def snap(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """f32[P, D]: the canonical coordinates of what each row decodes to."""
        masks = self.masks(x)
        snapped = np.empty_like(x)
        for index, codec in enumerate(self.codecs):
            column = codec.snap(x[:, index])
            snapped[:, index] = np.where(masks[index], column, self.canonical[index])
        return snapped

    def decode(self, x: NDArray[np.float32]) -> Columns:
        """The values of every dimension; inactive ones at their canonical value."""
        masks = self.masks(x)
        columns: Columns = {}
        for index, (name, codec) in enumerate(
            zip(self._names, self.codecs, strict=True)
        ):
            column = np.where(masks[index], x[:, index], self.canonical[index])
            columns[name] = codec.decode(column)
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
            x[rows, index] = self.codecs[index].encode(values)
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
