"""Narrower spaces, to search coarsely first and finely then."""

from __future__ import annotations

import abc
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evotune.space._constrained import Constrained, narrowed_rules
from evotune.space._narrowing import best_params, check_share, narrow


class Narrowable(Constrained):
    """`around` and `refine`, for `Space` alone."""

    @abc.abstractmethod
    def __init__(
        self,
        mapping: Mapping[str, Any] | None = None,
        /,
        *,
        constraints: Any = (),
        **dimensions: Any,
    ) -> None:
        """A space of ``mapping``, followed by the keyword arguments."""

    @abc.abstractmethod
    def params(self, x: ArrayLike) -> list[dict[str, Any]]:
        """P dictionaries of the active dimensions of f32[P, D]."""

    @abc.abstractmethod
    def encode(self, params: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """f32[P, D] of P dictionaries."""

    def around(
        self,
        params: Mapping[str, Any],
        *,
        scale: float = 0.5,
        only: Collection[str] | None = None,
    ) -> Self:
        """A narrower space around one trial.

        Intervals shrink around its values on their own scale (by factors where
        ``log``), and slide so as to stay inside the present bounds; steps are kept, and
        ordinal choices are left likewise, two at least. Categorical ones
        become constants, except where conditions on them are open; conditions
        that are decided go, and with them the dimensions that can no longer be active.
        A `Permutation` stays as it is: orders have no interval to shrink. A default
        that falls outside becomes the trial's value, and a prior, or weights, of a
        dimension that is narrowed go: what was found replaces what was believed.

        Args:
            params: The parameters of the trial, such as ``result.best_params``.
            scale: The new width of an interval, as a share of the old one, in (0, 1].
            only: Names of the dimensions to narrow; all by default.

        Raises:
            HyperparameterError: If ``params`` do not lie in the space, or an argument
                does not fit.
            SpaceError: If nothing is left to search.

        Example:
            >>> from evotune.space import Float, Space
            >>> space = Space(rate=Float(1e-4, 1.0, log=True))
            >>> space.around({"rate": 0.01})["rate"]
            Float(0.001, 0.1, log=True)
        """
        check_share("scale", scale)
        return self._narrowed([params], scale, only)

    def refine(
        self,
        trials: Collection[Any],
        *,
        direction: str,
        quantile: float = 0.2,
        shrink: float = 0.5,
        only: Collection[str] | None = None,
    ) -> Self:
        """A narrower space around the best of some trials.

        Intervals shrink to what the best trials span, but no further than to ``shrink``
        of their width: a dimension that decides nothing stays wide. Categorical
        dimensions keep the choices of the best trials. The rest is as in `around`.

        Args:
            trials: Trials of this space, such as ``result.trials``.
            direction: Which values are best, "minimize" or "maximize".
            quantile: The share of the complete trials that counts as best, in (0, 1].
            shrink: The least new width of an interval, as a share of the old one.
            only: Names of the dimensions to narrow; all by default.

        Raises:
            HyperparameterError: If trials do not lie in the space, or an argument does
                not fit.
            ValueError: If no trial is complete.
            SpaceError: If nothing is left to search.

        Example:
            >>> result.space.refine(  # doctest: +SKIP
            ...     result.trials, direction=result.direction
            ... )
        """
        check_share("shrink", shrink)
        return self._narrowed(best_params(trials, direction, quantile), shrink, only)

    def _narrowed(
        self,
        best: Sequence[Mapping[str, Any]],
        width: float,
        only: Collection[str] | None,
    ) -> Self:
        active = self.params(self.encode(best))
        good = {  # as given: what encoding rounds could lie outside the new bounds
            name: [
                given.get(name, row[name])
                for given, row in zip(best, active, strict=True)
                if name in row
            ]
            for name in self
        }
        names = list(self)
        order = [names[index] for index in self._graph.order]
        entries = narrow(
            self._dimensions, self._constants, order, good, width=width, only=only
        )
        rules = narrowed_rules(
            self._rules, [*self._dimensions, *self._constants], entries
        )
        return type(self)(entries, constraints=rules)
