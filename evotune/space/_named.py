"""What a `Space` is as a collection of names, and as an object that never changes."""

from __future__ import annotations

import abc
import keyword
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from evotune.space._conditions import Graph
from evotune.space._counting import in_words
from evotune.space._cube import Cube
from evotune.space._dimension import Dimension
from evotune.space._rules import Rule
from evotune.space._values import typed


class Named(abc.ABC):
    """Names of dimensions and constants: equality, look-up, text. For `Space` alone."""

    _dimensions: dict[str, Dimension]
    _constants: dict[str, Any]
    _graph: Graph
    _cube: Cube
    _rules: tuple[Rule, ...]

    @property
    @abc.abstractmethod
    def size(self) -> int | float:
        """Number of distinct configurations."""

    @abc.abstractmethod
    def contains(self, params: Mapping[str, Any]) -> bool:
        """Whether parameters lie in the space."""

    def _content(self) -> tuple[Any, ...]:
        return tuple(self._dimensions.items()), typed(self._constants), self._rules

    def __len__(self) -> int:
        return len(self._dimensions)

    def __iter__(self) -> Iterator[str]:
        return iter(self._dimensions)

    def __contains__(self, item: object) -> bool:
        if isinstance(item, Mapping):
            return self.contains(item)
        return isinstance(item, str) and item in self._dimensions

    def __getitem__(self, name: str) -> Dimension:
        if name not in self._dimensions:
            raise KeyError(self._cube.unknown(name, "the space"))
        return self._dimensions[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Named):
            return NotImplemented
        return self._content() == other._content()

    def __hash__(self) -> int:
        return hash(tuple(self._dimensions.items()))

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(
            f"A Space cannot be changed, but {name!r} was set. Make a new one: "
            "`Space({**space.dimensions, **space.constants, 'width': Int(16, 64)}, "
            "constraints=space.constraints)`."
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"A Space cannot be changed, but {name!r} was deleted. Make a new one "
            "without it."
        )

    def __repr__(self) -> str:
        entries = {**self._dimensions, **self._constants}
        words = in_words(self.size, self._dimensions.values(), most=bool(self._rules))
        head = f"Space(  # {words}"
        tail = [f"    constraints={list(self._rules)!r},"] if self._rules else []
        if all(map(_is_keyword, entries)):
            lines = [f"    {name}={value!r}," for name, value in entries.items()]
            return "\n".join([head, *lines, *tail, ")"])
        lines = [f"        {name!r}: {value!r}," for name, value in entries.items()]
        end = "    }," if tail else "    }"
        return "\n".join([head, "    {", *lines, end, *tail, ")"])


def _is_keyword(name: str) -> bool:
    """Whether an entry of that name can be passed to `Space` by keyword."""
    return name.isidentifier() and not keyword.iskeyword(name) and name != "constraints"
