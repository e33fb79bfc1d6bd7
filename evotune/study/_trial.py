"""A trial that is out for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Trial(Mapping[str, Any]):
    """One configuration to evaluate: a Mapping of what the objective needs.

    As a Mapping it holds the active searched parameters *and* the constants of the
    space, so that ``train(**trial)`` keeps working when a dimension is pinned to a
    plain value. ``params`` are the searched ones alone.

    Attributes:
        number: The trial's number in its study.
        params: Plain Python values of the active searched dimensions.
        replicas: What tells the evaluations apart that ``study.tell`` wants of it, such
            as seeds: 0 to R - 1 in a study with ``repeats=R``.

    Example:
        >>> trial = Trial(0, {"learning_rate": 0.1}, {"width": 64})
        >>> dict(trial), trial.number
        ({'width': 64, 'learning_rate': 0.1}, 0)
    """

    __slots__ = ("_all", "number", "params", "replicas")

    def __init__(
        self,
        number: int,
        params: dict[str, Any],
        constants: Mapping[str, Any] = {},
        replicas: tuple[int, ...] = (0,),
    ) -> None:
        self.number = number
        self.params = params
        self.replicas = replicas
        self._all = {**constants, **params}

    def __getitem__(self, name: str) -> Any:
        try:
            return self._all[name]
        except KeyError:
            raise KeyError(
                f"{name!r} is not a parameter of trial {self.number}, which has "
                f"{sorted(self._all)}. A conditional dimension is absent while its "
                f"condition does not hold: use trial.get({name!r})."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __hash__(self) -> int:
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Trial):
            return self.number == other.number and self._all == other._all
        return isinstance(other, Mapping) and self._all == dict(other)

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self._all.items())
        return f"Trial({self.number}: {listed})"
