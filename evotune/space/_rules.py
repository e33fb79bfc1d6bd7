"""The rules that configurations must keep: expressions and functions."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from evotune._errors import SpaceError, nearest
from evotune.space._expression import Expression


class Inactive(Exception):  # noqa: N818
    """A rule asks for a dimension that is inactive: it does not apply."""


class Configuration(dict[str, Any]):
    """Active parameters and constants, as a rule sees them.

    Attributes:
        names: What the space has; a rule that asks for one of these which is inactive
            does not apply.
    """

    __slots__ = ("names",)

    def __init__(self, values: Mapping[str, Any], names: frozenset[str]) -> None:
        super().__init__(values)
        self.names = names

    def __missing__(self, name: str) -> NoReturn:
        if name in self.names:
            raise Inactive(name)
        raise KeyError(name)


class Rule(abc.ABC):
    """One constraint."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def given(self) -> Any:
        """What the user wrote."""

    @abc.abstractmethod
    def says(self, configuration: Configuration) -> Any:
        """Its answer, which should be True or False."""

    @abc.abstractmethod
    def problems(self, entries: Mapping[str, Any]) -> list[str]:
        """What is wrong with it in a space of these dimensions and constants."""

    @abc.abstractmethod
    def kept(self, entries: Mapping[str, Any], gone: frozenset[str]) -> Rule | None:
        """The rule in a narrower space; None where it applies no more.

        Args:
            entries: The dimensions and constants of the narrower space.
            gone: Names that only the wider one had.
        """

    def allows(self, configuration: Configuration) -> bool:
        """Whether it allows a configuration; so it does where it does not apply.

        Raises:
            SpaceError: If it raises, or answers with anything but a bool.
        """
        try:
            answer = self.says(configuration)
        except Inactive:
            return True
        except Exception as error:
            raise SpaceError(self._failed(error, configuration)) from error
        if not isinstance(answer, bool | np.bool_):
            raise SpaceError(
                f"A constraint must answer True or False, but {self!r} answered "
                f"{answer!r:.80} of type {type(answer).__name__} for "
                f"{dict(configuration)!r:.200}. Compare what it computes, as in "
                "`lambda c: c['width'] * c['depth'] <= 512`."
            )
        return bool(answer)

    def _failed(self, error: Exception, configuration: Configuration) -> str:
        if isinstance(error, KeyError) and error.args:
            name = str(error.args[0])
            return (
                "A constraint may ask for names of the space only, but "
                f"{self!r} asks for {name!r}.{nearest(name, configuration.names)} It "
                f"has {', '.join(map(repr, sorted(configuration.names)))}."
            )
        return (
            "A constraint must answer True or False for every configuration, but "
            f"{self!r} raised {error!r} for {dict(configuration)!r:.200}. Let it "
            "answer False for what must not be tried."
        )


class Written(Rule):
    """A rule that is an expression."""

    __slots__ = ("_expression",)

    def __init__(self, text: str) -> None:
        """Reads ``text``; see `Expression` for what it raises."""
        self._expression = Expression(text)

    @property
    def given(self) -> str:
        return self._expression.text

    def says(self, configuration: Configuration) -> Any:
        return self._expression.value(configuration)

    def problems(self, entries: Mapping[str, Any]) -> list[str]:
        return [
            f"The constraint {self.given!r} names {name!r}, which the space does not "
            f"have.{nearest(name, entries) or ' Quote it where it is a string.'}"
            for name in sorted(self._expression.names - set(entries))
        ]

    def kept(self, entries: Mapping[str, Any], gone: frozenset[str]) -> Rule | None:
        del entries
        return None if self._expression.names & gone else self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Written) and self.given == other.given

    def __hash__(self) -> int:
        return hash(self.given)

    def __repr__(self) -> str:
        return repr(self.given)


class Called(Rule):
    """A rule that is a function of the user's.

    Attributes:
        function: From a configuration to True or False.
        gone: Names of a wider space that this one has no more; they are inactive.
    """

    __slots__ = ("function", "gone")

    def __init__(
        self,
        function: Callable[[Mapping[str, Any]], Any],
        gone: frozenset[str] = frozenset(),
    ) -> None:
        self.function, self.gone = function, gone

    @property
    def given(self) -> Any:
        return self if self.gone else self.function

    def says(self, configuration: Configuration) -> Any:
        names = configuration.names | self.gone
        return self.function(Configuration(configuration, names))

    def problems(self, entries: Mapping[str, Any]) -> list[str]:
        del entries  # it is tried out instead
        return []

    def kept(self, entries: Mapping[str, Any], gone: frozenset[str]) -> Rule | None:
        del entries
        return Called(self.function, self.gone | gone) if gone else self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Called):
            return NotImplemented
        return self.function == other.function and self.gone == other.gone

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        return str(getattr(self.function, "__qualname__", repr(self.function)))
