"""Which configurations of a space are allowed, and drawing among those."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evotune._errors import SpaceError, raise_all
from evotune.space._forbidden import Forbidden
from evotune.space._named import Named
from evotune.space._rules import Called, Configuration, Rule, Written

TRIES = 2**14
"""Draws of which one must be allowed, or else the space counts as empty."""


class Constrained(Named):
    """`allowed`, `sample` and `constraints`, for `Space` alone."""

    @property
    def constraints(self) -> tuple[Any, ...]:
        """The rules as they were given: functions, expressions, `Forbidden`."""
        return tuple(rule.given for rule in self._rules)

    def allowed(self, x: ArrayLike) -> NDArray[np.bool_]:
        """bool[P]: the rows of ``x``, f32[P, D], that keep every constraint.

        A constraint that asks for an inactive dimension does not apply.

        Raises:
            ValueError: If ``x`` has another shape, or holds NaN.
            SpaceError: If a constraint raises, or answers with anything but a bool.
        """
        rows = self._cube.coordinates(x)
        if not self._rules:
            return np.ones(len(rows), np.bool_)
        return np.array([not rules for rules in self._broken(rows)], np.bool_)

    def _broken(self, rows: NDArray[np.float32]) -> list[list[Rule]]:
        """The constraints that each of P rows breaks."""
        names = frozenset(self._dimensions) | frozenset(self._constants)
        configurations = [
            Configuration({**self._constants, **params}, names)
            for params in self._cube.params(rows)
        ]
        return [
            [rule for rule in self._rules if not rule.allows(configuration)]
            for configuration in configurations
        ]

    def forbids(self, values: Mapping[str, Any]) -> bool:
        """Whether nothing that has these values is allowed, whatever the rest is.

        Only constraints that need no other value can tell, and of these not functions,
        which may look whether a name is there.

        Args:
            values: Of some active dimensions, by name.
        """
        names = frozenset(self._dimensions) | frozenset(self._constants)
        known = Configuration({**self._constants, **values}, names)
        rules = [rule for rule in self._rules if not isinstance(rule, Called)]
        return not all(rule.allows(known) for rule in rules)

    def draw(self, n: int, *, seed: int) -> NDArray[np.float32]:
        """f32[n, D]: random rows of the unit cube that keep every constraint.

        Args:
            n: How many; the first of more are the same.
            seed: Any non-negative int; the same seed gives the same rows.

        Raises:
            ValueError: If ``n`` is negative.
            SpaceError: If hardly any configuration is allowed.
        """
        if operator.index(n) < 0:
            raise ValueError(f"`n` must be at least 0, but got {n}. Use `n=1` or more.")
        generator, width = np.random.default_rng(seed), len(self._cube.axes)
        rows = generator.random((n, width), np.float32)
        if not self._rules:
            return rows
        found, tried = [rows[self.allowed(rows)]], n
        while (missing := n - sum(map(len, found))) > 0:
            if tried > TRIES * n:
                raise self._nothing_allowed(tried, Counter())
            rows = generator.random((4 * missing, width), np.float32)
            found.append(rows[self.allowed(rows)][:missing])
            tried += 4 * missing
        return np.concatenate(found)

    def sample(self, n: int, *, seed: int) -> list[dict[str, Any]]:
        """``n`` random dictionaries of parameters that keep every constraint.

        They are uniform over the unit cube: by priors and weights, where there are any.

        Args:
            n: How many; the first of more are the same.
            seed: Any non-negative int; the same seed gives the same samples.

        Raises:
            ValueError: If ``n`` is negative.
            SpaceError: If hardly any configuration is allowed.
        """
        return self._cube.params(self.draw(n, seed=seed))

    def _check_constraints(self) -> None:
        """Tries the constraints out, on as few configurations as it takes.

        Raises:
            SpaceError: If they allow none of many, or one of them fails.
        """
        if not self._rules:
            return
        generator, tried, broken = np.random.default_rng(0), 0, Counter[str]()
        while tried < TRIES:
            count = max(16, tried)
            rows = generator.random((count, len(self._cube.axes)), np.float32)
            for rules in self._broken(rows):
                if not rules:
                    return
                broken.update(map(repr, rules))
            tried += count
        raise self._nothing_allowed(tried, broken)

    def _nothing_allowed(self, tried: int, broken: Counter[str]) -> SpaceError:
        shares = [
            f"{rule} refuses {count / tried:.0%}"
            for rule, count in broken.most_common()
        ]
        return SpaceError(
            f"Some configuration must be allowed, but of {tried:,} drawn at random "
            f"none was{': ' + ', '.join(shares) if shares else ''}. Likely cause: a "
            "constraint that is the wrong way round, as it says what is allowed. Or "
            "loosen one, or narrow the dimensions to where configurations are allowed."
        )


def rules_of(constraints: Any, entries: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules that a user gave for a space of these dimensions and constants.

    Raises:
        SpaceError: If something is no rule, or names what is not there; lists all.
    """
    if isinstance(constraints, (str, Mapping, Rule)) or not isinstance(
        constraints, Iterable
    ):
        fix = "`constraints=['width * depth <= 512']`"
        if isinstance(constraints, (str, Rule)) or callable(constraints):
            fix = f"`constraints=[{_shown(constraints)}]`"
        raise SpaceError(
            f"`constraints` must be a list of rules, but got {constraints!r:.80}. Use "
            f"{fix}. A dimension of that name goes into the mapping: "
            "`Space({'constraints': ...})`."
        )
    rules: list[Rule] = []
    problems: list[str] = []
    for given in constraints:
        try:
            rule = _rule(given)
        except ValueError as error:
            problems.append(f"The constraint {given!r:.80} {error}.")
            continue
        problems += rule.problems(entries)
        rules.append(rule)
    raise_all(problems, SpaceError, "The list of constraints")
    return tuple(rules)


def _rule(given: Any) -> Rule:
    """One rule.

    Raises:
        ValueError: If it is none; the message is to follow what was given.
    """
    if isinstance(given, Rule):
        return given
    if isinstance(given, str):
        return Written(given)
    if callable(given) and not isinstance(given, type):
        return Called(given)
    raise ValueError(
        "is no rule: use an expression such as 'width * depth <= 512', a function of a "
        "configuration, or `et.space.Forbidden(optimizer='sgd', norm='none')`"
    )


def _shown(rule: Any) -> str:
    if isinstance(rule, (str, Forbidden)):
        return repr(rule)
    return str(getattr(rule, "__name__", rule))


def narrowed_rules(
    rules: Sequence[Rule], names: Iterable[str], entries: Mapping[str, Any]
) -> list[Rule]:
    """The rules of a space that still apply in a narrower one.

    Args:
        rules: Those of the wide space.
        names: Its dimensions and constants.
        entries: The dimensions and constants of the narrower one.
    """
    gone = frozenset(names) - frozenset(entries)
    kept = [rule.kept(entries, gone) for rule in rules]
    return [rule for rule in kept if rule is not None]
